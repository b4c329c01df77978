"""Effects by imputing what the exposed would have had, from cell moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError
from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cell_rows import (
    CellRows,
    FixedEffects,
    cell_rows,
    require_fixed_effects,
)
from calaim_eval.estimate.clustering import cluster_notes
from calaim_eval.estimate.exposure_terms import term_names
from calaim_eval.estimate.imputation_terms import (
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
from calaim_eval.estimate.imputed_rows import ImputedRows, impute_rows
from calaim_eval.estimate.influence import MEMBER, require_cluster
from calaim_eval.estimate.stratum_terms import (
    UNIDENTIFIED,
    StratumTerms,
    require_variation,
    terms_table,
)
from calaim_eval.estimate.two_way_fit import fit_two_way
from calaim_eval.estimate.words import default_unit, notes_by_group
from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import index_frequency
from calaim_eval.results import EffectTable


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some terms of a stratum: keys, estimates, loads on outcome and centre of each row (n, m)."""

    keys: pd.DataFrame
    estimate: np.ndarray
    loads: np.ndarray
    centre: np.ndarray
    sides: list[np.ndarray]


def imputation_att(
    moments: CellMoments,
    *,
    outcome: str,
    by: By = "overall",
    leads: int = 0,
    anticipation_months: int = 0,
    min_event_time: int | None = None,
    max_event_time: int | None = None,
    fixed_effects: FixedEffects = "member",
    variance: Variance = "conservative",
    cluster: str = MEMBER,
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""Effect on the exposed, by imputing what they would have had (Borusyak, Jaravel, Spiess).

    Use beside `group_time_att`: the same estimand, more precise where the months before exposure
    are all alike, because it compares with all of them rather than with the last. It leans on
    parallel trends in *every* one of them. Positive: the exposed have more of the outcome.

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`. Each covariate cell has month effects of its own.
    outcome : str
        One of ``moments.outcomes``.
    by : {"overall", "event_time", "cohort", "month"}
        What is averaged over exposed member-months: all; by months since exposure; by cohort; by
        calendar month.
    leads : int
        With ``by="event_time"``: coefficients of so many months before exposure, fitted on
        members not exposed, against the months before them. `pre_trend_test` tests them.
    anticipation_months : int
        Months before exposure left out of the fit.
    min_event_time, max_event_time : int, optional
        Only effects at these months since exposure, both included.
    fixed_effects : {"member", "cohort"}
        Member effects are exact from cells where every member is covered in every month, and
        refused otherwise; an effect for each cohort (and covariate cell) takes any panel.
    variance : {"conservative", "two_stage"}
        Residuals of the exposed about the mean of their cohort and month (the paper's, at least
        as large as the truth), or about the term's own average (Gardner's two stages, `did2s`).
    cluster : str
        ``"member"`` or the cluster column of the moments.
    per : float
        1,000 gives effects per 1,000 member-months.
    unit : str, optional
        In the words of a report.

    Returns
    -------
    EffectTable
        Keys: stratum columns (if any) and `by` (none for ``"overall"``); leads have negative
        event times.

    Raises
    ------
    DesignError
        Nobody is exposed, or nobody can be imputed; leads that begin before the panel or that the
        effects explain.
    EstimationError
        An unknown option, members with gaps under ``fixed_effects="member"``, or an outcome that
        does not vary.

    Notes
    -----
    :math:`y_{it} = \alpha_i + \beta_t` is fitted on the member-months not exposed; effects are
    :math:`\hat\tau_{it} = y_{it} - \hat\alpha_i - \hat\beta_t`, and an average
    :math:`\sum w_{it} \hat\tau_{it}` is linear, :math:`\sum v_{it} y_{it}`. Its variance is
    :math:`\sum_i (\sum_t v_{it} \tilde e_{it})^2` with :math:`\tilde e` the residuals, of the
    exposed less the mean effect of their cohort and month [1]_. In a balanced panel v is the same
    for all of a cell and :math:`\alpha_i` drops out, so cells give both exactly. Gardner's two
    stages have the same point estimate [2]_.

    References
    ----------
    .. [1] Borusyak K, Jaravel X, Spiess J (2024). Review of Economic Studies 91(6):3253-3285.
       doi:10.1093/restud/rdae007
    .. [2] Gardner J (2022). Two-stage differences in differences. doi:10.48550/arXiv.2207.05943

    Examples
    --------
    >>> from calaim_eval.moments import reduce_panel
    >>> frame = pd.DataFrame({
    ...     "id": np.repeat([1, 2, 3, 4], 2), "year": [2020, 2021] * 4,
    ...     "first_exposed": [2021.0] * 4 + [np.nan] * 4, "visits": [1, 3, 2, 5, 1, 1, 0, 1],
    ... })
    >>> moments = reduce_panel(frame, outcomes=["visits"], member_id="id", month="year",
    ...                        cohort="first_exposed")
    >>> imputation_att(moments, outcome="visits").estimate.round(3)
    array([2.])
    """
    terms = ImputationTerms(
        by, leads, anticipation_months, min_event_time, max_event_time, variance
    )
    require_cluster(moments, cluster)
    grids = stratum_grids(moments, outcome)
    require_fixed_effects(grids, fixed_effects, members="imputation_att_from_members")
    strata: list[StratumTerms] = []
    lost: list[tuple[str, str, str]] = []
    refusal: DesignError | None = None
    for grid in grids:
        try:
            found, words = _stratum(grid, terms, index_frequency(moments.months))
        except DesignError as error:
            refusal = error
            lost.append((UNIDENTIFIED, grid.words(), ""))
            continue
        strata.append(found.scaled(per))
        lost += [(what, grid.words(), much) for what, much in words]
    if not strata:
        raise refusal or DesignError("there are no cells.")
    require_variation(moments, outcome)
    return terms_table(
        moments,
        outcome,
        cluster,
        strata,
        estimand=imputation_estimand(unit or default_unit(moments, outcome, per)),
        method=imputation_method(
            "from cell moments",
            terms,
            {
                "outcome": outcome,
                "fixed_effects": fixed_effects,
                "cluster": cluster,
                "per": per,
                "covariate_cells": list(moments.covariate_cells),
            },
        ),
        notes=[
            CONDITIONAL,
            *moments.provenance.get("notes", []),
            *cluster_notes(moments, cluster),
            *notes_by_group(lost),
        ],
    )


def _stratum(
    grid: CellGrid, terms: ImputationTerms, frequency: str
) -> tuple[StratumTerms, list[tuple[str, str]]]:
    """Terms of one stratum, and what was lost."""
    rows = cell_rows(grid)
    is_fitted = terms.is_fitted(rows.event_time)
    require_fitted_and_target(is_fitted, rows.event_time)
    imputed = impute_rows(
        rows.take(is_fitted).two_way(),
        is_fitted=is_fitted,
        is_target=terms.is_target(rows.event_time),
        unit=rows.unit,
        month=rows.cell_month,
        weight=rows.at_risk,
        y=rows.mean,
        covariates=np.zeros((len(rows), 0)),
    )
    require_targets(len(imputed.target_rows))
    parts = [_effects(rows, imputed, terms, frequency)]
    if terms.leads:
        parts.insert(0, _leads(rows, imputed, terms))
    loads = np.hstack([part.loads for part in parts]) / rows.at_risk[:, None]
    centre = np.hstack([part.centre for part in parts])
    found = StratumTerms(
        grid=grid,
        keys=pd.concat([part.keys for part in parts], ignore_index=True),
        estimate=np.concatenate([part.estimate for part in parts]),
        on_outcome=rows.on_grid(loads),
        on_coverage=rows.on_grid(-loads * centre),
        sides=[side for part in parts for side in part.sides],
    )
    lost = lost_words(terms.is_target(rows.event_time), imputed.target_rows, rows.at_risk)
    single = grid.n_members.sum(axis=1)[np.unique(rows.cohort[imputed.target_rows])] < 2
    return found, [*lost, *([(ALONE, "")] if single.any() else [])]


def _effects(rows: CellRows, imputed: ImputedRows, terms: ImputationTerms, frequency: str) -> _Part:
    """Averages of imputed effects of one stratum."""
    target = imputed.target_rows
    grid = rows.grid
    keys, held = terms.averages(
        event_time=rows.event_time[target],
        cohort=grid.cohorts[rows.cohort[target]],
        month=grid.axis[rows.month[target]],
        frequency=frequency,
    )
    weights = weights_within(held, rows.at_risk[target])
    estimate = weights.T @ imputed.effect
    centre = np.repeat(imputed.untouched[:, None], len(keys), axis=1)
    if terms.variance == "two_stage":
        centre[target] += estimate
    else:
        centre[target] += _cohort_month_means(rows, imputed)[:, None]
    columns = np.zeros((len(rows), len(keys)), dtype=bool)
    columns[target] = held
    return _Part(
        keys,
        estimate,
        imputed.loads(weights),
        np.nan_to_num(centre),
        _sides(rows, imputed, columns),
    )


def _cohort_month_means(rows: CellRows, imputed: ImputedRows) -> np.ndarray:
    """Mean effect of each target row's cohort and month, over covariate cells; shape (e,)."""
    target = imputed.target_rows
    code = rows.cohort[target] * len(rows.grid.axis) + rows.month[target]
    at_risk = rows.at_risk[target]
    total = np.bincount(code, weights=at_risk * imputed.effect)
    return np.asarray(total[code] / np.bincount(code, weights=at_risk)[code])


def _leads(rows: CellRows, imputed: ImputedRows, terms: ImputationTerms) -> _Part:
    """Coefficients of the months before exposure, on the rows not exposed."""
    fitted = imputed.fitted_rows
    keys, columns = terms.lead_columns(rows.event_time[fitted])
    fit = fit_two_way(imputed.effects, rows.mean[fitted], columns.astype(float), term_names(keys))
    loads = np.zeros((len(rows), len(keys)))
    loads[fitted] = rows.at_risk[fitted, None] * fit.row_loads
    centre = np.zeros((len(rows), len(keys)))
    centre[fitted] = fit.fitted[:, None]
    everywhere = np.zeros((len(rows), len(keys)), dtype=bool)
    everywhere[fitted] = columns
    return _Part(keys, fit.coefficient, loads, centre, _sides(rows, imputed, everywhere))


def _sides(rows: CellRows, imputed: ImputedRows, columns: np.ndarray) -> list[np.ndarray]:
    """Support of each term's rows and of the unexposed rows of the same months; (2, 3) each."""
    outside = np.ones(len(rows), dtype=bool)
    outside[imputed.fitted_rows] = False
    return rows.sides(columns, outside)
