"""How far apart two members are: Mahalanobis distance, or the logit of the propensity score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calaim_eval.errors import DesignError, quoted

Distance = Literal["mahalanobis", "propensity"]
SAME = 1e-10
"""A variance below this share of the mean square is rounding."""
MOST_STEPS = 50
LARGEST_LOGIT = 25.0


@dataclass(frozen=True, slots=True, eq=False)
class RiskRows:
    """Members at risk in one index month, those with the same values together.

    Attributes
    ----------
    values : np.ndarray
        Distinct matching variables; shape (m, p).
    n_exposed, n_comparison : np.ndarray
        Members with them who are exposed in this month, and who are not yet; shape (m,).
    """

    values: np.ndarray
    n_exposed: np.ndarray
    n_comparison: np.ndarray

    @property
    def n(self) -> np.ndarray:
        """Members with each distinct row of values."""
        return np.asarray(self.n_exposed + self.n_comparison)

    @property
    def centred(self) -> np.ndarray:
        """Values less their mean in the index month."""
        return np.asarray(self.values - np.average(self.values, axis=0, weights=self.n))


def risk_rows(values: np.ndarray, is_exposed: np.ndarray) -> RiskRows:
    """Members with the same values put together; shapes (n, p) and (n,)."""
    distinct, at = np.unique(values, axis=0, return_inverse=True)
    at = at.ravel()
    return RiskRows(
        distinct,
        np.bincount(at[is_exposed], minlength=len(distinct)),
        np.bincount(at[~is_exposed], minlength=len(distinct)),
    )


def metric_matrix(
    blocks: Sequence[RiskRows], names: Sequence[str], *, distance: Distance
) -> np.ndarray:
    """Matrix that takes matching variables to coordinates with Euclidean distance.

    Parameters
    ----------
    blocks : sequence of RiskRows
        One for each index month; each with members of both sides.
    names : sequence of str
        Matching variables; length p.
    distance : {"mahalanobis", "propensity"}
        Mahalanobis: inverse square root of the covariance within index months, shape (p, p).
        Propensity: slopes of a logit with an intercept for each index month, divided by the
        standard deviation of its linear predictor within index months, shape (p, 1): distances
        are in standard deviations of the logit, as calipers usually are [1]_.

    Raises
    ------
    DesignError
        A variable is the same for everybody or follows from the others, or the variables tell
        exposed from comparison members completely.

    References
    ----------
    .. [1] Austin PC (2011). Optimal caliper widths for propensity-score matching. Pharm Stat
       10(2):150-161. doi:10.1002/pst.433
    """
    covariance = _within_covariance(blocks)
    _refuse_constant(covariance, blocks, names)
    _refuse_collinear(covariance, names)
    if distance == "mahalanobis":
        root = np.linalg.cholesky(covariance)
        return np.asarray(np.linalg.inv(root).T)
    slopes = _logit_slopes(blocks, np.sqrt(np.diag(covariance)), names)
    spread = float(np.sqrt(slopes @ covariance @ slopes))
    if not spread > 0:
        raise DesignError(
            f"distance='propensity': none of {quoted(names)} tells exposed from comparison "
            "members, so there is nothing to match on.\n  Use distance='mahalanobis'."
        )
    return slopes[:, None] / spread


def _within_covariance(blocks: Sequence[RiskRows]) -> np.ndarray:
    """Covariance about the mean of each index month; shape (p, p)."""
    size = blocks[0].values.shape[1]
    total, count = np.zeros((size, size)), 0
    for block in blocks:
        centred = block.centred
        total += (centred * block.n[:, None]).T @ centred
        count += int(block.n.sum()) - 1
    return total / max(count, 1)


def _refuse_constant(
    covariance: np.ndarray, blocks: Sequence[RiskRows], names: Sequence[str]
) -> None:
    """Raise DesignError for variables that are the same for everybody in every index month."""
    square = sum(b.n @ b.values**2 for b in blocks) / sum(int(b.n.sum()) for b in blocks)
    constant = [
        name
        for name, variance, mean_square in zip(names, np.diag(covariance), square, strict=True)
        if variance <= SAME * mean_square or variance == 0
    ]
    if constant:
        raise DesignError(
            f"`match_on`: {quoted(constant)} is the same for every member at risk in an index "
            "month, so there is nothing to match on.\n  Leave it out."
        )


def _refuse_collinear(covariance: np.ndarray, names: Sequence[str]) -> None:
    """Raise DesignError when a variable is a combination of others."""
    scale = np.sqrt(np.diag(covariance))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    if values[0] < SAME:
        loads = np.abs(vectors[:, 0])
        involved = [n for n, load in zip(names, loads, strict=True) if load > 0.01 * loads.max()]
        raise DesignError(
            f"`match_on`: {quoted(involved)} are collinear (rank "
            f"{int((values >= SAME).sum())} of {len(names)}).\n  Drop one."
        )


def _logit_slopes(
    blocks: Sequence[RiskRows], scale: np.ndarray, names: Sequence[str]
) -> np.ndarray:
    """Slopes of a logit of exposure with an intercept for each index month; shape (p,)."""
    from scipy.special import expit

    month = np.concatenate([np.full(len(b.values), m) for m, b in enumerate(blocks)])
    y = np.concatenate([b.n_exposed for b in blocks])
    n = np.concatenate([b.n for b in blocks])
    X = np.vstack([b.centred for b in blocks]) / scale
    alpha = np.array([np.log(b.n_exposed.sum() / b.n_comparison.sum()) for b in blocks])
    beta = np.zeros(X.shape[1])
    for _ in range(MOST_STEPS):
        p = expit(alpha[month] + X @ beta)
        step_alpha, step_beta = _newton_step(X, y - n * p, n * p * (1 - p), month, len(blocks))
        if not np.isfinite(step_beta).all() or np.abs(beta).max() > LARGEST_LOGIT:
            break
        alpha, beta = alpha + step_alpha, beta + step_beta
        if np.abs(step_beta).max() < 1e-10 and np.abs(step_alpha).max() < 1e-8:
            return np.asarray(beta / scale)
    worst = names[int(np.argmax(np.abs(beta)))]
    raise DesignError(
        "distance='propensity': the matching variables tell exposed from comparison members "
        f"(nearly) completely, most of all `{worst}`, so nobody is alike.\n"
        "  Leave it out, or use distance='mahalanobis' with a caliper to see how few matches "
        "there are."
    )


def _newton_step(
    X: np.ndarray, residual: np.ndarray, w: np.ndarray, month: np.ndarray, n_months: int
) -> tuple[np.ndarray, np.ndarray]:
    """Newton step of the intercepts and the slopes, the intercepts eliminated first."""
    diagonal = np.maximum(np.bincount(month, w, n_months), 1e-300)
    cross = np.column_stack([np.bincount(month, w * x, n_months) for x in X.T])
    score = np.bincount(month, residual, n_months)
    reduced = (X * w[:, None]).T @ X - cross.T @ (cross / diagonal[:, None])
    try:
        beta = np.linalg.solve(reduced, X.T @ residual - cross.T @ (score / diagonal))
    except np.linalg.LinAlgError:
        beta = np.full(X.shape[1], np.nan)
    return (score - cross @ beta) / diagonal, beta
