"""Marshall's empirical Bayes rates: counts of small groups pulled toward the rate of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calaim_eval.errors import EstimationError

REFERENCE = (
    "Marshall RJ (1991). Mapping disease and mortality rates using empirical Bayes estimators. "
    "J R Stat Soc C 40(2):283-294. doi:10.2307/2347593"
)


@dataclass(frozen=True, slots=True, eq=False)
class MarshallRates:
    """Rates per unit of the denominator; k groups.

    Attributes
    ----------
    estimate, variance, weight : np.ndarray
        Shape (k,). The variance is the posterior one given `mean` and `between`.
    mean, between : float
        Rate of all groups together, and variance between groups; 0 or more.
    """

    estimate: np.ndarray
    variance: np.ndarray
    weight: np.ndarray
    mean: float
    between: float


def marshall_rates(events: npt.ArrayLike, denominator: npt.ArrayLike) -> MarshallRates:
    r"""Shrink rates of independent events toward the rate of all groups.

    Parameters
    ----------
    events, denominator : array-like
        Shape (k,); denominators above 0.

    Notes
    -----
    With :math:`m = \sum O / \sum n`, :math:`s^2 = \sum n (r - m)^2 / \sum n` and
    :math:`A = \max(0, s^2 - m / \bar n)` the weight is :math:`A / (A + m / n_i)`. This is the mean
    of a gamma posterior, whose variance is :math:`w_i \tilde r_i / n_i`.

    Examples
    --------
    >>> marshall_rates([8, 0, 4], [100, 50, 100]).weight.round(3)
    array([0.4 , 0.25, 0.4 ])
    """
    o, n = np.asarray(events, dtype=float), np.asarray(denominator, dtype=float)
    if (o < 0).any() or not (n > 0).all() or not o.sum() > 0:
        raise EstimationError(
            f"marshall_rates: {int((o < 0).sum())} of {o.size} counts are negative, "
            f"{int((~(n > 0)).sum())} denominators are not above 0, {o.sum():.0f} events in all; "
            "it needs counts of 0 or more, denominators above 0, and an event."
        )
    rate, mean = o / n, o.sum() / n.sum()
    between = float(np.sum(n * (rate - mean) ** 2) / n.sum() - mean / n.mean())
    between = max(0.0, between)
    weight = between / (between + mean / n)
    estimate = mean + weight * (rate - mean)
    return MarshallRates(estimate, weight * estimate / n, weight, float(mean), between)
