r"""The subdistribution hazard regression of Fine and Gray, by its weighted partial likelihood.

A subject that ended by another cause stays at risk with weight :math:`G(t^-)/G(T_i^-)`, G the
Kaplan-Meier curve of being censored; whoever ended by the cause in question or was censored leaves.
With :math:`S_r(t) = \sum_i w_i(t) x_i^{\otimes r} e^{x_i \beta}` all sums are running sums over
sorted times, so that a fit takes time in proportion to its subjects.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEPS = 50
TOLERANCE = 1e-12
"""What another step would add to the log likelihood. Not a share of it: where the likelihood rises
for ever, the last steps add little, and must be told from a maximum."""
FARTHEST = 8.0
"""A log hazard ratio of one standard deviation beyond this is on its way to infinity."""
FLATTEST = 1e-8
"""Share of the information without factors that must be left in every direction at the maximum.
With one ending in a group it is about one over the endings expected there."""


@dataclass(frozen=True, slots=True, eq=False)
class HazardFit:
    """A fitted hazard regression.

    Attributes
    ----------
    coef : np.ndarray
        Log hazard ratios; shape (p,).
    influence : np.ndarray
        What each subject adds to the error of `coef`; its cross-product is the robust covariance;
        shape (n, p).
    """

    coef: np.ndarray
    influence: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class _Times:
    """Subjects sorted into distinct times."""

    place: np.ndarray
    is_event: np.ndarray
    n_events: np.ndarray
    stay: np.ndarray
    """G just before each distinct time, of each group of censoring; shape (n_groups, n_times)."""
    left_by: tuple[np.ndarray, ...]
    """Subjects of each group that ended otherwise."""


def fit_subdistribution(
    duration: np.ndarray, cause: np.ndarray, x: np.ndarray, censoring_group: np.ndarray
) -> HazardFit | None:
    """Fine and Gray's regression of cause 1; None where it has no finite maximum.

    Parameters
    ----------
    duration : np.ndarray
        Shape (n,).
    cause : np.ndarray
        0 censored, 1 the cause in question, anything else another ending; shape (n,).
    x : np.ndarray
        Shape (n, p).
    censoring_group : np.ndarray
        Code of the group whose curve of being censored a subject follows; shape (n,).

    Notes
    -----
    The influence takes G as known, as R ``survival::finegray`` with robust errors does; allowing
    for its estimation changes errors little and never the coefficients.
    """
    times = _sorted_times(duration, cause, censoring_group)
    x = x - x.mean(axis=0)
    coef = np.zeros(x.shape[1])
    _, _, at_start, _ = _likelihood(times, x, coef)
    for _ in range(STEPS):
        value, score, information, _ = _likelihood(times, x, coef)
        if not np.isfinite(value) or np.linalg.cond(information) > 1e12:
            return None
        step = np.linalg.solve(information, score)
        coef = _halved(times, x, coef, step, value)
        if float(score @ step) < TOLERANCE:
            break
    else:
        return None
    if np.abs(coef * x.std(axis=0)).max(initial=0.0) > FARTHEST:
        return None
    _, _, information, mean = _likelihood(times, x, coef)
    if goes_on_for_ever(at_start, information):
        return None
    residual = _score_residuals(times, x, coef, mean)
    return HazardFit(coef, residual @ np.linalg.inv(information))


def goes_on_for_ever(at_start: np.ndarray, at_end: np.ndarray) -> bool:
    """Whether the likelihood has no finite maximum: information vanishes in some direction.

    Parameters
    ----------
    at_start, at_end : np.ndarray
        Information without factors and where the fit stopped; shape (p, p).
    """
    return bool(np.linalg.eigvals(np.linalg.solve(at_start, at_end)).real.min() < FLATTEST)


def _sorted_times(duration: np.ndarray, cause: np.ndarray, group: np.ndarray) -> _Times:
    """Distinct times, events at them and the curves of being censored."""
    grid, place = np.unique(duration, return_inverse=True)
    members = [group == code for code in np.unique(group)]
    is_other = (cause != 0) & (cause != 1)
    return _Times(
        place=place,
        is_event=cause == 1,
        n_events=np.bincount(place[cause == 1], minlength=len(grid)).astype(float),
        stay=np.stack([_not_censored(place[m], cause[m] == 0, len(grid)) for m in members]),
        left_by=tuple(np.flatnonzero(m & is_other) for m in members),
    )


def _not_censored(place: np.ndarray, is_censored: np.ndarray, n_times: int) -> np.ndarray:
    """Kaplan-Meier curve of not being censored just before each time; shape (n_times,).

    Who has an event at the time others are censored counts as at risk of it, as in R ``cmprsk``.
    """
    at_risk = np.bincount(place, minlength=n_times)[::-1].cumsum()[::-1]
    n_censored = np.bincount(place[is_censored], minlength=n_times)
    curve = np.cumprod(1 - n_censored / np.maximum(at_risk, 1))
    return np.concatenate([[1.0], curve[:-1]])


def _risk_sum(times: _Times, values: np.ndarray) -> np.ndarray:
    """Sum of values over who is at risk at each distinct time; shape (n_times, ...)."""
    shape = (times.stay.shape[1], *values.shape[1:])
    here = np.zeros(shape)
    np.add.at(here, times.place, values)
    total = here[::-1].cumsum(axis=0)[::-1]
    one_each = (-1, *[1] * (values.ndim - 1))
    for stay, left in zip(times.stay, times.left_by, strict=True):
        gone = np.zeros(shape)
        place = times.place[left]
        np.add.at(gone, place, values[left] / stay[place].reshape(one_each))
        total[1:] += stay[1:].reshape(one_each) * gone.cumsum(axis=0)[:-1]
    return np.asarray(total)


def _likelihood(
    times: _Times, x: np.ndarray, coef: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """Log partial likelihood, its score and information, and the mean of those at risk."""
    score_of = x @ coef
    weight = np.exp(score_of)
    total = _risk_sum(times, weight)
    first = _risk_sum(times, weight[:, None] * x)
    used = times.n_events > 0
    n = times.n_events[used]
    mean = np.zeros_like(first)
    mean[used] = first[used] / total[used, None]
    value = score_of[times.is_event].sum() - (n * np.log(total[used])).sum()
    score = x[times.is_event].sum(axis=0) - (n[:, None] * mean[used]).sum(axis=0)
    # Summed over subjects first: over times it would be a square of factors for every time.
    passed = weight * _hazard_passed(times, _baseline(times, total))
    information = (x * passed[:, None]).T @ x - (mean[used] * n[:, None]).T @ mean[used]
    return float(value), score, information, mean


def _baseline(times: _Times, total: np.ndarray) -> np.ndarray:
    """Jump of the baseline hazard at each distinct time; shape (n_times,)."""
    is_used = (times.n_events > 0) & (total > 0)
    return np.asarray(np.divide(times.n_events, total, out=np.zeros_like(total), where=is_used))


def _hazard_passed(times: _Times, hazard: np.ndarray) -> np.ndarray:
    """Baseline hazard each subject was at risk of, weighted as it was at risk; shape (n,)."""
    passed = hazard.cumsum()[times.place]
    for stay, left in zip(times.stay, times.left_by, strict=True):
        place = times.place[left]
        later = (hazard * stay).cumsum()
        passed[left] += (later[-1] - later[place]) / stay[place]
    return np.asarray(passed)


def _halved(
    times: _Times, x: np.ndarray, coef: np.ndarray, step: np.ndarray, value: float
) -> np.ndarray:
    """A Newton step, halved until the likelihood does not fall."""
    for _ in range(30):
        reached = _likelihood(times, x, coef + step)[0]
        if np.isfinite(reached) and reached >= value - 1e-12 * abs(value):
            return np.asarray(coef + step)
        step = step / 2
    return coef


def _score_residuals(
    times: _Times, x: np.ndarray, coef: np.ndarray, mean: np.ndarray
) -> np.ndarray:
    """What each subject adds to the score; they add up to 0; shape (n, p)."""
    weight = np.exp(x @ coef)
    total = _risk_sum(times, weight)
    hazard = _baseline(times, total)
    alone, with_mean = _compensator(hazard, mean)
    own = alone[times.place, None] * x - with_mean[times.place]
    for stay, left in zip(times.stay, times.left_by, strict=True):
        place = times.place[left]
        alone, with_mean = _compensator(hazard * stay, mean)
        later = (alone[-1] - alone[place])[:, None] * x[left] - (with_mean[-1] - with_mean[place])
        own[left] += later / stay[place, None]
    jumps = np.where(times.is_event[:, None], x - mean[times.place], 0.0)
    return np.asarray(jumps - weight[:, None] * own)


def _compensator(hazard: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Running sums of a hazard, alone and times the mean of those at risk."""
    return hazard.cumsum(), (hazard[:, None] * mean).cumsum(axis=0)
