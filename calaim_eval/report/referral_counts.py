"""Referrals by how soon their service started, read off a release for a figure or table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from calaim_eval.report.access_counts import StageCounts, counts_of_group, last_month
from calaim_eval.report.labels import (
    ORGANIZATION_TYPES,
    ordered,
    race_order,
    readable,
    short_race_label,
)
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

Grouping = Literal["race_ethnicity", "organization_type"]
REFERRAL_TIMES: dict[Grouping, str] = {
    "race_ethnicity": "referral_times",
    "organization_type": "referral_times_by_organization_type",
}
"""Released item of each grouping."""
_STARTED = "service_started"
_NO_DAY = "no_usable_day"


def referral_counts(released: Released, *, by: Grouping) -> dict[str, StageCounts] | Absent:
    """Matured root referrals by what became of them, by group in order with all of them last.

    Groups without a referral are left out, and so is the state of no usable day where no referral
    at all is in it.
    """
    found = find_item(released, REFERRAL_TIMES[by])
    if isinstance(found, Absent):
        return found
    need_columns(found, (by, "state", "days"))
    frame = found.frame
    order = race_order() if by == "race_ethnicity" else (*ORGANIZATION_TYPES, ALL)
    counts = {
        group: counts_of_group(frame[frame[by] == group], when="days", reached=_STARTED)
        for group in ordered(frame[by], order=order)
    }
    counts = {group: each for group, each in counts.items() if each.followed != 0}
    everybody = counts.get(ALL)
    if everybody is not None and everybody.ended.get(_NO_DAY) == 0:
        counts = {group: _without(each, _NO_DAY) for group, each in counts.items()}
    return counts


def _without(each: StageCounts, state: str) -> StageCounts:
    """The counts without a state nobody is in."""
    return replace(each, ended={s: n for s, n in each.ended.items() if s != state})


def horizon_days(found: dict[str, StageCounts]) -> int:
    """Days every referral is followed."""
    return max(last_month(when) for each in found.values() for when in each.within)


def referral_group_label(group: str, by: Grouping) -> str:
    """What a group of referrals is called."""
    if group == ALL:
        return "All referrals"
    if by == "organization_type":
        return ORGANIZATION_TYPES.get(group, readable(group))
    return short_race_label(group)
