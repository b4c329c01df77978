"""What the columns and answers of a survey export are called inside: its `layout.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calaim_eval.errors import TableError
from calaim_eval.schema.fields import FIELDS

LAYOUT = "layout.toml"
COLUMNS = ("respondent_id", "organization_id", "respondent_role", "wave_date", "recorded")
"""What a column of the export may be; `recorded` says which of two answers of one person counts."""
_CHECKED = {"checked": "1", "unchecked": "0"}
"""Answers to boxes as REDCap labels them."""


@dataclass(frozen=True)
class SurveyLayout:
    """How one survey is exported.

    Attributes
    ----------
    columns : mapping of str to str
        Head in the export to one of `COLUMNS`.
    items : mapping of str to str
        Head in the export to item of the codebook.
    wave_date : str
        Day of the wave, where no column has it.
    has_study_ids : bool
        Organizations are told by the identifiers of the study.
    values : mapping of str to mapping
        ``respondent_role``, ``wave_date``, ``response`` or an item to {answer in the file: ours}.
    """

    columns: Mapping[str, str]
    items: Mapping[str, str]
    wave_date: str = ""
    has_study_ids: bool = False
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def heads(self) -> dict[str, str]:
        """Every head that is read, and the name it is read under."""
        items = {head: item_column(item) for head, item in self.items.items()}
        return {**self.columns, **items}

    def words(self, column: str) -> dict[str, str]:
        """Answer in lower case to ours, for a column or an item."""
        own = dict(self.values.get(column, {}))
        if column not in COLUMNS:
            own = {**_CHECKED, **self.values.get("response", {}), **own}
        return {given.strip().lower(): ours for given, ours in own.items()}


def item_column(item: str) -> str:
    """Name under which the answers to an item are read."""
    return f"item {item}"


def read_survey_layout(folder: Path) -> SurveyLayout:
    """Layout of the survey in a folder.

    Raises
    ------
    TableError
        It is not there, is no TOML, lacks a part, or names a column or value that is not one of
        ours.
    """
    path = folder / LAYOUT
    if not path.is_file():
        raise TableError(
            f"the survey export lies without `{LAYOUT}`: nobody knows which column is what.\n"
            '  Write beside it [columns] with "head" = "respondent_id" and the like, and [items].'
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise TableError(f"`{LAYOUT}` is no TOML: {problem}.\n  Mend it as shown.") from None
    known = ("columns", "items", "wave_date", "organizations", "values")
    _require(content, known, "key")
    organizations = str(content.get("organizations", "partner"))
    _require([organizations], ("partner", "study"), "kind of `organizations`")
    values = content.get("values", {})
    if not isinstance(values, dict):
        raise TableError(f"`{LAYOUT}`: `values` is no section.\n  Write [values.response].")
    layout = SurveyLayout(
        columns=_pairs(content, "columns"),
        items=_pairs(content, "items"),
        wave_date=str(content.get("wave_date", "")),
        has_study_ids=organizations == "study",
        values={name: _pairs(values, name) for name in values},
    )
    _check(layout)
    return layout


def _pairs(content: Mapping[str, Any], name: str) -> dict[str, str]:
    """A section of pairs."""
    found = content.get(name, {})
    if not isinstance(found, dict) or any(isinstance(each, dict) for each in found.values()):
        raise TableError(
            f'`{LAYOUT}`: `{name}` is no section of pairs.\n  Write lines "yours" = "ours".'
        )
    return {str(given): str(ours) for given, ours in found.items()}


def _check(layout: SurveyLayout) -> None:
    """Raise for what is missing, named twice or not ours."""
    _require(layout.columns.values(), COLUMNS, "column")
    for needed in ("respondent_id", "organization_id"):
        if needed not in layout.columns.values():
            raise TableError(f"`{LAYOUT}`: no column is `{needed}`.\n  Name it in [columns].")
    if not layout.items:
        raise TableError(f'`{LAYOUT}` has no [items].\n  Write "head" = "item of the codebook".')
    named = list(layout.heads.values())
    twice = next((each for each in named if named.count(each) > 1), None)
    if twice is not None:
        raise TableError(f"`{LAYOUT}`: two heads are `{twice}`.\n  Give each its own.")
    _require(
        layout.values,
        ("respondent_role", "wave_date", "response", *layout.items.values()),
        "column or item with values",
    )
    roles = layout.values.get("respondent_role", {})
    _require(roles.values(), FIELDS["respondent_role"].values, "value of `respondent_role`")


def _require(given: Iterable[str], allowed: tuple[str, ...], what: str) -> None:
    """Raise for the first that is not allowed."""
    for each in given:
        if each not in allowed:
            raise TableError(
                f"`{LAYOUT}`: '{each}' is no {what}.\n"
                f"  Allowed: {', '.join(f'`{name}`' for name in allowed)}."
            )
