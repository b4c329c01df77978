"""Units and counts as a report prints them."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import INTEGER, index_frequency

SMALL_COUNT = 11
"""Counts from 1 to 10 are never written out (CalHHS data de-identification guidelines)."""


def count_words(count: float, noun: str) -> str:
    """A count that hides 1 to 10: "1,204 members", "fewer than 11 members"."""
    if 0 < count < SMALL_COUNT:
        return f"fewer than {SMALL_COUNT} {noun}"
    return f"{count:,.0f} {noun}"


def cohort_words(count: int) -> str:
    """A number of cohorts: "1 cohort" or "3 cohorts"."""
    return f"{count} cohort" if count == 1 else f"{count} cohorts"


def default_unit(moments: CellMoments, outcome: str, per: float) -> str:
    """``"ed_visits per 1,000 member-months"``; plain periods are member-periods."""
    frequency = index_frequency(moments.months)
    grain = "month" if frequency == "M" else "period"
    if frequency != INTEGER and frequency != "M":
        grain = f"period ({frequency})"
    amount = "" if per == 1 else f"{per:,g} "
    return f"{outcome} per {amount}member-{grain}{'s' if per != 1 else ''}"


def percent_words(part: float, whole: float) -> str:
    """A share in words, without the digits that would give away a small count."""
    share = part / whole if whole else 0.0
    return "less than 1 %" if share < 0.01 else f"{100 * share:.0f} %"


def period_words(ordinal: int, months: pd.Index) -> str:
    """A month (or other period) in words."""
    if isinstance(months, pd.PeriodIndex):
        return str(pd.Period(ordinal=int(ordinal), freq=months.freq))
    return str(int(ordinal))


def notes_by_group(lost: Iterable[tuple[str, str, str]]) -> list[str]:
    """One note for each thing lost, naming the groups it was lost in.

    Takes (what was lost, group or "", how much); groups of one loss share a note.
    """
    details: dict[str, list[str]] = {}
    for what, group, how_much in lost:
        details.setdefault(what, []).append(" ".join(word for word in (group, how_much) if word))
    return [
        f"{what}: {'; '.join(parts)}." if any(parts) else f"{what}."
        for what, parts in details.items()
    ]
