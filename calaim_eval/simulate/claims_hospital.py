"""Claims of emergency visits and inpatient stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.columns import MISSING, NO_DAY
from calaim_eval.simulate.facilities import N_CLINICIANS, N_HOSPITALS
from calaim_eval.simulate.claim_context import ClaimContext, take
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
_STAY_DIAGNOSES = ("A419", "I5033", "J441", "K8510", "E1110", "L03115", "F329", "N179", "J189")
_DRGS = ("871", "291", "190", "439", "638", "603", "885", "683", "193")
_SHELTER = ("Z5900", "Z5902", "Z59.01")
_LONG_STAY_DAYS = 12


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
        "diagnosis_code_2": _shelter_code(context, member),
        "hcpcs_code": level,
    }
    has_facility, has_professional = kind >= 0.03, (kind < 0.03) | (kind >= 0.08)
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
        "diagnosis_code_2": _shelter_code(context, member),
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
    """Split the stays that happen into bills."""
    rng, book, stays = context.rng, context.codebook, use.stays
    stay = np.flatnonzero(stays.in_real)
    admit, length = stays.day[stay], stays.days[stay]
    discharge = admit + length
    died = context.people.death_day[stays.member[stay]] <= discharge
    status = np.select(
        [died, use.left_against_advice[stay]],
        [
            book.code("discharge_disposition_code", "20"),
            book.code("discharge_disposition_code", "07"),
        ],
        book.code("discharge_disposition_code", "01"),
    )
    draw = rng.random(len(stay))
    interim = (length >= _LONG_STAY_DAYS) & (draw < 0.5)
    transfer = ~interim & (length >= 3) & (draw > 0.95)
    middle = admit + length // 2
    gap = (rng.random(len(stay)) < 0.5).astype(np.int32)
    third, two_thirds = admit + length // 3, admit + 2 * length // 3
    nothing = np.full(len(stay), NO_DAY)
    bill = {
        code: book.code("bill_type_code", code) for code in ("111", "0111", "112", "113", "114")
    }
    whole_bill = np.where(rng.random(len(stay)) < 0.1, bill["0111"], bill["111"])
    still, moved = (book.code("discharge_disposition_code", c) for c in ("30", "02"))
    zero, one = np.zeros(len(stay), np.int64), np.ones(len(stay), np.int64)
    half = np.full(len(stay), 0.5)
    pieces = [
        (
            ~interim & ~transfer,
            admit,
            discharge,
            whole_bill,
            status,
            zero,
            admit,
            discharge,
            half * 2,
        ),
        (interim, admit, third, bill["112"], still, zero, admit, nothing, half * 2 / 3),
        (interim, third + 1, two_thirds, bill["113"], still, zero, admit, nothing, half * 2 / 3),
        (
            interim,
            two_thirds + 1,
            discharge,
            bill["114"],
            status,
            zero,
            admit,
            discharge,
            half * 2 / 3,
        ),
        (transfer, admit, middle, whole_bill, moved, zero, admit, middle, half),
        (transfer, middle + gap, discharge, whole_bill, status, one, middle + gap, discharge, half),
    ]
    parts = []
    for present, *columns in pieces:
        rows = np.flatnonzero(present)
        parts.append([stay[rows], *(np.broadcast_to(c, len(stay))[rows] for c in columns)])
    joined = [np.concatenate(columns) for columns in zip(*parts, strict=True)]
    names = (
        "stay",
        "start",
        "end",
        "bill",
        "status",
        "hospital_shift",
        "admission",
        "discharge",
        "share",
    )
    return StayBills(**dict(zip(names, joined, strict=True)))


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


def _shelter_code(context: ClaimContext, member: NDArray[np.int64]) -> NDArray[np.int32]:
    """Homelessness diagnosis on some claims of members who are homeless: it is under-coded."""
    codes = context.codebook.codes("diagnosis_code_1", _SHELTER)
    pick = codes[context.rng.integers(0, len(codes), len(member))]
    shown = context.is_homeless[member] & (context.rng.random(len(member)) < 0.35)
    return np.where(shown, pick, MISSING).astype(np.int32)


def _pick(
    book: Codebook, column: str, texts: tuple[str, ...], n: int, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Draw codes evenly."""
    return book.codes(column, texts)[rng.integers(0, len(texts), n)]
