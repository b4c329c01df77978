"""Imputed effects of the cells of one stratum, with the loads their errors need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.cell_rows import CellRows, cell_rows
from calaim_eval.estimate.exposure_terms import averages, term_names
from calaim_eval.estimate.imputation.imputation_terms import (
    ALONE,
    ImputationTerms,
    lost_words,
    require_fitted_and_target,
    require_targets,
    weights_within,
)
from calaim_eval.estimate.imputation.imputed_rows import ImputedRows, impute_rows
from calaim_eval.estimate.stratum_terms import StratumTerms
from calaim_eval.estimate.two_way.two_way_effects import sums_by
from calaim_eval.estimate.two_way.two_way_fit import fit_two_way


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """Some terms of a stratum: keys, estimates, loads on outcome and centre of each row (n, m)."""

    keys: pd.DataFrame
    estimate: np.ndarray
    loads: np.ndarray
    centre: np.ndarray
    sides: list[np.ndarray]


def imputed_stratum(
    grid: CellGrid, terms: ImputationTerms, frequency: str, *, own_level: bool
) -> tuple[StratumTerms, list[tuple[str, str]]]:
    """Terms of one stratum, and what was lost.

    `own_level`: members have effects of their own (every member in every month), not cells.
    """
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
    parts = [_effects(rows, imputed, terms, frequency, own_level=own_level)]
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


def _effects(
    rows: CellRows,
    imputed: ImputedRows,
    terms: ImputationTerms,
    frequency: str,
    *,
    own_level: bool,
) -> _Part:
    """Averages of imputed effects of one stratum."""
    target = imputed.target_rows
    grid = rows.grid
    keys, held = averages(
        terms.by,
        event_time=rows.event_time[target],
        cohort=grid.cohorts[rows.cohort[target]],
        month=grid.axis[rows.month[target]],
        frequency=frequency,
    )
    weights = weights_within(held, rows.at_risk[target])
    estimate = weights.T @ imputed.effect
    loads = imputed.loads(weights)
    centre = np.repeat(imputed.untouched[:, None], len(keys), axis=1)
    if terms.variance == "two_stage":
        centre[target] += estimate
    else:
        mean, members = _cohort_months(rows, imputed)
        centre[target] += mean[:, None]
        if terms.variance == "leave_one_out":
            factor = np.where(members > 1, members / np.maximum(members - 1, 1), 1.0)
            loads += _left_out(rows, imputed, loads, factor, own_level=own_level)
    columns = np.zeros((len(rows), len(keys)), dtype=bool)
    columns[target] = held
    return _Part(keys, estimate, loads, np.nan_to_num(centre), _sides(rows, imputed, columns))


def _left_out(
    rows: CellRows,
    imputed: ImputedRows,
    loads: np.ndarray,
    factor: np.ndarray,
    *,
    own_level: bool,
) -> np.ndarray:
    """What loads (n, m) grow by when the residuals of the exposed grow by `factor` (e,).

    A member's residual holds its own level, the mean of its months not exposed, which therefore
    load as much the other way.
    """
    target, fitted = imputed.target_rows, imputed.fitted_rows
    more = np.zeros_like(loads)
    more[target] = (factor - 1)[:, None] * loads[target]
    if own_level:
        n_units = int(rows.unit.max()) + 1
        sums = sums_by(rows.unit[target], more[target] / rows.at_risk[target, None], n_units)
        months = np.bincount(rows.unit[fitted], minlength=n_units)
        level = sums / np.maximum(months, 1)[:, None]
        more[fitted] -= rows.at_risk[fitted, None] * level[rows.unit[fitted]]
    return more


def _cohort_months(rows: CellRows, imputed: ImputedRows) -> tuple[np.ndarray, np.ndarray]:
    """Mean effect and members of each target row's cohort and month, over covariate cells; (e,)."""
    target = imputed.target_rows
    code = rows.cohort[target] * len(rows.grid.axis) + rows.month[target]
    at_risk = rows.at_risk[target]
    members = np.bincount(code, weights=at_risk)[code]
    return np.bincount(code, weights=at_risk * imputed.effect)[code] / members, members


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
