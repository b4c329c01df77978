"""Before and after exposure, aligned on the month of exposure; descriptive, never causal."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.cohort_month.time_pairs import Comparison
from calaim_eval.estimate.influence import MEMBER
from calaim_eval.estimate.pre_post_table import WindowOptions, window_table, window_terms
from calaim_eval.estimate.pre_post_windows import (
    COMPARISON,
    DIFFERENCE,
    Window,
    comparison_rates,
    exposed_rates,
    side_supports,
)
from calaim_eval.estimate.stratum_terms import StratumTerms, require_variation
from calaim_eval.estimate.words import default_unit
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable, Estimand

NOT_CAUSAL = (
    "Change from before to after exposure: not causal. Members are often exposed because their "
    "use was high, and high use falls by itself; the comparison row is the same change among "
    "comparable members who were not exposed."
)


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
    EstimationError
        A window without months; an outcome that is the same in all member-months.

    Notes
    -----
    The rate of a window is :math:`\sum y / \sum r` over its member-months, all cohorts pooled.
    The comparison is taken in the same calendar months and covariate cells and standardized, in
    each window, to the exposed's member-months by cohort and covariate cell; the influence of
    these weights is included.
    """
    require_variation(moments, outcome)
    return window_table(
        moments,
        WindowOptions(outcome, months_before, months_after, comparison, cluster, per),
        _changes,
        call="pre_post",
        estimand=Estimand(
            name="Change from before to after",
            contrast=f"rate in the {months_after} months from exposure on, minus the rate in the "
            f"{months_before} months before it",
            unit=unit or default_unit(moments, outcome, per),
            is_causal=False,
        ),
        estimator="Event-time aligned change, comparison standardized to the exposed",
        notes=(NOT_CAUSAL,),
    )


def _changes(
    grid: CellGrid, windows: list[Window], kept: list[np.ndarray], sides: tuple[str, ...]
) -> StratumTerms:
    """Changes of one stratum and their loads."""
    changes = [exposed_rates(grid, windows, kept)]
    if COMPARISON in sides:
        sides = (*sides, DIFFERENCE)
        [(exposed, exposed_loads)] = changes
        other, other_loads = comparison_rates(grid, windows, kept)
        changes += [(other, other_loads), (exposed - other, exposed_loads - other_loads)]
    return window_terms(
        grid,
        pd.DataFrame({"side": list(sides)}),
        changes,
        side_supports(grid, windows, kept, sides),
    )
