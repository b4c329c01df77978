"""Identifiers and text files as a partner has them, and the link files that lie beside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd


class SourceIds:
    """Identifiers of a source for those of the study.

    One with the mark of the source in front (``hmis:S:12``) is the source's own and is written
    without it. Any other is one of the study: it gets a number of the source and a line in the
    link file, unless the source's own name for it is given.

    Parameters
    ----------
    mark : str
        Source, and its scope where it has one, with a colon behind each.
    prefix : str
        In front of the numbers given.
    given : mapping of str to str, optional
        Identifier of the study to what the source calls it.

    Examples
    --------
    >>> ids = SourceIds("hmis:S:", "P")
    >>> ids.of(pd.Series(["hmis:S:12", "M7", None])).tolist()
    ['12', 'P000001', None]
    >>> ids.links
    {'P000001': 'M7'}
    """

    def __init__(self, mark: str, prefix: str, given: Mapping[str, str] | None = None) -> None:
        self.mark = mark
        self.prefix = prefix
        self.numbers: dict[str, str] = dict(given or {})
        self.links: dict[str, str] = {}

    def of(self, ids: pd.Series) -> pd.Series:
        """What the source calls each; missing stays missing."""
        made = {each: self._one(str(each)) for each in ids.dropna().unique()}
        found = ids.map(made).astype(object)
        return found.where(found.notna(), None)

    def own(self, ids: pd.Series) -> pd.Series:
        """Identifiers without the mark, and no link for those that have none."""
        text = ids.astype("string").str.removeprefix(self.mark).astype(object)
        return text.where(ids.notna(), None)

    def _one(self, identifier: str) -> str:
        if identifier.startswith(self.mark):
            return identifier.removeprefix(self.mark)
        number = self.numbers.setdefault(identifier, f"{self.prefix}{len(self.numbers) + 1:06d}")
        self.links[number] = identifier
        return number


def write_links(
    folder: Path,
    *,
    members: SourceIds | None = None,
    organizations: SourceIds | None = None,
    services: Mapping[tuple[str, str], str] | None = None,
) -> None:
    """Write `member_link`, `organization_link` and `service_map`, where they have a line."""
    parts = (
        (members, "member_link", ["source_person_id", "member_id"]),
        (organizations, "organization_link", ["source_organization_id", "organization_id"]),
    )
    for ids, name, columns in parts:
        if ids is not None and ids.links:
            write_text(folder, name, pd.DataFrame(list(ids.links.items()), columns=columns))
    if services:
        rows = [(kind, code, service) for (kind, code), service in services.items()]
        write_text(folder, "service_map", pd.DataFrame(rows, columns=["kind", "code", "service"]))


def write_text(folder: Path, name: str, frame: pd.DataFrame) -> Path:
    """Write rows as CSV, days as 2024-03-01, nothing where a value is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.csv"
    days = {
        column: day_text(frame[column])
        for column in frame
        if pd.api.types.is_datetime64_any_dtype(frame[column])
    }
    frame.assign(**days).to_csv(path, index=False, lineterminator="\n")
    return path


def day_text(days: pd.Series) -> pd.Series:
    """Days as text; missing stays missing."""
    text = pd.to_datetime(days).dt.strftime("%Y-%m-%d").astype(object)
    return text.where(days.notna(), None)


def rows_of(tables: Mapping[str, pd.DataFrame], name: str) -> pd.DataFrame:
    """Rows of a declared table with all its columns; none where it is not given."""
    from calaim_eval.schema.tables import TABLES

    given = tables.get(name, pd.DataFrame(columns=list(TABLES[name].fields), dtype=object))
    return given.reindex(columns=list(TABLES[name].fields)).reset_index(drop=True)
