"""Further shares of a release: payment, dependence, losses, findings; one table for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import (
    LOCAL_DEFINITIONS,
    ORGANIZATION_TYPES,
    REFERRAL_STEPS,
    leadership_label,
    race_label,
    readable,
    service_label,
)
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    interval,
    percent,
    unbroken,
)
from calaim_eval.report.release_items import Absent, find_item, item_title, need_columns
from calaim_eval.report.tables.cells import count_cell
from calaim_eval.report.tables.layout import DisplayTable, lay_out
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_HEADINGS = {
    "organization_type": "Type of organization",
    "service": "Service",
    "definition": "Organizations",
    "finding": "Finding",
    "within_days": "Paid within",
    "ending": "How it ended",
    "last_step": "Last step reached",
    "group": "Group of organizations",
    "grouping": "Grouped by",
    "tie": "Ties",
    "tie_type": "Kind of tie",
    "n_tie_types": "Kinds of tie",
    "step": "Of persons screened",
    "after_meeting": "Of persons discussed",
    "race_ethnicity": "Race and ethnicity",
    "result": "What became of it",
    "kind": "Referred for",
}
_VALUES = {
    "organization_type": ORGANIZATION_TYPES,
    "definition": LOCAL_DEFINITIONS,
    "step": {
        "met_rule": "Met the rule",
        "referred": "Met it and were referred in time",
        "started": "Were referred, and services began",
    },
    "after_meeting": {
        "referred": "Were referred in time",
        "started": "Were referred, and services began",
    },
    "kind": {ALL: "All referrals", "housing": "A bed or a home", "other": "Other services"},
    "result": {
        "received": "Closed with services received",
        "accepted": "Accepted",
        "person_declined": "Declined by the person",
        "provider_declined": "Declined by the provider",
        "closed": "Closed otherwise",
        "open": "Still open",
    },
}
_NUMBERS = ("numerator", "denominator", "rate", "conf_low", "conf_high", "is_suppressed", "unit")


def shares_table(released: Released, item: str) -> DisplayTable | Absent:
    """Any released shares: number, out of how many, share with interval.

    Parameters
    ----------
    released : Released
    item : str
        Name of a released table of shares with one or two keys; the first key names the rows,
        the second groups them.

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, item)
    if isinstance(found, Absent):
        return found
    keys = [c for c in found.frame.columns if c not in _NUMBERS]
    need_columns(found, ("numerator", "denominator"))
    frame, notes = _rows_to_show(found.frame, keys)
    columns = {_heading(keys[0]): [_value(keys[0], v) for v in frame[keys[0]]]}
    for key in keys[1:2]:
        columns[_heading(key)] = [_value(key, v) for v in frame[key]]
    cells = [_cells(row, per=float(found.meta.get("per") or 1.0)) for _, row in frame.iterrows()]
    numbers = pd.DataFrame(cells)
    if numbers["95% interval"].isin([UNDEFINED_MARK]).all():
        numbers = numbers.drop(columns="95% interval")
    return lay_out(
        pd.concat([pd.DataFrame(columns), numbers], axis=1),
        caption=f"{item_title(item)}.",
        row_name=_heading(keys[0]),
        row_group=_heading(keys[1]) if len(keys) > 1 else None,
        notes=notes,
        n_suppressed=int(found.frame["is_suppressed"].sum()),
    )


def _rows_to_show(frame: pd.DataFrame, keys: list[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Rows without months that are withheld and groups of nobody, and words for both."""
    notes: list[str] = []
    if keys[0] == "month" and not frame["is_suppressed"].all():
        months = frame.loc[frame["is_suppressed"], "month"].nunique()
        frame = frame[~frame["is_suppressed"]]
        if months:
            notes.append(f"{SUPPRESSED_MARK} {months} months are not shown: small numbers.")
    if len(keys) > 1:
        is_empty = frame["denominator"].eq(0).groupby(frame[keys[1]]).transform("all")
        groups = dict.fromkeys(_value(keys[1], v) for v in frame.loc[is_empty, keys[1]])
        if len(groups) < frame[keys[1]].nunique():
            frame = frame[~is_empty]
            notes += [f"There are none: {'; '.join(groups)}."] if groups else []
    return frame, tuple(notes)


def losses_table(released: Released) -> DisplayTable | Absent:
    """How referrals without services received ended, by the last step they reached.

    Parameters
    ----------
    released : Released
        Uses `referral_losses` (keys `last_step`, `ending`).

    Returns
    -------
    DisplayTable | Absent
        One row an ending, one column a last step; numbers of referrals.
    """
    found = find_item(released, "referral_losses")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("last_step", "ending"))
    frame = found.frame
    steps = [s for s in (*REFERRAL_STEPS, ALL) if s in set(frame["last_step"])]
    endings = [e for e in dict.fromkeys(frame["ending"]) if e != ALL]
    endings += [ALL] if frame["ending"].eq(ALL).any() else []
    cells = frame.set_index(["last_step", "ending"])
    rows = []
    for ending in endings:
        row = {"How it ended": "All without services" if ending == ALL else readable(ending)}
        for step in steps:
            heading = "All" if step == ALL else REFERRAL_STEPS[step]
            cell = cells.loc[(step, ending)] if (step, ending) in cells.index else None
            row[heading] = UNDEFINED_MARK if cell is None else count_cell(cell, "numerator")
        rows.append(row)
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Matured referrals that did not end in services received: how they ended, by the last "
            "step they reached."
        ),
        row_name="How it ended",
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def _heading(key: str) -> str:
    return _HEADINGS.get(key, readable(key))


def _value(key: str, value: object) -> str:
    text = str(value)
    if text == ALL:
        return _VALUES.get(key, {}).get(ALL, "All")
    if key == "service":
        return service_label(text)
    if key == "race_ethnicity":
        return race_label(text)
    if key == "within_days":
        return f"Within {text} days"
    if key == "group":
        return ORGANIZATION_TYPES.get(text) or leadership_label(text)
    return _VALUES.get(key, {}).get(text, readable(text))


def _cells(row: pd.Series, *, per: float) -> dict[str, str]:
    share = row["numerator"] / row["denominator"] if row["denominator"] > 0 else float("nan")
    bounds = interval(
        100 * row["conf_low"] / per, 100 * row["conf_high"] / per, decimals=1, is_signed=False
    )
    hidden = bool(row["is_suppressed"])
    return {
        "Number": count_cell(row, "numerator"),
        "Out of": count_cell(row, "denominator"),
        "Share": SUPPRESSED_MARK if hidden else percent(share, decimals=1),
        "95% interval": SUPPRESSED_MARK
        if hidden
        else bounds
        if bounds == UNDEFINED_MARK
        else unbroken(f"{bounds}%"),
    }
