"""Effects by imputation on member-level data: member effects with gaps, covariates, weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.estimate.exposure_terms import averages, term_names
from calaim_eval.estimate.imputation.imputation_terms import (
    ALONE,
    CONDITIONAL,
    By,
    ImputationTerms,
    Variance,
    imputation_estimand,
    imputation_method,
    lost_words,
    require_fitted_and_target,
    require_targets,
    weights_within,
)
from calaim_eval.estimate.imputation.imputed_rows import ImputedRows, impute_rows
from calaim_eval.estimate.influence import MEMBER
from calaim_eval.estimate.member_rows import (
    MemberRows,
    member_rows,
    member_table,
)
from calaim_eval.estimate.two_way.two_way_fit import fit_two_way
from calaim_eval.estimate.words import notes_by_group, unit_words
from calaim_eval.moments.periods import index_frequency, index_ordinals
from calaim_eval.results import EffectTable


def imputation_att_from_members(
    data: pd.DataFrame,
    *,
    member_id: str = "member_id",
    month: str = "month",
    cohort: str = "cohort",
    outcome: str,
    by: By = "overall",
    leads: int = 0,
    anticipation_months: int = 0,
    min_event_time: int | None = None,
    max_event_time: int | None = None,
    covariates: Sequence[str] = (),
    weight: str | None = None,
    effects_of: str | None = None,
    variance: Variance = "conservative",
    cluster: str = MEMBER,
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""`imputation_att` on member-level data: member effects where members have gaps.

    Parameters
    ----------
    data : pd.DataFrame
        One row per member and month, in any order, months without coverage absent.
    member_id, month, cohort, outcome : str
        Columns, as in `reduce_panel`; `cohort` missing = never exposed.
    by, leads, anticipation_months, min_event_time, max_event_time, variance, per, unit
        As in `imputation_att`.
    covariates : sequence of str
        Numbers that change within members and that exposure does not change; fitted on the rows
        not exposed.
    weight : str, optional
        Positive weights, of the fit and of the averages.
    effects_of : str, optional
        Column, constant in a member, whose effects stand in place of the members' own.
    cluster : str
        ``"member"``, or a column that is constant in a member.

    Returns
    -------
    EffectTable
        As from `imputation_att`, without strata.

    Raises
    ------
    TableError
        What `reduce_panel` refuses in a frame.
    DesignError, EstimationError
        As `imputation_att`.

    Notes
    -----
    The mean effect that is taken from the residuals of a cohort and month is
    :math:`\sum_i v_{it}^2 \hat\tau_{it} / \sum_i v_{it}^2`, over its members [1]_. Members without
    a month before exposure can't be imputed and are set aside.

    References
    ----------
    .. [1] Borusyak K, Jaravel X, Spiess J (2024). Review of Economic Studies 91(6):3253-3285.
       doi:10.1093/restud/rdae007
    """
    terms = ImputationTerms(
        by, leads, anticipation_months, min_event_time, max_event_time, variance
    )
    rows = member_rows(
        data,
        member_id=member_id,
        month=month,
        cohort=cohort,
        outcome=outcome,
        covariates=covariates,
        weight=weight,
        effects_of=effects_of,
        cluster=cluster,
    )
    is_fitted, is_target = terms.is_fitted(rows.event_time), terms.is_target(rows.event_time)
    require_fitted_and_target(is_fitted, rows.event_time)
    imputed = impute_rows(
        rows.two_way(is_fitted),
        is_fitted=is_fitted,
        is_target=is_target,
        unit=rows.unit,
        month=rows.month,
        weight=rows.weight,
        y=rows.y,
        covariates=rows.covariates,
        names=list(covariates),
    )
    require_targets(len(imputed.target_rows))
    keys, columns, estimate, residual_loads = _effects(rows, imputed, terms)
    if leads:
        before = _leads(rows, imputed, terms, list(covariates))
        keys = pd.concat([before[0], keys], ignore_index=True)
        columns = np.hstack([before[1], columns])
        estimate = np.concatenate([before[2], estimate])
        residual_loads = np.hstack([before[3], residual_loads])
    lost = lost_words(is_target, imputed.target_rows, rows.weight)
    if _has_single_member(rows, imputed):
        lost.append((ALONE, ""))
    return member_table(
        rows,
        per * residual_loads,
        keys=keys,
        estimate=per * estimate,
        sides=rows.sides(columns, ~is_fitted),
        factor=1.0,
        estimand=imputation_estimand(unit or unit_words(outcome, rows.months, per)),
        method=imputation_method(
            "from member-months",
            terms,
            {
                "outcome": outcome,
                "covariates": list(covariates),
                "weight": weight,
                "fixed_effects": effects_of or "member",
                "cluster": rows.cluster_name,
                "per": per,
            },
        ),
        notes=[
            CONDITIONAL,
            *rows.cluster_notes,
            *notes_by_group((what, "", much) for what, much in lost),
        ],
    )


def _effects(
    rows: MemberRows, imputed: ImputedRows, terms: ImputationTerms
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Keys, rows (n, m), estimates (m,) and loads on residuals (n, m) of the averages."""
    target = imputed.target_rows
    keys, held = averages(
        terms.by,
        event_time=rows.event_time[target],
        cohort=rows.cohort[target],
        month=index_ordinals(rows.months)[rows.month[target]],
        frequency=index_frequency(rows.months),
    )
    weights = weights_within(held, rows.weight[target])
    estimate = weights.T @ imputed.effect
    loads = imputed.loads(weights)
    left = np.zeros((len(rows), 1))
    fitted = imputed.fitted_rows
    left[fitted, 0] = (rows.y - imputed.untouched)[fitted]
    residual_loads = loads * left
    if terms.variance == "two_stage":
        about = imputed.effect[:, None] - estimate
    else:
        about = _about_cohort_months(
            rows, imputed, weights, leave_one_out=terms.variance == "leave_one_out"
        )
    residual_loads[target] = weights * about
    columns = np.zeros((len(rows), len(keys)), dtype=bool)
    columns[target] = held
    return keys, columns, estimate, residual_loads


def _about_cohort_months(
    rows: MemberRows, imputed: ImputedRows, weights: np.ndarray, *, leave_one_out: bool
) -> np.ndarray:
    """Effects of the target rows less the mean of their cohort and month; shape (e, m).

    Members weigh with the square of their weight in the average; leaving a member out of its own
    mean divides by one less its share of the squares.
    """
    target = imputed.target_rows
    cohort = np.unique(rows.cohort[target], return_inverse=True)[1]
    group = cohort * len(rows.months) + rows.month[target]
    about = np.zeros_like(weights)
    for term, weight in enumerate(weights.T):
        squares = np.bincount(group, weights=weight**2)[group]
        above = np.bincount(group, weights=weight**2 * imputed.effect)[group]
        used = squares > 0
        about[used, term] = imputed.effect[used] - above[used] / squares[used]
        if leave_one_out:
            share = np.divide(weight**2, squares, out=np.zeros_like(squares), where=used)
            about[:, term] /= np.where(share < 1 - 1e-12, 1 - share, 1.0)
    return about


def _leads(
    rows: MemberRows, imputed: ImputedRows, terms: ImputationTerms, covariates: list[str]
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray]:
    """Keys, rows, coefficients and loads on residuals of the months before exposure."""
    fitted = imputed.fitted_rows
    keys, columns = terms.lead_columns(rows.event_time[fitted])
    k = len(keys)
    fit = fit_two_way(
        imputed.effects,
        rows.y[fitted],
        np.hstack([columns.astype(float), rows.covariates[fitted]]),
        [*term_names(keys), *covariates],
        n_covariates=len(covariates),
    )
    residual_loads = np.zeros((len(rows), k))
    residual = rows.weight[fitted] * (rows.y[fitted] - fit.fitted)
    residual_loads[fitted] = fit.row_loads[:, :k] * residual[:, None]
    held = np.zeros((len(rows), k), dtype=bool)
    held[fitted] = columns
    return keys, held, fit.coefficient[:k], residual_loads


def _has_single_member(rows: MemberRows, imputed: ImputedRows) -> bool:
    """Whether a cohort with imputed effects has one member only."""
    pairs = np.unique(np.stack([rows.cohort, rows.member])[:, imputed.target_rows], axis=1)
    return bool((np.unique(pairs[0], return_counts=True)[1] < 2).any())
