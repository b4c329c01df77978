"""Logistic regression of who is exposed, for weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STEPS = 50
TOLERANCE = 1e-12
OVERLAP_LIMIT = 0.999
"""A fitted probability from here on means that covariates tell who is exposed (as in R `did`)."""


@dataclass(frozen=True, slots=True, eq=False)
class LogitFit:
    """A logistic regression.

    Attributes
    ----------
    coef : np.ndarray
        Shape (p,).
    inverse_information : np.ndarray
        Shape (p, p).
    """

    coef: np.ndarray
    inverse_information: np.ndarray


def fit_logit(x: np.ndarray, is_one: np.ndarray) -> LogitFit | None:
    """Maximum likelihood by Newton steps; None where covariates separate the two sides.

    Parameters
    ----------
    x : np.ndarray
        With its intercept; shape (n, p).
    is_one : np.ndarray
        Shape (n,), bool.
    """
    coef = np.zeros(x.shape[1])
    best = _log_likelihood(x @ coef, is_one)
    for _ in range(STEPS):
        probability = expit(x @ coef)
        score = x.T @ (is_one - probability)
        information = (x * (probability * (1 - probability))[:, None]).T @ x
        if not np.isfinite(information).all() or np.linalg.cond(information) > 1 / TOLERANCE:
            return None
        step = np.linalg.solve(information, score)
        gain = float(score @ step)
        coef, best = _stepped(x, is_one, coef, step, best)
        if gain < TOLERANCE:
            break
    else:
        return None
    probability = expit(x @ coef)
    if probability.max() >= OVERLAP_LIMIT:
        return None
    information = (x * (probability * (1 - probability))[:, None]).T @ x
    return LogitFit(coef, np.linalg.inv(information))


def expit(score: np.ndarray) -> np.ndarray:
    """Probability of a log odds."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * score)))


def _stepped(
    x: np.ndarray, is_one: np.ndarray, coef: np.ndarray, step: np.ndarray, best: float
) -> tuple[np.ndarray, float]:
    """A step, halved until the likelihood does not fall."""
    for _ in range(30):
        reached = _log_likelihood(x @ (coef + step), is_one)
        if reached >= best - 1e-12 * abs(best):
            break
        step = step / 2
    return coef + step, reached


def _log_likelihood(score: np.ndarray, is_one: np.ndarray) -> float:
    """Log likelihood of a log odds."""
    return float((np.where(is_one, score, 0.0) - np.logaddexp(0.0, score)).sum())
