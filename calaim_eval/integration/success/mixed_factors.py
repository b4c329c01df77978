"""A linear mixed model of units in clusters, by statsmodels."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calaim_eval.errors import EstimationError, quoted
from calaim_eval.integration.success.factor_rows import FactorRows

_NO_VARIANCE = 1e-6
"""A variance between clusters below this share of that within is 0: the fit is at its edge."""


@dataclass(frozen=True, slots=True, eq=False)
class MixedFit:
    """A mixed model.

    Attributes
    ----------
    coef : np.ndarray
        Without the intercept; shape (p,).
    covariance : np.ndarray
        The model's own; shape (p, p).
    parts : dict[str, object]
        Intercept, standard deviations between clusters and within, and the REML criterion.
    """

    coef: np.ndarray
    covariance: np.ndarray
    parts: dict[str, object]


def fit_mixed_factors(rows: FactorRows, slopes: Sequence[str]) -> MixedFit:
    """Random intercept (and slopes) per cluster, by restricted maximum likelihood.

    Raises
    ------
    EstimationError
        A slope is no term; the fit does not converge; nothing varies between clusters.
    """
    from statsmodels.regression.mixed_linear_model import MixedLM

    unknown = [name for name in slopes if name not in rows.terms]
    if unknown:
        raise EstimationError(f"`slopes` {quoted(unknown)} are no terms: {quoted(rows.terms)}.")
    if rows.n_clusters == len(rows):
        raise EstimationError(
            "every unit is a cluster of its own, so nothing varies within clusters. Name the "
            "column units share in `cluster`, or use model='linear'."
        )
    x = np.column_stack([np.ones(len(rows)), rows.values])
    random, back = _centered(x[:, [1 + rows.terms.index(name) for name in slopes]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = MixedLM(rows.outcome, x, groups=rows.cluster, exog_re=random).fit(reml=True)
    between = np.atleast_2d(np.asarray(result.cov_re))
    if not result.converged:
        raise EstimationError(
            "the mixed model did not converge. Leave out a slope or a factor, or use "
            "model='linear', which allows for clusters too."
        )
    if np.diag(between).min() <= _NO_VARIANCE * result.scale:
        raise EstimationError(
            "the mixed model finds no variance between clusters, where its intervals cannot be "
            "trusted. Use model='linear', which allows for clusters without it."
        )
    names, spread = ["intercept", *slopes], np.sqrt(np.diag(back @ between @ back.T))
    parts: dict[str, object] = {
        "intercept": float(result.fe_params[0]),
        **{f"sd_{n}": float(v) for n, v in zip(names, spread, strict=True)},
        "sd_within": float(np.sqrt(result.scale)),
        "reml_criterion": float(-2 * result.llf),
    }
    p = x.shape[1]
    covariance = np.asarray(result.cov_params())[1:p, 1:p]
    return MixedFit(np.asarray(result.fe_params)[1:], covariance, parts)


def _centered(slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intercept and slopes around their mean in standard deviations, and the way back.

    The covariance between them is free, so that the model is the same; a factor counted from far
    away, such as a year, would have its slope and the intercept told apart by nothing.
    """
    mean, size = slopes.mean(axis=0), slopes.std(axis=0)
    back = np.diag(np.r_[1.0, 1 / size])
    back[0, 1:] = -mean / size
    return np.column_stack([np.ones(len(slopes)), (slopes - mean) / size]), back
