"""Units and counts as a report prints them."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import INTEGER, index_frequency

SMALL_COUNT = 11
"""Counts from 1 to 10 are never written out (CalHHS data de-identification guidelines)."""


def count_words(count: float, noun: str) -> str:
    """A count that hides 1 to 10 and blurs the rest: "about 1,200 members".

    To the nearest ten, so that no small count follows from one note minus others.
    """
    if 0 < count < SMALL_COUNT:
        return f"fewer than {SMALL_COUNT} {noun}"
    return f"about {10 * round(count / 10):,} {noun}" if count else f"0 {noun}"


def default_unit(moments: CellMoments, outcome: str, per: float) -> str:
    """``"ed_visits per 1,000 member-months"``; plain periods are member-periods."""
    return unit_words(outcome, moments.months, per)


def unit_words(outcome: str, months: pd.Index, per: float) -> str:
    """Unit of an outcome over member-months, from the time axis alone."""
    frequency = index_frequency(months)
    grain = "month" if frequency == "M" else "period"
    if frequency != INTEGER and frequency != "M":
        grain = f"period ({frequency})"
    amount = "" if per == 1 else f"{per:,g} "
    return f"{outcome} per {amount}member-{grain}{'s' if per != 1 else ''}"


def share_words(part: float, whole: float) -> str:
    """A share as a band: in a small group a percentage is a count."""
    share = part / whole if whole else 0.0
    for bound, words in ((0.25, "less than a quarter"), (0.5, "a quarter to a half")):
        if share < bound:
            return words
    return "half or more"


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
