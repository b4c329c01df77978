"""Where a series is broken, and whether it is long enough to say anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.series.monthly_series import SeriesPanel, month_ordinal
from calaim_eval.estimate.series.seasonality import Seasonality
from calaim_eval.estimate.series.segmented_fit import Change, Segments, segments
from calaim_eval.estimate.words import period_words
from calaim_eval.moments.periods import index_frequency, index_ordinals

MIN_MONTHS, MIN_MONTHS_SEASONAL, FEWEST = 8, 12, 3
"""Months each segment must hold: by default, with seasonal terms, and at the very least."""


def series_design(
    panel: SeriesPanel,
    breaks: Sequence[object],
    phase_in_months: int,
    left_out_months: Sequence[object],
    season: tuple[np.ndarray, list[str]],
    change: Change,
) -> Segments:
    """Design matrix, after checking the breaks."""
    axis, frequency = index_ordinals(panel.months), index_frequency(panel.months)
    first, last = panel.months[0], panel.months[-1]
    if len(axis) <= 2:
        raise DesignError(
            f"{len(axis)} time points are no time series: level, slope and their changes cannot be "
            "told apart. Give monthly data, or use group_time_att or pre_post."
        )
    ordinals = [month_ordinal(b, frequency, name="break_month") for b in breaks]
    begins = [b + phase_in_months for b in ordinals]
    if not all(axis[0] < b and e <= axis[-1] for b, e in zip(ordinals, begins, strict=True)):
        raise DesignError(
            f"the breaks {', '.join(period_words(b, panel.months) for b in ordinals)} (phase-in "
            f"{phase_in_months}) must lie after {first} and leave months up to {last}."
        )
    if len(ordinals) == 2 and ordinals[1] <= begins[0]:
        raise DesignError(
            f"the second break, {period_words(ordinals[1], panel.months)}, must come after the "
            f"first and its {phase_in_months} months of phase-in."
        )
    out = [month_ordinal(m, frequency, name="left_out_months") for m in left_out_months]
    outside = int((~np.isin(out, axis)).sum())
    if outside:
        raise EstimationError(
            f"left_out_months: {outside} of {len(out)} are outside the series, {first} to {last}."
        )
    return segments(
        axis,
        ordinals,
        phase_in_months=phase_in_months,
        left_out=np.isin(axis, out),
        seasonal=season[0],
        seasonal_names=season[1],
        change=change,
    )


def require_months(panel: SeriesPanel, design: Segments, least: int) -> None:
    """Refuse segments with too few months, saying which."""
    edges = [design.axis[0], *design.breaks, design.axis[-1] + 1]
    names = ["before the break", "after the break"]
    if len(design.breaks) == 2:
        names = ["before the first break", "between the breaks", "after the second break"]
    short = []
    for each in panel.series:
        used = design.used & ~np.isnan(each.rate)
        for name, begin, end in zip(names, edges[:-1], edges[1:], strict=True):
            months = int((used & (design.axis >= begin) & (design.axis < end)).sum())
            if months < least:
                short.append(f"{each.words()}: {months} {name}")
    if short:
        more = f" and {len(short) - 3} more" if len(short) > 3 else ""
        raise DesignError(
            f"too few months for an interrupted time series, {least} are needed in every segment "
            f"({'; '.join(short[:3])}{more}). Give a longer series or a shorter phase-in; "
            f"min_months lowers the limit, to {FEWEST} at the least."
        )


def least_months(
    min_months: int | None, seasonality: Seasonality, season_length: int | None, months: pd.Index
) -> int:
    """Months every segment must hold."""
    if min_months is not None:
        return min_months
    if seasonality == "none":
        return MIN_MONTHS
    quarters = index_frequency(months).startswith("Q")
    return max(MIN_MONTHS if quarters else MIN_MONTHS_SEASONAL, season_length or 0)


def wanted_months(
    design: Segments, months_after: Sequence[int] | None, months: pd.Index
) -> tuple[tuple[int, ...], ...]:
    """Months after each break at which its effect is wanted."""
    ends = [*(design.breaks[1:] - 1), design.axis[-1]]
    furthest = [int(end - first) for first, end in zip(design.breaks, ends, strict=True)]
    if months_after is None:
        return tuple((last,) for last in furthest)
    earliest = int(design.begins[0] - design.breaks[0])
    outside = [k for k in months_after if not earliest <= k <= max(furthest)]
    if outside or not len(months_after):
        raise EstimationError(
            f"months_after: {outside or 'empty'}; give months between {earliest} (after phase-in) "
            f"and {max(furthest)}: the last observed is {months[-1]}, and lines are not drawn on."
        )
    return tuple(tuple(k for k in dict.fromkeys(months_after) if k <= last) for last in furthest)
