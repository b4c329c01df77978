r"""Reliability of a scale from the covariance of its items: alpha, lambda 6, mean correlation.

Every function takes a covariance matrix of items, high answers meaning much of the scale.

References
----------
.. [1] Cronbach LJ (1951). Psychometrika 16:297-334. doi:10.1007/BF02310555
.. [2] Guttman L (1945). Psychometrika 10:255-282. doi:10.1007/BF02288892
"""

from __future__ import annotations

import numpy as np
from scipy import special

from calaim_eval.errors import EstimationError

_DEPENDENT = 1e-10


def cronbach_alpha(covariance: np.ndarray) -> float:
    r"""Cronbach's alpha: :math:`\frac{k}{k-1}\{1 - \operatorname{tr}(S)/\mathbf 1'S\mathbf 1\}`.

    Parameters
    ----------
    covariance : np.ndarray
        Items; shape (k, k), k >= 2. A correlation matrix gives the standardized alpha.

    Returns
    -------
    float
        1 is without error; below 0 where items are negatively related: one is not reversed.
    """
    k = len(covariance)
    return float(k / (k - 1) * (1 - np.trace(covariance) / covariance.sum()))


def mean_correlation(covariance: np.ndarray) -> float:
    """Mean correlation between two items."""
    r = correlation(covariance)
    k = len(r)
    return float((r.sum() - k) / (k * (k - 1)))


def guttman_lambda_6(covariance: np.ndarray) -> float:
    r"""Guttman's lambda 6: :math:`1 - \sum_i (1 - R_i^2) / \mathbf 1'R\mathbf 1` [2]_.

    :math:`R_i^2` is the share of item i that the other items explain; standardized items. NaN
    where items are linearly dependent, as they are with as few respondents as items.
    """
    r = correlation(covariance)
    if np.linalg.eigvalsh(r)[0] < _DEPENDENT:
        return float("nan")
    return float(1 - (1 / np.diag(np.linalg.inv(r))).sum() / r.sum())


def item_rest_correlations(covariance: np.ndarray) -> np.ndarray:
    """Correlation of each item with the sum of the others; shape (k,)."""
    own = np.diag(covariance)
    with_rest = covariance.sum(axis=1) - own
    rest = covariance.sum() - 2 * covariance.sum(axis=1) + own
    return np.asarray(with_rest / np.sqrt(own * rest))


def correlation(covariance: np.ndarray) -> np.ndarray:
    """Correlation matrix of a covariance matrix."""
    scale = np.sqrt(np.diag(covariance))
    return np.asarray(covariance / np.outer(scale, scale))


def feldt_interval(
    alpha: float, *, n_respondents: int, n_items: int, conf_level: float = 0.95
) -> tuple[float, float]:
    r"""Feldt's interval of alpha, respondents independent and items normal.

    Parameters
    ----------
    alpha : float
    n_respondents, n_items : int
        At least 2 each.
    conf_level : float

    Returns
    -------
    (low, high) : float

    Notes
    -----
    :math:`1 - (1 - \hat\alpha) F_{1 \mp c}` with :math:`n - 1` and :math:`(n-1)(k-1)` degrees of
    freedom [1]_. Respondents of one organization are alike: then the interval is too narrow, and
    the standard error of `scale_reliability`, clustered by organization, is the one to use.

    References
    ----------
    .. [1] Feldt LS (1965). Psychometrika 30:357-370. doi:10.1007/BF02289499

    Examples
    --------
    >>> low, high = feldt_interval(0.8, n_respondents=100, n_items=5)
    >>> round(low, 3), round(high, 3)
    (0.731, 0.856)
    """
    if n_respondents < 2 or n_items < 2:
        raise EstimationError(
            f"feldt_interval: {n_respondents} respondents and {n_items} items; at least 2 each."
        )
    tail = (1 - conf_level) / 2
    first = n_respondents - 1
    second = first * (n_items - 1)
    high_f = special.fdtri(first, second, 1 - tail)
    low_f = special.fdtri(first, second, tail)
    return float(1 - (1 - alpha) * high_f), float(1 - (1 - alpha) * low_f)


def pairwise_covariance(items: np.ndarray) -> np.ndarray:
    """Covariance of each two items over the respondents who answered both; shape (k, k)."""
    known = np.isfinite(items)
    filled = np.where(known, items, 0.0)
    n = known.T.astype(float) @ known
    sums = filled.T @ known
    with np.errstate(invalid="ignore", divide="ignore"):
        products = filled.T @ filled - sums * sums.T / n
        covariance: np.ndarray = np.where(n > 1, products / (n - 1), np.nan)
    return covariance
