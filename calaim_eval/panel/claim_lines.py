# ruff: noqa: FBT003  (Ibis names: `fill_null(False)`, `isnull`, `notnull`)
"""Final claim lines told apart once: emergency, inpatient, outpatient, ambulance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.claim_standing import FINAL, bill_type
from calaim_eval.panel.definitions import (
    CLINIC_BILL_TYPES,
    ED_BILL_TYPES,
    NOT_OFFICE_PLACES,
    code_pattern,
)
from calaim_eval.panel.spans import day_number

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket


def event_lines(bucket: Bucket, claims: Table) -> Table:
    """Final lines that are part of any visit, stay or trip, with a flag for each kind.

    One narrow row per line, computed once: every event is built from it.
    """
    final = claims.filter(claims["standing"] == FINAL)
    told = final.mutate(**_kinds(final, bucket))
    stay_start = ibis.coalesce(told["admission_date"], told["claim_start_date"])
    stay_end = ibis.coalesce(told["discharge_date"], told["claim_end_date"], stay_start)
    narrow = told.filter(
        told["is_ed_facility"]
        | told["is_ed_professional"]
        | told["is_stay"]
        | told["is_office_visit"]
        | told["is_clinic_line"]
        | told["is_ambulance"]
    ).select(
        "member_id",
        "claim_id",
        "day",
        "is_ed_facility",
        "is_ed_professional",
        "is_stay",
        "is_office_visit",
        "is_clinic_line",
        "is_clinic_bill",
        "is_ambulance",
        "has_accommodation",
        "has_drg",
        "rendering_npi",
        "facility_npi",
        place="place_of_service_code",
        disposition=told["discharge_disposition_code"],
        stay_start_day=day_number(stay_start),
        stay_end_day=day_number(stay_end),
    )
    return bucket.keep("event_lines", narrow)


def _kinds(lines: Table, bucket: Bucket) -> dict[str, Value]:
    """A flag for each kind of line."""
    is_institutional, is_professional = _forms(lines)
    bill = bill_type(lines["bill_type_code"]).substr(0, 2)
    revenue, procedure = lines["revenue_center_code"], lines["hcpcs_code"]
    place = lines["place_of_service_code"]
    is_inpatient = _matches(lines["bill_type_code"], "ip_admission", "bill type")
    is_ed_code = _matches(procedure, "ed_visit", "ED E/M")
    is_ed_revenue = _matches(revenue, "ed_visit", "facility revenue")
    if bucket.rules.ed_definition == "with_urgent_care":
        variant = "facility revenue (0456 variant)"
        is_ed_revenue = is_ed_revenue | _matches(revenue, "ed_visit", variant)
    is_ed_place = _matches(place, "ed_visit", "place of service")
    is_ed_bill = bill.isin(ED_BILL_TYPES) | bill.isnull()
    is_health_center = _matches(procedure, "outpatient_visit", "FQHC/RHC encounter")
    is_clinic_bill = is_institutional & bill.isin(CLINIC_BILL_TYPES).fill_null(False)
    is_clinic_revenue = _matches(revenue, "outpatient_visit", "clinic revenue")
    is_office_code = _matches(procedure, "outpatient_visit", "office and clinic E/M")
    is_elsewhere = place.isin(NOT_OFFICE_PLACES).fill_null(False)
    return {
        "is_ed_facility": is_institutional
        & ~is_inpatient
        & is_ed_bill
        & (is_ed_revenue | is_ed_code),
        "is_ed_professional": is_professional & (is_ed_place | is_ed_code),
        "is_stay": is_institutional & is_inpatient,
        "is_office_visit": is_professional & is_office_code & ~is_elsewhere,
        "is_clinic_line": is_health_center | (is_clinic_bill & is_clinic_revenue),
        "is_clinic_bill": is_institutional,
        "is_ambulance": _matches(procedure, "ambulance_transport", "ground emergency base")
        | _matches(procedure, "ambulance_transport", "air emergency base"),
        "has_accommodation": _matches(revenue, "ip_admission", "room and board"),
        "has_drg": _matches(lines["drg_code"], "ip_admission", "DRG present"),
    }


def _forms(lines: Table) -> tuple[Value, Value]:
    """Whether a line is institutional, and whether professional.

    A line without a claim type is institutional when it has a bill type or a revenue code.
    """
    looks_institutional = lines["bill_type_code"].notnull() | lines["revenue_center_code"].notnull()
    form = ibis.coalesce(
        lines["claim_type"], ibis.ifelse(looks_institutional, "institutional", "professional")
    )
    return form == "institutional", form == "professional"


def _matches(code: Value, measure: str, component: str) -> Value:
    """Whether a code is of a component of a measure, by the code list; false where missing."""
    return code.re_search(code_pattern(measure, component)).fill_null(False)
