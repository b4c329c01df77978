"""Where a measure cannot be known, and why: absent tables, codes nobody sends, ends of data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from calaim_eval.panel.calendar import day_of
from calaim_eval.panel.data_facts import DataFacts
from calaim_eval.panel.measure import Measure
from calaim_eval.panel.rules import PanelRules
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables import Tables

FEEDS = ("custody", "ems_call", "police_contact")
"""Feeds from outside the claims: `feed_coverage` may say where and when each reaches."""


@dataclass(frozen=True)
class Gap:
    """Months in which a measure cannot be known.

    Attributes
    ----------
    months : pd.PeriodIndex
    reason : str
        Why, for a note.
    """

    months: pd.PeriodIndex
    reason: str


def measure_gaps(
    tables: Tables,
    facts: DataFacts,
    months: pd.PeriodIndex,
    rules: PanelRules,
    measures: Iterable[Measure],
) -> dict[str, Gap]:
    """Gaps of the measures that have any, by name."""
    gaps = {}
    for measure in measures:
        reason = _absent(measure, tables) or _untold(measure, facts, rules)
        gap = Gap(months, reason) if reason else _partly(measure, facts, months, rules)
        if not gap.months.empty:
            gaps[measure.name] = gap
    return gaps


def unobserved_months(
    tables: Tables,
    facts: DataFacts,
    months: pd.PeriodIndex,
    rules: PanelRules,
    measures: Iterable[Measure],
) -> dict[str, pd.PeriodIndex]:
    """Months in which a measure cannot be known, for the measures that have any."""
    gaps = measure_gaps(tables, facts, months, rules, measures)
    return {name: gap.months for name, gap in gaps.items()}


def _absent(measure: Measure, tables: Tables) -> str:
    """Why the input tables do not tell the measure; empty where they do."""
    if not any(tables.has(name) for name in measure.needs):
        return "no " + " and no ".join(f"`{name}`" for name in measure.needs)
    lacking = [name for name in measure.needs_all if not tables.has(name)]
    if not lacking:
        return ""
    source = TABLES[lacking[0]].source
    return f"no `{lacking[0]}`, a table for you to fill" + (f" ({source})" if source else "")


def _untold(measure: Measure, facts: DataFacts, rules: PanelRules) -> str:
    """Why the claims that are there do not tell the measure; empty where they do."""
    if measure.needs_codes and not set(measure.needs_codes) & set(facts.coded_columns):
        listed = " or ".join(f"`{column}`" for column in measure.needs_codes)
        return f"no claim carries a {listed}"
    return "" if measure.untold is None else measure.untold(facts, rules)


def _partly(measure: Measure, facts: DataFacts, months: pd.PeriodIndex, rules: PanelRules) -> Gap:
    """Months at the ends of the window or the data in which a measure cannot be known."""
    hidden, reasons = months[:0], []
    if measure.follow_up_days is not None:
        days = measure.follow_up_days(rules)
        hidden = censored_months(months, facts.claims_end_day, days)
        if not hidden.empty:
            reasons.append(f"the claims end before {days} days of follow-up")
    if measure.unknown_months is not None:
        unknown = measure.unknown_months(rules, months)
        if not unknown.empty:
            hidden = hidden.union(unknown)
            reasons.append("the window does not hold the covered months that the rules ask for")
    return Gap(hidden, ", and ".join(reasons))


def censored_months(
    months: pd.PeriodIndex, claims_end_day: int | None, follow_up_days: int
) -> pd.PeriodIndex:
    """Months whose events cannot all be followed for so many days before the claims end."""
    if claims_end_day is None:
        return months[:0]
    last_days = [day_of(month.end_time) for month in months]
    return months[[day + follow_up_days > claims_end_day for day in last_days]]


def panel_notes(
    gaps: Mapping[str, Gap],
    months: pd.PeriodIndex,
    *,
    unlimited_feeds: Iterable[str] = (),
    further: Iterable[str] = (),
) -> tuple[str, ...]:
    """Gaps in words, measures of one reason together, further notes, what feeds cover."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for name, gap in gaps.items():
        when = "throughout" if len(gap.months) == len(months) else _runs(gap.months)
        grouped.setdefault((when, gap.reason), []).append(f"`{name}`")
    notes = [
        f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} missing {when}: {reason}."
        for (when, reason), names in grouped.items()
    ]
    notes += further
    feeds = [f"`{feed}`" for feed in unlimited_feeds]
    if feeds:
        notes.append(
            f"{', '.join(feeds)}: taken to cover the whole study area and window, since no "
            "`feed_coverage` says where and when the feed reaches."
        )
    return tuple(notes)


def _runs(months: pd.PeriodIndex) -> str:
    """Months as runs: "from 2024-11 to 2024-12"."""
    runs: list[list[pd.Period]] = []
    for month in months.sort_values():
        if runs and month == runs[-1][1] + 1:
            runs[-1][1] = month
        else:
            runs.append([month, month])
    told = [f"in {a}" if a == b else f"from {a} to {b}" for a, b in runs]
    return " and ".join(told)


def unlimited_feeds(tables: Tables, facts: DataFacts) -> list[str]:
    """Feeds that were given and whose reach `feed_coverage` does not say."""
    return [feed for feed in FEEDS if tables.has(feed) and feed not in facts.limited_feeds]
