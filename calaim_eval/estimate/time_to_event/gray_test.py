"""Gray's test that the cumulative incidence of one cause is the same in all groups."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import special

from calaim_eval.errors import EstimationError


def gray_test(
    duration: np.ndarray,
    cause: np.ndarray,
    group: np.ndarray,
    *,
    of: int = 1,
    weights: np.ndarray | None = None,
) -> dict[str, float]:
    r"""Compare the whole curves of one cause between groups, other causes competing.

    Use for subjects who are independent. Where one cluster holds several, compare the curves at
    stated times with their clustered covariance instead.

    Parameters
    ----------
    duration : np.ndarray
        Time to the event or to the end of follow-up; shape (n,). Events before censoring.
    cause : np.ndarray
        0 censored, 1 ... what happened; shape (n,).
    group : np.ndarray
        Group of each subject; shape (n,).
    of : int
        The cause whose incidence is compared.
    weights : np.ndarray, optional
        Subjects alike that each row stands for; shape (n,).

    Returns
    -------
    dict[str, float]
        `statistic`, `df` (groups less one; fewer where groups are never at risk together),
        `p_value` (chi-squared; NaN where no two ever are).

    Raises
    ------
    EstimationError
        A value is missing, there are fewer than two groups, or the cause did not happen.

    Notes
    -----
    With :math:`R_k(t) = Y_k(t)\{1 - F_k(t-)\}/S_k(t-)` at risk in group :math:`k`, the score is
    :math:`\sum_t \{dN_k(t) - R_k(t)\,dN(t)/R(t)\}` (weights constant over time), its variance
    under equal subdistributions that of Gray [1]_.

    References
    ----------
    .. [1] Gray RJ (1988). Ann Stat 16(3):1141-1154. doi:10.1214/aos/1176350951
    """
    if any(pd.isna(values).any() for values in (duration, cause, group)):
        raise EstimationError(
            "gray_test: rows lack a duration, a cause or a group. Set them aside first, and count "
            "them."
        )
    names, which = np.unique(np.asarray(group).astype(str), return_inverse=True)
    times, place = np.unique(np.asarray(duration, dtype=float), return_inverse=True)
    cause = np.asarray(cause)
    number = np.ones(len(cause)) if weights is None else np.asarray(weights, dtype=float)
    if len(names) < 2 or not (cause == of).any():
        raise EstimationError(
            f"gray_test: {len(names)} groups, {'some' if (cause == of).any() else 'no'} rows with "
            f"cause {of}; a comparison needs two groups and an event."
        )

    def counts(rows: np.ndarray) -> np.ndarray:
        """Subjects by time and group."""
        found = np.zeros((len(times), len(names)))
        np.add.at(found, (place[rows], which[rows]), number[rows])
        return found

    events, others = counts(cause == of), counts((cause > 0) & (cause != of))
    at_risk = counts(cause >= 0)[::-1].cumsum(axis=0)[::-1]
    sums = _Sums(len(names))
    for rows in zip(events, others, at_risk, strict=True):
        sums.add(*rows)
    # The scores add up to 0: one group is left out.
    score, variance = sums.score[:-1], sums.variance()[:-1, :-1]
    df = int(np.linalg.matrix_rank(variance, hermitian=True))
    statistic = float(score @ np.linalg.pinv(variance, hermitian=True) @ score)
    return {"statistic": statistic, "df": df, "p_value": float(special.chdtrc(df, statistic))}


@dataclass(slots=True)
class _Sums:
    """Score and variance as they grow from one time to the next; k groups.

    `survival` and `incidence` are those of each group before the time, `common` the incidence that
    all share if the groups are equal. `drift` adds up the covariance of the score per unit of the
    common hazard; the variance is quadratic in it.
    """

    n_groups: int
    score: np.ndarray = field(init=False)
    survival: np.ndarray = field(init=False)
    incidence: np.ndarray = field(init=False)
    drift: np.ndarray = field(init=False)
    square: np.ndarray = field(init=False)
    cross: np.ndarray = field(init=False)
    own: np.ndarray = field(init=False)
    common: float = 0.0

    def __post_init__(self) -> None:
        k = self.n_groups
        self.score, self.incidence, self.own = np.zeros(k), np.zeros(k), np.zeros(k)
        self.survival = np.ones(k)
        self.drift, self.square, self.cross = (np.zeros((k, k)) for _ in range(3))

    def add(self, events: np.ndarray, others: np.ndarray, at_risk: np.ndarray) -> None:
        """One time: events of the cause, of other causes, and subjects at risk, by group."""
        if not (events + others).any():
            return
        is_on = at_risk > 0
        risk = np.where(is_on, at_risk, 1.0)
        survival = np.where(is_on, self.survival * (risk - events - others) / risk, self.survival)
        incidence = np.where(is_on, self.incidence + self.survival * events / risk, self.incidence)
        # Subjects at risk, as many as there would be had nothing happened before.
        inflated = np.divide(at_risk, self.survival, out=np.zeros_like(risk), where=is_on)
        total = inflated.sum()
        common = self.common + events.sum() / total
        if events.any():
            self._add_events(events, risk, inflated, survival, common, is_on)
        if others.any():
            self._add_others(others, risk, survival, common)
        self.survival, self.incidence, self.common = survival, incidence, common

    def _add_events(
        self,
        events: np.ndarray,
        risk: np.ndarray,
        inflated: np.ndarray,
        survival: np.ndarray,
        common: float,
        is_on: np.ndarray,
    ) -> None:
        """What events of the cause add."""
        number, total = events.sum(), inflated.sum()
        subdistribution = inflated * (1 - self.incidence)
        self.score += np.where(is_on, events, 0) - number * subdistribution / subdistribution.sum()
        now = np.diag(inflated) - np.outer(inflated, inflated) / total
        self.drift += now * number / (total * (1 - self.common))
        left = np.where(survival > 0, 1 - (1 - common) / np.where(survival > 0, survival, 1.0), 1.0)
        spare = total * self.survival - 1
        ties = 1 - np.divide(number - 1, spare, out=np.zeros_like(risk), where=spare > 0)
        each = np.where(is_on, ties * self.survival * number / (total * risk), 0.0)
        self._add_variance(now - self.drift * left, left, each)

    def _add_others(
        self, others: np.ndarray, risk: np.ndarray, survival: np.ndarray, common: float
    ) -> None:
        """What events of other causes add."""
        is_on = (survival > 0) & (others > 0)
        left = np.where(is_on, (1 - common) / np.where(is_on, survival, 1.0), 0.0)
        ties = 1 - np.divide(others - 1, risk - 1, out=np.zeros_like(risk), where=risk > 1)
        each = np.where(is_on, self.survival**2 * others * ties / risk**2, 0.0)
        self._add_variance(-self.drift * left, left, each)

    def _add_variance(self, slope: np.ndarray, left: np.ndarray, each: np.ndarray) -> None:
        """Products of the part that is over and of the part to come."""
        self.square += (slope * each) @ slope.T
        self.cross += slope * left * each
        self.own += left**2 * each

    def variance(self) -> np.ndarray:
        """Variance of the scores; shape (k, k)."""
        both = self.drift @ self.cross.T
        found: np.ndarray = self.square + (self.drift * self.own) @ self.drift.T + both + both.T
        return found
