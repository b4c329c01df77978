"""Regressions for repeated measures: absorbed effects, working correlations, random intercepts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.covariates import require_full_rank
from calaim_eval.estimate.inference.clustering import FEW_CLUSTERS
from calaim_eval.estimate.regressions.regression_error import cluster_sums
from calaim_eval.estimate.regressions.regression_fit import (
    Fit,
    converged,
    require_counts,
    require_events_everywhere,
    require_no_separation,
    standardized,
    without_rounding_left,
)
from calaim_eval.estimate.regressions.regression_rows import RegressionRows
from calaim_eval.estimate.words import count_words

NO_VARIANCE = 1e-6
"""A variance between members below this share of that within is 0, and the fit is at its edge."""


def fit_fixed_effects(
    rows: RegressionRows, absorb: Sequence[str], clusters: Sequence[np.ndarray]
) -> Fit:
    """Least squares with absorbed effects (linearmodels), singletons set aside first."""
    from linearmodels.iv.absorbing import AbsorbingLS
    from linearmodels.panel.utility import AbsorbingEffectError

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

    def model_of(columns: list[int]) -> Any:
        """The model with some of the columns."""
        x = pd.DataFrame(rows.values[:, columns] / size[columns], columns=map(str, columns))
        return AbsorbingLS(rate, x, absorb=effects, weights=rows.mass)

    model = model_of([*range(len(size))])
    try:
        model.fit(cov_type="unadjusted")
    except AbsorbingEffectError as error:
        raise EstimationError(_absorbed_words(rows, model_of, absorb)) from error
    x = np.asarray(model.absorbed_exog)
    y = np.asarray(model.absorbed_dependent)[:, 0]
    require_full_rank(x, rows.names, where="the regression, after its absorbed effects,")
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
    if is_count:
        require_counts(rows)
        require_events_everywhere(rows)
    n_members = len(np.unique(rows.member))
    order = np.lexsort((_time(rows), rows.member))
    structure: dict[str, Any] = {
        "independent": cov_struct.Independence,
        "exchangeable": cov_struct.Exchangeable,
        # Months a member is not covered leave gaps, so times are no grid.
        "autoregressive": partial(cov_struct.Autoregressive, grid=False),
    }
    model = GEE(
        rows.outcome[order],
        columns.z[order],
        groups=rows.member[order],
        time=_time(rows)[order],
        family=families.Poisson() if is_count else families.Gaussian(),
        cov_struct=structure[working_correlation](),
        offset=np.log(rows.at_risk)[order] if is_count else None,
        weights=rows.weight[order] if rows.is_weighted else None,
    )
    few = n_members < FEW_CLUSTERS and not rows.is_weighted
    result: Any = converged(
        lambda: model.fit(maxiter=200, ctol=1e-9, cov_type="bias_reduced" if few else "robust")
    )
    if is_count:
        require_no_separation(rows, rows.at_risk * np.exp(columns.z @ np.asarray(result.params)))
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
    # lbfgs may stop at a likelihood of infinity here and call it converged.
    result: Any = converged(lambda: model.fit(reml=True, method=["bfgs", "cg", "powell"]))
    between = float(np.asarray(result.cov_re)[0, 0])
    if not (np.isfinite(result.llf) and between > NO_VARIANCE * result.scale):
        raise EstimationError(
            "model='mixed': members do not differ by more than their months do, so the variance of "
            "their intercepts is 0. Use model='linear' with cluster='member'."
        )
    ratio = between / float(result.scale)
    covariance = float(result.scale) * np.linalg.inv(_information(columns.z, rows.member, ratio))
    back = scale * columns.back
    return Fit(
        coef=back @ np.asarray(result.fe_params),
        influence=None,
        covariance=back @ covariance @ back.T,
        n_coefficients=columns.z.shape[1],
        rows=rows,
        notes=(
            "Standard errors are the model's: they are right if members differ by a normal "
            "intercept only and months are otherwise independent.",
        ),
    )


def _information(z: np.ndarray, member: np.ndarray, ratio: float) -> np.ndarray:
    """``Z' V^-1 Z`` with ``V = I + ratio 11'`` within members; shape (p, p)."""
    size = np.bincount(member).astype(float)
    sums = cluster_sums(z, member)
    return np.asarray(z.T @ z - sums.T @ ((ratio / (1 + ratio * size))[:, None] * sums))


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


def _absorbed_words(
    rows: RegressionRows, model_of: Callable[[list[int]], Any], absorb: Sequence[str]
) -> str:
    """Which columns the absorbed effects explain, in words."""
    from linearmodels.panel.utility import AbsorbingEffectError

    gone = []
    for column, name in enumerate(rows.names):
        try:
            model_of([column]).fit(cov_type="unadjusted")
        except AbsorbingEffectError:
            gone.append(f"`{name}`")
    if not gone:
        names = ", ".join(f"`{name}`" for name in rows.names)
        return (
            f"one of {names} follows from the others and the absorbed effects of "
            f"{' and '.join(absorb)}. Leave it out."
        )
    return (
        f"{', '.join(gone)} follow{'' if len(gone) > 1 else 's'} from the absorbed effects of "
        f"{' and '.join(absorb)}: nothing is left to estimate from. Leave it out, or absorb less."
    )


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
