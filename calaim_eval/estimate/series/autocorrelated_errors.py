"""First-order autocorrelated errors of a series: their correlation by REML, and whitening."""

from __future__ import annotations

from typing import Literal

import numpy as np

Errors = Literal["independent", "ar1"]
FURTHEST = 0.99


def whitened(values: np.ndarray, gaps: np.ndarray, rho: float) -> np.ndarray:
    r"""Rows less what the row before says of them, scaled to the variance of the errors.

    Parameters
    ----------
    values : np.ndarray
        Shape (n, k), in the order of time.
    gaps : np.ndarray
        Months between each row and the one before; shape (n - 1,).
    rho : float
        Correlation of errors one month apart; :math:`\rho^g` over g months.

    Returns
    -------
    np.ndarray
        :math:`(v_i - \rho^{g_i} v_{i-1}) / \sqrt{1 - \rho^{2 g_i}}`; the first row as it is;
        shape (n, k). Errors with unit variance and this correlation become independent.
    """
    link = np.sign(rho) ** gaps * np.abs(rho) ** gaps
    apart = np.sqrt(1 - link**2)[:, None]
    return np.vstack([values[:1], (values[1:] - link[:, None] * values[:-1]) / apart])


def reml_correlation(y: np.ndarray, x: np.ndarray, gaps: np.ndarray) -> float:
    r"""Correlation that maximizes the restricted likelihood of AR(1) errors around ``x b``.

    The maximum of :math:`-\tfrac12 [(n-k) \log s^2 + \log |V| + \log |X' V^{-1} X|]` over
    :math:`|\rho| \le 0.99`. Restricted, because maximum likelihood and the residuals' own
    autocorrelation are too small in short series.

    Parameters
    ----------
    y, x : np.ndarray
        Shapes (n,) and (n, k).
    gaps : np.ndarray
        As in `whitened`; shape (n - 1,).
    """
    from scipy.optimize import minimize_scalar

    both = np.column_stack([x, y])

    def loss(rho: float) -> float:
        white = whitened(both, gaps, rho)
        factor = np.asarray(np.linalg.qr(white, mode="r"))
        size = x.shape[1]
        residual = factor[size, size] ** 2
        if residual <= 0:
            return np.inf
        information = 2 * np.log(np.abs(np.diag(factor)[:size])).sum()
        spread = np.log1p(-(np.abs(rho) ** (2 * gaps))).sum()
        return float((len(y) - size) * np.log(residual) + spread + information)

    # The likelihood may have a second hump near 1: look everywhere before going downhill.
    grid = np.linspace(-FURTHEST, FURTHEST, 67)
    best = int(np.argmin([loss(rho) for rho in grid]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-10})
    return float(found.x)
