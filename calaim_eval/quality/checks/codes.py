"""Codes: those that cannot be right, and those that are not recorded where they are needed."""

from __future__ import annotations

from calaim_eval.quality.checks.declaration import Check


def _invalid(
    name: str, what: str, columns: tuple[str, ...], step: str, *, stop: float | None = None
) -> Check:
    """A code that is not of its shape or not in its list."""
    return Check(name, what, "codes", "codes recorded", step, 0.01, stop, columns)


def _absent(name: str, what: str, of: str, columns: tuple[str, ...], *, warn: float) -> Check:
    """A code that is not recorded where it is needed."""
    step = "Ask the sender to fill the column; what is read off it is undercounted."
    return Check(name, what, "lines", of, step, warn, None, columns)


_ASK = "Look at the codes by plan and ask the plan that sends them."
CHECKS = (
    _invalid(
        "procedure_codes_invalid",
        "A procedure code has not the shape of a CPT or HCPCS code",
        ("hcpcs_code",),
        _ASK,
        stop=0.5,
    ),
    _invalid(
        "modifiers_invalid",
        "A modifier is not two letters or digits",
        tuple(f"hcpcs_modifier_{i}" for i in range(1, 6)),
        "Ask the plan; program services are told by their modifiers.",
        stop=0.5,
    ),
    _invalid(
        "diagnosis_codes_invalid",
        "A diagnosis code of a day since October 2015 has not the shape of an ICD-10-CM code",
        tuple(f"diagnosis_code_{i}" for i in range(1, 6)),
        "Check for ICD-9 codes, descriptions or local codes in the column.",
    ),
    _invalid(
        "revenue_codes_invalid",
        "A revenue code is not in the ranges that are assigned",
        ("revenue_center_code",),
        "Check for lost leading zeros; emergency visits and stays are read off these codes.",
        stop=0.5,
    ),
    _invalid(
        "bill_types_invalid",
        "A type of bill has not the shape of one",
        ("bill_type_code",),
        "Check for lost leading zeros or a lost frequency digit.",
        stop=0.5,
    ),
    _invalid(
        "places_of_service_invalid",
        "A place of service is not in the CMS list",
        ("place_of_service_code",),
        "Check for lost leading zeros and local codes.",
    ),
    _invalid(
        "discharge_status_invalid",
        "A discharge status is not in the list",
        ("discharge_disposition_code",),
        "Check for lost leading zeros.",
    ),
    _invalid(
        "drug_codes_invalid",
        "A drug code is not eleven digits",
        ("ndc_code",),
        "Ask for eleven digits in the 5-4-2 layout; a ten-digit code cannot be completed safely.",
    ),
    _invalid(
        "npis_invalid",
        "A provider number is not ten digits with a right check digit",
        ("facility_npi", "rendering_npi", "npi"),
        "Check for internal provider numbers in the column; visits and stays are told by provider.",
    ),
    _absent(
        "bill_types_missing",
        "The type of bill is missing",
        "final institutional lines",
        ("bill_type_code",),
        warn=0.02,
    ),
    _absent(
        "revenue_codes_missing",
        "The revenue code is missing",
        "final institutional lines",
        ("revenue_center_code",),
        warn=0.02,
    ),
    _absent(
        "facility_npis_missing",
        "The facility's NPI is missing",
        "final institutional lines",
        ("facility_npi",),
        warn=0.05,
    ),
    _absent(
        "procedure_codes_missing",
        "The procedure code is missing",
        "final professional lines",
        ("hcpcs_code",),
        warn=0.02,
    ),
    _absent(
        "places_of_service_missing",
        "The place of service is missing",
        "final professional lines",
        ("place_of_service_code",),
        warn=0.02,
    ),
    _absent(
        "rendering_npis_missing",
        "The rendering provider's NPI is missing",
        "final professional lines",
        ("rendering_npi",),
        warn=0.05,
    ),
    _absent(
        "diagnoses_missing",
        "The principal diagnosis is missing",
        "final institutional and professional lines",
        ("diagnosis_code_1",),
        warn=0.05,
    ),
    _absent(
        "drug_codes_missing",
        "The drug code is missing",
        "final fills",
        ("ndc_code",),
        warn=0.02,
    ),
    _absent(
        "claim_plans_missing",
        "The plan is missing",
        "final lines in the window",
        ("plan",),
        warn=0.1,
    ),
)
