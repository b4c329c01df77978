"""Members or referrals by what became of them, read off a release for a figure or table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calaim_eval.report.labels import ordered, race_order, readable
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.results import ALL

if TYPE_CHECKING:
    import pandas as pd

    from calaim_eval.disclosure import Released

STAGE_HEADINGS = {
    "eligible": "From eligible by claims to identified",
    "identified": "From identified to reached by outreach",
    "outreached": "From outreach to served",
    "served": "From served to the loop closed",
}
"""A stage, and what comes after it."""
ENDINGS = {
    "coverage_ended": "Coverage ended, or died",
    "closed_otherwise": "Referral declined or closed",
    "ended_without_service": "Ended without service",
    "no_usable_day": "No usable day",
    "waiting": "Still waiting",
}
REACHED = "reached"


@dataclass(frozen=True, slots=True)
class StageCounts:
    """One stage of one group, of members or of referrals.

    Attributes
    ----------
    followed : float
        Members followed; NaN where withheld.
    within : dict[str, float]
        Members who got to the next stage, by the months (or days) it took ("0-1", "2-6"); NaN
        where withheld.
    reached : float
        All of them.
    low, high : float
        Interval of their share.
    ended : dict[str, float]
        Members by any other ending, and those still waiting.
    """

    followed: float
    within: dict[str, float]
    reached: float
    low: float
    high: float
    ended: dict[str, float]

    @property
    def cumulative(self) -> dict[str, float]:
        """Share who got there by the last month of each stretch; NaN where not shown."""
        sums = np.cumsum(list(self.within.values()))
        shares = {name: float(s) / self.followed for name, s in zip(self.within, sums, strict=True)}
        if shares:
            # The stretches together are all who got there, shown or not.
            shares[list(shares)[-1]] = self.reached / self.followed
        return shares

    @property
    def withheld(self) -> float:
        """Share of the members followed whose ending, or month, is not shown."""
        shown = [n for n in (*self.within.values(), *self.ended.values()) if np.isfinite(n)]
        return 1 - sum(shown) / self.followed


def stage_counts(released: Released) -> dict[str, dict[str, StageCounts]] | Absent:
    """By stage in order, then by group in order with everybody last."""
    found = find_item(released, "access_times")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity", "stage", "state", "months"))
    frame = found.frame
    stages = ordered(frame["stage"], order=tuple(STAGE_HEADINGS))
    return {
        stage: {
            group: counts_of_group(
                mine[mine["race_ethnicity"] == group], when="months", reached=REACHED
            )
            for group in ordered(mine["race_ethnicity"], order=race_order())
        }
        for stage in stages
        for mine in [frame[frame["stage"] == stage]]
    }


def counts_of_group(rows: pd.DataFrame, *, when: str, reached: str) -> StageCounts:
    """The rows of one group and stage; hidden ones are NaN as released."""
    at = rows.set_index(["state", when])
    n = at["numerator"]
    bins = sorted((m for s, m in n.index if s == reached and m != ALL), key=first_month)
    whole = (reached, ALL)
    return StageCounts(
        followed=float(n[ALL, ALL]),
        within={each: float(n[reached, each]) for each in bins},
        reached=float(n[whole]),
        low=float(at["conf_low"][whole]),
        high=float(at["conf_high"][whole]),
        ended={s: float(n[s, m]) for s, m in n.index if m == ALL and s not in (ALL, reached)},
    )


def first_month(when: str) -> int:
    """First month of a stretch such as ``"2-6"``."""
    return int(when.split("-")[0])


def last_month(when: str) -> int:
    """Last month of a stretch such as ``"2-6"``, or of ``"0"``."""
    return int(when.split("-")[-1])


def ending_label(state: str) -> str:
    """What an ending is called."""
    return ENDINGS.get(state, readable(state))
