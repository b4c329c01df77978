"""Monthly series of the strata of cell moments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError
from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.series.monthly_series import (
    COMPARISON,
    EXPOSED,
    NEVER_EXPOSED,
    Comparison,
    MonthlySeries,
    SeriesPanel,
    month_ordinal,
    paired_series,
)
from calaim_eval.estimate.support import ROUNDING
from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import index_frequency, month_index

SEVERAL_COHORTS = (
    "The exposed of this series were first exposed in several months, and the break is one: before "
    "and after it some are exposed and others not yet. Name one with `cohort`, or use "
    "group_time_att."
)


def series_of_moments(
    moments: CellMoments,
    outcome: str,
    *,
    cohort: object,
    comparison: Comparison,
) -> SeriesPanel:
    """Series of every stratum: all members, or those of one cohort."""
    of_outcome = moments.outcome_moments(outcome)
    frequency = index_frequency(moments.months)
    chosen = None if cohort is None else month_ordinal(cohort, frequency, name="cohort")
    never = comparison == NEVER_EXPOSED
    axis, months = _full_axis(moments.months)
    place = np.searchsorted(months, axis)
    found: list[MonthlySeries] = []
    begins: set[int] = set()
    for grid in stratum_grids(moments, outcome):
        if chosen is not None:
            own = grid.cohorts == chosen
        elif never:
            own = ~grid.is_never & (grid.cohorts <= axis[-1])
            begins |= set(grid.cohorts[own].tolist())
        else:
            own = np.ones(len(grid.cohorts), dtype=bool)
        found.append(_of_cells(grid, own, EXPOSED, place, len(months)))
        if never:
            later = grid.is_never | (grid.cohorts > axis[-1])
            found.append(_of_cells(grid, later, COMPARISON, place, len(months)))
    _refuse_empty(found, cohort)
    panel = paired_series(
        month_index(months, frequency), found, comparison, is_count=of_outcome.is_count
    )
    return replace(panel, notes=(SEVERAL_COHORTS,)) if len(begins) > 1 else panel


def _full_axis(months: pd.Index) -> tuple[np.ndarray, np.ndarray]:
    """Ordinals of the months there are, and of every month from the first to the last."""
    axis = np.asarray(months.asi8 if isinstance(months, pd.PeriodIndex) else months, dtype=np.int64)
    return axis, np.arange(axis[0], axis[-1] + 1)


def _of_cells(
    grid: CellGrid, cohorts: np.ndarray, side: str, place: np.ndarray, size: int
) -> MonthlySeries:
    """Cells of some cohorts added up by month."""
    cells = grid.at_risk[cohorts].reshape(-1, grid.at_risk.shape[2])
    at_risk = cells.sum(axis=0)
    total = grid.total[cohorts].sum(axis=(0, 1)) + grid.shift * at_risk
    members, events = cells, grid.events
    if grid.different_at_risk is not None and grid.different_events is not None:
        members = np.floor(grid.different_at_risk[cohorts].sum(axis=(0, 1)) + ROUNDING)[None]
        events = grid.different_events

    def placed(values: np.ndarray) -> np.ndarray:
        full = np.zeros((*values.shape[:-1], size))
        full[..., place] = values
        return full

    at_risk = placed(at_risk)
    return MonthlySeries(
        labels=grid.stratum.iloc[0].to_dict(),
        side=side,
        total=np.where(at_risk > 0, placed(total), np.nan),
        at_risk=at_risk,
        cells_at_risk=placed(members),
        events=placed(events[cohorts].sum(axis=(0, 1))),
    )


def _refuse_empty(series: list[MonthlySeries], cohort: object) -> None:
    """Refuse a series without members."""
    empty = [each.words() for each in series if not each.cells_at_risk.any()]
    if empty:
        what = "" if cohort is None else " in the cohort asked for"
        raise DesignError(
            f"{len(empty)} of {len(series)} series have no member-months{what}: "
            f"{'; '.join(empty[:3])}. Pool the strata (moments.pooled()) or name another cohort."
        )
