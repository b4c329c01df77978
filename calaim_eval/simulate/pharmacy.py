"""Pharmacy fills. From 2022 they are paid by Medi-Cal Rx, not by the plan."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from calaim_eval.simulate.claim_context import ClaimContext, payment_lags
from calaim_eval.simulate.columns import (
    Words,
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


def pharmacy_columns(
    context: ClaimContext,
    coverage: Coverage,
    counties: Counties,
    *,
    parameters: Parameters,
    injected: Counter[str],
) -> dict[str, pa.Array]:
    """Columns of the `pharmacy_claim` table; one fill in a hundred is reversed."""
    rng, calendar = context.rng, context.calendar
    rate = parameters.value("pharmacy_fills_per_1000") / 1000
    mean = rate * coverage.is_covered * context.people.frailty[:, None]
    member, month, _ = explode(rng.poisson(mean))
    n = len(member)
    first = coverage.first_day[member, month]
    room = coverage.last_day[member, month] - first + 1
    day = (first + rng.random(n) * room).astype(np.int32)
    claim = context.numbers.take(n)
    drug, supply = rng.integers(0, _N_DRUGS, n), _DAYS_SUPPLY[rng.integers(0, 6, n)]
    amount = np.rint(rng.gamma(1.2, 4000, n)).astype(np.int64)
    paid = context.payment_day(day, payment_lags(n, parameters, rng) / 3)
    reversed_fills = np.flatnonzero(rng.random(n) < 0.01)
    rows = np.concatenate([np.arange(n), reversed_fills])
    is_void = np.arange(len(rows)) >= n
    kept = np.flatnonzero(paid[rows] <= calendar.extract_day)
    rows, is_void = rows[kept], is_void[kept]
    number = np.where(is_void, claim[rows] + 5_000_000, claim[rows])
    plans = Words((*counties.plans, "Medi-Cal Rx"))
    is_rx = calendar.first_day(month[rows]) >= np.datetime64(MEDI_CAL_RX_START, "D").astype(int)
    plan = np.where(is_rx, len(counties.plans), coverage.plan[member[rows], month[rows]])
    injected["pharmacy_fills_true_in_extract"] += int((~is_void).sum())
    injected["pharmacy_fills_reversed"] += int(is_void.sum())
    ndcs = [f"9{number:010d}" for number in range(_N_DRUGS)]
    return {
        "claim_id": id_column("P", number, width=12),
        "claim_line_number": integer_column(np.ones(len(rows))),
        "member_id": id_column("M", context.people.number[member[rows]], width=9),
        "plan": text_column(plan, plans),
        "dispensing_date": date_column(day[rows]),
        "ndc_code": text_column(drug[rows], ndcs),
        "quantity": number_column(supply[rows] * (1 + drug[rows] % 3)),
        "days_supply": integer_column(supply[rows]),
        "claim_status": text_column(is_void.astype(np.int32), _STATUSES),
        "original_claim_id": id_column("P", np.where(is_void, claim[rows], -1), width=12),
        "paid_date": date_column(np.minimum(paid[rows] + 5 * is_void, calendar.extract_day)),
        "paid_amount": number_column(np.where(is_void, -amount[rows], amount[rows]) / 100),
    }
