"""Outpatient visits: office, clinic and health center."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.code_patterns import listed
from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.care import Care
    from calaim_eval.panel.claim_lines import ClaimLines

CLINIC_BILL_TYPES = ("13", "71", "73", "77")
"""Bill types on which clinic revenue is a visit (event rule of `outpatient_visit`)."""

NOT_OFFICE_PLACES = ("21", "23")
"""Places of service, hospital ward and emergency room, where an office code is no office visit."""

OFFICE = listed("outpatient_visit", "office and clinic E/M")
HEALTH_CENTER = listed("outpatient_visit", "FQHC/RHC encounter")
CLINIC_REVENUE = listed("outpatient_visit", "clinic revenue")


def is_office_visit(lines: ClaimLines) -> Value:
    """Office code on a professional's claim, not from a ward or an emergency room."""
    is_elsewhere = lines["place_of_service_code"].isin(NOT_OFFICE_PLACES).fill_null(False)
    return lines.is_professional & lines.has(OFFICE) & ~is_elsewhere


def is_clinic_line(lines: ClaimLines) -> Value:
    """Health center encounter, or clinic revenue on a clinic's bill."""
    is_bill = lines.is_institutional & lines.bill.isin(CLINIC_BILL_TYPES).fill_null(False)
    return lines.has(HEALTH_CENTER) | (is_bill & lines.has(CLINIC_REVENUE))


def is_institutional(lines: ClaimLines) -> Value:
    """Line of a facility's bill."""
    return lines.is_institutional


def _visits(care: Care) -> Table:
    """One row per member, provider and day."""
    return care.outpatient_visits.select("member", "day")


MEASURES = (
    Measure(
        name="outpatient_visits",
        label="Outpatient visits",
        title="Outpatient visits",
        definition="Office and clinic visits (99202-99205, 99211-99215), health center encounters "
        "(T1015) and clinic revenue (051x, 052x on bill types 13x, 71x, 73x, 77x), one per "
        "member, provider and day; the professional half of a clinic's own bill is not a second "
        "visit.",
        code_lists=("outpatient_visit",),
        source="Tuva Project claims preprocessing (commit 6be34c7) for bill types; procedure list "
        "unconfirmed",
        confirmed="no",
        line_kinds=(is_office_visit, is_clinic_line, is_institutional),
        events=_visits,
    ),
)
