"""Intervals of counts, rates and proportions, each under its own name.

Two tools print different intervals as "Byar": the formula here is the one of England's public
health technical guidance [1]_, in which one event gives 0.013 to 5.56.

References
----------
.. [1] Eayres D (2008). Commonly used public health statistics and their confidence intervals.
   Technical Briefing 3, Association of Public Health Observatories.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from calaim_eval.errors import EstimationError

Bounds = tuple[np.ndarray, np.ndarray]


def wilson_interval(
    count: npt.ArrayLike,
    total: npt.ArrayLike,
    *,
    conf_level: float = 0.95,
    quantile: npt.ArrayLike | None = None,
) -> Bounds:
    r"""Wilson score interval of a proportion ``count / total``.

    Use for shares of members: it stays inside 0 to 1 and holds for small counts. `total` may be an
    effective number of trials, not a whole one, with `count` the share of it.

    Parameters
    ----------
    count, total : array-like
        Successes and trials, ``0 <= count <= total``; shape (k,) or scalars.
    conf_level : float
        Coverage, between 0 and 1.
    quantile : array-like, optional
        Quantile to use in place of the normal one, such as Student's where clusters are few;
        scalar or shape (k,).

    Returns
    -------
    (low, high) : np.ndarray
        Proportions; NaN where `total` is 0.

    Notes
    -----
    .. math:: \frac{2x + z^2 \mp z \sqrt{z^2 + 4x(1 - x/n)}}{2(n + z^2)}

    References
    ----------
    Wilson EB (1927). J Am Stat Assoc 22:209-212. doi:10.1080/01621459.1927.10502953

    Examples
    --------
    >>> low, high = wilson_interval(65, 100)
    >>> round(float(low), 4), round(float(high), 4)
    (0.5525, 0.7364)
    """
    z = np.asarray(_quantile(conf_level) if quantile is None else quantile, dtype=float)
    x, n = _numbers(count, "count"), _numbers(total, "total")
    if (x > n).any():
        raise EstimationError(
            f"wilson_interval: {int((x > n).sum())} of {x.size} counts exceed their total; a "
            "proportion needs count <= total."
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        half = z * np.sqrt(z**2 + 4 * x * (1 - x / n))
        low = np.clip((2 * x + z**2 - half) / (2 * (n + z**2)), 0, 1)
        high = np.clip((2 * x + z**2 + half) / (2 * (n + z**2)), 0, 1)
    # At 0 and 1 a bound is exactly there; arithmetic would leave 1e-17.
    low, high = np.where(x == 0, 0.0, low), np.where(x == n, 1.0, high)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def byar_interval(count: npt.ArrayLike, *, conf_level: float = 0.95) -> Bounds:
    r"""Byar's interval of a count of independent events (Poisson).

    Parameters
    ----------
    count : array-like
        Events; shape (k,) or scalar, 0 or more.
    conf_level : float

    Returns
    -------
    (low, high) : np.ndarray
        In events. Divide by the member-months for a rate.

    Notes
    -----
    .. math::
        O\left(1 - \frac{1}{9O} - \frac{z}{3\sqrt{O}}\right)^3, \quad
        (O+1)\left(1 - \frac{1}{9(O+1)} + \frac{z}{3\sqrt{O+1}}\right)^3

    Assumes that events are independent. Repeat visits of one member are not: use
    `dobson_interval` with a variance clustered by member.

    References
    ----------
    Breslow NE, Day NE (1987). Statistical methods in cancer research II, IARC, p. 69.

    Examples
    --------
    >>> low, high = byar_interval(65)
    >>> round(float(low), 2), round(float(high), 2)
    (50.16, 82.85)
    """
    z = _quantile(conf_level)
    o = _numbers(count, "count")
    with np.errstate(divide="ignore", invalid="ignore"):
        low = o * (1 - 1 / (9 * o) - z / (3 * np.sqrt(o))) ** 3
    high = (o + 1) * (1 - 1 / (9 * (o + 1)) + z / (3 * np.sqrt(o + 1))) ** 3
    return np.where(o > 0, np.maximum(low, 0.0), 0.0), high


def byar_half_interval(count: npt.ArrayLike, *, conf_level: float = 0.95) -> Bounds:
    r"""The interval R's epitools prints as "Byar": half an event is added for both bounds.

    Use only to compare with its output: one event gives 0.091 to 4.66, `byar_interval` 0.013 to
    5.56.

    Parameters
    ----------
    count : array-like
        Events; shape (k,) or scalar, 0 or more.
    conf_level : float

    Returns
    -------
    (low, high) : np.ndarray
        In events.

    Notes
    -----
    .. math:: A\left(1 - \frac{1}{9A} \mp \frac{z}{3\sqrt{A}}\right)^3, \quad A = O + \tfrac12

    References
    ----------
    Rothman KJ, Boice JD (1979). Epidemiologic analysis with a programmable calculator, NIH.

    Examples
    --------
    >>> low, high = byar_half_interval(1)
    >>> round(float(low), 3), round(float(high), 2)
    (0.091, 4.66)
    """
    z = _quantile(conf_level)
    a = _numbers(count, "count") + 0.5
    half = z / (3 * np.sqrt(a))
    centre = 1 - 1 / (9 * a)
    return np.maximum(a * (centre - half) ** 3, 0.0), a * (centre + half) ** 3


def exact_poisson_interval(count: npt.ArrayLike, *, conf_level: float = 0.95) -> Bounds:
    r"""Exact (Garwood) interval of a count of independent events.

    Parameters
    ----------
    count : array-like
        Events; shape (k,) or scalar, 0 or more.
    conf_level : float

    Returns
    -------
    (low, high) : np.ndarray
        In events.

    Notes
    -----
    :math:`\chi^2_{\alpha/2}(2O)/2` and :math:`\chi^2_{1-\alpha/2}(2O+2)/2`.

    References
    ----------
    Garwood F (1936). Biometrika 28:437-442. doi:10.1093/biomet/28.3-4.437

    Examples
    --------
    >>> low, high = exact_poisson_interval(5)
    >>> round(float(low), 4), round(float(high), 4)
    (1.6235, 11.6683)
    """
    tail = (1 - _checked_level(conf_level)) / 2
    o = _numbers(count, "count")
    low = np.where(o > 0, special.gammaincinv(np.where(o > 0, o, 1), tail), 0.0)
    return low, special.gammaincinv(o + 1, 1 - tail)


def dobson_interval(
    total: npt.ArrayLike,
    *,
    variance: npt.ArrayLike,
    count: npt.ArrayLike,
    conf_level: float = 0.95,
) -> Bounds:
    r"""Dobson's interval of a weighted sum of counts with a known variance.

    Use for standardized rates, and for counts whose events cluster in members: the shape comes
    from the Poisson interval of the count, the width from the variance.

    Parameters
    ----------
    total : array-like
        Weighted sum; equal to `count` for a plain count; shape (k,) or scalar.
    variance : array-like
        Variance of `total`, in its unit squared.
    count : array-like
        Events behind it.
    conf_level : float

    Returns
    -------
    (low, high) : np.ndarray
        In the unit of `total`. With no event the width is unknown: Byar's interval for a zero
        count where `total` is the count itself, else NaN.

    Notes
    -----
    .. math:: T + \sqrt{\operatorname{var}(T)/O}\,(O_{low} - O), \quad
              T + \sqrt{\operatorname{var}(T)/O}\,(O_{high} - O)

    with Byar's limits of the count.

    References
    ----------
    Dobson AJ, Kuulasmaa K, Eberle E, Scherer J (1991). Stat Med 10:457-462.
    doi:10.1002/sim.4780100317

    Examples
    --------
    A variance equal to the count gives Byar's interval back:

    >>> low, high = dobson_interval(65, variance=65, count=65)
    >>> round(float(low), 2), round(float(high), 2)
    (50.16, 82.85)
    """
    t, v, o = (np.asarray(each, dtype=float) for each in (total, variance, count))
    o_low, o_high = byar_interval(o, conf_level=conf_level)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.sqrt(v / o)
        low, high = t + scale * (o_low - o), t + scale * (o_high - o)
    is_zero = o == 0
    return (
        np.where(is_zero, np.where(t == 0, 0.0, np.nan), low),
        np.where(is_zero, np.where(t == 0, o_high, np.nan), high),
    )


def log_normal_interval(
    rate: npt.ArrayLike, std_error: npt.ArrayLike, *, conf_level: float = 0.95
) -> Bounds:
    """Interval of a positive rate or amount on the log scale (delta method).

    Parameters
    ----------
    rate, std_error : array-like
        Same unit; shape (k,) or scalars.
    conf_level : float

    Returns
    -------
    (low, high) : np.ndarray
        In the unit of `rate`; NaN where the rate is not positive.
    """
    z = _quantile(conf_level)
    level, error = np.asarray(rate, dtype=float), np.asarray(std_error, dtype=float)
    positive = np.where(level > 0, level, np.nan)
    return positive * np.exp(-z * error / positive), positive * np.exp(z * error / positive)


def _quantile(conf_level: float) -> float:
    """Normal quantile of a two-sided interval."""
    return float(special.ndtri(0.5 + _checked_level(conf_level) / 2))


def _checked_level(conf_level: float) -> float:
    """The confidence level, or EstimationError when it is not between 0 and 1."""
    if not 0 < conf_level < 1:
        raise EstimationError(f"`conf_level` is {conf_level}; it must lie between 0 and 1.")
    return conf_level


def _numbers(values: npt.ArrayLike, name: str) -> np.ndarray:
    """Floats; EstimationError when one is negative."""
    numbers = np.asarray(values, dtype=float)
    if (numbers < 0).any():
        raise EstimationError(
            f"{int((numbers < 0).sum())} of {numbers.size} values of `{name}` are negative; "
            "an interval of a count needs 0 or more."
        )
    return numbers
