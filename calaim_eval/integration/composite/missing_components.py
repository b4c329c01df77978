"""Ranks that units without a component could have, had it been measured."""

from __future__ import annotations

import numpy as np


def ranks_whatever_is_missing(
    values: np.ndarray, weights: np.ndarray, how: str
) -> tuple[np.ndarray, np.ndarray]:
    r"""Best and worst rank of each unit over all values the missing components could have.

    A missing component may lie anywhere between the worst and the best that was measured (with
    ranks: in any place). With :math:`[d^-_{uv}, d^+_{uv}]` holding every difference of the index
    between two units, normalized with what was missing, a unit's rank is from
    :math:`1 + \#\{v: d^+_{uv} < 0\}` to :math:`1 + \#\{v: d^-_{uv} < 0\}`. Under ``"min_max"`` it
    can have both; under ``"z"`` and ``"rank"``, where a value more moves all others, the range may
    be wider than need be, never narrower.

    Parameters
    ----------
    values : np.ndarray
        High is good, NaN where missing, in each column some value; shape (n, k).
    weights : np.ndarray
        Shape (k,), together 1.
    how : {"min_max", "z", "rank"}

    Returns
    -------
    tuple of np.ndarray
        Shape (n,) each; equal where nothing is missing.
    """
    differences = {"min_max": _of_widths, "z": _of_deviations, "rank": _of_places}[how]
    n = len(values)
    least, most = np.zeros((n, n)), np.zeros((n, n))
    for column, weight in zip(values.T, weights, strict=True):
        low, high = differences(column)
        least += weight * low
        most += weight * high
    others = ~np.eye(n, dtype=bool)
    best = 1 + ((np.round(most, 12) < 0) & others).sum(axis=1)
    worst = 1 + ((np.round(least, 12) < 0) & others).sum(axis=1)
    return best, worst


def _raw(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest difference of the first unit less the second; shape (n, n) each."""
    is_missing = np.isnan(column)
    low = np.where(is_missing, np.nanmin(column), column)
    high = np.where(is_missing, np.nanmax(column), column)
    return low[:, None] - high[None, :], high[:, None] - low[None, :]


def _of_widths(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences in shares of the width, which nothing missing can change."""
    low, high = _raw(column)
    width = np.nanmax(column) - np.nanmin(column) or 1.0
    return low / width, high / width


def _of_deviations(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences in standard deviations, the least and the greatest these could be."""
    low, high = _raw(column)
    known = column[np.isfinite(column)]
    n_missing = len(column) - len(known)
    ends = (known.min(), known.max())
    # The variance is convex in what is missing: least at the mean, greatest at some of the ends.
    tried = [np.r_[known, np.full(n_missing, known.mean())]]
    tried += [
        np.r_[known, np.full(above, ends[1]), np.full(n_missing - above, ends[0])]
        for above in range(n_missing + 1)
    ]
    spread = [float(np.std(each, ddof=1)) or 1.0 for each in tried]
    small, large = spread[0], max(spread)
    return (
        np.where(low > 0, low / large, low / small),
        np.where(high > 0, high / small, high / large),
    )


def _of_places(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Differences in the share of other units below, ties halved."""
    from scipy import stats

    is_known = np.isfinite(column)
    n_missing, n_others = int((~is_known).sum()), max(len(column) - 1, 1)
    below = np.where(is_known, stats.rankdata(column, nan_policy="omit") - 1, 0.0)
    # What is missing may lie between two known values, and so pull them apart, or outside of both.
    high = below[:, None] - below[None, :] + n_missing * (column[:, None] > column[None, :])
    first, second = ~is_known[:, None], ~is_known[None, :]
    high = np.where(first & ~second, n_others - below[None, :], high)
    high = np.where(~first & second, below[:, None] + n_missing, high)
    high = np.where(first & second, n_others, high) / n_others
    return -high.T, high
