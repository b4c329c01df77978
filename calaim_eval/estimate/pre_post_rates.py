"""Rates before and after exposure, of the exposed and of their comparison, with one covariance."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cohort_month.time_pairs import Comparison
from calaim_eval.estimate.inference.clustering import cluster_notes
from calaim_eval.estimate.influence import MEMBER, require_cluster
from calaim_eval.estimate.pre_post_windows import (
    COMPARISON,
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
from calaim_eval.estimate.stratum_terms import StratumTerms, terms_table
from calaim_eval.estimate.words import default_unit, notes_by_group
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.estimand import RATES_OF

PERIODS = ("before", "after")


def pre_post_rates(
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
    """Rates whose changes `pre_post` states: before and after exposure, both sides.

    Use where the level matters beside the change, such as gaps between groups before and after
    (`calaim_eval.equity.disparity_change`).

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`, with strata where rates by group are wanted.
    outcome, months_before, months_after, comparison, cluster, per, unit
        As in `pre_post`.

    Returns
    -------
    EffectTable
        Keys: stratum columns (if any), ``side`` (``"exposed"``, ``"comparison"``) and ``period``
        (``"before"``, ``"after"``), jointly estimated. A stratum without any comparison has rows
        of the exposed only. Descriptive.

    Raises
    ------
    DesignError
        No cohort has both windows inside the panel.
    EstimationError
        A window without months.

    Notes
    -----
    Rates of the comparison are standardized, in each window, to the exposed's member-months by
    cohort and covariate cell; the influence of these weights is included. Exposed change minus
    comparison change is exactly the ``"difference"`` row of `pre_post`.
    """
    require_window_months("pre_post_rates", months_before, months_after)
    require_cluster(moments, cluster)
    strata: list[StratumTerms] = []
    losses: list[tuple[str, str, str]] = []
    for grid in stratum_grids(moments, outcome):
        windows = windows_of(grid, months_before, months_after, comparison)
        kept, has_comparison, lost = cells_kept(grid, windows)
        losses += [(what, grid.words(), much) for what, much in lost]
        sides = (EXPOSED, COMPARISON) if has_comparison else (EXPOSED,)
        if any(cells.any() for cells in kept):
            strata.append(_terms(grid, windows, kept, sides).scaled(per))
    if not strata:
        raise no_window(moments, months_before, months_after)
    options = {
        "outcome": outcome,
        "months_before": months_before,
        "months_after": months_after,
        "comparison": comparison,
        "cluster": cluster,
        "per": per,
        "covariate_cells": list(moments.covariate_cells),
        RATES_OF: (outcome,),
    }
    return terms_table(
        moments,
        outcome,
        cluster,
        strata,
        estimand=Estimand(
            name="Rates before and after",
            contrast=f"rate in the {months_before} months before exposure, and in the "
            f"{months_after} months from it on",
            unit=unit or default_unit(moments, outcome, per),
            is_causal=False,
        ),
        method=Method(
            "Event-time aligned rates, comparison standardized to the exposed",
            MappingProxyType(options),
        ),
        notes=(
            *moments.provenance.get("notes", []),
            *cluster_notes(moments, cluster),
            *notes_by_group(losses),
        ),
    )


def _terms(
    grid: CellGrid, windows: list[Window], kept: list[np.ndarray], sides: tuple[str, ...]
) -> StratumTerms:
    """The rates of one stratum and their loads."""
    keys = pd.MultiIndex.from_product([sides, PERIODS], names=["side", "period"]).to_frame(
        index=False
    )
    rates, loads, supports = [], [], []
    for side, period in keys.itertuples(index=False):
        only = {period: 1.0}
        rates_of = exposed_rates if side == EXPOSED else comparison_rates
        centred, load = rates_of(grid, windows, kept, periods=only)
        rates.append(centred + grid.shift)
        loads.append(load)
        supports += side_supports(grid, windows, kept, (side,), periods=only)
    size, load_array = len(grid.axis), np.array(loads)
    return StratumTerms(
        grid=grid,
        keys=keys,
        estimate=np.array(rates),
        on_outcome=load_array[..., :size],
        on_coverage=load_array[..., size : 2 * size],
        sides=supports,
    )
