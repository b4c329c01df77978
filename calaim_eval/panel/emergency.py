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

from calaim_eval.panel.emergency_lines import is_ed_facility, is_ed_professional
from calaim_eval.panel.spans import anchored_starts, islands

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care

NEAR_DAYS = 1


def ed_visits(care: Care) -> Table:
    """One row per visit: `member` and `day`, its first day."""
    join_days = care.rules.ed_join_days
    lines = care.lines_of(is_ed_facility)
    facility = care.bucket.keep("ed_facility", _facility_visits(lines, join_days))
    days = care.lines_of(is_ed_professional).select("member", "day").distinct()
    professional = _without_facility(days, facility, care.stays)
    alone = anchored_starts(professional, by=["member"], join_days=join_days)
    return ibis.union(
        facility.select("member", "day"),
        alone.select("member", day="event_day").distinct(),
    )


def _facility_visits(lines: Table, join_days: int) -> Table:
    """Visits from facility lines: `member`, `facility`, first and last day."""
    facility = ibis.coalesce(lines["facility_npi"], lines["rendering_npi"], "")
    on_days = lines.select("member", "claim_id", "day", facility=facility).distinct()
    key = ["member", "facility", "claim_id"]
    reaching = on_days.mutate(reach_day=on_days["day"] + 1)
    numbered = islands(reaching, by=key, start="day", reach="reach_day")
    pieces = numbered.group_by([*key, "island"]).agg(
        day=numbered["day"].min(), last_day=numbered["day"].max()
    )
    starts = pieces.group_by("member", "facility", "day").agg(last_day=pieces["last_day"].max())
    joined = anchored_starts(starts, by=["member", "facility"], join_days=join_days)
    return (
        joined.group_by("member", "facility", "event_day")
        .agg(last_day=joined["last_day"].max())
        .rename(day="event_day")
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
