"""Rates before and after exposure, of the exposed and of their comparison, with one covariance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.cohort_month.time_pairs import Comparison
from calaim_eval.estimate.influence import MEMBER
from calaim_eval.estimate.pre_post_table import WindowOptions, window_table, window_terms
from calaim_eval.estimate.pre_post_windows import (
    EXPOSED,
    Window,
    comparison_rates,
    exposed_rates,
    side_supports,
)
from calaim_eval.estimate.stratum_terms import StratumTerms
from calaim_eval.estimate.words import default_unit
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable, Estimand
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
    return window_table(
        moments,
        WindowOptions(outcome, months_before, months_after, comparison, cluster, per),
        _rates,
        call="pre_post_rates",
        estimand=Estimand(
            name="Rates before and after",
            contrast=f"rate in the {months_before} months before exposure, and in the "
            f"{months_after} months from it on",
            unit=unit or default_unit(moments, outcome, per),
            is_causal=False,
        ),
        estimator="Event-time aligned rates, comparison standardized to the exposed",
        more_options={RATES_OF: (outcome,)},
    )


def _rates(
    grid: CellGrid, windows: list[Window], kept: list[np.ndarray], sides: tuple[str, ...]
) -> StratumTerms:
    """The rates of one stratum and their loads."""
    keys = pd.MultiIndex.from_product([sides, PERIODS], names=["side", "period"]).to_frame(
        index=False
    )
    rates, supports = [], []
    for side, period in keys.itertuples(index=False):
        only = {period: 1.0}
        rates_of = exposed_rates if side == EXPOSED else comparison_rates
        centred, load = rates_of(grid, windows, kept, periods=only)
        rates.append((centred + grid.shift, load))
        supports += side_supports(grid, windows, kept, (side,), periods=only)
    return window_terms(grid, keys, rates, supports)
