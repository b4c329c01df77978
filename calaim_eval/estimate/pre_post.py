"""Before and after exposure, aligned on the month of exposure; descriptive, never causal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cohort_month.time_pairs import Comparison
from calaim_eval.estimate.inference.clustering import cluster_notes
from calaim_eval.estimate.influence import (
    MEMBER,
    CellLoads,
    cluster_influence,
    labelled_influence,
    member_covariance,
    require_cluster,
)
from calaim_eval.estimate.pre_post_windows import (
    COMPARISON,
    DIFFERENCE,
    EXPOSED,
    Window,
    cells_kept,
    comparison_rates,
    exposed_rates,
    no_window,
    require_window_months,
    side_supports,
    windows_of,
)
from calaim_eval.estimate.support import has_single_member, support_frame
from calaim_eval.estimate.words import default_unit, notes_by_group
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.effect_table import with_undefined

NOT_CAUSAL = (
    "Change from before to after exposure: not causal. Members are often exposed because their "
    "use was high, and high use falls by itself; the comparison row is the same change among "
    "comparable members who were not exposed."
)


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
    """Changes of one stratum: `sides` terms with loads (m, C, X, 2T+1) and their support."""

    grid: CellGrid
    sides: tuple[str, ...]
    estimate: np.ndarray
    loads: np.ndarray
    support: list[np.ndarray]

    def cell_loads(self) -> Iterator[CellLoads]:
        """Loads, a cohort of cells at a time."""
        for cohort, cells in enumerate(self.grid.cell):
            covered = np.flatnonzero(cells >= 0)
            yield CellLoads(cells[covered], self.loads[:, cohort, covered].swapaxes(0, 1))


def pre_post(
    moments: CellMoments,
    *,
    outcome: str,
    months_before: int = 12,
    months_after: int = 12,
    comparison: Comparison = "not_yet_exposed",
    cluster: str = MEMBER,
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""Change in the rate from before to after exposure, with the same change without exposure.

    Use to describe the exposed, never as an effect: populations chosen for high use fall back by
    themselves. The comparison row shows by how much (regression to the mean, calendar trends).

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`; with the eligibility month as a covariate cell the comparison fell
        eligible in the same month.
    outcome : str
    months_before, months_after : int
        Window before the month of exposure, and from it on. Cohorts whose windows are not wholly
        inside the panel are set aside and counted in ``notes``.
    comparison : {"not_yet_exposed", "never_exposed"}
        Not yet exposed: not exposed before the end of the cohort's window.
    cluster : str
        ``"member"`` or the cluster column of the moments.
    per : float
        1,000 gives rates per 1,000 member-months.
    unit : str, optional
        In the words of a report.

    Returns
    -------
    EffectTable
        Keys: stratum columns (if any) and ``side``: ``"exposed"``, ``"comparison"``,
        ``"difference"`` (exposed minus comparison); a stratum without any comparison has its
        ``"exposed"`` row only. Negative: use fell. ``estimand.is_causal`` is False.

    Raises
    ------
    DesignError
        No cohort has both windows inside the panel.

    Notes
    -----
    The rate of a window is :math:`\sum y / \sum r` over its member-months, all cohorts pooled.
    The comparison is taken in the same calendar months and covariate cells and standardized, in
    each window, to the exposed's member-months by cohort and covariate cell; the influence of
    these weights is included.
    """
    require_window_months("pre_post", months_before, months_after)
    require_cluster(moments, cluster)
    changes: list[_Change] = []
    losses: list[tuple[str, str, str]] = []
    for grid in stratum_grids(moments, outcome):
        windows = windows_of(grid, months_before, months_after, comparison)
        change, lost = _change(grid, windows, per)
        losses += [(what, grid.words(), much) for what, much in lost]
        if change is not None:
            changes.append(change)
    if not changes:
        raise no_window(moments, months_before, months_after)
    options = {
        "outcome": outcome,
        "months_before": months_before,
        "months_after": months_after,
        "comparison": comparison,
        "cluster": cluster,
        "per": per,
        "covariate_cells": list(moments.covariate_cells),
    }
    return _table(
        moments,
        outcome,
        cluster,
        changes,
        estimand=Estimand(
            name="Change from before to after",
            contrast=f"rate in the {months_after} months from exposure on, minus the rate in the "
            f"{months_before} months before it",
            unit=unit or default_unit(moments, outcome, per),
            is_causal=False,
        ),
        method=Method(
            estimator="Event-time aligned change, comparison standardized to the exposed",
            options=MappingProxyType(options),
        ),
        notes=(
            NOT_CAUSAL,
            *moments.provenance.get("notes", []),
            *cluster_notes(moments, cluster),
            *notes_by_group(losses),
        ),
    )


def _change(
    grid: CellGrid, windows: list[Window], per: float
) -> tuple[_Change | None, list[tuple[str, str]]]:
    """Changes of one stratum; what was lost, and how much of it."""
    kept, has_comparison, lost = cells_kept(grid, windows)
    if not any(cells.any() for cells in kept):
        return None, lost
    exposed, exposed_loads = exposed_rates(grid, windows, kept)
    sides: tuple[str, ...] = (EXPOSED,)
    estimate, loads = [exposed], [exposed_loads]
    if has_comparison:
        other, other_loads = comparison_rates(grid, windows, kept)
        sides = (EXPOSED, COMPARISON, DIFFERENCE)
        estimate += [other, exposed - other]
        loads += [other_loads, exposed_loads - other_loads]
    return (
        _Change(
            grid,
            sides,
            per * np.array(estimate),
            per * np.array(loads),
            side_supports(grid, windows, kept, sides),
        ),
        lost,
    )


def _table(
    moments: CellMoments,
    outcome: str,
    cluster: str,
    changes: list[_Change],
    *,
    estimand: Estimand,
    method: Method,
    notes: tuple[str, ...],
) -> EffectTable:
    """Changes of all strata with their joint covariance."""
    estimate = np.concatenate([change.estimate for change in changes])
    influence = None
    if cluster == MEMBER:
        covariance = np.zeros((len(estimate), len(estimate)))
        start = 0
        for change in changes:
            rows = slice(start, start + len(change.sides))
            covariance[rows, rows] = member_covariance(
                moments, outcome, change.cell_loads(), len(change.sides)
            )
            start = rows.stop
    else:
        parts = [
            cluster_influence(moments, outcome, change.cell_loads(), len(change.sides))
            for change in changes
        ]
        influence = labelled_influence(moments, np.hstack(parts))
        covariance = influence.to_numpy().T @ influence.to_numpy()
    supports = [support for change in changes for support in change.support]
    covariance, influence = with_undefined(covariance, influence, has_single_member(supports))
    keys = [
        change.grid.stratum.iloc[np.zeros(len(change.sides), dtype=int)]
        .reset_index(drop=True)
        .assign(side=list(change.sides))
        for change in changes
    ]
    return EffectTable(
        keys=pd.concat(keys, ignore_index=True),
        estimate=estimate,
        covariance=covariance,
        support=support_frame(supports),
        estimand=estimand,
        method=method,
        cluster_influence=influence,
        notes=notes,
    )
