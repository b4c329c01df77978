"""Emergency department visits from facility and professional claim lines.

1. The lines of one claim on days that follow one another are one piece of a visit.
2. Pieces at one facility that start within `ed_join_days` of a visit's first day are that visit.
3. A professional line is a visit of its own only where no facility visit is within a day of it and
   no inpatient stay covers its day or the day after: a visit that ended in admission at the same
   hospital is billed with the stay, and its physician's claim must not bring it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.spans import anchored_starts, islands

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket

NEAR_DAYS = 1


def ed_visits(bucket: Bucket, lines: Table, stays: Table) -> Table:
    """One row per visit: `member_id` and `day`, its first day."""
    facility = bucket.keep("ed_facility", _facility_visits(lines, bucket.rules.ed_join_days))
    professional = _professional_days(lines, facility, stays)
    alone = anchored_starts(professional, by=["member_id"], join_days=bucket.rules.ed_join_days)
    return ibis.union(
        facility.select("member_id", "day"),
        alone.select("member_id", day="event_day").distinct(),
    )


def _facility_visits(lines: Table, join_days: int) -> Table:
    """Visits from facility lines: `member_id`, `facility`, first and last day."""
    facility = ibis.coalesce(lines["facility_npi"], lines["rendering_npi"], "")
    on_days = (
        lines.filter(lines["is_ed_facility"])
        .select("member_id", "claim_id", "day", facility=facility)
        .distinct()
    )
    key = ["member_id", "facility", "claim_id"]
    reaching = on_days.mutate(reach_day=on_days["day"] + 1)
    numbered = islands(reaching, by=key, start="day", reach="reach_day")
    pieces = numbered.group_by([*key, "island"]).agg(
        day=numbered["day"].min(), last_day=numbered["day"].max()
    )
    starts = pieces.group_by("member_id", "facility", "day").agg(last_day=pieces["last_day"].max())
    joined = anchored_starts(starts, by=["member_id", "facility"], join_days=join_days)
    return (
        joined.group_by("member_id", "facility", "event_day")
        .agg(last_day=joined["last_day"].max())
        .rename(day="event_day")
    )


def _professional_days(lines: Table, facility: Table, stays: Table) -> Table:
    """Days with a professional emergency line and no facility visit or stay at hand."""
    days = lines.filter(lines["is_ed_professional"]).select("member_id", "day").distinct()
    without_visit = days.anti_join(
        facility,
        [
            days["member_id"] == facility["member_id"],
            days["day"] >= facility["day"] - NEAR_DAYS,
            days["day"] <= facility["last_day"] + NEAR_DAYS,
        ],
    )
    return without_visit.anti_join(
        stays,
        [
            without_visit["member_id"] == stays["member_id"],
            without_visit["day"] >= stays["admit_day"] - NEAR_DAYS,
            without_visit["day"] <= stays["discharge_day"],
        ],
    )
