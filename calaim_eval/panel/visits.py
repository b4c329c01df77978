# ruff: noqa: FBT003  (Ibis names: `fill_null(False)`, `isnull`, `notnull`)
"""Outpatient visits and ambulance trips from final claim lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.definitions import CLINIC_PLACES

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket


def outpatient_visits(bucket: Bucket, lines: Table) -> Table:
    """One row per member, provider and day: `member_id`, `day`.

    The provider is the clinic where the claim has a health center encounter or clinic revenue that
    day, else the rendering professional. A professional's claim from a place that bills for itself
    (`CLINIC_PLACES`) is the other half of the clinic's bill of that day, not a second visit.
    """
    visiting = lines.filter(lines["is_office_visit"] | lines["is_clinic_line"])
    claim_day = ibis.window(group_by=["member_id", "claim_id", "day"])
    seen = visiting.mutate(is_clinic=visiting["is_clinic_line"].max().over(claim_day))
    clinic_first = ibis.coalesce(seen["facility_npi"], seen["rendering_npi"], "")
    person_first = ibis.coalesce(seen["rendering_npi"], seen["facility_npi"], "")
    told = bucket.keep(
        "outpatient_lines",
        seen.select(
            "member_id",
            "day",
            "is_clinic",
            provider=ibis.ifelse(seen["is_clinic"], clinic_first, person_first),
            is_bill_of_clinic=seen["is_clinic"] & seen["is_clinic_bill"],
            is_other_half=~seen["is_clinic"] & seen["place"].isin(CLINIC_PLACES).fill_null(False),
        ).distinct(),
    )
    billed = told.filter(told["is_bill_of_clinic"]).select("member_id", "day").distinct()
    halves = told.filter(told["is_other_half"]).anti_join(billed, ["member_id", "day"])
    whole = told.filter(~told["is_other_half"])
    key = ["member_id", "provider", "day"]
    visits = ibis.union(whole.select(*key), halves.select(*key), distinct=True)
    return visits.select("member_id", "day")


def ambulance_trips(lines: Table) -> Table:
    """One row per member and day with an emergency transport: `member_id`, `day`."""
    return lines.filter(lines["is_ambulance"]).select("member_id", "day").distinct()
