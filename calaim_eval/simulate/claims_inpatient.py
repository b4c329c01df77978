"""Claims of inpatient stays: whole, in interim bills, or in two by a transfer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.claim_context import ClaimContext, shelter_code, take
from calaim_eval.simulate.columns import NO_DAY
from calaim_eval.simulate.facilities import N_CLINICIANS, N_HOSPITALS
from calaim_eval.simulate.lines import Lines, make_lines
from calaim_eval.simulate.use import Use

_STAY_DIAGNOSES = ("A419", "I5033", "J441", "K8510", "E1110", "L03115", "F329", "N179", "J189")
_DRGS = ("871", "291", "190", "439", "638", "603", "885", "683", "193")
_LONG_STAY_DAYS, _INTERIM_SHARE, _TRANSFER_SHARE = 12, 0.5, 0.05


@dataclass(frozen=True, slots=True)
class StayBills:
    """How each stay that happens is billed: whole, in interim bills, or in two by a transfer."""

    stay: NDArray[np.int64]
    start: NDArray[np.int32]
    end: NDArray[np.int32]
    bill: NDArray[np.int32]
    status: NDArray[np.int32]
    hospital_shift: NDArray[np.int64]
    admission: NDArray[np.int32]
    discharge: NDArray[np.int32]
    share: NDArray[np.float64]


def inpatient_claims(
    context: ClaimContext, use: Use, lag: NDArray[np.float64], price: NDArray[np.int64]
) -> list[Lines]:
    """Hospital claims and one physician claim for each stay that happens."""
    rng, book = context.rng, context.codebook
    bills = _stay_bills(context, use)
    stays = use.stays
    member, month = stays.member[bills.stay], stays.month[bills.stay]
    n = len(bills.stay)
    day = use.stays.day[bills.stay]
    slot = (day + bills.hospital_shift) % N_HOSPITALS
    hospital = context.facilities.hospitals[context.county(member, month), slot]
    diagnosis = (day + member) % len(_DRGS)
    last_day = stays.day + stays.days
    paid = context.payment_day(last_day[bills.stay], lag[bills.stay])
    amount = np.rint(price[bills.stay] * 0.95 * bills.share).astype(np.int64)
    common = {
        "claim": context.numbers.take(n),
        "member": member,
        "start": bills.start,
        "end": bills.end,
        "admission": bills.admission,
        "discharge": bills.discharge,
        "paid": paid,
        "facility": hospital,
        "claim_type": book.code("claim_type", "institutional"),
        "bill_type_code": bills.bill,
        "discharge_disposition_code": bills.status,
        "diagnosis_code_1": book.codes("diagnosis_code_1", _STAY_DIAGNOSES)[diagnosis],
        "diagnosis_code_2": shelter_code(context, member),
        "drg_code": book.codes("drg_code", _DRGS)[diagnosis],
    }
    by_ed = (use.ed_of_stay[bills.stay] < 0) & (rng.random(n) < 0.35)
    drugs, emergency = amount // 10, amount // 20 * by_ed
    blocks = [_stay_line(context, common, np.arange(n), 1, "0120", "", amount - drugs - emergency)]
    blocks.append(_stay_line(context, common, np.arange(n), 2, "0250", "", drugs))
    rows = np.flatnonzero(by_ed)
    blocks.append(_stay_line(context, common, rows, 3, "0450", "99285", emergency))
    return [*blocks, _stay_physician(context, use, lag, price)]


def _stay_line(
    context: ClaimContext,
    common: dict[str, NDArray[np.int32]],
    rows: NDArray[np.int64],
    line: int,
    revenue: str,
    hcpcs: str,
    amount: NDArray[np.int64],
) -> Lines:
    """One revenue line of the inpatient claims in `rows`."""
    book = context.codebook
    return make_lines(
        len(rows),
        {
            **take(common, rows),
            "line": line,
            "revenue_center_code": book.code("revenue_center_code", revenue),
            "hcpcs_code": book.code("hcpcs_code", hcpcs),
            "cents": amount[rows],
        },
    )


def _stay_bills(context: ClaimContext, use: Use) -> StayBills:
    """Split the stays that happen into bills: whole, three interim bills, or a transfer in two."""
    rng, stays = context.rng, use.stays
    stay = np.flatnonzero(stays.in_real)
    length = stays.days[stay]
    draw = rng.random(len(stay))
    is_interim = (length >= _LONG_STAY_DAYS) & (draw < _INTERIM_SHARE)
    is_transfer = ~is_interim & (length >= 3) & (draw > 1 - _TRANSFER_SHARE)
    whole = stay[~is_interim & ~is_transfer]
    pieces = [
        _piece(context, use, whole, stays.day[whole], _discharge(use, whole), status="end"),
        *_interim_pieces(context, use, stay[is_interim]),
        *_transfer_pieces(context, use, stay[is_transfer]),
    ]
    names = StayBills.__slots__
    return StayBills(*(np.concatenate([getattr(p, name) for p in pieces]) for name in names))


def _discharge(use: Use, stay: NDArray[np.int64]) -> NDArray[np.int32]:
    """Day of discharge."""
    return use.stays.day[stay] + use.stays.days[stay]


def _interim_pieces(context: ClaimContext, use: Use, stay: NDArray[np.int64]) -> list[StayBills]:
    """Three bills of one long stay; still a patient (30) until the last."""
    admit, end = use.stays.day[stay], _discharge(use, stay)
    first = admit + (end - admit) // 3
    second = admit + 2 * (end - admit) // 3
    spans = ((admit, first, "112", "30"), (first + 1, second, "113", "30"))
    pieces = [
        _piece(context, use, stay, a, b, status=status, bill=bill, admission=admit, share=1 / 3)
        for a, b, bill, status in spans
    ]
    last = _piece(
        context, use, stay, second + 1, end, status="end", bill="114", admission=admit, share=1 / 3
    )
    for piece in pieces:
        piece.discharge[:] = NO_DAY
    return [*pieces, last]


def _transfer_pieces(context: ClaimContext, use: Use, stay: NDArray[np.int64]) -> list[StayBills]:
    """Two hospitals: discharged to another one (02), admitted there that day or the next."""
    admit, end = use.stays.day[stay], _discharge(use, stay)
    middle = admit + (end - admit) // 2
    second = middle + (context.rng.random(len(stay)) < 0.5).astype(np.int32)
    return [
        _piece(context, use, stay, admit, middle, status="02", share=0.5),
        _piece(context, use, stay, second, end, status="end", shift=1, share=0.5),
    ]


def _piece(
    context: ClaimContext,
    use: Use,
    stay: NDArray[np.int64],
    start: NDArray[np.int32],
    end: NDArray[np.int32],
    *,
    status: str,
    bill: str = "111",
    shift: int = 0,
    share: float = 1.0,
    admission: NDArray[np.int32] | None = None,
) -> StayBills:
    """One bill of each stay; `status` "end" is the true discharge status."""
    n, book = len(stay), context.codebook
    bills = np.full(n, book.code("bill_type_code", bill), dtype=np.int32)
    if bill == "111":
        bills[context.rng.random(n) < 0.1] = book.code("bill_type_code", "0111")
    if status == "end":
        codes = _end_status(context, use, stay)
    else:
        codes = np.full(n, book.code("discharge_disposition_code", status), dtype=np.int32)
    return StayBills(
        stay=stay,
        start=start.astype(np.int32),
        end=end.astype(np.int32),
        bill=bills,
        status=codes,
        hospital_shift=np.full(n, shift, dtype=np.int64),
        admission=(start if admission is None else admission).astype(np.int32),
        discharge=end.astype(np.int32),
        share=np.full(n, share),
    )


def _end_status(context: ClaimContext, use: Use, stay: NDArray[np.int64]) -> NDArray[np.int32]:
    """How each stay truly ended: died, against advice, or home."""
    died, left, home = context.codebook.codes("discharge_disposition_code", ["20", "07", "01"])
    is_dead = context.people.death_day[use.stays.member[stay]] <= _discharge(use, stay)
    left_early = np.where(use.left_against_advice[stay], left, home)
    status: NDArray[np.int32] = np.where(is_dead, died, left_early).astype(np.int32)
    return status


def _stay_physician(
    context: ClaimContext, use: Use, lag: NDArray[np.float64], price: NDArray[np.int64]
) -> Lines:
    """The admitting physician's claim, place of service 21."""
    book, stays = context.codebook, use.stays
    rows = np.flatnonzero(stays.in_real)
    n, day = len(rows), stays.day[rows]
    member, month = stays.member[rows], stays.month[rows]
    county = context.county(member, month)
    return make_lines(
        n,
        {
            "claim": context.numbers.take(n),
            "member": member,
            "start": day,
            "end": day,
            "paid": context.payment_day(day + stays.days[rows], lag[rows]),
            "claim_type": book.code("claim_type", "professional"),
            "place_of_service_code": book.code("place_of_service_code", "21"),
            "hcpcs_code": book.code("hcpcs_code", "99223"),
            "diagnosis_code_1": book.code("diagnosis_code_1", "A419"),
            "facility": context.facilities.hospitals[county, day % N_HOSPITALS],
            "rendering": context.facilities.clinicians[county, day % N_CLINICIANS],
            "cents": price[rows] // 20,
        },
    )
