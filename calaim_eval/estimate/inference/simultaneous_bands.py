"""Bands that cover a whole event study at once."""

from __future__ import annotations

import numpy as np
import pandas as pd

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
        ``critical_value`` they use; NaN where there is no standard error.

    Raises
    ------
    EstimationError
        No row has a standard error, or a covariance between rows is unknown.

    Notes
    -----
    The critical value is the `conf_level` quantile of :math:`\max_k |Z_k|` with Z multivariate
    normal with the correlation of the estimates [1]_.

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
    critical = _sup_t(correlation, conf_level, rng)
    frame = table.to_frame(conf_level)
    if table.estimand.scale == "ratio":
        reach = np.exp(critical * std_error / table.estimate)
        low, high = table.estimate / reach, table.estimate * reach
    else:
        low, high = table.estimate - critical * std_error, table.estimate + critical * std_error
    return frame.assign(
        simultaneous_low=low,
        simultaneous_high=high,
        critical_value=np.where(np.isfinite(std_error), critical, np.nan),
    )


def _sup_t(correlation: np.ndarray, conf_level: float, rng: np.random.Generator) -> float:
    """Quantile of the largest absolute coordinate of a normal vector; float."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    largest = []
    step = max(1, 4_000_000 // len(values))
    for start in range(0, DRAWS, step):
        n_draws = min(step, DRAWS - start)
        draws = rng.standard_normal((n_draws, len(values)))
        largest.append(np.abs(draws @ root.T).max(axis=1))
    return float(np.quantile(np.concatenate(largest), conf_level))
