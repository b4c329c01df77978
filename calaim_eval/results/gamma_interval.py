"""Gamma interval of a weighted sum of counts (Fay and Feuer)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from calaim_eval.errors import EstimationError
from calaim_eval.results.intervals import Bounds


def fay_feuer_interval(
    total: npt.ArrayLike,
    *,
    variance: npt.ArrayLike,
    largest_weight: npt.ArrayLike,
    conf_level: float = 0.95,
) -> Bounds:
    r"""Gamma interval of a directly standardized rate; wide where few events carry much weight.

    Use for standardized rates of small groups: it covers at least its level, at the price of width
    where weights differ much. With equal weights it is the exact Poisson interval.

    Parameters
    ----------
    total : array-like
        Weighted sum of counts; shape (k,) or scalar, 0 or more.
    variance : array-like
        Its variance, in its unit squared.
    largest_weight : array-like
        Largest weight one event can have, in the unit of `total`.
    conf_level : float

    Returns
    -------
    (low, high) : np.ndarray
        In the unit of `total`; the low bound of 0 is 0.

    Notes
    -----
    With :math:`T`, its variance :math:`v` and the largest weight :math:`w`: quantiles of gamma
    distributions with shape :math:`T^2/v`, scale :math:`v/T` (low) and shape
    :math:`(T+w)^2/(v+w^2)`, scale :math:`(v+w^2)/(T+w)` (high).

    References
    ----------
    Fay MP, Feuer EJ (1997). Stat Med 16:791-801.
    doi:10.1002/(SICI)1097-0258(19970415)16:7<791::AID-SIM500>3.0.CO;2-#

    Examples
    --------
    >>> low, high = fay_feuer_interval(5, variance=5, largest_weight=1)
    >>> round(float(low), 4), round(float(high), 4)
    (1.6235, 11.6683)
    """
    if not 0 < conf_level < 1:
        raise EstimationError(f"`conf_level` is {conf_level}; it must lie between 0 and 1.")
    tail = (1 - conf_level) / 2
    t, v, w = (np.asarray(each, dtype=float) for each in (total, variance, largest_weight))
    negative = int(((t < 0) | (v < 0) | (w <= 0)).sum())
    if negative:
        raise EstimationError(
            f"fay_feuer_interval: {negative} of {t.size} rows have a negative total or variance, "
            "or a largest weight that is not positive."
        )
    safe_t, safe_v = np.where(t > 0, t, 1.0), np.where(v > 0, v, 1.0)
    low = special.gammaincinv(safe_t**2 / safe_v, tail) * safe_v / safe_t
    top_t, top_v = t + w, v + w**2
    high = special.gammaincinv(top_t**2 / top_v, 1 - tail) * top_v / top_t
    return np.where((t > 0) & (v > 0), low, np.where(t > 0, t, 0.0)), np.asarray(high)
