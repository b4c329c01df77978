"""What a sender takes back: a voided row of a later file takes the rows it was sent for with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.partners.exchange_layout import INFORMATION, NAMES, OUTREACH, RETURN
from calaim_eval.tables.partners.exchange_rows import NAME, ExchangeRows

TAKEN_BACK = "taken back by a later row of the sender"
WITHOUT_ROW = "voided row that takes no other row back"
_WHO = ["plan", "cin", "by", "service"]
_DAYS = {RETURN: ("start", "served", "status_day"), OUTREACH: ("outreach",), INFORMATION: ()}
_SAID = {RETURN: ("referral_status",), OUTREACH: (), INFORMATION: ()}
_FILE_DAY = {RETURN: "produced", INFORMATION: "listed"}


def take_back(files: Sequence[ExchangeRows], kind: str, ledger: RowLedger) -> None:
    """Set aside the rows of one kind that voided rows take back.

    A voided row takes back every row of an earlier file for the same plan, member, provider and
    service that agrees with it in each day and status it states. Files are in the order of their
    day; those that do not tell their day, or tell the same one, in the order of their names. Other
    rows of its own file, and what is sent again later, stay: they are in its place.
    """
    if not any(each.is_void.any() for each in files):
        return
    ordered = sorted(files, key=lambda each: _made(each, kind))
    stated = pd.concat(
        [_stated(each, kind, number) for number, each in enumerate(ordered)], ignore_index=True
    )
    voids = stated[stated["is_void"] & stated["cin"].notna()]
    rows = stated[stated["is_open"]]
    taken, used = _pairs(voids, rows, (*_DAYS[kind], *_SAID[kind]))
    at = stated.loc[taken]
    for number, each in enumerate(ordered):
        mask = np.zeros(len(each.rows.frame), dtype=bool)
        mask[at.loc[at["file"] == number, "row"].to_numpy(dtype=int)] = True
        each.rows.set_aside(mask, TAKEN_BACK)
    ledger.note(f"{NAME} {NAMES[kind]}", WITHOUT_ROW, len(voids) - len(used))


def _stated(each: ExchangeRows, kind: str, number: int) -> pd.DataFrame:
    """What rows of one file say of whom, what and when, and where they stand."""
    rows = each.rows
    by = rows["npi"].where(rows["npi"].notna(), rows["tin"])
    columns = {
        "plan": rows["plan"],
        "cin": rows["cin"],
        "by": by.where(by.notna(), rows["provider"]),
        "service": rows["service"],
        **{day: each.days[day] for day in _DAYS[kind]},
        **{name: rows[name] for name in _SAID[kind]},
        "is_void": each.is_void,
        "is_open": pd.Series(rows.is_open),
    }
    frame = pd.DataFrame(columns).reset_index(drop=True)
    return frame.assign(file=number, row=np.arange(len(frame)))


def _made(each: ExchangeRows, kind: str) -> pd.Timestamp:
    """Day a file was made; the first of all where it does not tell it."""
    told = each.days[_FILE_DAY[kind]].max() if kind in _FILE_DAY else pd.NaT
    return pd.Timestamp.min if pd.isna(told) else pd.Timestamp(told)


def _pairs(
    voids: pd.DataFrame, rows: pd.DataFrame, told: tuple[str, ...]
) -> tuple[pd.Index, pd.Index]:
    """Rows that are taken back, and the voids that do so."""
    left = voids.reset_index(names="void").fillna(dict.fromkeys(_WHO, ""))
    right = rows.reset_index(names="taken").fillna(dict.fromkeys(_WHO, ""))
    pairs = left.merge(right, on=_WHO, suffixes=("", "_row"))
    fits = pairs["file_row"] < pairs["file"]
    for name in told:
        fits &= pairs[name].isna() | (pairs[name] == pairs[f"{name}_row"])
    return pd.Index(pairs.loc[fits, "taken"].unique()), pd.Index(pairs.loc[fits, "void"].unique())
