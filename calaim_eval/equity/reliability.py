"""Whether a rate is precise enough to show: NCHS standards, apart from whether it may be shown."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.results import RateTable

MIN_EVENTS = 10
MAX_RELATIVE_WIDTH = 160.0
MIN_DEGREES = 8
MIN_SHARE_SAMPLE = 30
NARROW, WIDE = 0.05, 0.30
MAX_SHARE_RELATIVE_WIDTH = 130.0


def reliability_flags(rates: RateTable, *, degrees: npt.ArrayLike | None = None) -> pd.DataFrame:
    r"""NCHS reliability of each rate or share: a statement about precision, not about privacy.

    A rate can be reliable and hidden (nine of ten members), or unreliable and free to leave. Show
    an unreliable rate with its flag and interval, never as if it were missing.

    Parameters
    ----------
    rates : RateTable
        Of `kind` "rate" or "proportion".
    degrees : float or array-like, optional
        Degrees of freedom of the variance where it comes from few clusters; scalar or shape (k,).
        None: the standard on degrees does not apply.

    Returns
    -------
    pd.DataFrame
        The keys, `relative_width` (95 % interval over the rate, percent), `is_reliable`,
        `needs_review` (shares: few degrees of freedom, nobody or everybody) and `reason`.

    Raises
    ------
    EstimationError
        The table holds counts.

    Notes
    -----
    Rates [1]_: at least 10 events and a denominator of 10, a relative width of at most 160 %, at
    least 8 degrees of freedom. Shares [2]_: a denominator of at least 30; then reliable with an
    interval of at most 0.05, not with one of 0.30 or more, and between these with a relative width
    of at most 130 %. The standards for shares were written for Clopper-Pearson intervals; the
    table's own are used here.

    References
    ----------
    .. [1] National Center for Health Statistics (2023). Data presentation standards for rates and
       counts. Vital Health Stat 2(200). Evaluated in stacks.cdc.gov/view/cdc/123462.
    .. [2] Parker JD, Talih M, Malec DJ, et al. (2017). Data presentation standards for
       proportions. Vital Health Stat 2(175).

    Examples
    --------
    >>> from calaim_eval.equity import rate_by_group
    >>> months = pd.DataFrame({"member_id": ["a", "b"], "ed_visits": [1, 0], "plan": "x"})
    >>> reliability_flags(rate_by_group(months, outcome="ed_visits", by="plan"))["reason"][0]
    'fewer than 10 events; denominator below 10; relative width above 160 %'
    """
    if rates.kind == "count":
        raise EstimationError(
            f"reliability_flags: `{rates.measure}` holds counts of everybody, which have no "
            "sampling error here; pass rates or proportions."
        )
    k = len(rates)
    freedom = np.full(k, np.nan)
    if degrees is not None:
        freedom = np.broadcast_to(np.asarray(degrees, dtype=float), (k,))
    with np.errstate(divide="ignore", invalid="ignore"):
        width = rates.conf_high - rates.conf_low
        relative = np.where(rates.rate > 0, 100 * width / rates.rate, np.nan)
    review: dict[str, np.ndarray] = {}
    if rates.kind == "rate":
        failed = _rate_rules(rates, relative, freedom)
    else:
        failed, review = _share_rules(rates, width / rates.per, relative, freedom)
    reasons = [
        "; ".join(text for text, rule in {**failed, **review}.items() if rule[i]) for i in range(k)
    ]
    return rates.keys.reset_index(drop=True).assign(
        relative_width=relative,
        is_reliable=~_any(failed, k),
        needs_review=_any(review, k),
        reason=reasons,
    )


def _rate_rules(
    rates: RateTable, relative: np.ndarray, degrees: np.ndarray
) -> dict[str, np.ndarray]:
    """Rules a rate fails."""
    return {
        f"fewer than {MIN_EVENTS} events": ~(rates.numerator >= MIN_EVENTS),
        f"denominator below {MIN_EVENTS}": ~(rates.denominator >= MIN_EVENTS),
        f"relative width above {MAX_RELATIVE_WIDTH:.0f} %": ~(relative <= MAX_RELATIVE_WIDTH),
        f"fewer than {MIN_DEGREES} degrees of freedom": degrees < MIN_DEGREES,
    }


def _share_rules(
    rates: RateTable, width: np.ndarray, relative: np.ndarray, degrees: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Rules a share fails, and those that ask for a reviewer's eye."""
    failed = {
        f"denominator below {MIN_SHARE_SAMPLE}": ~(rates.denominator >= MIN_SHARE_SAMPLE),
        f"interval of {WIDE:.2f} or wider": ~(width < WIDE),
        f"relative width above {MAX_SHARE_RELATIVE_WIDTH:.0f} %": (
            (width > NARROW) & (width < WIDE) & ~(relative <= MAX_SHARE_RELATIVE_WIDTH)
        ),
    }
    review = {
        f"fewer than {MIN_DEGREES} degrees of freedom": degrees < MIN_DEGREES,
        "nobody or everybody": (rates.numerator == 0) | (rates.numerator == rates.denominator),
    }
    return failed, review


def _any(rules: dict[str, np.ndarray], k: int) -> np.ndarray:
    """Rows that one of the rules holds for."""
    result: np.ndarray = np.zeros(k, dtype=bool)
    for rule in rules.values():
        result = result | rule
    return result
