"""Bands that cover a whole event study at once."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable

DRAWS = 200_000


def simultaneous_bands(
    table: EffectTable, *, rng: np.random.Generator, conf_level: float = 0.95
) -> pd.DataFrame:
    r"""Tidy table with bands that cover all its effects at once (sup-t).

    Use for an event study: pointwise intervals say too often that some month differs from 0.

    Parameters
    ----------
    table : EffectTable
        All rows with a standard error enter; `select` the rows a statement is about first.
    rng : np.random.Generator
        Source of the draws; a fixed seed gives the same bands.
    conf_level : float

    Returns
    -------
    pd.DataFrame
        ``table.to_frame(conf_level)`` with ``simultaneous_low``, ``simultaneous_high`` and the
        ``critical_value`` they use; NaN where there is no standard error. It is one value, but for
        rows with different degrees of freedom, and never below that of the pointwise interval.

    Raises
    ------
    EstimationError
        No row has a standard error, or a covariance between rows is unknown.

    Notes
    -----
    The critical value is the `conf_level` quantile of :math:`\max_k |Z_k|` with Z multivariate
    normal with the correlation of the estimates [1]_. Where the table has ``degrees``, multivariate
    t: Z over :math:`\sqrt{\chi^2_\nu / \nu}`, one draw of the chi-square for all rows with the same
    degrees, independent ones between different degrees (wider than if they go together). Rows of
    different degrees share the pointwise level of their intervals, not the critical value.

    References
    ----------
    .. [1] Montiel Olea JL, Plagborg-Moller M (2019). Simultaneous confidence bands. Journal of
       Applied Econometrics 34(1):1-17. doi:10.1002/jae.2656
    """
    if not 0 < conf_level < 1:
        raise EstimationError(f"conf_level: {conf_level} is not between 0 and 1.")
    std_error = table.std_error
    known = np.flatnonzero(np.isfinite(std_error))
    if not known.size:
        raise EstimationError("simultaneous_bands: no row of this table has a standard error.")
    covariance = table.covariance[np.ix_(known, known)]
    if np.isnan(covariance).any():
        raise EstimationError(
            "simultaneous_bands: covariances between some rows are unknown (stacked tables). "
            "Take the bands of each table before stacking."
        )
    correlation = covariance / np.outer(std_error[known], std_error[known])
    degrees = np.full(len(table), np.nan) if table.degrees is None else table.degrees
    critical = np.full(len(table), np.nan)
    critical[known] = _sup_t(correlation, degrees[known], conf_level, rng)
    frame = table.to_frame(conf_level)
    if table.estimand.scale == "ratio":
        reach = np.exp(critical * std_error / table.estimate)
        low, high = table.estimate / reach, table.estimate * reach
    else:
        low, high = table.estimate - critical * std_error, table.estimate + critical * std_error
    return frame.assign(
        simultaneous_low=low,
        simultaneous_high=high,
        critical_value=critical,
    )


def _sup_t(
    correlation: np.ndarray, degrees: np.ndarray, conf_level: float, rng: np.random.Generator
) -> np.ndarray:
    """Critical value of each row: quantile of the largest absolute coordinate; shape (k,).

    NaN degrees are normal. Coordinates of different degrees are compared by their p-values.
    """
    kinds, of_kind = np.unique(degrees, return_inverse=True)
    largest = _largest(correlation, kinds, of_kind, rng)
    if len(kinds) == 1:
        critical = np.array([np.quantile(largest, conf_level)])
    else:
        tails = np.stack([_tail(x, df) for x, df in zip(largest, kinds, strict=True)])
        share = np.quantile(tails.min(axis=0), 1 - conf_level)
        critical = np.array([_quantile(share, df) for df in kinds])
    pointwise = np.array([_quantile((1 - conf_level) / 2, df) for df in kinds])
    return np.asarray(np.maximum(critical, pointwise)[of_kind])


def _largest(
    correlation: np.ndarray, kinds: np.ndarray, of_kind: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Draws of the largest absolute coordinate among the rows of each degrees; (kinds, DRAWS)."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    blocks = []
    step = max(1, 4_000_000 // len(values))
    for start in range(0, DRAWS, step):
        n_draws = min(step, DRAWS - start)
        draws = np.abs(rng.standard_normal((n_draws, len(values))) @ root.T)
        own = np.stack([draws[:, of_kind == i].max(axis=1) for i in range(len(kinds))])
        for i, df in enumerate(kinds):
            if not np.isnan(df):
                own[i] /= np.sqrt(rng.chisquare(df, n_draws) / df)
        blocks.append(own)
    return np.concatenate(blocks, axis=1)


def _tail(value: np.ndarray, df: float) -> np.ndarray:
    """Share of Student's t above a value; of the normal where `df` is NaN."""
    return np.asarray(special.ndtr(-value) if np.isnan(df) else special.stdtr(df, -value))


def _quantile(share: float, df: float) -> float:
    """Value with a share of Student's t above it; of the normal where `df` is NaN."""
    return -float(special.ndtri(share) if np.isnan(df) else special.stdtrit(df, share))
