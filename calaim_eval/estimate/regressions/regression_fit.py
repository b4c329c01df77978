"""Linear, Poisson and negative binomial regressions, with each row's influence on them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calaim_eval.design.ledger import part_words
from calaim_eval.errors import EstimationError
from calaim_eval.estimate.covariates import require_full_rank
from calaim_eval.estimate.regressions.regression_rows import RegressionRows
from calaim_eval.estimate.series.segmented_fit import SEPARATED

AT_REST = 1e-5
"""Of standardized coefficients; with separation each further step moves them by about 1."""
ROUNDING = 1e-12
"""Residuals below this share of the outcome are rounding: the standard error is then not known."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Coefficients of p terms, the intercept first where there is one.

    Attributes
    ----------
    coef : np.ndarray
        Shape (p,).
    influence : np.ndarray | None
        Of each row on each coefficient; None where the method gives its own covariance; (n, p).
    covariance : np.ndarray
        The model's own (or the method's own robust one); shape (p, p).
    n_coefficients : int
        What the small-sample factor counts, without effects nested in clusters.
    rows : RegressionRows
        The rows used.
    has_intercept : bool
    notes : tuple[str, ...]
    """

    coef: np.ndarray
    influence: np.ndarray | None
    covariance: np.ndarray
    n_coefficients: int
    rows: RegressionRows
    has_intercept: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Standardized:
    """Columns with mean 0 and deviation 1 beside an intercept, and the way back.

    Attributes
    ----------
    z : np.ndarray
        Shape (n, 1 + p).
    back : np.ndarray
        Coefficients of the given columns from those of `z`; shape (1 + p, 1 + p).
    """

    z: np.ndarray
    back: np.ndarray


def standardized(rows: RegressionRows) -> Standardized:
    """Columns of the rows, refused where constant or dependent."""
    require_full_rank(rows.values, rows.names, where="the regression")
    middle, size = rows.values.mean(axis=0), rows.values.std(axis=0)
    back = np.diag(np.concatenate([[1.0], 1 / size]))
    back[0, 1:] = -middle / size
    z = np.column_stack([np.ones(len(rows)), (rows.values - middle) / size])
    _require_rows(len(rows), z.shape[1])
    return Standardized(z, back)


def fit_linear(rows: RegressionRows) -> Fit:
    """Least squares of the rate on the columns, weighted by the time at risk."""
    columns = standardized(rows)
    z, weight = columns.z, rows.mass
    inverse = np.linalg.inv(z.T @ (weight[:, None] * z))
    rate = rows.outcome / rows.at_risk
    coef = inverse @ (z.T @ (weight * rate))
    left = without_rounding_left(rate, rate - z @ coef)
    spread = float(weight @ left**2) / (len(rows) - z.shape[1])
    scores = z * (weight * left)[:, None]
    return _returned(rows, columns, coef, scores @ inverse, spread * inverse)


def fit_poisson(rows: RegressionRows) -> Fit:
    """Poisson regression with the logarithm of the time at risk as offset."""
    columns = standardized(rows)
    require_counts(rows)
    result = _fitted_poisson(rows, columns.z)
    mean = np.asarray(result.fittedvalues)
    require_no_separation(rows, mean)
    inverse = np.linalg.inv(columns.z.T @ ((rows.weight * mean)[:, None] * columns.z))
    influence = (columns.z * (rows.weight * (rows.outcome - mean))[:, None]) @ inverse
    _require_at_rest(influence)
    return _returned(rows, columns, np.asarray(result.params), influence, inverse)


def fit_negative_binomial(rows: RegressionRows) -> Fit:
    """Negative binomial regression (variance mu + alpha mu^2), alpha by maximum likelihood."""
    from statsmodels.discrete.discrete_model import NegativeBinomial

    columns = standardized(rows)
    require_counts(rows)
    if (rows.outcome != np.floor(rows.outcome)).any():
        raise EstimationError(
            "model='negative_binomial' needs whole counts, and the outcome has fractions. Use "
            "model='poisson', which needs the mean only, or model='linear'."
        )
    start = _fitted_poisson(rows, columns.z)
    mean = np.asarray(start.fittedvalues)
    require_no_separation(rows, mean)
    excess = float(((rows.outcome - mean) ** 2 - rows.outcome).sum() / (mean**2).sum())
    if excess <= 0:
        raise EstimationError(
            "model='negative_binomial': the counts vary no more than a Poisson's, so its second "
            "parameter runs to 0. Use model='poisson'."
        )
    model = NegativeBinomial(rows.outcome, columns.z, offset=np.log(rows.at_risk))
    first = np.concatenate([np.asarray(start.params), [max(excess, 1e-3)]])
    result = _fitted_in_steps(model, first)
    inverse = np.linalg.inv(-np.asarray(model.hessian(result.params)))
    influence = np.asarray(model.score_obs(result.params)) @ inverse
    _require_at_rest(influence)
    p = columns.z.shape[1]
    coef = np.asarray(result.params)[:p]
    fit = _returned(rows, columns, coef, influence[:, :p], inverse[:p, :p])
    return replace(fit, n_coefficients=p + 1)


def _fitted_in_steps(model: Any, first: np.ndarray) -> Any:
    """Newton steps from the Poisson fit; where they stray, from where a cautious search ends."""
    try:
        return converged(lambda: model.fit(first, method="newton", maxiter=100, disp=0))
    except EstimationError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            near = model.fit(first, method="bfgs", maxiter=1000, disp=0)
        return converged(lambda: model.fit(near.params, method="newton", maxiter=100, disp=0))


def converged(fitting: Callable[[], Any]) -> Any:
    """The result of a fit that converged; otherwise an error that says what to do."""
    from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", PerfectSeparationWarning)
        try:
            result = fitting()
        except (np.linalg.LinAlgError, PerfectSeparationWarning, ValueError) as error:
            raise EstimationError(NOT_CONVERGED) from error
    details = getattr(result, "mle_retvals", None) or {}
    if not getattr(result, "converged", details.get("converged", True)):
        raise EstimationError(NOT_CONVERGED)
    if not np.isfinite(np.asarray(result.params)).all():
        raise EstimationError(NOT_CONVERGED)
    return result


NOT_CONVERGED = (
    "the regression did not converge: covariates may tell who has no events (separation). Use "
    "fewer covariates, merge rare categories, or a simpler model."
)


def _fitted_poisson(rows: RegressionRows, z: np.ndarray) -> Any:
    """A Poisson GLM, iterated until its coefficients stand."""
    from statsmodels.genmod.families import Poisson
    from statsmodels.genmod.generalized_linear_model import GLM

    model = GLM(
        rows.outcome, z, family=Poisson(), offset=np.log(rows.at_risk), var_weights=rows.weight
    )
    require_events_everywhere(rows)
    return converged(lambda: model.fit(maxiter=200, tol=1e-11, tol_criterion="params"))


def _returned(
    rows: RegressionRows,
    columns: Standardized,
    coef: np.ndarray,
    influence: np.ndarray,
    covariance: np.ndarray,
) -> Fit:
    """A fit in the columns as given."""
    back = columns.back
    return Fit(
        coef=back @ coef,
        influence=influence @ back.T,
        covariance=back @ covariance @ back.T,
        n_coefficients=len(coef),
        rows=rows,
    )


def without_rounding_left(outcome: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Residuals, 0 where the columns explain the outcome to rounding."""
    if np.abs(left).max() <= ROUNDING * np.abs(outcome).max():
        return np.zeros_like(left)
    return left


def _require_rows(n: int, p: int) -> None:
    """Refuse as many coefficients as rows."""
    if n <= p:
        raise EstimationError(
            f"the regression has {p} coefficients and no more rows. Use fewer covariates."
        )


def require_counts(rows: RegressionRows) -> None:
    """Refuse negative outcomes where counts are required."""
    negative = int((rows.outcome < 0).sum())
    if negative:
        raise EstimationError(
            "a count model needs outcomes of 0 or more; "
            f"{part_words(negative, len(rows), 'rows')} are negative. Use model='linear'."
        )


def require_events_everywhere(rows: RegressionRows) -> None:
    """Refuse an indicator without events on one of its sides."""
    for name, values in zip(rows.names, rows.values.T, strict=True):
        if not np.isin(values, (0.0, 1.0)).all():
            continue
        for side, words in ((1.0, "with"), (0.0, "without")):
            if not rows.outcome[values == side].any():
                raise EstimationError(
                    f"no row {words} `{name}` has any event, so its rate ratio would be 0 or "
                    "infinite (separation). Merge it with another group, or use model='linear'."
                )


def _require_at_rest(influence: np.ndarray) -> None:
    """Refuse coefficients that one more Newton step (the sum of influences) would still move."""
    if not np.abs(influence.sum(axis=0)).max() < AT_REST:
        raise EstimationError(NOT_CONVERGED)


def require_no_separation(rows: RegressionRows, mean: np.ndarray) -> None:
    """Refuse fitted rates that run to 0."""
    overall = rows.outcome.sum() / rows.at_risk.sum()
    lost = int((mean / rows.at_risk < SEPARATED * overall).sum())
    if lost:
        raise EstimationError(
            f"the fitted rate runs to 0 in {part_words(lost, len(rows), 'rows')}: covariates tell "
            "who has no events (separation). Leave out the covariate, or merge its categories."
        )
