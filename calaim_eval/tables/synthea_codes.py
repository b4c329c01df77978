"""What Synthea says and what a claim would say: encounter classes, payers, race and ethnicity.

Synthea has no bill types, revenue codes or CPT codes. Its encounter class is coded into them by
`ENCOUNTER_CLASSES`, so that the visit and stay rules of the panel can be tested against a count of
encounter classes made without them. The coding is declared here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ClaimCoding:
    """How an encounter of one class looks as the first line of a claim.

    Attributes
    ----------
    claim_type : {"institutional", "professional"}
    bill_type_code, revenue_center_code, hcpcs_code, place_of_service_code : str
        Codes of the line; empty where the form has none.
    is_stay : bool
        The encounter has an admission and a discharge.
    """

    claim_type: Literal["institutional", "professional"]
    bill_type_code: str = ""
    revenue_center_code: str = ""
    hcpcs_code: str = ""
    place_of_service_code: str = ""
    is_stay: bool = False


def _office(place_of_service_code: str) -> ClaimCoding:
    """Established-patient office visit at a place of service."""
    return ClaimCoding(
        "professional", hcpcs_code="99213", place_of_service_code=place_of_service_code
    )


ENCOUNTER_CLASSES: dict[str, ClaimCoding] = {
    "emergency": ClaimCoding("institutional", "131", "0450"),
    "inpatient": ClaimCoding("institutional", "111", "0120", is_stay=True),
    "ambulatory": _office("11"),
    "wellness": _office("11"),
    "outpatient": _office("22"),
    "urgentcare": _office("20"),
    "virtual": _office("10"),
    "home": ClaimCoding("professional", hcpcs_code="99348", place_of_service_code="12"),
    "snf": ClaimCoding("institutional", "211", "0191", is_stay=True),
    "hospice": ClaimCoding("institutional", "811", "0651"),
}
FHIR_CLASSES = {
    "EMER": "emergency",
    "IMP": "inpatient",
    "ACUTE": "inpatient",
    "NONAC": "inpatient",
    "AMB": "ambulatory",
    "OBSENC": "outpatient",
    "VR": "virtual",
    "HH": "home",
}

# Payer name to line of business; a name not listed is an insurance company.
PAYER_TYPES = {
    "medicaid": "medicaid",
    "dual eligible": "medicaid",
    "medicare": "medicare",
    "no_insurance": "self_pay",
    "": "other",
}
COMMERCIAL = "commercial"
DUAL_PAYER = "dual eligible"

RACE_CODES = {
    "white": "2106-3",
    "black": "2054-5",
    "asian": "2028-9",
    "native": "1002-5",
    "hawaiian": "2076-8",
    "other": "2131-1",
}
ETHNICITY_CODES = {
    "hispanic": "2135-2",
    "nonhispanic": "2186-5",
    "hispanic or latino": "2135-2",
    "not hispanic or latino": "2186-5",
}
CODE_SYSTEM = "cdc_omb"
# Payments a payer makes; the others are the member's own.
PLAN_PAYMENT_METHOD = "ECHECK"
