"""Claims of outpatient visits, ambulance trips, and lines that are no visit of a measured kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calaim_eval.simulate.claim_context import ClaimContext, payment_lags, take
from calaim_eval.simulate.columns import MISSING
from calaim_eval.simulate.coverage import Coverage
from calaim_eval.simulate.events import explode
from calaim_eval.simulate.facilities import N_CLINICIANS
from calaim_eval.simulate.lines import Lines, make_lines
from calaim_eval.simulate.parameters import Parameters
from calaim_eval.simulate.use import Use

_OFFICE_CODES = ("99203", "99204", "99212", "99213", "99214", "99215")
_VISIT_DIAGNOSES = ("I10", "E119", "Z0000", "J459", "F411", "M5450", "E785", "K219")
TRIP_CENTS, MILEAGE_CENTS = 41_000, 6_500
_AMBULANCE_CODES = ("A0429", "A0427", "A0433")
# Codes that look like measured use and are not: laboratory, imaging, urgent care under its own
# revenue code, non-emergency ambulance, skilled nursing, detoxification without the modifier that
# makes it a sobering center.
_OTHER_KINDS = (
    ("professional", "", "", "80053", "81"),
    ("professional", "", "", "71046", "22"),
    ("institutional", "131", "0456", "", ""),
    ("professional", "", "", "A0428", "41"),
    ("institutional", "211", "0191", "", ""),
    ("professional", "", "", "H0014", "55"),
)
_OTHER_SHARES = (0.62, 0.25, 0.05, 0.05, 0.02, 0.01)


def outpatient_claims(
    context: ClaimContext, use: Use, lag: NDArray[np.float64], price: NDArray[np.int64]
) -> list[Lines]:
    """Office and telehealth visits, and health-center encounters."""
    rng, book = context.rng, context.codebook
    happened = np.flatnonzero(use.outpatient.in_real)
    member, month = use.outpatient.member[happened], use.outpatient.month[happened]
    day, n = use.outpatient.day[happened], len(happened)
    is_center = rng.random(n) < 0.4
    county = context.county(member, month)
    visits: dict[str, Any] = {
        "claim": context.numbers.take(n),
        "member": member,
        "start": day,
        "end": day,
        "paid": context.payment_day(day, lag[happened]),
        "facility": context.facilities.clinics[county, 2 * is_center + member % 2],
        "rendering": context.facilities.clinicians[county, member % N_CLINICIANS],
        "diagnosis_code_1": book.codes("diagnosis_code_1", _VISIT_DIAGNOSES)[
            rng.integers(0, len(_VISIT_DIAGNOSES), n)
        ],
    }
    amount = price[happened]
    codes = book.codes("hcpcs_code", _OFFICE_CODES)[rng.integers(0, len(_OFFICE_CODES), n)]
    center, office = np.flatnonzero(is_center), np.flatnonzero(~is_center)
    return [
        *_center_lines(context, take(visits, center), codes[center], amount[center]),
        *_office_lines(context, take(visits, office), codes[office], amount[office]),
    ]


def _center_lines(
    context: ClaimContext,
    visits: dict[str, Any],
    codes: NDArray[np.int32],
    amount: NDArray[np.int64],
) -> list[Lines]:
    """A T1015 line, sometimes with the visit code beside it; one encounter all the same."""
    rng, book = context.rng, context.codebook
    common = {
        **visits,
        "claim_type": book.code("claim_type", "institutional"),
        "bill_type_code": book.code("bill_type_code", "771"),
        "revenue_center_code": book.code("revenue_center_code", "0521"),
    }
    first = {"hcpcs_code": book.code("hcpcs_code", "T1015"), "cents": amount}
    rows = np.flatnonzero(rng.random(len(amount)) < 0.3)
    second = {"line": 2, "hcpcs_code": codes[rows]}
    return [
        make_lines(len(amount), {**common, **first}),
        make_lines(len(rows), {**take(common, rows), **second}),
    ]


def _office_lines(
    context: ClaimContext,
    visits: dict[str, Any],
    codes: NDArray[np.int32],
    amount: NDArray[np.int64],
) -> list[Lines]:
    """An office or telehealth visit, sometimes with a blood draw."""
    rng, book = context.rng, context.codebook
    n = len(amount)
    places = book.codes("place_of_service_code", ["11", "02"])
    common = {**visits, "claim_type": book.code("claim_type", "professional")}
    common["place_of_service_code"] = places[(rng.random(n) < 0.12).astype(int)]
    draws = rng.random(n) < 0.2
    blood = np.where(draws, amount // 10, 0)
    rows = np.flatnonzero(draws)
    second = {"line": 2, "hcpcs_code": book.code("hcpcs_code", "36415"), "cents": blood[rows]}
    return [
        make_lines(n, {**common, "hcpcs_code": codes, "cents": amount - blood}),
        make_lines(len(rows), {**take(common, rows), **second}),
    ]


def ambulance_claims(context: ClaimContext, use: Use, lag: NDArray[np.float64]) -> list[Lines]:
    """Emergency trips: a base-rate line and a mileage line, which is never a trip."""
    rng, book = context.rng, context.codebook
    trips = np.flatnonzero(use.by_ambulance)
    member, day, n = use.ed.member[trips], use.ed.day[trips], len(trips)
    base = book.codes("hcpcs_code", _AMBULANCE_CODES)[
        rng.choice(len(_AMBULANCE_CODES), size=n, p=(0.5, 0.45, 0.05))
    ]
    common = {
        "claim": context.numbers.take(n),
        "member": member,
        "start": day,
        "end": day,
        "paid": context.payment_day(day, lag[trips]),
        "claim_type": book.code("claim_type", "professional"),
        "place_of_service_code": book.code("place_of_service_code", "41"),
        "facility": context.facilities.ambulances[context.county(member, use.ed.month[trips])],
        "hcpcs_modifier_1": book.code("hcpcs_modifier_1", "RH"),
    }
    mileage = {"line": 2, "hcpcs_code": book.code("hcpcs_code", "A0425"), "cents": MILEAGE_CENTS}
    return [
        make_lines(n, {**common, "hcpcs_code": base, "cents": TRIP_CENTS}),
        make_lines(n, {**common, **mileage}),
    ]


def other_claims(context: ClaimContext, coverage: Coverage, parameters: Parameters) -> list[Lines]:
    """Laboratory, imaging and look-alike claims."""
    rng, book = context.rng, context.codebook
    rate = parameters.value("other_lines_per_1000") / 1000
    member, month, _ = explode(rng.poisson(rate * coverage.is_covered))
    n = len(member)
    first = coverage.first_day[member, month]
    room = coverage.last_day[member, month] - first + 1
    day = (first + rng.random(n) * room).astype(np.int32)
    kind = rng.choice(len(_OTHER_KINDS), size=n, p=_OTHER_SHARES)
    columns = (
        "claim_type",
        "bill_type_code",
        "revenue_center_code",
        "hcpcs_code",
        "place_of_service_code",
    )
    tables = zip(columns, zip(*_OTHER_KINDS, strict=True), strict=True)
    coded = {column: book.codes(column, texts)[kind] for column, texts in tables}
    county = context.county(member, month)
    lag = payment_lags(n, parameters, rng)
    lines = make_lines(
        n,
        {
            **coded,
            "claim": context.numbers.take(n),
            "member": member,
            "start": day,
            "end": day,
            "paid": context.payment_day(day, lag),
            "facility": context.facilities.hospitals[county, day % 3],
            "rendering": np.where(kind == 0, context.facilities.clinicians[county, 0], MISSING),
            "cents": rng.integers(800, 6000, n),
        },
    )
    return [lines]
