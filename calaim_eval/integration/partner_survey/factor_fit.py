r"""Confirmatory factor analysis by maximum likelihood: each item loads on one factor.

The model :math:`\Sigma = \Lambda\Phi\Lambda' + \Psi` with standardized factors that covary and
errors that do not. One factor gives omega; several, whether items measure what they were written
for.

References
----------
.. [1] Jöreskog KG (1969). Psychometrika 34:183-202. doi:10.1007/BF02289343
.. [2] McDonald RP (1999). Test theory: a unified treatment. doi:10.4324/9781410601087
.. [3] Hu L, Bentler PM (1999). Struct Equ Modeling 6(1):1-55. doi:10.1080/10705519909540118
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from calaim_eval.errors import EstimationError
from calaim_eval.integration.partner_survey.scale_statistics import correlation

_GRADIENT = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class FactorFit:
    """A fitted factor model.

    Attributes
    ----------
    loadings : np.ndarray
        Of each item on its factor, in the unit of the item; shape (k,).
    uniqueness : np.ndarray
        Error variances; shape (k,).
    factor_correlation : np.ndarray
        Shape (m, m).
    factor_of : np.ndarray
        Factor of each item, from 0; shape (k,).
    chi_square, degrees, p_value : float
        Against the unrestricted covariance.
    cfi, tli, rmsea, srmr : float
        Comparative fit and Tucker-Lewis index against independent items, root mean square error of
        approximation, standardized root mean square residual.
    """

    loadings: np.ndarray
    uniqueness: np.ndarray
    factor_correlation: np.ndarray
    factor_of: np.ndarray
    chi_square: float
    degrees: int
    p_value: float
    cfi: float
    tli: float
    rmsea: float
    srmr: float

    @property
    def omega(self) -> float:
        r"""Omega total of one factor: :math:`(\sum\lambda)^2/\{(\sum\lambda)^2 + \sum\psi\}`."""
        if len(self.factor_correlation) != 1:
            return float("nan")
        common = self.loadings.sum() ** 2
        return float(common / (common + self.uniqueness.sum()))


def fit_factors(
    covariance: np.ndarray, *, n_respondents: int, factor_of: Sequence[int] | None = None
) -> FactorFit:
    """Fit a factor model to the covariance of items.

    Parameters
    ----------
    covariance : np.ndarray
        With divisor n (the maximum-likelihood one); shape (k, k).
    n_respondents : int
    factor_of : sequence of int, optional
        Factor of each item, from 0. Default: one factor.

    Returns
    -------
    FactorFit

    Raises
    ------
    EstimationError
        A factor has too few items, items are linearly dependent, or the search does not end in a
        maximum with positive error variances.
    """
    k = len(covariance)
    factors = np.zeros(k, dtype=int) if factor_of is None else np.asarray(factor_of, dtype=int)
    _check_model(covariance, factors)
    sample = correlation(covariance)
    loadings, phi, uniqueness, value = _maximize(sample, factors)
    implied = _implied(loadings, phi, uniqueness, factors)
    m = len(phi)
    degrees = k * (k + 1) // 2 - 2 * k - m * (m - 1) // 2
    unit = np.sqrt(np.diag(covariance))
    chi_square = max(n_respondents * value, 0.0)
    return FactorFit(
        loadings=loadings * unit,
        uniqueness=uniqueness * unit**2,
        factor_correlation=phi,
        factor_of=factors,
        chi_square=chi_square,
        degrees=degrees,
        p_value=float(special.chdtrc(degrees, chi_square)) if degrees else float("nan"),
        **_indices(sample, implied, chi_square, degrees, n_respondents),
    )


def _check_model(covariance: np.ndarray, factors: np.ndarray) -> None:
    """Refuse what is not identified."""
    sizes = np.bincount(factors)
    if sizes.min() < (3 if len(sizes) == 1 else 2):
        raise EstimationError(
            f"a factor has {int(sizes.min())} items: three are needed for one factor alone, two "
            "for each of several.\n  Join scales, or report alpha without omega."
        )
    varies = np.isfinite(covariance).all() and (np.diag(covariance) > 0).all()
    if not varies or np.linalg.eigvalsh(correlation(covariance))[0] < 1e-10:
        raise EstimationError(
            "the items are linearly dependent, constant, or never answered together.\n"
            "  Drop an item that repeats others."
        )


def _maximize(
    sample: np.ndarray, factors: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Loadings, factor correlations, error variances of standardized items, and discrepancy."""
    from scipy import optimize

    k, m = len(sample), int(factors.max()) + 1
    pairs = np.tril_indices(m, -1)
    constant = np.linalg.slogdet(sample)[1] + k
    own = np.arange(k)

    def unpack(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        phi = np.eye(m)
        phi[pairs] = phi.T[pairs] = theta[k : k + len(pairs[0])]
        return theta[:k], phi, np.exp(theta[-k:])

    def discrepancy(theta: np.ndarray) -> tuple[float, np.ndarray]:
        loadings, phi, uniqueness = unpack(theta)
        implied = _implied(loadings, phi, uniqueness, factors)
        if np.linalg.eigvalsh(implied)[0] < 1e-9:
            return 1e10, np.zeros_like(theta)
        inverse = np.linalg.inv(implied)
        slope = inverse - inverse @ sample @ inverse
        pattern = np.zeros((k, m))
        pattern[own, factors] = loadings
        value = np.linalg.slogdet(implied)[1] + np.trace(sample @ inverse) - constant
        by_loading = 2 * (slope @ pattern @ phi)[own, factors]
        by_phi = 2 * (pattern.T @ slope @ pattern)[pairs]
        return float(value), np.concatenate([by_loading, by_phi, np.diag(slope) * uniqueness])

    signs = _signs(sample, factors)
    start = np.concatenate([0.6 * signs, np.full(len(pairs[0]), 0.3), np.full(k, np.log(0.5))])
    found = optimize.minimize(
        discrepancy, start, jac=True, method="BFGS", options={"gtol": 1e-8, "maxiter": 2000}
    )
    loadings, phi, uniqueness = unpack(found.x)
    is_proper = np.abs(phi[pairs]).max(initial=0.0) < 1 and uniqueness.min() > 1e-4
    if np.abs(found.jac).max() > _GRADIENT or not is_proper:
        raise EstimationError(
            "the factor model has no proper solution: an error variance goes to 0, or two factors "
            "to one.\n  The items do not measure what the scale says; look at their correlations."
        )
    return loadings, phi, uniqueness, float(found.fun)


def _signs(sample: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Sign of each item by its covariance with the first item of its factor."""
    first = np.array([np.flatnonzero(factors == f)[0] for f in factors])
    return np.where(sample[np.arange(len(sample)), first] < 0, -1.0, 1.0)


def _implied(
    loadings: np.ndarray, phi: np.ndarray, uniqueness: np.ndarray, factors: np.ndarray
) -> np.ndarray:
    """Covariance the model implies."""
    common = np.outer(loadings, loadings) * phi[np.ix_(factors, factors)]
    return np.asarray(common + np.diag(uniqueness))


def _indices(
    sample: np.ndarray, implied: np.ndarray, chi_square: float, degrees: int, n: int
) -> dict[str, float]:
    """Fit indices against the saturated and the independence model [3]_."""
    k = len(sample)
    baseline = -n * np.linalg.slogdet(sample)[1]
    baseline_degrees = k * (k - 1) / 2
    lower = np.tril_indices(k)
    srmr = float(np.sqrt(np.mean((sample - implied)[lower] ** 2)))
    if not degrees:
        nan = float("nan")
        return {"cfi": nan, "tli": nan, "rmsea": nan, "srmr": srmr}
    excess = max(chi_square - degrees, 0.0)
    base = max(baseline - baseline_degrees, excess)
    ratio = baseline / baseline_degrees
    return {
        "cfi": 1 - excess / base if base > 0 else 1.0,
        "tli": float((ratio - chi_square / degrees) / (ratio - 1)),
        "rmsea": float(np.sqrt(excess / (degrees * n))),
        "srmr": srmr,
    }
