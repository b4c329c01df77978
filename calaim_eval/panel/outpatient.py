"""Outpatient visits from final claim lines: one per member, provider and day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.measures.outpatient import is_clinic_line, is_institutional, is_office_visit

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care


CLINIC_PLACES = ("19", "22", "49", "50", "71", "72")
"""Places of service where the clinic sends a bill of its own besides the professional's."""


def outpatient_visits(care: Care) -> Table:
    """One row per visit: `member`, `provider`, `day`.

    The provider is the clinic where the claim has a health center encounter or clinic revenue that
    day, else the rendering professional. A professional's claim from a place that bills for itself
    (`CLINIC_PLACES`) is the other half of the clinic's bill of that day, not a second visit.
    """
    visiting = care.lines_of(is_office_visit, is_clinic_line)
    claim_day = ibis.window(group_by=["member", "claim_id", "day"])
    seen = visiting.mutate(is_clinic=visiting[is_clinic_line.__name__].max().over(claim_day))
    clinic_first = ibis.coalesce(seen["facility_npi"], seen["rendering_npi"], "")
    person_first = ibis.coalesce(seen["rendering_npi"], seen["facility_npi"], "")
    is_clinic_place = seen["place_of_service_code"].isin(CLINIC_PLACES).fill_null(False)
    told = care.bucket.keep(
        "outpatient_lines",
        seen.select(
            "member",
            "day",
            "is_clinic",
            provider=ibis.ifelse(seen["is_clinic"], clinic_first, person_first),
            is_bill_of_clinic=seen["is_clinic"] & seen[is_institutional.__name__],
            is_other_half=~seen["is_clinic"] & is_clinic_place,
        ).distinct(),
    )
    billed = told.filter(told["is_bill_of_clinic"]).select("member", "day").distinct()
    halves = told.filter(told["is_other_half"]).anti_join(billed, ["member", "day"])
    whole = told.filter(~told["is_other_half"])
    key = ["member", "provider", "day"]
    return ibis.union(whole.select(*key), halves.select(*key), distinct=True)
