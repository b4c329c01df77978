"""Days in a nursing facility, by calendar month.

1. The days of nursing facility lines of a member, whatever the facility, each counted once.
2. The last day of a claim is the day of discharge and no day of care of a line with a patient
   status other than 30 (still a patient), unless it is the line's only day.
3. Days on leave, and nights in hospital, are no days in the nursing facility.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.nursing_lines import is_leave, is_nursing
from calaim_eval.panel.stays import STILL_PATIENT

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care


def nursing_days(care: Care) -> Table:
    """One row per member and day of the window: `member`, `day`."""
    days = care.bucket.keep("nursing_found", _days(_covered(care), care))
    leave = care.lines_of(is_leave).select("member", start_day="day", end_day="last_day")
    episodes = care.episodes
    nights = episodes.select(
        "member",
        start_day="admit_day",
        end_day=ibis.greatest(episodes["discharge_day"] - 1, episodes["admit_day"]),
    )
    away = care.bucket.keep("nursing_away", ibis.union(leave, nights))
    return days.anti_join(
        away,
        [
            days["member"] == away["member"],
            days["day"] >= away["start_day"],
            days["day"] <= away["end_day"],
        ],
    )


def _covered(care: Care) -> Table:
    """Spans of days that nursing facility lines cover."""
    lines = care.lines_of(is_nursing)
    status = lines["discharge_disposition_code"]
    of_claim = ibis.window(group_by=["member", "claim_id"])
    discharge_day = ibis.greatest(lines["stay_end_day"], lines["last_day"].max().over(of_claim))
    has_left = (status.notnull() & ~status.re_search(STILL_PATIENT)).fill_null(False)
    is_discharged = has_left & (lines["last_day"] >= discharge_day)
    end = ibis.ifelse(is_discharged, lines["last_day"] - 1, lines["last_day"])
    return lines.select(
        "member", start_day="day", end_day=ibis.greatest(end, lines["day"])
    ).distinct()


def _days(spans: Table, care: Care) -> Table:
    """Days of the window within any of the spans, each once."""
    calendar = care.bucket.days
    joined = spans.join(
        calendar,
        [calendar["day"] >= spans["start_day"], calendar["day"] <= spans["end_day"]],
    )
    return joined.select("member", "day").distinct()
