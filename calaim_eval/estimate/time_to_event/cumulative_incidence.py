r"""Cumulative incidence with competing exits: the Aalen-Johansen estimator and its influence.

One minus Kaplan-Meier treats a referral that ended otherwise as one that might still start
service, and overstates. The Aalen-Johansen estimate does not:

.. math:: F_k(t) = \sum_{u \le t} S(u^-)\, \mathrm{d}N_k(u)/Y(u), \qquad
   S(u) = \prod_{s \le u} \{1 - \mathrm{d}N(s)/Y(s)\}.

Its covariance comes from the influence of each subject (the infinitesimal jackknife, which R
``survival`` prints too), so subjects may be summed into clusters and any set of times, causes and
groups has a joint covariance.

References
----------
.. [1] Aalen OO, Johansen S (1978). An empirical transition matrix for non-homogeneous Markov
   chains based on censored observations. Scand J Stat 5(3):141-150.
.. [2] Therneau TM, Grambsch PM (2000). Modeling Survival Data. Springer, ch. 2.
   doi:10.1007/978-1-4757-3294-8
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CumulativeIncidence:
    """Aalen-Johansen estimates at some times.

    Attributes
    ----------
    times : np.ndarray
        Shape (n_times,), in the unit of the durations.
    estimate : np.ndarray
        Probability that the cause happened by each time; shape (n_times, n_causes). NaN after
        the last time anyone was followed, unless everyone had had an event by then.
    influence : np.ndarray
        Derivative of the estimate with respect to each subject's weight; shape
        (n_subjects, n_times, n_causes). Its cross-product is the covariance.
    n_events : np.ndarray
        Events of each cause by each time; shape (n_times, n_causes).
    """

    times: np.ndarray
    estimate: np.ndarray
    influence: np.ndarray
    n_events: np.ndarray


def cumulative_incidence(
    duration: np.ndarray,
    cause: np.ndarray,
    *,
    times: np.ndarray,
    n_causes: int,
    weights: np.ndarray | None = None,
) -> CumulativeIncidence:
    """Aalen-Johansen cumulative incidence of each cause.

    Parameters
    ----------
    duration : np.ndarray
        Time to the event or to the end of follow-up, 0 or more; shape (n,). At equal times
        events come before censoring.
    cause : np.ndarray
        0 censored, 1 ... `n_causes` what happened; shape (n,).
    times : np.ndarray
        Times to report, increasing; shape (n_times,).
    n_causes : int
    weights : np.ndarray, optional
        Weight of each subject, such as how many are alike; shape (n,), above 0. The influence
        stays that of one unit of weight.

    Returns
    -------
    CumulativeIncidence
    """
    duration, cause = np.asarray(duration, dtype=float), np.asarray(cause, dtype=np.int64)
    times = np.asarray(times, dtype=float)
    grid, place = np.unique(duration, return_inverse=True)
    weight = np.ones(len(duration)) if weights is None else np.asarray(weights, dtype=float)
    n_at = np.bincount(place, weights=weight, minlength=len(grid))
    at_risk = n_at[::-1].cumsum()[::-1]
    events = np.column_stack(
        [
            np.bincount(place, weights=weight * (cause == k + 1), minlength=len(grid))
            for k in range(n_causes)
        ]
    )
    hazard = events / at_risk[:, None]
    stay = 1.0 - hazard.sum(axis=1)
    survival_before = np.concatenate([[1.0], np.cumprod(stay)[:-1]])
    curve = np.cumsum(survival_before[:, None] * hazard, axis=0)

    last = np.searchsorted(grid, times, side="right") - 1
    estimate = np.where(last[:, None] >= 0, curve[np.maximum(last, 0)], 0.0)
    is_beyond = (times > grid[-1]) & (survival_before[-1] * stay[-1] > 0)
    estimate[is_beyond] = np.nan
    influence = np.zeros((len(duration), len(times), n_causes))
    for j, stop in enumerate(last):
        for k in range(n_causes):
            influence[:, j, k] = _influence(
                place,
                cause,
                k + 1,
                stop=int(stop),
                hazard=hazard,
                stay=stay,
                at_risk=at_risk,
                survival_before=survival_before,
                curve=curve[:, k],
            )
    influence[:, is_beyond] = np.nan
    counted = np.cumsum(events, axis=0)
    return CumulativeIncidence(
        times=times,
        estimate=estimate,
        influence=influence,
        n_events=np.where(last[:, None] >= 0, counted[np.maximum(last, 0)], 0.0),
    )


def _influence(
    place: np.ndarray,
    cause: np.ndarray,
    k: int,
    *,
    stop: int,
    hazard: np.ndarray,
    stay: np.ndarray,
    at_risk: np.ndarray,
    survival_before: np.ndarray,
    curve: np.ndarray,
) -> np.ndarray:
    """Derivative of one point of one curve with respect to each subject's weight; shape (n,)."""
    if stop < 0:
        return np.zeros(len(place))
    rows = slice(0, stop + 1)
    remaining = curve[stop] - curve[rows]
    # Where everyone left has the event, nothing remains to be reached after it.
    later = np.divide(
        remaining, stay[rows], out=np.zeros(stop + 1), where=(stay[rows] > 0) & (remaining != 0)
    )
    total = hazard[rows].sum(axis=1)
    gain = survival_before[rows] / at_risk[rows]
    drift = np.cumsum(gain * hazard[rows, k - 1] - later * total / at_risk[rows])
    until = np.minimum(place, stop)
    happened = (place <= stop) & (cause > 0)
    jump = (cause == k) * gain[until] - later[until] / at_risk[rows][until]
    influence: np.ndarray = np.where(happened, jump, 0.0) - drift[until]
    return influence
