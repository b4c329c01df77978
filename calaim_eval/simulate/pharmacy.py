"""Pharmacy fills. From 2022 they are paid by Medi-Cal Rx, not by the plan."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.calendar import day_number
from calaim_eval.simulate.claim_context import ClaimContext, payment_lags
from calaim_eval.simulate.columns import (
    date_column,
    id_column,
    integer_column,
    number_column,
    text_column,
)
from calaim_eval.simulate.counties import Counties
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.events import explode
from calaim_eval.simulate.parameters import Parameters

if TYPE_CHECKING:
    import pyarrow as pa

MEDI_CAL_RX_START = "2022-01-01"
_N_DRUGS = 60
_DAYS_SUPPLY = np.array([30, 30, 30, 90, 10, 7])
_STATUSES = ("original", "void")
_REVERSED_SHARE, _VOID_OFFSET = 0.01, 5_000_000


@dataclass(frozen=True, slots=True)
class Fills:
    """Fills of one chunk, and which of them were reversed; arrays of shape (n_fills,)."""

    claim: NDArray[np.int64]
    member: NDArray[np.int64]
    month: NDArray[np.int64]
    day: NDArray[np.int32]
    drug: NDArray[np.int64]
    days_supply: NDArray[np.int64]
    cents: NDArray[np.int64]
    paid_day: NDArray[np.int32]
    is_reversed: NDArray[np.bool_]


def draw_fills(context: ClaimContext, coverage: Coverage, *, parameters: Parameters) -> Fills:
    """Draw fills in covered months; one in a hundred is reversed."""
    rng = context.rng
    rate = parameters.value("pharmacy_fills_per_1000") / 1000
    mean = rate * coverage.is_covered * context.people.frailty[:, None]
    member, month, _ = explode(rng.poisson(mean))
    n = len(member)
    first = coverage.first_day[member, month]
    room = coverage.last_day[member, month] - first + 1
    day = (first + rng.random(n) * room).astype(np.int32)
    return Fills(
        claim=context.numbers.take(n),
        member=member,
        month=month,
        day=day,
        drug=rng.integers(0, _N_DRUGS, n),
        days_supply=_DAYS_SUPPLY[rng.integers(0, len(_DAYS_SUPPLY), n)],
        cents=np.rint(rng.gamma(1.2, 4000, n)).astype(np.int64),
        paid_day=context.payment_day(day, payment_lags(n, parameters, rng) / 3),
        is_reversed=rng.random(n) < _REVERSED_SHARE,
    )


def fill_cents(
    fills: Fills, shape: tuple[int, ...], *, paid_by: int | None = None
) -> NDArray[np.int64]:
    """Cents of fills that stand, by member and month; those paid by a day where one is given."""
    counted = ~fills.is_reversed
    if paid_by is not None:
        counted &= fills.paid_day <= paid_by
    total = np.zeros(shape[0] * shape[1], dtype=np.int64)
    cell = fills.member[counted] * shape[1] + fills.month[counted]
    np.add.at(total, cell, fills.cents[counted])
    return total.reshape(shape)


def fill_columns(
    fills: Fills,
    context: ClaimContext,
    coverage: Coverage,
    counties: Counties,
    *,
    injected: Counter[str],
) -> dict[str, pa.Array]:
    """Columns of the `pharmacy_claim` table: fills, and a void for each reversed one."""
    calendar = context.calendar
    in_extract = fills.paid_day <= calendar.extract_day
    shown, reversed_fills = (
        np.flatnonzero(in_extract),
        np.flatnonzero(in_extract & fills.is_reversed),
    )
    rows = np.concatenate([shown, reversed_fills])
    is_void = np.arange(len(rows)) >= len(shown)
    injected["pharmacy_fills_true_in_extract"] += len(shown)
    injected["pharmacy_fills_reversed"] += len(reversed_fills)
    member, month, claim = fills.member[rows], fills.month[rows], fills.claim[rows]
    is_rx = calendar.starts[month] >= day_number(MEDI_CAL_RX_START)
    plan = np.where(is_rx, len(counties.plans), coverage.plan[member, month])
    amount = fills.cents[rows] * np.where(is_void, -1, 1)
    quantity = fills.days_supply[rows] * (1 + fills.drug[rows] % 3)
    ndcs = [f"9{number:010d}" for number in range(_N_DRUGS)]
    paid_day = np.minimum(fills.paid_day[rows] + 5 * is_void, calendar.extract_day)
    return {
        "claim_id": id_column("P", np.where(is_void, claim + _VOID_OFFSET, claim), width=12),
        "claim_line_number": integer_column(np.ones(len(rows))),
        "member_id": id_column("M", context.people.number[member], width=9),
        "plan": text_column(plan, (*counties.plans, "Medi-Cal Rx")),
        "dispensing_date": date_column(fills.day[rows]),
        "ndc_code": text_column(fills.drug[rows], ndcs),
        "quantity": number_column(quantity),
        "days_supply": integer_column(fills.days_supply[rows]),
        "claim_status": text_column(is_void.astype(np.int32), _STATUSES),
        "original_claim_id": id_column("P", np.where(is_void, claim, -1), width=12),
        "paid_date": date_column(paid_day),
        "paid_amount": number_column(amount / 100),
    }
