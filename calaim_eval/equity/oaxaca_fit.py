"""Regressions by group and what they predict for the other group, with each row's influence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calaim_eval.design.ledger import part_words
from calaim_eval.errors import EstimationError
from calaim_eval.estimate.cohort_month.logit import expit
from calaim_eval.estimate.covariates import require_full_rank
from calaim_eval.estimate.regressions.regression_fit import AT_REST, NOT_CONVERGED, converged


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Quantities with each row's influence on them: shapes (...,) and (n, ...)."""

    value: np.ndarray
    influence: np.ndarray

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(self.value + other.value, self.influence + other.influence)

    def __sub__(self, other: Estimate) -> Estimate:
        return Estimate(self.value - other.value, self.influence - other.influence)

    def __mul__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.value * other.value,
            self.influence * other.value + self.value * other.influence,
        )

    def scaled(self, factor: float) -> Estimate:
        """A multiple by a number known without error."""
        return Estimate(factor * self.value, factor * self.influence)

    def mapped(self, matrix: np.ndarray) -> Estimate:
        """Linear combinations of a vector; `matrix` has shape (m, p)."""
        return Estimate(matrix @ self.value, self.influence @ matrix.T)

    def log(self) -> Estimate:
        """Logarithm of a positive quantity."""
        return Estimate(np.log(self.value), self.influence / self.value)


def fit_coefficients(
    outcome: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray,
    chosen: np.ndarray,
    *,
    names: Sequence[str],
    model: str,
    where: str,
) -> Estimate:
    """Weighted least squares or logistic regression on the chosen rows; influence 0 elsewhere."""
    y, w, own = outcome[chosen], weight[chosen], x[chosen]
    require_full_rank(own[:, 1:], names, where=where)
    if len(y) <= x.shape[1]:
        raise EstimationError(
            f"{where}: {x.shape[1]} coefficients and {part_words(len(y), len(outcome), 'rows')}. "
            "Use fewer covariates, or wider categories."
        )
    middle, size = own[:, 1:].mean(axis=0), own[:, 1:].std(axis=0)
    back = np.diag(np.concatenate([[1.0], 1 / size]))
    back[0, 1:] = -middle / size
    z = own @ back
    coef, mean, slope = _fitted(y, z, w, model=model, where=where)
    inverse = np.linalg.inv(z.T @ ((w * slope)[:, None] * z))
    steps = (z * (w * (y - mean))[:, None]) @ inverse
    if model == "logit" and not np.abs(steps.sum(axis=0)).max() < AT_REST:
        raise EstimationError(f"{where}: {NOT_CONVERGED}")
    influence = np.zeros((len(outcome), x.shape[1]))
    influence[chosen] = steps @ back.T
    return Estimate(back @ coef, influence)


def _fitted(
    y: np.ndarray, z: np.ndarray, w: np.ndarray, *, model: str, where: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients, fitted means, and their slope in the linear predictor."""
    import statsmodels.api as sm

    if model == "linear":
        coef = np.asarray(sm.WLS(y, z, weights=w).fit().params)
        return coef, z @ coef, np.ones(len(y))
    if (y == y[0]).all() and y[0] in (0.0, 1.0):
        raise EstimationError(
            f"{where}: the outcome is the same in all rows, so a logit has no finite "
            "coefficients.\n  Use model='linear', or merge the group."
        )
    # The scale of the weights does not move the coefficients.
    glm: Any = sm.GLM(y, z, family=sm.families.Binomial(), freq_weights=w / w.mean())
    try:
        result = converged(lambda: glm.fit(maxiter=100, tol=1e-12, tol_criterion="params"))
    except EstimationError as error:
        raise EstimationError(f"{where}: {error}") from error
    mean = expit(z @ np.asarray(result.params))
    return np.asarray(result.params), mean, mean * (1 - mean)


def mean_columns(full: np.ndarray, weight: np.ndarray, chosen: np.ndarray) -> Estimate:
    """Weighted means of the columns over the chosen rows."""
    share = np.where(chosen, weight, 0.0) / weight[chosen].sum()
    mean = share @ full
    return Estimate(mean, share[:, None] * (full - mean))


def mean_prediction(
    coef: Estimate, x: np.ndarray, weight: np.ndarray, chosen: np.ndarray, *, model: str
) -> Estimate:
    """Weighted mean over the chosen rows of what some coefficients predict; a number."""
    share = np.where(chosen, weight, 0.0) / weight[chosen].sum()
    score = x @ coef.value
    predicted = score if model == "linear" else expit(score)
    slope = np.ones(len(x)) if model == "linear" else predicted * (1 - predicted)
    mean = share @ predicted
    influence = share * (predicted - mean) + coef.influence @ ((share * slope) @ x)
    return Estimate(np.asarray(mean), influence)
