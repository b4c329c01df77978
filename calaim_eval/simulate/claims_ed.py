"""Claims of emergency department visits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.claim_context import ClaimContext, shelter_code, take
from calaim_eval.simulate.columns import MISSING
from calaim_eval.simulate.facilities import N_CLINICIANS, N_HOSPITALS
from calaim_eval.simulate.lines import Codebook, Lines, make_lines
from calaim_eval.simulate.use import Use

_ED_LEVELS = ("99282", "99283", "99284", "99285")
_ED_DIAGNOSES = (
    "R079",
    "R1084",
    "J069",
    "M545",
    "R519",
    "S93401A",
    "F10129",
    "K529",
    "N390",
    "J45901",
)


def ed_claims(
    context: ClaimContext, use: Use, lag: NDArray[np.float64], price: NDArray[np.int64]
) -> list[Lines]:
    """Facility and professional claims of the ED visits that happen.

    Most visits have both, some only one of them. `lag` and `price` belong to the visits of
    `use.ed`, in days and cents.
    """
    rng, book = context.rng, context.codebook
    happened = np.flatnonzero(use.ed.in_real)
    member, month, day = use.ed.member[happened], use.ed.month[happened], use.ed.day[happened]
    n = len(happened)
    kind = rng.random(n)
    level = book.codes("hcpcs_code", _ED_LEVELS)[rng.integers(0, len(_ED_LEVELS), n)]
    county = context.county(member, month)
    shared = {
        "member": member,
        "start": day,
        "paid": context.payment_day(day, lag[happened]),
        "facility": context.facilities.hospitals[county, day % N_HOSPITALS],
        "rendering": context.facilities.clinicians[county, day % N_CLINICIANS],
        "diagnosis_code_1": _pick(book, "diagnosis_code_1", _ED_DIAGNOSES, n, rng),
        "diagnosis_code_2": shelter_code(context, member),
        "hcpcs_code": level,
    }
    has_professional = (kind < 0.03) | (kind >= 0.08)
    has_facility = (kind >= 0.03) | near_stay(use)[happened]
    fee = price[happened] // 5
    fee = np.where(has_facility & has_professional, fee, price[happened])
    facility_fee = np.where(has_professional, price[happened] - fee, price[happened])
    rows = np.flatnonzero(has_facility)
    blocks = _ed_facility(context, take(shared, rows), facility_fee[rows])
    rows = np.flatnonzero(has_professional)
    return [*blocks, _ed_professional(context, take(shared, rows), fee[rows], has_facility[rows])]


def _ed_facility(
    context: ClaimContext, shared: dict[str, NDArray[np.int32]], amount: NDArray[np.int64]
) -> list[Lines]:
    """One emergency line, often a laboratory and a pharmacy line."""
    rng, book = context.rng, context.codebook
    n = len(amount)
    claim = context.numbers.take(n)
    bills = book.codes("bill_type_code", ["131", "0131"])
    revenues = book.codes("revenue_center_code", ["0450", "0981"])
    common = {
        **shared,
        "claim": claim,
        "end": shared["start"],
        "claim_type": book.code("claim_type", "institutional"),
        "bill_type_code": bills[(rng.random(n) < 0.1).astype(int)],
        "discharge_disposition_code": book.code("discharge_disposition_code", "01"),
    }
    has_lab, has_drugs = rng.random(n) < 0.6, rng.random(n) < 0.35
    lab, drugs = amount // 10 * has_lab, amount // 20 * has_drugs
    emergency = make_lines(
        n,
        {
            **common,
            "revenue_center_code": revenues[(rng.random(n) < 0.02).astype(int)],
            "cents": amount - lab - drugs,
        },
    )
    blocks = [emergency]
    for line, present, part, revenue, hcpcs in (
        (2, has_lab, lab, "0300", "85025"),
        (3, has_drugs, drugs, "0250", ""),
    ):
        rows = np.flatnonzero(present)
        blocks.append(
            make_lines(
                len(rows),
                {
                    **take(common, rows),
                    "line": line,
                    "revenue_center_code": book.code("revenue_center_code", revenue),
                    "hcpcs_code": book.code("hcpcs_code", hcpcs),
                    "cents": part[rows],
                },
            )
        )
    return blocks


def _ed_professional(
    context: ClaimContext,
    shared: dict[str, NDArray[np.int32]],
    amount: NDArray[np.int64],
    has_facility: NDArray[np.bool_],
) -> Lines:
    """The emergency physician's claim, a few past midnight."""
    rng, book = context.rng, context.codebook
    n = len(amount)
    late = has_facility & (rng.random(n) < 0.05)
    day = shared["start"] + late
    modifier = book.code("hcpcs_modifier_1", "25")
    return make_lines(
        n,
        {
            **shared,
            "claim": context.numbers.take(n),
            "start": day,
            "end": day,
            "claim_type": book.code("claim_type", "professional"),
            "place_of_service_code": book.code("place_of_service_code", "23"),
            "hcpcs_modifier_1": np.where(rng.random(n) < 0.3, modifier, MISSING),
            "cents": amount,
        },
    )


def _pick(
    book: Codebook, column: str, texts: tuple[str, ...], n: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Draw codes evenly."""
    return book.codes(column, texts)[rng.integers(0, len(texts), n)]


def near_stay(use: Use) -> NDArray[np.bool_]:
    """Whether an ED visit is within a day of one of the member's stays; aligned with `use.ed`.

    The emergency physician's claim alone would then belong to the stay, so such a visit always has
    a facility claim of its own.
    """
    n_days = 1 << 20
    stays, visits = use.stays, use.ed
    if not len(stays.member):
        return np.zeros(len(visits.member), dtype=bool)
    order = np.lexsort((stays.day, stays.member))
    begins = (stays.member * n_days + stays.day)[order]
    last = np.searchsorted(begins, visits.member * n_days + visits.day + 1, side="right") - 1
    stay = order[np.maximum(last, 0)]
    same = (last >= 0) & (stays.member[stay] == visits.member)
    near: NDArray[np.bool_] = same & (visits.day <= stays.day[stay] + stays.days[stay] + 1)
    return near
