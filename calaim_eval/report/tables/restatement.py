"""What a later extract made of the months of the one before, as released."""

from __future__ import annotations

import calendar
import re
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import outcome_label
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.layout import DisplayTable, lay_out

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

MONTHS_SHOWN = 6
"""Latest months with a column of their own; those before share one."""
_KEYS = ("outcome", "month", "earlier_extract", "later_extract", "change", "rounded_to")
_LABELS = {"member_months": "Covered months"}
_CHANGE = re.compile(r"[+-]?\d+%")


def restatement_table(released: Released) -> DisplayTable | Absent:
    """How much this extract changed the totals of the one before, by measure and month.

    Parameters
    ----------
    released : Released
        Uses `restatement` (keys `outcome`, `month`, `earlier_extract`, `later_extract`, `change`,
        `rounded_to`).

    Returns
    -------
    DisplayTable | Absent
        One row per measure; a column for each of the last 6 months both extracts have, and one
        with the smallest and largest change of up to 18 months before those.
    """
    found = find_item(released, "restatement")
    if isinstance(found, Absent):
        return found
    need_columns(found, _KEYS)
    frame = found.frame
    if frame.empty:
        return Absent("restatement", "no month is in both extracts")
    months = sorted(frame["month"].unique())
    shown, before = months[-MONTHS_SHOWN:], months[:-MONTHS_SHOWN]
    rows = pd.DataFrame(
        [
            _row(outcome, rows.set_index("month"), shown, before)
            for outcome, rows in frame.groupby("outcome", sort=False)
        ]
    )
    first, second = frame["earlier_extract"].iloc[0], frame["later_extract"].iloc[0]
    return lay_out(
        rows,
        caption=(
            f"Change of each month's total from the extract of {first} to that of {second}, in "
            "percent of the earlier total. A measure whose last months grew will grow again: "
            "read the latest months of this extract with that in mind."
        ),
        row_name="Measure",
        notes=(
            "Rounded the wider the fewer members are behind a total, so that a change of nobody "
            "and one of few members look alike; not stated where too few are.",
        ),
    )


def _row(outcome: str, rows: pd.DataFrame, shown: list[str], before: list[str]) -> dict[str, str]:
    """One measure: months before as a range, the last ones each, and the rounding."""
    change = rows["change"]
    told = {"Measure": _LABELS.get(outcome, outcome_label(outcome))}
    if before:
        told[f"{_short(before[0])} to {_short(before[-1])}"] = _range(change.reindex(before))
    told |= {_short(month): str(change.get(month, "not known")) for month in shown}
    step = next((str(each) for each in rows["rounded_to"] if _CHANGE.fullmatch(str(each))), "")
    return told | {"To the nearest": step}


def _range(changes: pd.Series) -> str:
    """Smallest to largest change of those stated."""
    stated = [int(str(each)[:-1]) for each in changes if _CHANGE.fullmatch(str(each))]
    if not stated:
        return "not stated"
    low, high = (f"{each:+d}%" if each else "0%" for each in (min(stated), max(stated)))
    return low if low == high else f"{low} to {high}"


def _short(month: str) -> str:
    """``2024-12`` as ``Dec 2024``."""
    return f"{calendar.month_abbr[int(month[5:7])]} {month[:4]}"
