"""Whether the residuals of a series follow one another: Durbin-Watson, Ljung-Box, ACF."""

from __future__ import annotations

import numpy as np
from scipy import special

LONGEST_LAG = 12


def autocorrelation(residuals: np.ndarray, lags: int) -> np.ndarray:
    r"""Autocorrelation at lags 1 to `lags`: :math:`\sum e_t e_{t-l} / \sum e_t^2`; shape (lags,).

    `residuals` has shape (T,), NaN in months that do not enter: pairs with one are left out.
    """
    e = np.nan_to_num(residuals)
    products = np.array([e[lag:] @ e[:-lag] for lag in range(1, lags + 1)])
    return np.asarray(products / (float(e @ e) or np.nan))


def durbin_watson(residuals: np.ndarray) -> float:
    r""":math:`\sum (e_t - e_{t-1})^2 / \sum e_t^2` over months that follow one another."""
    changes = np.diff(residuals)
    return float(np.nansum(changes**2) / (float(np.nansum(residuals**2)) or np.nan))


def ljung_box(residuals: np.ndarray, lags: int) -> tuple[float, float]:
    r"""Ljung-Box statistic :math:`n(n+2) \sum_l r_l^2 / (n-l)` and its p-value on `lags` degrees.

    Residuals of a regression have fewer degrees of freedom than the data, so the p-value is
    approximate.
    """
    n = int((~np.isnan(residuals)).sum())
    r = autocorrelation(residuals, lags)
    statistic = float(n * (n + 2) * (r**2 / (n - np.arange(1, lags + 1))).sum())
    return statistic, float(special.chdtrc(lags, statistic))


def diagnostic_lags(n_months: int) -> int:
    """Lags looked at: a fifth of the months, 12 at most."""
    return max(1, min(LONGEST_LAG, n_months // 5))
