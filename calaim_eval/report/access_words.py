"""Sentences on how long access takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calaim_eval.report.access_counts import StageCounts, last_month, stage_counts
from calaim_eval.report.labels import short_race_label
from calaim_eval.report.numbers import percent
from calaim_eval.report.release_items import Absent
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_NEXT = {
    "identified": ("identified as eligible", "reached by outreach"),
    "outreached": ("reached by outreach", "served"),
}


def access_times_sentence(released: Released, *, stage: str = "identified") -> str:
    """How many of all members got to the next stage how soon, and the range over groups.

    Parameters
    ----------
    released : Released
        Uses `access_times`.
    stage : {"identified", "outreached"}
        The stage they start from.

    Returns
    -------
    str
        Small groups are at the ends of a range by chance more often than large ones.
    """
    found = stage_counts(released)
    if isinstance(found, Absent):
        return found.words
    began, after = _NEXT.get(stage, (stage, "at the next stage"))
    groups = found.get(stage, {})
    everybody = groups.get(ALL)
    if everybody is None or np.isnan(everybody.followed):
        return f"How soon members {began} were {after} is not shown (small numbers)."
    words = [
        f"{percent(share)} by month {last_month(when)}"
        for when, share in everybody.cumulative.items()
        if np.isfinite(share)
    ]
    if not words:
        return f"How soon members {began} were {after} is not shown (small numbers)."
    text = f"Of members {began}, {' and '.join(words)} were {after}."
    return text + _range({g: each for g, each in groups.items() if g != ALL})


def _range(groups: dict[str, StageCounts]) -> str:
    """Lowest and highest group by the first month reported; empty unless two are shown."""
    first = {g: next(iter(each.cumulative.items())) for g, each in groups.items()}
    shares = {g: share for g, (_, share) in first.items() if np.isfinite(share)}
    if len(shares) < 2:
        return ""
    month = last_month(next(iter(first.values()))[0])
    low, high = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
    return (
        f" By month {month} the groups shown lie between {percent(shares[low])} "
        f"({short_race_label(low)}) and {percent(shares[high])} ({short_race_label(high)})."
    )
