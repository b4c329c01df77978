"""Members and use of care by race and ethnicity and one more column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.panels import HEADLINE_OUTCOMES
from calaim_eval.report.labels import OUTCOMES, ordered, race_label, race_order, readable
from calaim_eval.report.numbers import SUPPRESSED_MARK, UNDEFINED_MARK, decimals_for, number
from calaim_eval.report.release_items import (
    Absent,
    find_item,
    item_title,
    need_columns,
    require_released,
)
from calaim_eval.report.tables.layout import DisplayTable, lay_out, outcome_headings
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_MEMBERS = "members_by_race_and_"
_USE = "use_by_race_and_"
_GROUP = "Race and ethnicity"
MOST_VALUES = 12
"""Values of the other column a page shows; the release has all."""


def crossed_columns(released: Released) -> list[str]:
    """Columns that race and ethnicity is crossed with in the release."""
    names = require_released(released).tables
    return [name.removeprefix(_MEMBERS) for name in names if name.startswith(_MEMBERS)]


def crossed_table(released: Released, column: str) -> DisplayTable | Absent:
    """Members of each group within each value of another column, and how much care they use.

    Parameters
    ----------
    released : Released
        Uses `members_by_race_and_<column>` and, where it is there, `use_by_race_and_<column>`.
    column : str
        Such as ``"age_band"``.

    Returns
    -------
    DisplayTable | Absent
        One block a value of the column, one row a group in which members are counted or hidden.
        Of more than `MOST_VALUES` values the largest are shown.
    """
    found = find_item(released, f"{_MEMBERS}{column}")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity", column))
    members = found.frame.set_index(["race_ethnicity", column])
    values, n_left = _values(found.frame, column)
    use, headings, per = _use(released, column)
    heading = readable(column)
    rows = []
    for value in values:
        for group in ordered(found.frame["race_ethnicity"], order=(ALL, *race_order())):
            if (group, value) not in members.index:
                continue
            cell = members.loc[(group, value)]
            if not cell["is_suppressed"] and cell["numerator"] == 0:
                continue
            row = {
                heading: value_label(column, value),
                _GROUP: race_label(group),
                "Members": _shown(cell, "numerator", 0),
            }
            for outcome, cells in use.items():
                decimals = decimals_for(cells["rate"])
                known = (group, value) in cells.index
                row[headings[outcome]] = (
                    _shown(cells.loc[(group, value)], "rate", decimals) if known else UNDEFINED_MARK
                )
            rows.append(row)
    left = f"Not on this page, but in the release: {n_left} smaller values."
    return lay_out(
        pd.DataFrame(rows),
        caption=f"{item_title(found.name)}" + (f", and use of care{per}." if use else "."),
        row_name=_GROUP,
        row_group=heading,
        notes=(left,) if n_left else (),
        n_suppressed=int(found.frame["is_suppressed"].sum()),
    )


def value_label(column: str, value: str) -> str:
    """A value of the other column for a reader; ages and counties as they are."""
    if value == ALL:
        return "All"
    return value if column in ("age_band", "county", "plan") else readable(value)


def _values(frame: pd.DataFrame, column: str) -> tuple[list[str], int]:
    """Values in the order of the release without their total, and how many are left out."""
    parts = frame[frame[column] != ALL]
    values = list(dict.fromkeys(parts[column]))
    if len(values) <= MOST_VALUES:
        return values, 0
    size = parts[parts["race_ethnicity"] == ALL].set_index(column)["numerator"]
    largest = size.reindex(values).fillna(0).sort_values(ascending=False, kind="stable")
    kept = set(largest.index[:MOST_VALUES])
    return [value for value in values if value in kept], len(values) - MOST_VALUES


def _use(released: Released, column: str) -> tuple[dict[str, pd.DataFrame], dict[str, str], str]:
    """Rates by headline outcome, their headings and the unit they share."""
    found = find_item(released, f"{_USE}{column}")
    if isinstance(found, Absent):
        return {}, {}, ""
    need_columns(found, ("outcome", "race_ethnicity", column))
    present = ordered(found.frame["outcome"], order=tuple(OUTCOMES))
    chosen = [o for o in present if o in HEADLINE_OUTCOMES] or present[:1]
    frame = found.frame[found.frame["outcome"].isin(chosen)]
    headings, per = outcome_headings(frame, found)
    keys = ["race_ethnicity", column]
    cells = {o: frame[frame["outcome"] == o].set_index(keys) for o in chosen}
    return cells, headings, per


def _shown(cell: pd.Series, column: str, decimals: int) -> str:
    return SUPPRESSED_MARK if cell["is_suppressed"] else number(cell[column], decimals=decimals)
