"""Sets and intervals of rates and gaps whose ends are extremes over who belongs to a group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from calaim_eval.equity.assignment_bounds import (
    ExtremeRate,
    MemberPatterns,
    bound_quantile,
)
from calaim_eval.results import Scale
from calaim_eval.results.intervals import dobson_interval, wilson_interval

Sides = tuple[MemberPatterns, MemberPatterns, MemberPatterns]
"""Members of the group, of the reference, and without a record."""


@dataclass(frozen=True, slots=True)
class RateEnds:
    """Lowest and highest rate of a group."""

    low: ExtremeRate
    high: ExtremeRate


def restricted_ends(ends: RateEnds, reported: RateEnds, restriction: str) -> RateEnds:
    """The ends a restriction leaves: one of them at the recorded rate, or none."""
    if restriction == "missing_no_lower":
        return RateEnds(reported.low, ends.high)
    if restriction == "missing_no_higher":
        return RateEnds(ends.low, reported.high)
    return ends


def level_limits(
    ends: RateEnds,
    group: MemberPatterns,
    pool: MemberPatterns,
    *,
    per: float,
    kind: str,
    level: float,
) -> tuple[float, float, float, float]:
    """Set and interval of one rate."""
    errors = [
        np.sqrt(_error(end.own, group.n) + _error(end.others, pool.n))
        for end in (ends.low, ends.high)
    ]
    c = bound_quantile(ends.high.rate - ends.low.rate, max(errors), level)
    outer = [
        _rate_limits(end, error, c, kind)[side]
        for side, (end, error) in enumerate(zip((ends.low, ends.high), errors, strict=True))
    ]
    return per * ends.low.rate, per * ends.high.rate, per * outer[0], per * outer[1]


def gap_limits(
    own: RateEnds,
    base: RateEnds,
    sides: Sides,
    *,
    per: float,
    scale: Scale,
    level: float,
) -> tuple[float, float, float, float]:
    """Set and interval of a gap: the group at one end, the reference at the other."""
    ends = ((own.low, base.high), (own.high, base.low))
    if scale == "difference":
        values = [per * (top.rate - bottom.rate) for top, bottom in ends]
        errors = [per * _gap_error(top, bottom, sides, (1.0, 1.0)) for top, bottom in ends]
        c = bound_quantile(values[1] - values[0], float(np.max(errors)), level)
        return values[0], values[1], values[0] - c * errors[0], values[1] + c * errors[1]
    if not min(own.high.rate, base.high.rate) > 0:
        return np.nan, np.nan, np.nan, np.nan
    values = [top.rate / bottom.rate if bottom.rate > 0 else np.inf for top, bottom in ends]
    # An end at 0 or without limit has no error of its own: the interval ends there too.
    errors = [
        _gap_error(top, bottom, sides, (1 / top.rate, 1 / bottom.rate))
        if 0 < value < np.inf
        else 0.0
        for value, (top, bottom) in zip(values, ends, strict=True)
    ]
    width = float(np.log(values[1] / values[0])) if values[0] > 0 and values[1] < np.inf else np.inf
    c = bound_quantile(width, float(np.max(errors)), level)
    return (
        values[0],
        values[1],
        values[0] * np.exp(-c * errors[0]),
        values[1] * np.exp(c * errors[1]),
    )


def _rate_limits(end: ExtremeRate, error: float, c: float, kind: str) -> tuple[float, float]:
    """Interval of one end: Wilson's form for proportions, Dobson's for rates."""
    if kind == "proportion":
        p = end.rate
        n = p * (1 - p) / error**2 if error > 0 and 0 < p < 1 else end.time
        low, high = wilson_interval(p * n, n, quantile=c)
    elif end.events % 1 == 0:
        level = float(2 * special.ndtr(c) - 1)
        low, high = dobson_interval(
            end.events, variance=(error * end.time) ** 2, count=end.events, conf_level=level
        )
        low, high = low / end.time, high / end.time
    else:
        low, high = (end.rate * np.exp(sign * c * error / end.rate) for sign in (-1, 1))
    return float(low), float(high)


def _gap_error(
    top: ExtremeRate,
    bottom: ExtremeRate,
    sides: Sides,
    loads: tuple[float, float],
) -> float:
    """Standard error of ``loads[0] * top - loads[1] * bottom``, members without a group shared."""
    a, b = loads
    own = a**2 * _error(top.own, sides[0].n), b**2 * _error(bottom.own, sides[1].n)
    # No event, or everybody has one: no spread to judge the group by.
    if not min(own) > 0:
        return np.nan
    return float(np.sqrt(sum(own) + _error(a * top.others - b * bottom.others, sides[2].n)))


def _error(own: np.ndarray, n: np.ndarray) -> float:
    """Sum of squared influences over members."""
    return float(own**2 @ n)
