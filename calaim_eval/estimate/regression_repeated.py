"""Regressions for repeated measures: absorbed effects, working correlations, random intercepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.clustering import FEW_CLUSTERS
from calaim_eval.estimate.covariates import require_full_rank
from calaim_eval.estimate.regression_fit import (
    Fit,
    converged,
    standardized,
    without_rounding_left,
)
from calaim_eval.estimate.regression_rows import RegressionRows
from calaim_eval.estimate.words import count_words

ABSORBED = 1e-9
"""Share of a column's variance that effects must leave, or they have absorbed it."""


def fit_fixed_effects(
    rows: RegressionRows, absorb: Sequence[str], clusters: Sequence[np.ndarray]
) -> Fit:
    """Least squares with absorbed effects (linearmodels), singletons set aside first."""
    from linearmodels.iv.absorbing import AbsorbingLS

    n_before = len(rows)
    kept = without_singletons([rows.groups[name] for name in absorb])
    rows, clusters = rows.take(kept), [codes[kept] for codes in clusters]
    if not len(rows):
        raise EstimationError(
            f"every row is the only one of its {' or '.join(absorb)}: nothing is left to estimate. "
            "Absorb less, or use model='linear'."
        )
    require_full_rank(rows.values, rows.names, where="the regression")
    size = rows.values.std(axis=0)
    effects = pd.DataFrame({name: pd.Categorical(rows.groups[name]) for name in absorb})
    rate = rows.outcome / rows.at_risk
    model = AbsorbingLS(
        rate,
        pd.DataFrame(rows.values / size, columns=[f"x{j}" for j in range(len(size))]),
        absorb=effects,
        weights=rows.at_risk,
    )
    model.fit(cov_type="unadjusted")
    x = np.asarray(model.absorbed_exog)
    y = np.asarray(model.absorbed_dependent)[:, 0]
    _require_left(rows, x, size, absorb)
    inverse = np.linalg.inv(x.T @ x)
    coef = inverse @ (x.T @ y)
    left = without_rounding_left(rate, y - x @ coef)
    n_levels = {name: len(np.unique(rows.groups[name])) for name in absorb}
    n_used = x.shape[1] + sum(n_levels.values()) - (len(absorb) - 1)
    freedom = max(len(rows) - n_used, 1)
    nested = [name for name in absorb if _is_nested(rows.groups[name], clusters)]
    n_counted = n_used - sum(n_levels[name] - 1 for name in nested)
    lost = n_before - len(rows)
    return Fit(
        coef=coef / size,
        influence=(x * left[:, None]) @ inverse / size,
        covariance=float(left @ left) / freedom * inverse / np.outer(size, size),
        n_coefficients=n_counted,
        rows=rows,
        has_intercept=False,
        notes=()
        if not lost
        else (
            f"Set aside as the only row of its {' or '.join(absorb)}: "
            f"{count_words(lost, 'member-months')}.",
        ),
    )


def fit_gee(rows: RegressionRows, *, is_count: bool, working_correlation: str) -> Fit:
    """Generalized estimating equations with members as groups (statsmodels)."""
    from statsmodels.genmod import cov_struct, families
    from statsmodels.genmod.generalized_estimating_equations import GEE

    columns = standardized(rows)
    n_members = len(np.unique(rows.member))
    order = np.lexsort((_time(rows), rows.member))
    structure: dict[str, Any] = {
        "independent": cov_struct.Independence,
        "exchangeable": cov_struct.Exchangeable,
        "autoregressive": cov_struct.Autoregressive,
    }
    model = GEE(
        rows.outcome[order],
        columns.z[order],
        groups=rows.member[order],
        time=_time(rows)[order],
        family=families.Poisson() if is_count else families.Gaussian(),
        cov_struct=structure[working_correlation](),
        offset=np.log(rows.at_risk)[order] if is_count else None,
    )
    few = n_members < FEW_CLUSTERS
    result: Any = converged(
        lambda: model.fit(maxiter=200, ctol=1e-9, cov_type="bias_reduced" if few else "robust")
    )
    back = columns.back
    return Fit(
        coef=back @ np.asarray(result.params),
        influence=None,
        covariance=back @ np.asarray(result.cov_params()) @ back.T,
        n_coefficients=len(result.params),
        rows=rows,
        notes=(f"Working correlation within members: {working_correlation}.",)
        + (
            ("Few members: standard errors are bias-reduced (Mancl and DeRouen 2001).",)
            if few
            else ()
        ),
    )


def fit_mixed(rows: RegressionRows) -> Fit:
    """Linear model with a random intercept per member, by restricted maximum likelihood."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    columns = standardized(rows)
    if len(np.unique(rows.member)) == len(rows):
        raise EstimationError(
            "model='mixed': no member has two rows, so that a member's intercept can't be told "
            "from noise. Use model='linear'."
        )
    scale = rows.outcome.std()
    model = MixedLM(rows.outcome / scale, columns.z, groups=rows.member)
    result: Any = converged(lambda: model.fit(reml=True, method=["lbfgs", "bfgs", "cg"]))
    p = columns.z.shape[1]
    back = scale * columns.back
    return Fit(
        coef=back @ np.asarray(result.fe_params),
        influence=None,
        covariance=back @ np.asarray(result.cov_params())[:p, :p] @ back.T,
        n_coefficients=p,
        rows=rows,
        notes=(
            "Standard errors are the model's: they are right if members differ by a normal "
            "intercept only and months are otherwise independent.",
        ),
    )


def without_singletons(groups: Sequence[np.ndarray]) -> np.ndarray:
    """Rows whose every group has another row, dropping again until none is alone; positions."""
    kept = np.arange(len(groups[0]))
    while True:
        alone = np.zeros(len(kept), dtype=bool)
        for codes in groups:
            own = codes[kept]
            alone |= np.bincount(own, minlength=1)[own] == 1
        if not alone.any():
            return kept
        kept = kept[~alone]


def _require_left(
    rows: RegressionRows, x: np.ndarray, size: np.ndarray, absorb: Sequence[str]
) -> None:
    """Refuse columns that the absorbed effects explain."""
    whole = (rows.at_risk[:, None] * ((rows.values - rows.values.mean(axis=0)) / size) ** 2).sum(
        axis=0
    )
    gone = (x**2).sum(axis=0) <= ABSORBED * whole
    if gone.any():
        names = ", ".join(f"`{n}`" for n, g in zip(rows.names, gone, strict=True) if g)
        raise EstimationError(
            f"{names} follow{'' if gone.sum() > 1 else 's'} from the absorbed effects of "
            f"{' and '.join(absorb)}: nothing is left to estimate from. Leave it out, or absorb "
            "less."
        )
    require_full_rank(x, rows.names, where="the regression, after its absorbed effects,")


def _is_nested(codes: np.ndarray, clusters: Sequence[np.ndarray]) -> bool:
    """Whether each level lies within one cluster (of any of the clusterings)."""
    for cluster in clusters:
        first = np.zeros(codes.max() + 1, dtype=np.int64)
        first[codes] = cluster
        if (first[codes] == cluster).all():
            return True
    return False


def _time(rows: RegressionRows) -> np.ndarray:
    """Position of each row in time; 0 where there is no month."""
    return np.zeros(len(rows)) if rows.month is None else rows.month.astype(float)
