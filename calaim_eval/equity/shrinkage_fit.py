"""Shrinking estimates that covary: the variance between groups, weights, and errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from calaim_eval.errors import EstimationError

Between = Literal["reml", "dersimonian_laird", "paule_mandel"]
Rule = Literal["morris", "eblup"]
MIN_SPARE = 3
"""Groups beyond the coefficients without which a variance between groups can't be told."""


@dataclass(frozen=True, slots=True, eq=False)
class Shrunk:
    """Estimates shrunk toward a fitted mean; k groups.

    Attributes
    ----------
    estimate, weight, mean : np.ndarray
        Shrunken estimate, weight of the group's own, and what it is shrunk toward; shape (k,).
    covariance : np.ndarray
        Of the errors of the shrunken estimates; shape (k, k).
    between : float
        Variance between groups.
    """

    estimate: np.ndarray
    covariance: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    between: float


def shrink(
    raw: np.ndarray, covariance: np.ndarray, design: np.ndarray, *, between: Between, rule: Rule
) -> Shrunk:
    r"""Shrink k estimates toward a linear mean.

    Parameters
    ----------
    raw : np.ndarray
        Shape (k,).
    covariance : np.ndarray
        Joint covariance :math:`V` of their errors; shape (k, k), positive definite.
    design : np.ndarray
        What the mean is linear in; shape (k, q); redundant columns do no harm.

    Notes
    -----
    With :math:`\Sigma = V + \tau^2 I`, :math:`D = V \Sigma^{-1}` and generalized least squares
    mean :math:`X\hat\beta`, the estimate is :math:`y - D (y - X \hat\beta)`. Morris's rule takes
    :math:`D` times :math:`(k - r - 2)/(k - r)`. His variances, in matrix form, are
    :math:`V - D V + D X (X'\Sigma^{-1}X)^{-1} X' D_0 + \frac{2}{k - r - 2} u u'` with
    :math:`D_0` the unscaled and :math:`D` the scaled matrix,
    :math:`u = \sqrt{\bar V + \tau^2}\, D \Sigma^{-1/2} (y - X\hat\beta)`; where groups are
    independent these are his :math:`s_i^2`. The EBLUP's are Prasad and Rao's
    :math:`g_1 + g_2 + 2 g_3` for REML, in matrix form too.
    """
    basis = column_basis(design)
    _require_rank(covariance)
    spare = len(raw) - basis.shape[1]
    if spare < MIN_SPARE:
        raise EstimationError(
            f"shrink_estimates: {len(raw)} groups with an estimate and a standard error, and "
            f"{basis.shape[1]} coefficients of what they are shrunk toward; at least {MIN_SPARE} "
            "groups more than coefficients are needed to tell how much groups differ.\n"
            "  Show the raw estimates, or shrink toward fewer coefficients."
        )
    variance = between_variance(raw, covariance, basis, method=between)
    return shrink_given(raw, covariance, basis, variance=variance, rule=rule)


def shrink_given(
    raw: np.ndarray, covariance: np.ndarray, basis: np.ndarray, *, variance: float, rule: Rule
) -> Shrunk:
    """Shrink with a given variance between groups; `basis` from `column_basis`."""
    spare = len(raw) - basis.shape[1]
    values, vectors = np.linalg.eigh(covariance)
    total = values + variance

    def function_of(eigenvalues: np.ndarray) -> np.ndarray:
        """The matrix with the eigenvectors of the covariance and these eigenvalues."""
        return np.asarray((vectors * eigenvalues) @ vectors.T)

    inverse = function_of(1 / total)
    gls = np.linalg.inv(basis.T @ inverse @ basis)
    mean = basis @ (gls @ (basis.T @ inverse @ raw))
    residual = raw - mean
    pull = function_of(values / total)
    from_mean = pull @ basis @ gls @ basis.T @ pull
    if rule == "eblup":
        errors = function_of(variance * values / total) + from_mean
        errors += 2 * function_of(values**2 / total**3) * (2 / np.sum(total**-2))
        return Shrunk(raw - pull @ residual, errors, 1 - np.diag(pull), mean, variance)
    limit = (spare - 2) / spare
    within = np.sum(values / total) / np.sum(1 / total)
    unsure = np.sqrt(within + variance) * limit * (function_of(values / total**1.5) @ residual)
    errors = covariance - limit * (pull @ covariance - from_mean)
    errors += 2 / (spare - 2) * np.outer(unsure, unsure)
    pull = limit * pull
    return Shrunk(raw - pull @ residual, errors, 1 - np.diag(pull), mean, variance)


def _require_rank(covariance: np.ndarray) -> None:
    """Refuse estimates of which one follows from the others."""
    values = np.linalg.eigvalsh(covariance)
    if values.size and values[0] <= 1e-10 * values[-1]:
        raise EstimationError(
            f"shrink_estimates: the covariance of {len(values)} estimates has no full rank (fewer "
            "clusters than estimates, or one follows from the others).\n"
            "  Leave out rows that add up others, or cluster by member."
        )


def column_basis(design: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the columns; shape (k, rank)."""
    left, size, _ = np.linalg.svd(design, full_matrices=False)
    return np.asarray(left[:, size > 1e-10 * size[0]])


def between_variance(
    raw: np.ndarray, covariance: np.ndarray, basis: np.ndarray, *, method: Between
) -> float:
    r"""Variance between groups beyond what chance gives; 0 or more.

    What is orthogonal to the mean has, in the eigenvectors of its covariance, independent
    components :math:`z_j \sim N(0, \lambda_j + \tau^2)`. REML maximizes their likelihood,
    Paule-Mandel (Fay and Herriot's moments) solves :math:`\sum z_j^2/(\lambda_j + \tau^2) = k - r`,
    DerSimonian-Laird takes the first step of it from 0.
    """
    complement = np.linalg.svd(basis, full_matrices=True)[0][:, basis.shape[1] :]
    scale, turn = np.linalg.eigh(complement.T @ covariance @ complement)
    squares = (turn.T @ (complement.T @ raw)) ** 2
    if method == "dersimonian_laird":
        excess = float(np.sum(squares / scale)) - len(scale)
        return max(0.0, excess / float(np.sum(1 / scale)))
    if method == "paule_mandel":
        return _moment_solution(squares, scale)
    return _restricted_maximum(squares, scale)


def _moment_solution(squares: np.ndarray, scale: np.ndarray) -> float:
    """Where the standardized squares add up to their number; 0 if they are fewer from the start."""
    from scipy import optimize

    def excess(variance: float) -> float:
        return float(np.sum(squares / (scale + variance))) - len(scale)

    if excess(0.0) <= 0:
        return 0.0
    return float(optimize.brentq(excess, 0.0, float(squares.sum()), rtol=1e-13))


def _restricted_maximum(squares: np.ndarray, scale: np.ndarray) -> float:
    """Where the restricted likelihood is largest: 0, or a zero of its score (there may be some)."""
    from scipy import optimize

    def deviance(variance: float) -> float:
        total = scale + variance
        return float(np.sum(np.log(total) + squares / total))

    def score(variance: float) -> float:
        total = scale + variance
        return float(np.sum(squares / total**2 - 1 / total))

    # Beyond the largest square every term of the score is negative.
    grid = np.append(0.0, np.geomspace(1e-6 * scale.min(), max(squares.max(), scale.max()), 200))
    slopes = np.array([score(each) for each in grid])
    falls = np.flatnonzero((slopes[:-1] > 0) & (slopes[1:] <= 0))
    zeros = [float(optimize.brentq(score, grid[i], grid[i + 1], rtol=1e-13)) for i in falls]
    return min([0.0, *zeros], key=deviance)
