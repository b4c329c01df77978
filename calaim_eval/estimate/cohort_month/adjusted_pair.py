r"""One difference in differences with covariates: two months, exposed and comparison members.

The three estimators and their influence functions are those of Sant'Anna and Zhao (2020),
doi:10.1016/j.jeconom.2020.06.003, as R `DRDID` computes them for panels (`drdid_panel`,
`reg_did_panel`, `std_ipw_did_panel`): outcome regression by least squares among the comparison,
weights from a logistic regression, both with normalized weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calaim_eval.estimate.cohort_month.logit import LogitFit, expit, fit_logit

Adjustment = Literal["doubly_robust", "regression", "weighting"]

TRIM = 0.995
"""Comparison members with a fitted probability of exposure from here on get no weight."""
LARGEST_CONDITION = 1e12

TOO_FEW = "too few comparison members for the covariates, or no variation in them"
NO_OVERLAP = "covariates tell exposed from comparison members (no overlap)"


@dataclass(frozen=True, slots=True, eq=False)
class PairFit:
    r"""What the effect of a pair of months and every member's influence follow from.

    With :math:`e = \Delta y - x'\beta` and weights :math:`w = \pi / (1 - \pi)` of comparison
    members, an exposed member's influence is :math:`(e - \eta_1)/S_1 - (1-\pi) x'\kappa`, and a
    comparison member's :math:`-e\,x'\lambda - w (e - \eta_0)/S_0 + \pi x'\kappa`.

    Attributes
    ----------
    effect : float
    outcome_coef, outcome_score : np.ndarray
        :math:`\beta` and :math:`\lambda`; 0 for weighting; shape (p,).
    odds_coef, odds_score : np.ndarray | None
        Of the logit, and :math:`\kappa`; None for regression; shape (p,).
    exposed_mean, comparison_mean : float
        :math:`\eta_1`, :math:`\eta_0`.
    exposed_weight, comparison_weight : float
        :math:`S_1`, :math:`S_0`.
    gross : float
        Squares of what the influence is the difference of: below a share of it is rounding.
    """

    effect: float
    outcome_coef: np.ndarray
    outcome_score: np.ndarray
    odds_coef: np.ndarray | None
    odds_score: np.ndarray | None
    exposed_mean: float
    comparison_mean: float
    exposed_weight: float
    comparison_weight: float
    gross: float

    def influence(self, x: np.ndarray, change: np.ndarray, is_exposed: np.ndarray) -> np.ndarray:
        """Influence of members in the pair on its effect; its squares sum to the variance; (n,)."""
        left = change - x @ self.outcome_coef
        found = np.where(
            is_exposed,
            (left - self.exposed_mean) / self.exposed_weight,
            -left * (x @ self.outcome_score),
        )
        if self.odds_coef is None or self.odds_score is None:
            return np.asarray(found)
        probability = expit(x @ self.odds_coef)
        weight = comparison_weights(probability, is_exposed)
        found -= weight * (left - self.comparison_mean) / self.comparison_weight
        found -= (is_exposed - probability) * (x @ self.odds_score)
        return np.asarray(found)


def fit_pair(
    x: np.ndarray,
    later: np.ndarray,
    earlier: np.ndarray,
    is_exposed: np.ndarray,
    *,
    method: Adjustment,
) -> PairFit | str:
    """The effect of a pair of months, or why it can't be had.

    Parameters
    ----------
    x : np.ndarray
        Covariates with an intercept; shape (n, p).
    later, earlier : np.ndarray
        Outcome in the month and in its base month; shape (n,).
    is_exposed : np.ndarray
        Shape (n,), bool.
    """
    change = later - earlier
    p = x.shape[1]
    coef, inverse = np.zeros(p), np.zeros((p, p))
    if method != "weighting":
        own = x[~is_exposed]
        gram = own.T @ own
        if len(own) < p or np.linalg.cond(gram) > LARGEST_CONDITION:
            return TOO_FEW
        inverse = np.linalg.inv(gram)
        coef = np.linalg.lstsq(own, change[~is_exposed], rcond=None)[0]
    logit = None
    if method != "regression":
        logit = fit_logit(x, is_exposed)
        if logit is None:
            return NO_OVERLAP
    fit = _combined(x, change - x @ coef, is_exposed, coef=coef, inverse=inverse, logit=logit)
    size = np.abs(later) + np.abs(earlier)
    scale = np.where(is_exposed, size / fit.exposed_weight, size / max((~is_exposed).sum(), 1))
    return replace(fit, gross=float(scale @ scale))


def comparison_weights(probability: np.ndarray, is_exposed: np.ndarray) -> np.ndarray:
    """Odds of exposure of comparison members, 0 from `TRIM` on and for the exposed; shape (n,)."""
    used = ~is_exposed & (probability < TRIM)
    return np.asarray(np.where(used, probability / (1 - probability), 0.0))


def _combined(
    x: np.ndarray,
    left: np.ndarray,
    is_exposed: np.ndarray,
    *,
    coef: np.ndarray,
    inverse: np.ndarray,
    logit: LogitFit | None,
) -> PairFit:
    """Effect and loads from what the outcome regression leaves, and the weights."""
    n_exposed = float(is_exposed.sum())
    exposed_mean = float(left[is_exposed].mean())
    score = inverse @ x[is_exposed].mean(axis=0)
    if logit is None:
        return PairFit(
            exposed_mean, coef, score, None, None, exposed_mean, 0.0, n_exposed, np.inf, 0.0
        )
    weight = comparison_weights(expit(x @ logit.coef), is_exposed)
    total = float(weight.sum())
    comparison_mean = float(weight @ left / total)
    return PairFit(
        effect=exposed_mean - comparison_mean,
        outcome_coef=coef,
        outcome_score=score - inverse @ (weight @ x) / total,
        odds_coef=logit.coef,
        odds_score=logit.inverse_information @ ((weight * (left - comparison_mean)) @ x) / total,
        exposed_mean=exposed_mean,
        comparison_mean=comparison_mean,
        exposed_weight=n_exposed,
        comparison_weight=total,
        gross=0.0,
    )
