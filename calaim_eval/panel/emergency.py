"""Emergency department visits from facility and professional claim lines.

1. The lines of one claim on days that follow one another are one piece of a visit.
2. Pieces at one facility that start within `ed_join_days` of a visit's first day are that visit.
3. A professional line is a visit of its own only where no facility visit is within a day of it and
   no inpatient stay covers its day or the day after: a visit that ended in admission at the same
   hospital is billed with the stay, and its physician's claim must not bring it back.
4. A visit ended in admission when a stay begins in time at its facility, or at another to which
   its claim says the patient was transferred (`ends_in_stay`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.emergency_lines import is_ed_facility, is_ed_professional
from calaim_eval.panel.spans import anchored_starts, islands
from calaim_eval.panel.stays import TRANSFERRED

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.care import Care

NEAR_DAYS = 1
_COLUMNS = ("member", "facility", "day", "last_day", "diagnosis", "is_transferred")


def ed_visits(care: Care) -> Table:
    """One row per visit.

    Returns
    -------
    Table
        `member`; `facility`, empty where it is not known or a professional's claim alone tells of
        the visit; `day` and `last_day`; `diagnosis`, the principal one of its first claim that has
        one (the earliest start, then the smallest claim number, then the first in the alphabet);
        `is_admitted`.
    """
    join_days = care.rules.ed_join_days
    lines = care.lines_of(is_ed_facility)
    facility = care.bucket.keep("ed_facility", _facility_visits(lines, join_days))
    days = _professional_days(care.lines_of(is_ed_professional))
    alone = _professional_visits(_without_facility(days, facility, care.stays), join_days)
    both = ibis.union(facility.select(*_COLUMNS), alone.select(*_COLUMNS))
    found = care.bucket.keep("ed_found", both)
    told = _with_admission(found, care)
    if care.rules.ed_on_inpatient_claims == "count":
        told = ibis.union(told, _visits_on_stays(found, care))
    return told


def ends_in_stay(visits: Table, stays: Table) -> list[Value]:
    """Conditions that a stay is what a visit led to, or what it was part of.

    The stay begins on a day of the visit or the day after its last day; or it began before the
    visit and ends after the visit's first day.
    """
    begins_by_then = stays["admit_day"] <= visits["last_day"] + NEAR_DAYS
    is_not_over = (stays["admit_day"] >= visits["day"]) | (stays["discharge_day"] > visits["day"])
    return [visits["member"] == stays["member"], begins_by_then, is_not_over]


def _facility_visits(lines: Table, join_days: int) -> Table:
    """Visits from facility lines: `member`, `facility`, first and last day, diagnosis."""
    facility = ibis.coalesce(lines["facility_npi"], lines["rendering_npi"], "")
    on_days = lines.group_by("member", "claim_id", "day", facility=facility).agg(
        diagnosis=lines["diagnosis_code_1"].min(),
        is_transferred=lines["discharge_disposition_code"]
        .re_search(TRANSFERRED)
        .fill_null(False)
        .max(),
    )
    key = ["member", "facility", "claim_id"]
    reaching = on_days.mutate(reach_day=on_days["day"] + 1)
    numbered = islands(reaching, by=key, start="day", reach="reach_day")
    pieces = numbered.group_by([*key, "island"]).agg(
        day=numbered["day"].min(),
        last_day=numbered["day"].max(),
        diagnosis=numbered["diagnosis"].min(),
        is_transferred=numbered["is_transferred"].max(),
    )
    starts = pieces.group_by("member", "facility", "day").agg(
        last_day=pieces["last_day"].max(),
        diagnosis=_first(pieces, "claim_id"),
        is_transferred=pieces["is_transferred"].max(),
    )
    joined = anchored_starts(starts, by=["member", "facility"], join_days=join_days)
    return (
        joined.group_by("member", "facility", "event_day")
        .agg(
            last_day=joined["last_day"].max(),
            diagnosis=_first(joined, "day"),
            is_transferred=joined["is_transferred"].max(),
        )
        .rename(day="event_day")
    )


def _first(rows: Table, order: str) -> Value:
    """Diagnosis of the first row that has one."""
    return rows["diagnosis"].argmin(rows[order], where=rows["diagnosis"].notnull())


def _professional_days(lines: Table) -> Table:
    """Days with a professional emergency line, and the diagnosis of the first claim."""
    claims = lines.group_by("member", "day", "claim_id").agg(
        diagnosis=lines["diagnosis_code_1"].min()
    )
    return claims.group_by("member", "day").agg(diagnosis=_first(claims, "claim_id"))


def _professional_visits(days: Table, join_days: int) -> Table:
    """Visits that only professionals' claims tell of."""
    joined = anchored_starts(days, by=["member"], join_days=join_days)
    visits = joined.group_by("member", "event_day").agg(
        last_day=joined["day"].max(), diagnosis=_first(joined, "day")
    )
    return visits.rename(day="event_day").mutate(
        facility=ibis.literal(""), is_transferred=ibis.literal(False)
    )


def _without_facility(days: Table, facility: Table, stays: Table) -> Table:
    """Days with a professional emergency line and no facility visit or stay at hand."""
    without_visit = days.anti_join(
        facility,
        [
            days["member"] == facility["member"],
            days["day"] >= facility["day"] - NEAR_DAYS,
            days["day"] <= facility["last_day"] + NEAR_DAYS,
        ],
    )
    return without_visit.anti_join(
        stays,
        [
            without_visit["member"] == stays["member"],
            without_visit["day"] >= stays["admit_day"] - NEAR_DAYS,
            without_visit["day"] <= stays["discharge_day"],
        ],
    )


def _with_admission(found: Table, care: Care) -> Table:
    """Visits with `is_admitted`."""
    conditions = _admits(found, care.stays, any_facility=care.rules.ed_admission == "any_facility")
    admitted = found.semi_join(care.stays, conditions).mutate(is_admitted=ibis.literal(True))
    released = found.anti_join(care.stays, conditions).mutate(is_admitted=ibis.literal(False))
    return ibis.union(admitted, released).drop("is_transferred")


def _admits(visits: Table, stays: Table, *, any_facility: bool) -> list[Value]:
    """Conditions that a visit ended in a stay."""
    conditions = ends_in_stay(visits, stays)
    if any_facility:
        return conditions
    is_known = (visits["facility"] != "") & (stays["facility"] != "")
    is_here = ~is_known | (visits["facility"] == stays["facility"]) | visits["is_transferred"]
    return [*conditions, is_here]


def _visits_on_stays(found: Table, care: Care) -> Table:
    """A visit for each stay with emergency lines on its own claims and no visit that led to it."""
    stays = care.stays.filter(care.stays["has_ed"])
    conditions = _admits(found, stays, any_facility=care.rules.ed_admission == "any_facility")
    alone = stays.anti_join(found, conditions)
    return alone.select(
        "member",
        "facility",
        day="admit_day",
        last_day="admit_day",
        diagnosis="diagnosis",
        is_admitted=ibis.literal(True),
    )
