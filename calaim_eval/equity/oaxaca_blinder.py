"""A gap in an outcome split by regression: covariates that differ, and all that does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.design.ledger import count_words
from calaim_eval.equity.decomposition_table import ordered_groups, pair_support, parts_table
from calaim_eval.equity.oaxaca_fit import Estimate, fit_coefficients
from calaim_eval.equity.oaxaca_parts import (
    GapPart,
    Pair,
    standard_coefficients,
    threefold,
    twofold,
)
from calaim_eval.equity.oaxaca_rows import OaxacaRows, oaxaca_rows
from calaim_eval.equity.rates_of import rates_option
from calaim_eval.errors import EstimationError
from calaim_eval.estimate.regressions.regression_error import cluster_sums
from calaim_eval.results import EffectTable, Estimand, Method, Scale
from calaim_eval.results.effect_table import with_undefined

Coefficients = Literal["reference", "group", "half", "size", "pooled", "neumark"]
Components = Literal["twofold", "threefold"]
Detail = Literal["none", "covariate", "level"]
Categories = Literal["normalized", "first_level"]
Model = Literal["linear", "logit"]

REFERENCE = {
    "linear": "Jann B (2008). The Blinder-Oaxaca decomposition for linear regression models. Stata "
    "J 8(4):453-479. doi:10.1177/1536867X0800800401",
    "logit": "Yun MS (2004). Decomposing differences in the first moment. Economics Letters "
    "82(2):275-280. doi:10.1016/j.econlet.2003.09.008",
}
UNEXPLAINED = (
    "`unexplained` is what the covariates of this model do not go with: different coefficients, "
    "everything left out, and error of measurement. It is no measure of discrimination, and its "
    "size is no evidence that there is none; nor is `explained` fair or free of it: the covariates "
    "may themselves be what inequity works through."
)


def oaxaca_blinder(
    data: pd.DataFrame,
    *,
    outcome: str,
    reference: str,
    model: Model,
    covariates: Sequence[str] = (),
    categorical: Sequence[str] = (),
    by: str = "race_ethnicity",
    components: Components = "twofold",
    coefficients: Coefficients | None = None,
    detail: Detail = "none",
    categories: Categories = "normalized",
    scale: Scale = "difference",
    weights: str | None = None,
    member_id: str | None = "member_id",
    cluster: str | None = None,
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""Split a gap between groups into what goes with covariates and what does not.

    Use with several covariates, numbers among them; for one or two strata see `kitagawa`. It
    describes: no part is an effect.

    Parameters
    ----------
    data : pd.DataFrame
        Rows of members: `by`, `outcome`, covariates. Rows with a missing covariate are left out
        and counted in the notes; a missing group is "unknown".
    outcome : str
        Numbers; 0 to 1 for ``"logit"``. A rate: events a month, with `weights` the months.
    reference : str
        Group the others are compared with, one by one.
    model : {"linear", "logit"}
    covariates, categorical : sequence of str
        Numbers; and columns whose values are categories.
    by : str
        Column with the groups.
    components : {"twofold", "threefold"}
        "explained" and "unexplained"; or, seen from the reference, "endowments" (covariates),
        "coefficients" and "interaction".
    coefficients : {"reference", "group", "half", "size", "pooled", "neumark"}
        What covariates are valued at in the twofold split: coefficients of the reference, of the
        group, their mean (Reimers), their mean by size (Cotton), of both groups in one regression
        with the group in it (``"pooled"``, Jann) or without (``"neumark"``, which moves part of
        the unexplained into the explained). Required: the split depends on it.
    detail : {"none", "covariate", "level"}
        Also each part by covariate, or by level of each category.
    categories : {"normalized", "first_level"}
        Coefficients of levels as deviations from their mean, or from the first level. Only parts
        of coefficients by covariate depend on it.
    scale : {"difference", "ratio"}
        Group minus reference (parts add up to the gap), or group over reference (parts multiply).
    weights : str, optional
        Column with sampling weights, or time at risk.
    member_id, cluster : str, optional
        Intervals are clustered by member, or by `cluster` (county; Student's t with clusters less
        one degrees of freedom). ``member_id=None``: each row is a member.
    per : float
        Multiplies differences.
    unit : str, optional
        Unit in words; default from the outcome.

    Returns
    -------
    EffectTable
        Descriptive. Keys `by`, `reference`, `component` ("gap" first), `covariate` ("all", then
        each with `detail`). Positive (above 1): higher in the group.

    Raises
    ------
    EstimationError
        The reference is absent, covariates are collinear in a group (a level nobody has), a
        logit does not converge, `coefficients` is missing, or a ratio is not defined.
    TableError
        A column is missing or holds no numbers.

    Notes
    -----
    With :math:`\bar F_a(\beta_b)` the mean prediction for members of :math:`a` from coefficients
    of :math:`b`, explained is :math:`\bar F_g(\beta^*) - \bar F_r(\beta^*)`, unexplained the
    rest, and the gap :math:`\bar F_g(\beta_g) - \bar F_r(\beta_r)`, which is the gap in means. For
    a linear model that is :math:`(\bar x_g - \bar x_r)\beta^*` and so on [1]_. A logit's overall
    split is Fairlie's; over covariates it is divided in proportion to the linear pieces [2]_,
    which does not depend on an order of the covariates. Ratios are split on the log scale.
    Variances: each row's influence on means *and* coefficients (covariates are sampled), summed by
    cluster, factor n/(n - 1); the share of ``"size"`` is taken as known.

    References
    ----------
    .. [1] Jann B (2008). Stata J 8(4):453-479. doi:10.1177/1536867X0800800401
    .. [2] Yun MS (2004). Economics Letters 82(2):275-280. doi:10.1016/j.econlet.2003.09.008

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> members = pd.DataFrame({"member_id": range(400), "language": ["es", "en"] * 200,
    ...                         "age": rng.normal(50, 9, 400)})
    >>> members["visits"] = 0.02 * members["age"] + (members["language"] == "es")
    >>> parts = oaxaca_blinder(members, outcome="visits", by="language", reference="en",
    ...                        covariates=["age"], model="linear", coefficients="reference")
    >>> unexplained = parts.estimate[parts.keys["component"] == "unexplained"]
    >>> unexplained.round(6).tolist()
    [1.0]
    """
    for name, value, allowed in (
        ("model", model, ("linear", "logit")),
        ("components", components, ("twofold", "threefold")),
        ("detail", detail, ("none", "covariate", "level")),
        ("categories", categories, ("normalized", "first_level")),
        ("scale", scale, ("difference", "ratio")),
    ):
        check_option(name, value, allowed)
    _check_coefficients(components, coefficients)
    rows = oaxaca_rows(
        data,
        outcome=outcome,
        by=by,
        covariates=covariates,
        categorical=categorical,
        is_normalized=categories == "normalized",
        is_share=model == "logit",
        weights=weights,
        member_id=member_id,
        cluster=cluster,
    )
    groups, others = ordered_groups(rows.group, reference=reference)
    coefs = {g: _group_fit(rows, g, model=model) for g in groups}
    found, influences, degrees = [], [], []
    for group in others:
        pair = Pair(
            rows, (_is(rows, group), _is(rows, reference)), (coefs[group], coefs[reference]), model
        )
        parts = _parts(pair, components, coefficients, scale=scale, detail=detail, group=group)
        found.append(parts)
        sums, n_clusters = _by_cluster(rows, pair, parts)
        influences.append(sums)
        degrees.append(n_clusters - 1.0)
    return parts_table(
        np.array([float(part.estimate.value) for parts in found for part in parts]),
        *_covariance(rows, np.hstack(influences)),
        by=by,
        others=others,
        reference=reference,
        rows=pd.DataFrame(
            {
                "component": [part.component for part in found[0]],
                "covariate": [part.covariate for part in found[0]],
            }
        ),
        support=pair_support(rows.support(of_levels=detail != "none"), others, reference=reference),
        scale=scale,
        per=per,
        estimand=_estimand(outcome, reference, scale=scale, per=per, unit=unit),
        method=Method(
            f"Oaxaca-Blinder decomposition, {components}, {model} regression",
            {
                "covariates": tuple(covariates),
                "categorical": tuple(categorical),
                "reference": reference,
                "coefficients": coefficients,
                "categories": categories,
                "detail": detail,
                "scale": scale,
                "weights": weights,
                "cluster": cluster or member_id,
                **rates_option(data, outcome),
            },
            REFERENCE[model],
        ),
        notes=_notes(rows, found, components=components, scale=scale, coefficients=coefficients),
        degrees=np.repeat(degrees, len(found[0])) if rows.clusters is not None else None,
    )


def _check_coefficients(components: str, coefficients: str | None) -> None:
    """Twofold needs coefficients to value covariates at; threefold has its own."""
    allowed = ("reference", "group", "half", "size", "pooled", "neumark")
    if components == "threefold":
        if coefficients is not None:
            raise EstimationError(
                "oaxaca_blinder: `coefficients` belongs to components='twofold'; the threefold "
                "split is seen from the reference.\n  Leave it out."
            )
    elif coefficients is None:
        raise EstimationError(
            "oaxaca_blinder: the twofold split depends on what covariates are valued at. Name "
            f"`coefficients`: one of {', '.join(repr(each) for each in allowed)}."
        )
    else:
        check_option("coefficients", coefficients, allowed)


def _is(rows: OaxacaRows, group: str) -> np.ndarray:
    """Rows of a group."""
    return np.asarray(rows.group == group)


def _group_fit(rows: OaxacaRows, group: str, *, model: str) -> Estimate:
    """The regression of one group."""
    return fit_coefficients(
        rows.outcome,
        rows.x,
        rows.weight,
        _is(rows, group),
        names=rows.names,
        model=model,
        where=f"the regression in '{group}'",
    )


def _parts(
    pair: Pair,
    components: str,
    coefficients: str | None,
    *,
    scale: Scale,
    detail: str,
    group: str,
) -> list[GapPart]:
    """The parts of one gap."""
    if coefficients is None or components == "threefold":
        return threefold(pair, scale=scale, detail=detail)
    where = f"the regression of '{group}' and the reference together"
    standard = standard_coefficients(pair, coefficients=coefficients, where=where)
    return twofold(pair, standard, scale=scale, detail=detail)


def _by_cluster(rows: OaxacaRows, pair: Pair, parts: list[GapPart]) -> tuple[np.ndarray, int]:
    """Influence of each cluster on the parts of one gap, factor n/(n - 1); the n of the pair."""
    n_clusters = len(np.unique(rows.cluster[pair.sides[0] | pair.sides[1]]))
    if n_clusters < 2:
        raise EstimationError(
            "oaxaca_blinder: two groups lie in one cluster, so no variance between clusters can "
            "be estimated.\n  Use cluster=None."
        )
    influence = np.stack([part.estimate.influence for part in parts], axis=1)
    return np.sqrt(n_clusters / (n_clusters - 1)) * cluster_sums(
        influence, rows.cluster
    ), n_clusters


def _covariance(rows: OaxacaRows, sums: np.ndarray) -> tuple[np.ndarray, pd.DataFrame | None]:
    """Joint covariance, and the clusters' influence where they are not members."""
    undefined = np.isnan(sums).any(axis=0)
    filled = np.where(undefined, 0.0, sums)
    named = None if rows.clusters is None else pd.DataFrame(filled, index=rows.clusters)
    return with_undefined(filled.T @ filled, named, undefined)


def _estimand(
    outcome: str, reference: str, *, scale: Scale, per: float, unit: str | None
) -> Estimand:
    """What the parts are parts of."""
    minus = "minus" if scale == "difference" else "over"
    own = unit or (f"`{outcome}`" if per == 1 else f"`{outcome}` times {per:,.0f}")
    return Estimand(
        f"{outcome}: parts of the gap",
        f"mean in the group {minus} mean in '{reference}', in parts by covariates",
        own if scale == "difference" else "ratio of means",
        scale=scale,
        is_causal=False,
    )


def _notes(
    rows: OaxacaRows,
    found: list[list[GapPart]],
    *,
    components: str,
    scale: Scale,
    coefficients: str | None,
) -> list[str]:
    """How to read the parts."""
    notes = [
        UNEXPLAINED
        if components == "twofold"
        else UNEXPLAINED.replace("`unexplained`", "`coefficients`").replace(
            "`explained`", "`endowments`"
        )
    ]
    if scale == "ratio":
        notes.append("The parts of a ratio multiply to it.")
    if coefficients == "neumark":
        notes.append(
            "One regression of both groups without the group in it lends covariates what goes with "
            "the group itself: `explained` is larger than with coefficients='pooled'."
        )
    if rows.n_unknown:
        notes.append(
            f"A covariate is not known in {count_words(rows.n_unknown)} rows, left out; the gap is "
            "that of the rows kept."
        )
    lost = sum(bool(np.isnan(part.estimate.value)) for parts in found for part in parts)
    if lost:
        notes.append(
            f"{lost} parts by covariate are undefined: their linear pieces add up to 0, so nothing "
            "says how the part is divided."
        )
    return notes
