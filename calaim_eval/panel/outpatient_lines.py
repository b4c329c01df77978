"""Outpatient lines: the kinds of claim line a visit is built from, and what they say of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.behavioral_lines import MENTAL_HEALTH, SUBSTANCE_USE
from calaim_eval.panel.code_patterns import MODIFIERS, listed
from calaim_eval.panel.visit_lines import is_health_center_bill

if TYPE_CHECKING:
    from ibis import Value

    from calaim_eval.panel.claim_lines import ClaimLines

CLINIC_BILL_TYPES = ("13", "71", "73", "77")
"""Bill types on which clinic revenue is a visit (event rule of `outpatient_visit`)."""

HEALTH_CENTER_PLACES = ("50", "72")
"""Places of service of federally qualified health centers and rural health clinics."""

NOT_OFFICE_PLACES = ("21", "23")
"""Places of service, hospital ward and emergency room, where an office code is no office visit."""

TELEHEALTH_MODIFIERS = ("95", "GT", "GQ", "FQ", "93")
"""Modifiers, in any slot, that say a visit was by video or telephone (notes of the code list)."""

OFFICE = listed("outpatient_visit", "office and clinic E/M")
HEALTH_CENTER = listed("outpatient_visit", "FQHC/RHC encounter")
CLINIC_REVENUE = listed("outpatient_visit", "clinic revenue")
PRIMARY_CARE_PLACE = listed("primary_care_visit", "place of service")
PRIMARY_CARE_TAXONOMY = listed("primary_care_visit", "taxonomy")
TELEHEALTH_PLACE = listed("telehealth_visit", "place/modifier")


def is_office_visit(lines: ClaimLines) -> Value:
    """Office code on a professional's claim, not from a ward or an emergency room."""
    is_elsewhere = lines.is_at(*NOT_OFFICE_PLACES)
    return lines.is_professional & lines.has(OFFICE) & ~is_elsewhere


def is_clinic_line(lines: ClaimLines) -> Value:
    """Health center encounter, or clinic revenue on a clinic's bill."""
    is_bill = lines.is_institutional & lines.is_on_bill(*CLINIC_BILL_TYPES)
    return lines.has(HEALTH_CENTER) | (is_bill & lines.has(CLINIC_REVENUE))


def is_clinic_bill(lines: ClaimLines) -> Value:
    """Clinic line on the clinic's own bill."""
    return lines.is_institutional & is_clinic_line(lines)


def is_health_center(lines: ClaimLines) -> Value:
    """Visit line of a health center: its encounter code, its bill, or its place of service."""
    is_place = lines.is_at(*HEALTH_CENTER_PLACES)
    is_there = is_health_center_bill(lines) | (lines.is_professional & is_place)
    is_visit = is_office_visit(lines) | is_clinic_line(lines)
    return lines.has(HEALTH_CENTER) | (is_visit & is_there)


def is_primary_care(lines: ClaimLines) -> Value:
    """Office visit in a place of primary care by a professional of primary care."""
    is_there = lines.has(PRIMARY_CARE_PLACE) & lines.has(PRIMARY_CARE_TAXONOMY)
    return is_office_visit(lines) & is_there


def is_telehealth(lines: ClaimLines) -> Value:
    """Visit line by video or telephone."""
    is_marked = lines.is_qualified_by(f"^({'|'.join(TELEHEALTH_MODIFIERS)})$", MODIFIERS)
    is_visit = is_office_visit(lines) | is_clinic_line(lines)
    return is_visit & (lines.has(TELEHEALTH_PLACE) | is_marked)


def is_behavioral_diagnosis(lines: ClaimLines) -> Value:
    """Visit line with a principal diagnosis of mental health or substance use."""
    is_visit = is_office_visit(lines) | is_clinic_line(lines)
    return is_visit & (lines.has(MENTAL_HEALTH) | lines.has(SUBSTANCE_USE))
