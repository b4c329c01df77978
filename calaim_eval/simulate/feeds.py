"""Optional feeds of single members: custody and emergency calls."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from calaim_eval.simulate.claim_context import ClaimContext
from calaim_eval.simulate.columns import (
    NO_DAY,
    boolean_column,
    date_column,
    id_column,
    text_column,
)
from calaim_eval.simulate.counties import Counties
from calaim_eval.simulate.use import Use

if TYPE_CHECKING:
    import pyarrow as pa

_DUPLICATED_SHARE, _MATCHED_SHARE, _NOT_TRANSPORTED = 0.01, 0.7, 0.35


def custody_columns(
    context: ClaimContext, use: Use, counties: Counties, *, injected: Counter[str]
) -> dict[str, pa.Array]:
    """Columns of the `custody` table; some still held, a few rows repeated."""
    rows = np.flatnonzero(use.jail.in_real)
    again = rows[context.rng.random(len(rows)) < _DUPLICATED_SHARE]
    injected["custody_duplicated"] += len(again)
    rows = np.sort(np.concatenate([rows, again]))
    member, month = use.jail.member[rows], use.jail.month[rows]
    release = use.jail.day[rows] + use.jail.days[rows] - 1
    is_held = release > context.calendar.end_day
    injected["custody_still_held"] += int(is_held.sum())
    return {
        "member_id": id_column("M", context.people.number[member], width=9),
        "booking_date": date_column(use.jail.day[rows]),
        "release_date": date_column(np.where(is_held, NO_DAY, release)),
        "county": text_column(context.county(member, month), counties.names),
    }


def ems_columns(context: ClaimContext, use: Use, counties: Counties) -> dict[str, pa.Array]:
    """Columns of the `ems_call` table: matched trips, and calls without a transport."""
    rng = context.rng
    trips = np.flatnonzero(use.by_ambulance)
    matched = trips[rng.random(len(trips)) < _MATCHED_SHARE]
    other = np.flatnonzero(use.ed.in_real & ~use.by_ambulance)
    other = other[rng.random(len(other)) < _NOT_TRANSPORTED * 0.1]
    rows = np.concatenate([matched, other])
    is_transported = np.arange(len(rows)) < len(matched)
    order = np.lexsort((use.ed.day[rows], use.ed.member[rows]))
    rows, is_transported = rows[order], is_transported[order]
    member, month = use.ed.member[rows], use.ed.month[rows]
    return {
        "member_id": id_column("M", context.people.number[member], width=9),
        "call_date": date_column(use.ed.day[rows]),
        "is_transported": boolean_column(is_transported),
        "county": text_column(context.county(member, month), counties.names),
    }
