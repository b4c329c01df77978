"""Sentences about what effects survive: trends that differ, false dates, outcomes out of reach."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from calaim_eval.report.figures.panels import HEADLINE_OUTCOMES
from calaim_eval.report.labels import OUTCOMES, ordered, outcome_label
from calaim_eval.report.numbers import number, plural
from calaim_eval.report.phrases import NOT_SHOWN
from calaim_eval.report.release_items import Absent, find_item
from calaim_eval.results import ALL

if TYPE_CHECKING:
    import pandas as pd

    from calaim_eval.disclosure import Released


def first_months_words(meta: Mapping[str, object]) -> str:
    """``the first 6 months from the first service on``, as the released table says."""
    last = _option(meta, "max_event_time")
    since = "from the first service on"
    return f"the first {last + 1} months {since}" if last is not None else f"the months {since}"


def step_words(meta: Mapping[str, object]) -> str:
    """``from one quarter to the next``: the step that bounds are about."""
    months = _option(meta, "months_per_period") or 1
    name = {1: "month", 3: "quarter"}.get(months, f"period of {months} months")
    return f"from one {name} to the next"


def _option(meta: Mapping[str, object], name: str) -> int | None:
    """A whole number among the options of the method."""
    options = meta.get("options")
    value = str(options.get(name, "")) if isinstance(options, Mapping) else ""
    return int(value) if value.isdigit() else None


def headline_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of all members for the headline outcomes, or for all where none of those is there."""
    rows = frame[frame["race_ethnicity"] == ALL]
    chosen = rows[rows["outcome"].isin(HEADLINE_OUTCOMES)]
    return chosen if len(chosen) else rows


def trends_sentences(released: Released) -> str:
    """For each headline outcome, how far trends may differ before the sign of its effect is lost.

    Parameters
    ----------
    released : Released
        Uses the rows of all members in `effect_bounds`.

    Returns
    -------
    str
        A Markdown list, one sentence an outcome.
    """
    found = find_item(released, "effect_bounds")
    if isinstance(found, Absent):
        return found.words
    rows = headline_rows(found.frame)
    lines = [
        f"- {outcome_label(outcome)}: {_survival(rows[rows['outcome'] == outcome], found.meta)}."
        for outcome in ordered(rows["outcome"], order=tuple(OUTCOMES))
    ]
    return "\n".join(lines)


def _survival(rows: pd.DataFrame, meta: Mapping[str, object]) -> str:
    """What of one outcome survives, without the final stop."""
    row = rows.iloc[rows["bound"].astype(float).argmin()]
    if row["is_suppressed"]:
        return NOT_SHOWN
    if not math.isfinite(row["conf_low"]) or "breakdown" not in rows:
        return "could not be tested"
    if math.isnan(row["breakdown"]):
        return "no clear effect even if trends are parallel; if they differ, less is ruled out"
    side = "below" if row["conf_high"] < 0 else "above"
    clear = f"clearly {side} zero if trends are parallel"
    if math.isinf(row["breakdown"]):
        return f"{clear}, and however much they differ"
    return (
        f"{clear}, and as long as they differ {step_words(meta)} by no more than "
        f"{times_words(row['breakdown'])} their largest such difference before"
    )


def times_words(value: float) -> str:
    """``0.12 times``, ``1.3 times``, ``12 times``."""
    if value >= 10:
        return f"{number(value)} times"
    return f"{number(value, decimals=2 if value < 1 else 1)} times"


def leaves_out_zero(frame: pd.DataFrame) -> pd.Series:
    """Rows whose interval excludes 0."""
    return (frame["conf_low"] > 0) | (frame["conf_high"] < 0)


def false_dates_sentence(released: Released) -> str:
    """How many estimates at false dates are away from 0, and how many would be by chance.

    Parameters
    ----------
    released : Released
        Uses the rows of all members in `placebo_dates`.

    Returns
    -------
    str
    """
    found = find_item(released, "placebo_dates")
    if isinstance(found, Absent):
        return found.words
    rows = found.frame[found.frame["race_ethnicity"] == ALL]
    shown = rows[rows["conf_low"].notna()]
    if shown.empty:
        return "No estimate at a false date is shown."
    n_away = int(leaves_out_zero(shown).sum())
    verb = "has an interval that leaves" if n_away == 1 else "have intervals that leave"
    return (
        f"Of {plural(len(shown), 'estimate')} at false dates for all members, "
        f"{n_away or 'none'} {verb} out zero; chance alone gives about one in twenty. Estimates "
        "away from zero speak against the comparison; estimates near zero do not prove it."
    )
