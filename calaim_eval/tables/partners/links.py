"""Whom and what a partner's identifiers mean in the study: link files beside the partner's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.schema.codes import load_codes
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.partners.row_files import ROW_SUFFIXES, is_row_file
from calaim_eval.tables.partners.text_rows import FileRows, read_file_rows

MEMBER_LINK, ORGANIZATION_LINK, SERVICE_MAP = "member_link", "organization_link", "service_map"
LINK_FILES = (MEMBER_LINK, ORGANIZATION_LINK, SERVICE_MAP, "status_reason_map")
UNLINKED = "person without a link to a member (kept under the source's own identifier)"
SEVERAL = "one identifier linked to several"
PASSED_OVER = "file that is no text or workbook, or lies deeper than is read (passed over)"
UNKNOWN_SERVICE = "`service` is neither `ecm` nor a listed support"


@dataclass(frozen=True)
class Links:
    """What identifiers and codes of one source mean.

    Attributes
    ----------
    source : str
        Name put in front of the source's own identifiers.
    members, organizations : mapping of str to str
        Identifier of the source to that of the study.
    services : mapping of tuple[str, str] to str
        Kind of code and code to `ecm` or a support.
    """

    source: str
    members: Mapping[str, str] = field(default_factory=dict)
    organizations: Mapping[str, str] = field(default_factory=dict)
    services: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def member(self, ids: pd.Series, scope: str = "") -> pd.Series:
        """Members of persons; a person without a link keeps the source's identifier, marked."""
        own = _marked(self.source, scope, ids)
        return ids.map(self.members).astype(object).where(ids.isin(self.members), own)

    def organization(self, ids: pd.Series, scope: str = "") -> pd.Series:
        """Organizations of the study; one without a link keeps the source's identifier, marked."""
        own = _marked(self.source, scope, ids)
        return ids.map(self.organizations).astype(object).where(ids.isin(self.organizations), own)

    def service(self, kind: str, codes: pd.Series) -> pd.Series:
        """Supports of codes of a kind; missing where the study's map has none."""
        named = {code: service for (each, code), service in self.services.items() if each == kind}
        return codes.map(named).astype(object).where(codes.isin(named), None)

    def note_unlinked(self, ids: pd.Series, ledger: RowLedger) -> None:
        """Count persons without a link, and links to persons who are not there."""
        persons = set(ids.dropna())
        unlinked = len(persons - set(self.members))
        ledger.note(f"{self.source} persons", UNLINKED, unlinked)
        if self.members:
            linked = len(persons & set(self.members))
            ledger.note(f"{self.source} persons", "person linked to a member", linked)
            ledger.note(
                f"{self.source} persons",
                "link of a person who is not in the files",
                len(set(self.members) - persons),
            )


def find_links(folder: Path, source: str, ledger: RowLedger) -> Links:
    """Links in a folder: `member_link`, `organization_link` and `service_map`, where they are.

    `member_link` has the columns `source_person_id` and `member_id`, `organization_link`
    `source_organization_id` and `organization_id`, `service_map` `kind`, `code` and `service`.

    Raises
    ------
    TableError
        A link file lacks a column, cannot be read, or lies in a folder inside.
    """
    _require_beside(folder, source)
    members = find_pairs(folder, source, MEMBER_LINK, "source_person_id", "member_id", ledger)
    organizations = find_pairs(
        folder, source, ORGANIZATION_LINK, "source_organization_id", "organization_id", ledger
    )
    services = _services(folder, source, ledger)
    return Links(source, members, organizations, services)


def link_paths(folder: Path) -> tuple[Path, ...]:
    """Link files of a folder."""
    return tuple(
        path for path in sorted(folder.iterdir()) if is_row_file(path) and _stem(path) in LINK_FILES
    )


def note_passed_over(folder: Path, source: str, read: Iterable[Path], ledger: RowLedger) -> None:
    """Count files that are neither among those read nor hidden nor left by an open program."""
    known = set(read)
    others = [
        path
        for path in folder.rglob("*")
        if path.is_file() and path not in known and not path.name.startswith((".", "~$"))
    ]
    ledger.note(f"{source} files", PASSED_OVER, len(others))


def find_pairs(
    folder: Path, source: str, name: str, of: str, to: str, ledger: RowLedger
) -> dict[str, str]:
    """What a link file of two columns says; what is linked to several is set aside."""
    rows = _rows(folder, source, name, (of, to), ledger)
    if rows is None:
        return {}
    for column in (of, to):
        rows.require(column)
    rows.set_aside(rows.frame.duplicated([of, to]), "exact duplicate")
    kept = rows.frame[rows.is_open]
    several = kept.groupby(of)[to].nunique()
    rows.set_aside(rows[of].isin(several.index[several > 1]), SEVERAL)
    kept = rows.frame.iloc[rows.used()]
    return dict(zip(kept[of], kept[to], strict=True))


def _require_beside(folder: Path, source: str) -> None:
    """Raise for a link file in a folder inside, where it would be passed over."""
    for inside in sorted(each for each in folder.iterdir() if each.is_dir()):
        for path in link_paths(inside):
            raise TableError(
                f"{source}: `{_stem(path)}` lies in a folder inside the one that is read.\n"
                "  Put it beside, in the folder itself; or name the inner folder."
            )


def _services(folder: Path, source: str, ledger: RowLedger) -> dict[tuple[str, str], str]:
    """Codes by kind to supports; those that name none are set aside."""
    rows = _rows(folder, source, SERVICE_MAP, ("kind", "code", "service"), ledger)
    if rows is None:
        return {}
    for column in ("kind", "code", "service"):
        rows.require(column)
    known = {"ecm", *load_codes("community_support")["service"]}
    rows.set_aside(~rows["service"].isin(known), UNKNOWN_SERVICE)
    rows.set_aside(rows.frame.duplicated(), "exact duplicate")
    kept = rows.frame[rows.is_open]
    several = kept.groupby(["kind", "code"])["service"].transform("nunique") > 1
    mask = pd.Series(data=False, index=rows.frame.index)
    mask[kept.index] = several
    rows.set_aside(mask, SEVERAL)
    kept = rows.frame.iloc[rows.used()]
    return {
        (kind, code): service
        for kind, code, service in kept[["kind", "code", "service"]].itertuples(index=False)
    }


def _rows(
    folder: Path, source: str, name: str, columns: tuple[str, ...], ledger: RowLedger
) -> FileRows | None:
    """Rows of a link file, or nothing where there is none."""
    paths = [path for path in link_paths(folder) if _stem(path) == name]
    if len(paths) > 1:
        raise TableError(
            f"{source}: `{name}` is there {len(paths)} times.\n  Keep one file of that name."
        )
    if not paths:
        return None
    return read_file_rows(paths, f"{source} {name}", ledger, columns=columns, required=columns)


def _stem(path: Path) -> str:
    """Name of a file of rows without its suffix, in lower case; empty for other files."""
    name = path.name.lower()
    fits = [suffix for suffix in ROW_SUFFIXES if name.endswith(suffix)]
    return name.removesuffix(max(fits, key=len)) if fits else ""


def _marked(source: str, scope: str, ids: pd.Series) -> pd.Series:
    """Identifiers with the name of their source in front; missing ones stay missing."""
    front = f"{source}:{scope}:" if scope else f"{source}:"
    return (front + ids.astype("string")).astype(object).where(ids.notna(), None)
