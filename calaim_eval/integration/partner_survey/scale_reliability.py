"""How reliable the scales of a partner survey are, with errors clustered by organization."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.integration.partner_survey.factor_fit import FactorFit, fit_factors
from calaim_eval.integration.partner_survey.scale_statistics import (
    correlation,
    cronbach_alpha,
    feldt_interval,
    guttman_lambda_6,
    item_rest_correlations,
    mean_correlation,
    pairwise_covariance,
)
from calaim_eval.integration.partner_survey.survey_answers import SurveyAnswers
from calaim_eval.results import ALL, EffectTable, Estimand, Method

Missing: TypeAlias = Literal["listwise", "pairwise"]
Statistic: TypeAlias = Callable[[np.ndarray], np.ndarray]

_STEP = 1e-4
_FEWEST_ITEMS_FOR_OMEGA = 3


def scale_reliability(
    answers: SurveyAnswers, *, scales: Sequence[str] | None = None, missing: Missing = "listwise"
) -> EffectTable:
    r"""Alpha, standardized alpha, lambda 6, mean correlation, omega and item-rest correlations.

    Look at the item-rest correlations first: an item near 0 measures something else, one below 0
    is not reversed. Alpha above .70 is usual for comparing groups; it grows with the number of
    items, so a long scale may have a high alpha and little in common.

    Parameters
    ----------
    answers : SurveyAnswers
        What `score_survey` returned.
    scales : sequence of str, optional
        Default: all of two or more items; those without a reliability are named in the notes.
    missing : {"listwise", "pairwise"}
        Respondents who answered every item, or for each two items those who answered both. With
        ``"pairwise"`` there is no standard error, omega or Feldt interval.

    Returns
    -------
    EffectTable
        Keys ``scale``, ``statistic`` (``"alpha"``, ``"standardized_alpha"``, ``"lambda_6"``,
        ``"mean_correlation"``, ``"omega"``, ``"item_rest_correlation"``, ``"alpha_feldt_low"``,
        ``"alpha_feldt_high"``) and ``item`` (``"all"`` for statistics of the whole scale).
        `support`: respondents used (`n_members` counts respondents). The Feldt rows are the 95 %
        interval of alpha for independent respondents; they have no standard error. Lambda 6 is
        missing where items are linearly dependent.

    Raises
    ------
    EstimationError
        A scale asked for (or every scale) has fewer than two items, fewer than three respondents,
        or an item everybody answered alike.

    Notes
    -----
    Each statistic is a function :math:`g` of the covariance :math:`S` of the items. A
    respondent's influence is :math:`\nabla g' \operatorname{vec}(x_i x_i' - S)/n`, without an
    assumption of normality [1]_; influences are added by organization, since colleagues answer
    alike. Omega is that of one factor fitted by maximum likelihood (`fit_factors`); a scale
    without a proper solution, or of two items, has none.

    References
    ----------
    .. [1] Maydeu-Olivares A, Coffman DL, Hartmann WM (2007). Psychol Methods 12(2):157-176.
       doi:10.1037/1082-989X.12.2.157
    """
    require_choice("`missing`", missing, ("listwise", "pairwise"))
    names = [s for s in answers.scales if len(answers.scales[s]) > 1] if scales is None else scales
    if not names:
        raise EstimationError("no scale has two answered items.\n  Alpha needs two or more.")
    parts, lost = _parts(answers, names, missing, is_asked=scales is not None)
    k = sum(len(part[0]) for part in parts)
    covariance = np.full((k, k), np.nan)
    start = 0
    for keys, _, block, _ in parts:
        covariance[start : start + len(keys), start : start + len(keys)] = block
        start += len(keys)
    n = np.concatenate([np.full(len(part[0]), part[3]) for part in parts])
    return EffectTable(
        keys=pd.concat([part[0] for part in parts], ignore_index=True),
        estimate=np.concatenate([part[1] for part in parts]),
        covariance=covariance,
        support=pd.DataFrame({"n_members": n, "n_events": n, "member_months": np.nan}),
        estimand=Estimand(
            name="Reliability of survey scales",
            contrast="share of a score's variance that is not error, and what it rests on",
            unit="share or correlation",
            is_causal=False,
        ),
        method=Method(
            "Alpha, omega and item-rest correlations, errors clustered by organization",
            {"missing": missing},
            "Maydeu-Olivares A et al. (2007). doi:10.1037/1082-989X.12.2.157",
        ),
        notes=(
            "Support counts respondents, not members.",
            *(
                f"Scale `{name}` has no reliability: too few respondents answered all of its "
                "items, or all gave one of them the same answer."
                for name in lost
            ),
        ),
    )


def scale_factors(answers: SurveyAnswers, *, scales: Sequence[str] | None = None) -> FactorFit:
    """Whether items measure the scales they were written for: one factor a scale.

    Parameters
    ----------
    answers : SurveyAnswers
    scales : sequence of str, optional
        Default: all of two or more items. Respondents who answered every item are used.

    Returns
    -------
    FactorFit
        Usual marks of a good fit: CFI and TLI of .95, RMSEA of .06, SRMR of .08 or better.

    Raises
    ------
    EstimationError
        Too few items or respondents, or no proper solution.
    """
    names = [s for s in answers.scales if len(answers.scales[s]) > 1] if scales is None else scales
    items = pd.concat([answers.items(name) for name in names], axis=1)
    complete = items.dropna().to_numpy(dtype=float)
    n_parameters = 2 * items.shape[1]
    if len(complete) <= n_parameters:
        raise EstimationError(
            f"{len(complete)} respondents answered all {items.shape[1]} items: too few for a "
            f"model of more than {n_parameters} numbers.\n  Fit fewer scales at a time."
        )
    factor_of = [f for f, name in enumerate(names) for _ in answers.scales[name]]
    return fit_factors(
        np.cov(complete.T, bias=True), n_respondents=len(complete), factor_of=factor_of
    )


_Part: TypeAlias = tuple[pd.DataFrame, np.ndarray, np.ndarray, float]


def _parts(
    answers: SurveyAnswers, names: Sequence[str], missing: Missing, *, is_asked: bool
) -> tuple[list[_Part], list[str]]:
    """Statistics of each scale, and the scales that have none where nobody asked for them."""
    parts, lost, first = [], [], None
    for name in names:
        try:
            parts.append(_of_scale(answers, name, missing))
        except EstimationError as error:
            if is_asked:
                raise
            lost.append(name)
            first = first or error
    if first is not None and not parts:
        raise first
    return parts, lost


def _of_scale(answers: SurveyAnswers, scale: str, missing: Missing) -> _Part:
    """Keys, statistics, their covariance and the respondents of one scale."""
    frame = answers.items(scale)
    items = frame.to_numpy(dtype=float)
    if items.shape[1] < 2:
        raise EstimationError(
            f"scale `{scale}` has {items.shape[1]} answered item.\n  Alpha needs two or more."
        )
    is_used = np.isfinite(items).all(axis=1) if missing == "listwise" else np.isfinite(items).any(1)
    used = items[is_used]
    covariance = pairwise_covariance(used) if missing == "pairwise" else _covariance(used)
    if len(used) < 3 or not (np.diag(covariance) > 0).all() or not np.isfinite(covariance).all():
        raise EstimationError(
            f"scale `{scale}`: {len(used)} respondents can be used, or an item that everybody "
            "answered alike.\n  Reliability cannot be told; leave out the item or the scale."
        )
    names = ["alpha", "standardized_alpha", "lambda_6", "mean_correlation"]
    has_omega = missing == "listwise" and _has_omega(covariance, len(used))
    names += ["omega"] if has_omega else []
    names += ["item_rest_correlation"] * len(frame.columns)
    items_of = [ALL] * (len(names) - len(frame.columns)) + list(frame.columns)
    statistic = _statistics(with_omega=has_omega, n_respondents=len(used))
    values = statistic(covariance)
    errors = np.full((len(values), len(values)), np.nan)
    if missing == "listwise":
        groups = answers.answers["organization_id"].to_numpy(dtype=object)[is_used]
        errors = _clustered(used, covariance, statistic, groups)
        errors[np.isnan(values), :] = errors[:, np.isnan(values)] = np.nan
        values, errors, names, items_of = _with_feldt(
            values, errors, names, items_of, n_respondents=len(used), n_items=items.shape[1]
        )
    keys = pd.DataFrame({"scale": scale, "statistic": names, "item": items_of})
    return keys, values, errors, float(len(used))


def _covariance(items: np.ndarray) -> np.ndarray:
    """Covariance of complete answers; zeros where there are too few."""
    k = items.shape[1]
    return np.cov(items.T) if len(items) > 1 else np.zeros((k, k))


def _has_omega(covariance: np.ndarray, n_respondents: int) -> bool:
    """Whether one factor fits with positive error variances."""
    if len(covariance) < _FEWEST_ITEMS_FOR_OMEGA:
        return False
    try:
        fit_factors(covariance, n_respondents=n_respondents)
    except EstimationError:
        return False
    return True


def _statistics(*, with_omega: bool, n_respondents: int) -> Statistic:
    """All statistics as one function of the covariance of the items."""

    def statistics(covariance: np.ndarray) -> np.ndarray:
        values = [
            cronbach_alpha(covariance),
            cronbach_alpha(correlation(covariance)),
            guttman_lambda_6(covariance),
            mean_correlation(covariance),
        ]
        if with_omega:
            values.append(fit_factors(covariance, n_respondents=n_respondents).omega)
        return np.concatenate([values, item_rest_correlations(covariance)])

    return statistics


def _clustered(
    items: np.ndarray, covariance: np.ndarray, statistic: Statistic, groups: np.ndarray
) -> np.ndarray:
    """Covariance of the statistics: influences of respondents, added by organization."""
    n, k = items.shape
    centered = items - items.mean(axis=0)
    gradient, deviations = [], []
    unit = np.sqrt(np.diag(covariance))
    for i in range(k):
        for j in range(i + 1):
            step = np.zeros((k, k))
            step[i, j] = step[j, i] = _STEP * unit[i] * unit[j]
            slope = (statistic(covariance + step) - statistic(covariance - step)) / (
                2 * _STEP * unit[i] * unit[j]
            )
            gradient.append(slope)
            deviations.append(centered[:, i] * centered[:, j] - covariance[i, j] * (n - 1) / n)
    influence = np.array(deviations).T @ np.array(gradient) / n
    _, code = np.unique(groups, return_inverse=True)
    n_groups = int(code.max()) + 1
    if n_groups < 2:
        return np.full((influence.shape[1], influence.shape[1]), np.nan)
    by_group = np.zeros((n_groups, influence.shape[1]))
    np.add.at(by_group, code, influence)
    return np.asarray(by_group.T @ by_group * n_groups / (n_groups - 1))


def _with_feldt(
    values: np.ndarray,
    errors: np.ndarray,
    names: list[str],
    items_of: list[str],
    *,
    n_respondents: int,
    n_items: int,
) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """The statistics with the two ends of Feldt's interval of alpha."""
    ends = feldt_interval(float(values[0]), n_respondents=n_respondents, n_items=n_items)
    wide = np.full((len(values) + 2, len(values) + 2), np.nan)
    wide[:-2, :-2] = errors
    return (
        np.concatenate([values, ends]),
        wide,
        [*names, "alpha_feldt_low", "alpha_feldt_high"],
        [*items_of, ALL, ALL],
    )
