"""Medical claims of one chunk: true lines, prices, and the columns of the table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.claim_context import ClaimContext, cents, payment_lags
from calaim_eval.simulate.claim_defects import add_defects
from calaim_eval.simulate.claims_clinic import (
    MILEAGE_CENTS,
    TRIP_CENTS,
    ambulance_claims,
    other_claims,
    outpatient_claims,
)
from calaim_eval.simulate.claims_ed import ed_claims
from calaim_eval.simulate.claims_inpatient import inpatient_claims
from calaim_eval.simulate.columns import (
    MISSING,
    date_column,
    id_column,
    integer_column,
    number_column,
    text_column,
)
from calaim_eval.simulate.counties import Counties
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.lines import CODES, Lines, stack_lines, take_lines
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.use import Use

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Prices:
    """Price in cents and days to payment of every event, in either world.

    Attributes
    ----------
    ed, stays, outpatient : NDArray
        Cents; aligned with the events of `Use`.
    ed_lag, stay_lag, outpatient_lag : NDArray
        Days from service to payment.
    """

    ed: NDArray[np.int64]
    stays: NDArray[np.int64]
    outpatient: NDArray[np.int64]
    ed_lag: NDArray[np.float64]
    stay_lag: NDArray[np.float64]
    outpatient_lag: NDArray[np.float64]


def draw_prices(use: Use, *, parameters: Parameters, rng: np.random.Generator) -> Prices:
    """Draw prices and payment lags."""
    n_ed, n_stays, n_visits = (len(e.member) for e in (use.ed, use.stays, use.outpatient))
    nights = np.maximum(use.stays.days, 1)
    return Prices(
        ed=cents(560, 0.6, n_ed, rng),
        stays=cents(2400, 0.35, n_stays, rng) * nights,
        outpatient=cents(135, 0.4, n_visits, rng),
        ed_lag=payment_lags(n_ed, parameters, rng),
        stay_lag=payment_lags(n_stays, parameters, rng),
        outpatient_lag=payment_lags(n_visits, parameters, rng),
    )


def true_lines(
    context: ClaimContext,
    coverage: Coverage,
    use: Use,
    prices: Prices,
    program_blocks: list[Lines],
    *,
    parameters: Parameters,
) -> Lines:
    """Every true claim line of the chunk, by claim number and line."""
    blocks = [
        *ed_claims(context, use, prices.ed_lag, prices.ed),
        *inpatient_claims(context, use, prices.stay_lag, prices.stays),
        *outpatient_claims(context, use, prices.outpatient_lag, prices.outpatient),
        *ambulance_claims(context, use, prices.ed_lag),
        *other_claims(context, coverage, parameters),
        *program_blocks,
    ]
    lines = stack_lines(blocks)
    return take_lines(lines, np.argsort(lines["claim"] * 8 + lines["line"], kind="stable"))


def recorded_lines(
    lines: Lines,
    context: ClaimContext,
    coverage: Coverage,
    *,
    parameters: Parameters,
    injected: Counter[str],
) -> Lines:
    """Lines as the claim file shows them."""
    return add_defects(lines, context, coverage, parameters=parameters, injected=injected)


def paid_cents(lines: Lines, coverage: Coverage, context: ClaimContext) -> NDArray[np.int64]:
    """Cents paid by member and month of service, covered months only; (n, n_months)."""
    shape = coverage.segment.shape
    month = context.calendar.month_of(lines["start"])
    inside = np.flatnonzero((month >= 0) & (month < shape[1]))
    cell = lines["member"][inside].astype(np.int64) * shape[1] + month[inside]
    total = np.zeros(shape[0] * shape[1], dtype=np.int64)
    np.add.at(total, cell, lines["cents"][inside])
    return total.reshape(shape) * coverage.is_covered


def ed_price(use: Use, prices: Prices, by_ambulance: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Cents of each ED visit with its ambulance trip."""
    return prices.ed + by_ambulance * (TRIP_CENTS + MILEAGE_CENTS)


def claim_columns(
    lines: Lines, context: ClaimContext, coverage: Coverage, counties: Counties
) -> dict[str, pa.Array]:
    """Columns of the `medical_claim` table."""
    people, book, npis = context.people, context.codebook, context.facilities.npis
    member = lines["member"]
    month = np.clip(context.calendar.month_of(lines["start"]), 0, context.calendar.n_months - 1)
    number = np.where(lines["stranger"] >= 0, lines["stranger"], people.number[member])
    coded = {name: text_column(lines[name], book.words[name]) for name in CODES}
    admission, discharge = lines["admission"], lines["discharge"]
    start, end = date_column(lines["start"]), date_column(lines["end"])
    return {
        "claim_id": id_column("C", lines["claim"], width=12),
        "claim_line_number": integer_column(lines["line"]),
        "claim_type": coded["claim_type"],
        "member_id": _member_ids(number),
        "plan": text_column(coverage.plan[member, month], counties.plans),
        "claim_start_date": start,
        "claim_end_date": end,
        "claim_line_start_date": start,
        "claim_line_end_date": end,
        "admission_date": date_column(admission),
        "discharge_date": date_column(discharge),
        **{name: coded[name] for name in CODES[1:17]},
        "facility_npi": text_column(lines["facility"], npis),
        "rendering_npi": text_column(lines["rendering"], npis),
        "claim_status": coded["claim_status"],
        "original_claim_id": _optional_claim_ids(lines["original"]),
        "paid_date": date_column(lines["paid"]),
        "paid_amount": number_column(lines["cents"] / 100),
    }


def _member_ids(number: NDArray[np.int64]) -> pa.Array:
    """Pseudonyms as a dictionary column: each member has many lines."""
    import pyarrow as pa

    unique, codes = np.unique(number, return_inverse=True)
    return pa.DictionaryArray.from_arrays(
        pa.array(codes.astype(np.int32)), id_column("M", unique, width=9)
    )


def _optional_claim_ids(number: NDArray[np.int64]) -> pa.Array:
    """Claim ids of the few lines that refer to another claim."""
    import pyarrow as pa

    unique, codes = np.unique(number[number >= 0], return_inverse=True)
    indices = np.full(len(number), MISSING, dtype=np.int32)
    indices[number >= 0] = codes
    return pa.DictionaryArray.from_arrays(
        pa.array(indices, mask=indices < 0), id_column("C", unique, width=12)
    )


def lines_outside(lines: Lines, coverage: Coverage, context: ClaimContext) -> int:
    """True lines that start in a month without coverage, such as later bills of a long stay."""
    month = context.calendar.month_of(lines["start"])
    n_months = context.calendar.n_months
    inside = (month >= 0) & (month < n_months)
    covered = coverage.is_covered[lines["member"], np.clip(month, 0, n_months - 1)]
    return int((~inside | ~covered).sum())
