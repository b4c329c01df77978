"""Outpatient visits from final claim lines: one per member, provider and day, and what each was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.outpatient_lines import (
    is_behavioral_diagnosis,
    is_clinic_bill,
    is_clinic_line,
    is_health_center,
    is_office_visit,
    is_primary_care,
    is_telehealth,
)

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care
    from calaim_eval.panel.measure import LineKind


CLINIC_PLACES = ("19", "22", "49", "50", "71", "72")
"""Places of service where the clinic sends a bill of its own besides the professional's."""

TRAITS: tuple[LineKind, ...] = (
    is_health_center,
    is_primary_care,
    is_telehealth,
    is_behavioral_diagnosis,
)
"""What a visit is when any of its lines is."""


def outpatient_visits(care: Care) -> Table:
    """One row per visit: `member`, `provider`, `day`, and a flag by the name of each trait.

    The provider is the clinic where the claim has a health center encounter or clinic revenue that
    day, else the rendering professional. A professional's claim from a place that bills for itself
    (`CLINIC_PLACES`) is the other half of the clinic's bill of that day, not a second visit; what
    its lines say is then true of every clinic's visit of the day.
    """
    visiting = care.lines_of(is_office_visit, is_clinic_line)
    claim_day = ibis.window(group_by=["member", "claim_id", "day"])
    is_clinic = care.any_line_is(visiting, is_clinic_line).over(claim_day)
    seen = visiting.mutate(is_clinic=is_clinic)
    clinic_first = ibis.coalesce(seen["facility_npi"], seen["rendering_npi"], "")
    person_first = ibis.coalesce(seen["rendering_npi"], seen["facility_npi"], "")
    is_clinic_place = seen["place_of_service_code"].isin(CLINIC_PLACES).fill_null(False)
    told = seen.group_by(
        "member",
        "day",
        provider=ibis.ifelse(seen["is_clinic"], clinic_first, person_first),
        is_bill_of_clinic=seen["is_clinic"] & care.line_is(seen, is_clinic_bill),
        is_other_half=~seen["is_clinic"] & is_clinic_place,
    ).agg(**{trait.__name__: care.any_line_is(seen, trait) for trait in TRAITS})
    told = care.bucket.keep("outpatient_lines", told)
    return _visits(told)


def _visits(told: Table) -> Table:
    """Visits, the professional halves of clinics' bills taken into them."""
    billed = told.filter(told["is_bill_of_clinic"]).select("member", "day").distinct()
    halves = told.filter(told["is_other_half"])
    others = halves.anti_join(billed, ["member", "day"])
    whole = told.filter(~told["is_other_half"])
    of_clinic = whole.filter(whole["is_bill_of_clinic"]).select("member", "provider", "day")
    taken_in = halves.drop("provider").join(of_clinic.distinct(), ["member", "day"])
    key = ["member", "provider", "day"]
    traits = [trait.__name__ for trait in TRAITS]
    every = ibis.union(*(rows.select(*key, *traits) for rows in (whole, others, taken_in)))
    return every.group_by(key).agg(**{trait: every[trait].max() for trait in traits})
