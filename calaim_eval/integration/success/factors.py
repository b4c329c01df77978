"""What goes with good integration: outcomes of counties, plans and supports on declared factors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.success.factor_rows import FactorRows, factor_rows
from calaim_eval.integration.success.mixed_factors import fit_mixed_factors
from calaim_eval.integration.success.separation import is_separated
from calaim_eval.results import EffectTable, Estimand, Method

FactorModel = Literal["linear", "logit", "mixed"]

_JACKKNIFE = (
    "MacKinnon JG, Nielsen MØ, Webb MD (2023). Fast and reliable jackknife and bootstrap methods "
    "for cluster-robust inference. J Appl Econometrics 38(5):671-694. doi:10.1002/jae.2969"
)
_MIXED = (
    "Laird NM, Ware JH (1982). Random-effects models for longitudinal data. Biometrics "
    "38(4):963-974. doi:10.2307/2529876"
)
_ESTIMATOR = {
    "linear": "Linear regression, jackknife over clusters",
    "logit": "Logistic regression, jackknife over clusters",
    "share": "Logistic regression of shares of counts, jackknife over clusters",
    "mixed": "Linear mixed model with a random intercept per cluster (REML)",
}
_Fit = Callable[[np.ndarray, np.ndarray], np.ndarray | None]


def integration_factors(
    data: pd.DataFrame,
    *,
    outcome: str,
    factors: Sequence[str],
    categorical: Sequence[str] = (),
    model: FactorModel = "linear",
    cluster: str | None = "county",
    slopes: Sequence[str] = (),
    members: str | None = None,
    trials: str | None = None,
    unit: str | None = None,
) -> EffectTable:
    r"""Association of factors with an outcome over units, all factors in one model.

    What goes with good integration is not what makes it: counties chose their pilots, plans their
    partners. Every table says "association".

    Parameters
    ----------
    data : pd.DataFrame
        One row per unit: county, county × plan, county × plan × support, or organization.
    outcome : str
        Column of numbers; 0/1 or true/false for ``"logit"``, or a share with `trials`.
    factors, categorical : sequence of str
        Columns of numbers or true/false; columns whose values are categories (the first in order
        is the reference).
    model : {"linear", "logit", "mixed"}
        Differences; odds ratios; differences with a random intercept per cluster.
    cluster : str or None
        Column of what units share. None: every unit stands alone.
    slopes : sequence of str
        Factors whose coefficient varies between clusters (``"mixed"`` only).
    members : str, optional
        Column with the members behind each unit, where the outcome is one of members: then support
        is members, else units.
    trials : str, optional
        For ``"logit"``: column with what the outcome is a share of (``"n_referrals"``), so that
        a unit counts by its referrals and no difference leaves 0 to 1. Referrals of a unit are
        alike, which the jackknife over clusters allows for.
    unit : str, optional
        Of the outcome, such as "share of referrals closed".

    Returns
    -------
    EffectTable
        Key ``term``; estimand "Association", not causal. ``linear`` and ``logit`` have the
        delete-one-cluster covariance

        .. math:: V = \frac{G-1}{G} \sum_g (b_{(g)} - b)(b_{(g)} - b)'

        and Student's t with G - 1 degrees; ``mixed`` has the model's own covariance and, in
        ``method.options``, the standard deviations of its parts. A term that cannot be estimated
        without one of the clusters has no standard error, and a note.

    Raises
    ------
    TableError, EstimationError
        As in `factor_rows`; an outcome that is not 0/1 for ``"logit"``; factors that separate the
        outcomes; a mixed model that does not converge or has no variance between clusters.

    References
    ----------
    MacKinnon, Nielsen and Webb (2023). doi:10.1002/jae.2969; Laird and Ware (1982).
    doi:10.2307/2529876.

    Examples
    --------
    >>> counties = pd.DataFrame({"closure": [0.2, 0.5, 0.3, 0.6, 0.2, 0.7], "pilot": [0, 1] * 3})
    >>> table = integration_factors(counties, outcome="closure", factors=["pilot"], cluster=None)
    >>> round(float(table.estimate[0]), 3)
    0.367
    """
    if slopes and model != "mixed":
        raise EstimationError(f"`slopes` is for model='mixed'; the model is {model!r}.")
    if trials is not None and model != "logit":
        raise EstimationError(f"`trials` is for model='logit'; the model is {model!r}.")
    rows = factor_rows(
        data,
        outcome=outcome,
        factors=factors,
        categorical=categorical,
        cluster=cluster,
        members=members,
        trials=trials,
    )
    options: dict[str, object] = {"outcome": outcome, "factors": rows.factors, "cluster": cluster}
    if trials is not None:
        options["trials"] = trials
    notes = list(rows.notes)
    if model == "mixed":
        fitted = fit_mixed_factors(rows, slopes)
        estimate, covariance, degrees = fitted.coef, fitted.covariance, None
        influence = None
        options |= fitted.parts
    else:
        fit = _FITS[model] if trials is None else _share
        estimate, influence, undefined = _jackknife(rows, fit, outcome=outcome)
        covariance = influence.T @ influence
        covariance = np.where(undefined[:, None] | undefined, np.nan, covariance)
        degrees = np.full(len(estimate), rows.n_clusters - 1.0)
        notes += _undefined_words(rows, undefined)
    is_ratio = model == "logit"
    if is_ratio:
        estimate = np.exp(estimate)
        covariance = covariance * np.outer(estimate, estimate)
        influence = None if influence is None else influence * estimate
    notes.append(_units_words(rows, cluster))
    return EffectTable(
        keys=pd.DataFrame({"term": list(rows.terms)}),
        estimate=estimate,
        covariance=covariance,
        support=_support(rows),
        estimand=Estimand(
            name="Association",
            contrast=f"the {'odds ratio' if is_ratio else 'difference'} of {outcome} that goes "
            "with a factor (one more, or with against without) at the same other factors; an "
            "association, not an effect",
            unit=f"odds ratio of {unit or outcome}" if is_ratio else unit or outcome,
            scale="ratio" if is_ratio else "difference",
            is_causal=False,
        ),
        method=Method(
            _ESTIMATOR[model if trials is None else "share"],
            options,
            _MIXED if model == "mixed" else _JACKKNIFE,
        ),
        cluster_influence=None
        if influence is None
        else pd.DataFrame(influence, index=rows.cluster_names),
        notes=tuple(notes),
        degrees=degrees,
    )


def _jackknife(
    rows: FactorRows, fit: _Fit, *, outcome: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients, what each cluster adds to their error, and terms that rest on one cluster."""
    x = np.column_stack([np.ones(len(rows)), rows.values])
    y = rows.outcome
    if rows.trials is not None:
        y = np.column_stack([y * rows.trials, (1 - y) * rows.trials])
    whole = fit(x, y)
    if whole is None:
        raise EstimationError(
            f"the factors tell the {len(rows)} units with and without `{outcome}` apart "
            "(separation), or the outcome is not 0 or 1: an odds ratio does not exist. Leave out "
            "the factor that does, or use model='linear'."
        )
    without = np.full((rows.n_clusters, len(whole)), np.nan)
    for g in range(rows.n_clusters):
        others = rows.cluster != g
        left = fit(x[others], y[others])
        if left is not None:
            without[g] = left
    undefined = np.isnan(without).any(axis=0)[1:]
    share = (rows.n_clusters - 1) / rows.n_clusters
    influence = np.sqrt(share) * (without - whole)[:, 1:]
    return whole[1:], np.where(undefined, np.nan, influence), undefined


def _linear(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Least squares; NaN for terms the rows do not identify."""
    coef, *_ = np.linalg.lstsq(x, y, rcond=None)
    return np.where(_identified(x), coef, np.nan)


def _identified(x: np.ndarray) -> np.ndarray:
    """Terms that no combination of the others can stand for; shape (1 + p,), bool."""
    scale = np.abs(x).max(axis=0)
    # Of the triangle alone: the other half of the whole would be units by units.
    triangle = np.linalg.qr(x / np.where(scale > 0, scale, 1.0), mode="r")
    _, singular, rotated = np.linalg.svd(triangle, full_matrices=True)
    size = np.zeros(x.shape[1])
    size[: len(singular)] = singular
    idle = rotated[size <= singular.max() * 1e-10]
    return np.asarray(~(np.abs(idle) > 1e-8).any(axis=0))


def _logit(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Maximum likelihood (statsmodels); NaN for terms not identified, None under separation."""
    from statsmodels.discrete.discrete_model import Logit

    if not np.isin(y, (0.0, 1.0)).all():
        return None
    if not _identified(x).all():
        return np.full(x.shape[1], np.nan)
    z, scale = _standardized(x)
    if is_separated(z, np.column_stack([y, 1 - y])):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = Logit(y, z).fit(disp=False, maxiter=100, warn_convergence=False)
    return np.asarray(result.params / scale) if result.mle_retvals["converged"] else None


def _share(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Maximum likelihood of counts with and without (n, 2); as `_logit`."""
    import statsmodels.api as sm

    if not _identified(x).all():
        return np.full(x.shape[1], np.nan)
    z, scale = _standardized(x)
    if is_separated(z, y):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = sm.GLM(y, z, family=sm.families.Binomial()).fit(maxiter=100, tol=1e-12)
    return np.asarray(result.params / scale) if result.converged else None


def _standardized(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factors around their mean in standard deviations (1 for the intercept), and those.

    Only the intercept depends on where factors are counted from, and it is not told.
    """
    mean, scale = np.r_[0.0, x[:, 1:].mean(axis=0)], np.r_[1.0, x[:, 1:].std(axis=0)]
    return (x - mean) / scale, scale


_FITS: dict[str, _Fit] = {"linear": _linear, "logit": _logit}


def _support(rows: FactorRows) -> pd.DataFrame:
    """Members (or units) on the smaller side of a yes/no term; all of them for a number."""
    weight = np.ones(len(rows)) if rows.members is None else rows.members
    counts = []
    for column in rows.values.T:
        sides = np.unique(column)
        by_side = [weight[column == side].sum() for side in sides]
        counts.append(min(by_side) if len(sides) == 2 else weight.sum())
    return pd.DataFrame({"n_members": counts, "n_events": 0.0, "member_months": 0.0})


def _undefined_words(rows: FactorRows, undefined: np.ndarray) -> list[str]:
    """Terms that one cluster carries alone."""
    if not undefined.any():
        return []
    named = ", ".join(t for t, is_so in zip(rows.terms, undefined, strict=True) if is_so)
    return [f"Without one of the clusters there is no estimate of {named}: it has no interval."]


def _units_words(rows: FactorRows, cluster: str | None) -> str:
    """How many units, in how many clusters, what support counts."""
    where = "" if cluster is None else f" in {rows.n_clusters} clusters ({cluster})"
    counted = "units" if rows.members is None else "members"
    return f"{len(rows):,} units{where}; support counts {counted}."
