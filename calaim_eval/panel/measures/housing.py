"""Homelessness as claims record it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.code_patterns import DIAGNOSES, CodePattern, code_pattern
from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.care import Care
    from calaim_eval.panel.claim_lines import ClaimLines

DIAGNOSIS = code_pattern("homelessness_flag", "diagnosis")
SHELTER_OR_STREET = CodePattern("place_of_service_code", "^(04|27)$")
"""Homeless shelter, outreach site or street (notes of the code list)."""


def is_homelessness(lines: ClaimLines) -> Value:
    """Any diagnosis of housing trouble, or care in a shelter or on the street."""
    return lines.any_has(DIAGNOSIS, DIAGNOSES) | lines.has(SHELTER_OR_STREET)


def _months(care: Care) -> Table:
    """1 in each month with such a line."""
    import ibis

    lines = care.lines_of(is_homelessness).select("member", "month").distinct()
    return lines.mutate(value=ibis.literal(1))


MEASURES = (
    Measure(
        name="homelessness_recorded",
        label="Months with homelessness recorded",
        title="Months with homelessness recorded in claims",
        definition="1 in a month with any line that has Z59.0, Z59.1 or Z59.8 (homelessness, "
        "inadequate housing, other housing problems) among its five diagnoses, or place of "
        "service 04 (shelter) or 27 (street); else 0. Under-coded: it says what was recorded, not "
        "who was homeless.",
        code_lists=("homelessness_flag",),
        source="street-medicine code notes of public files; HMIS as a source in a public file",
        confirmed="partial",
        line_kinds=(is_homelessness,),
        events=_months,
    ),
)
