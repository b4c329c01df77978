"""Emergency department lines: the kinds of claim line a visit is built from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.code_patterns import listed
from calaim_eval.panel.inpatient_lines import BILL_TYPE, is_inpatient

if TYPE_CHECKING:
    from ibis import Value

    from calaim_eval.panel.claim_lines import ClaimLines

ED_BILL_TYPES = ("13", "14", "85")
"""Bill types an emergency facility line may be on (notes of `ed_visit`, facility revenue)."""

REVENUE = listed("ed_visit", "facility revenue")
URGENT_CARE = listed("ed_visit", "facility revenue (0456 variant)")
PROCEDURE = listed("ed_visit", "ED E/M")
PLACE = listed("ed_visit", "place of service")


def is_ed_facility(lines: ClaimLines) -> Value:
    """Emergency revenue or procedure on an outpatient hospital bill, or on a bill of no type."""
    is_bill = lines.is_on_bill(*ED_BILL_TYPES) | lines["bill_type_code"].isnull()
    return lines.is_institutional & ~lines.has(BILL_TYPE) & is_bill & _is_emergency(lines)


def is_ed_on_stay(lines: ClaimLines) -> Value:
    """Emergency revenue or procedure on an inpatient bill, where the rules count it."""
    import ibis

    if lines.rules.ed_on_inpatient_claims == "part_of_stay":
        return ibis.literal(False)
    return is_inpatient(lines) & _is_emergency(lines)


def _is_emergency(lines: ClaimLines) -> Value:
    """Emergency revenue or procedure."""
    is_revenue = lines.has(REVENUE)
    if lines.rules.ed_definition == "with_urgent_care":
        is_revenue = is_revenue | lines.has(URGENT_CARE)
    return is_revenue | lines.has(PROCEDURE)


def is_ed_professional(lines: ClaimLines) -> Value:
    """Emergency place of service or procedure on a professional's claim."""
    return lines.is_professional & (lines.has(PLACE) | lines.has(PROCEDURE))
