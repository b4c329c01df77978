"""Before and after exposure, aligned on the month of exposure; descriptive, never causal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError
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
from calaim_eval.estimate.support import has_single_member, side_support, support_frame
from calaim_eval.estimate.words import (
    count_words,
    default_unit,
    notes_by_group,
    share_words,
)
from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import MISSING
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.effect_table import with_undefined

EXPOSED, COMPARISON, DIFFERENCE = "exposed", "comparison", "difference"
NOT_CAUSAL = (
    "Change from before to after exposure: not causal. Members are often exposed because their "
    "use was high, and high use falls by itself; the comparison row is the same change among "
    "comparable members who were not exposed."
)


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    """Months before and after one cohort's exposure, and who is compared with it.

    Shapes: `exposed_*` and `comparison_*` (X,); `cohorts` (C,) bool; `before`, `after` (T,) bool.
    """

    cohort: int
    before: np.ndarray
    after: np.ndarray
    cohorts: np.ndarray
    exposed_at_risk: dict[str, np.ndarray]
    exposed_total: dict[str, np.ndarray]
    comparison_at_risk: dict[str, np.ndarray]
    comparison_total: dict[str, np.ndarray]

    def months(self, period: str) -> np.ndarray:
        """Months of the period, bool."""
        return self.before if period == "before" else self.after


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
    if months_before < 1 or months_after < 1:
        raise EstimationError(
            f"pre_post: months_before={months_before}, months_after={months_after}; "
            "each window needs at least one month."
        )
    require_cluster(moments, cluster)
    changes: list[_Change] = []
    losses: list[tuple[str, str, str]] = []
    for grid in stratum_grids(moments, outcome):
        windows = _windows(grid, months_before, months_after, comparison)
        change, lost = _change(grid, windows, per)
        losses += [(what, grid.words(), much) for what, much in lost]
        if change is not None:
            changes.append(change)
    if not changes:
        raise DesignError(
            f"no exposed cohort has {months_before} months before and {months_after} months from "
            f"exposure on inside {moments.months[0]} to {moments.months[-1]}. "
            "Shorten `months_before` or `months_after`."
        )
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


def _windows(
    grid: CellGrid, months_before: int, months_after: int, comparison: Comparison
) -> list[_Window]:
    """Windows of every cohort that has them inside the panel."""
    axis = grid.axis
    found = []
    for position, cohort in enumerate(grid.cohorts):
        if cohort == MISSING:
            continue
        first, last = cohort - months_before, cohort + months_after - 1
        if first < axis[0] or last > axis[-1]:
            continue
        later = grid.cohorts > (last if comparison == "not_yet_exposed" else axis[-1])
        months = {
            "before": (axis >= first) & (axis < cohort),
            "after": (axis >= cohort) & (axis <= last),
        }
        cohorts = grid.is_never | later
        found.append(
            _Window(
                cohort=position,
                before=months["before"],
                after=months["after"],
                cohorts=cohorts,
                exposed_at_risk=_sums(grid.at_risk[[position]], months),
                exposed_total=_sums(grid.total[[position]], months),
                comparison_at_risk=_sums(grid.at_risk[cohorts], months),
                comparison_total=_sums(grid.total[cohorts], months),
            )
        )
    return found


def _sums(values: np.ndarray, months: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Sums over cohorts and the months of each period; shape (X,)."""
    return {period: values[:, :, chosen].sum(axis=(0, 2)) for period, chosen in months.items()}


def _both(sums: dict[str, np.ndarray]) -> np.ndarray:
    """Covariate cells with member-months before and after."""
    return np.asarray((sums["before"] > 0) & (sums["after"] > 0))


def _change(
    grid: CellGrid, windows: list[_Window], per: float
) -> tuple[_Change | None, list[tuple[str, str]]]:
    """Changes of one stratum; what was lost, and how much of it."""
    lost = _outside(grid, windows)
    own = [_both(w.exposed_at_risk) for w in windows]
    matched = [kept & _both(w.comparison_at_risk) for kept, w in zip(own, windows, strict=True)]
    if not any(kept.any() for kept in own):
        return None, lost
    has_comparison = any(kept.any() for kept in matched)
    kept = matched if has_comparison else own
    if not has_comparison:
        lost.append(("No comparison members in the same covariate cells and months", ""))
    elif (aside := _member_months(windows, own) - _member_months(windows, kept)) > 0:
        share = share_words(aside, _member_months(windows, own))
        lost.append(("Share of the exposed member-months without comparison, set aside", share))
    exposed, exposed_loads = _exposed_change(grid, windows, kept)
    sides: tuple[str, ...] = (EXPOSED,)
    estimate, loads = [exposed], [exposed_loads]
    if has_comparison:
        other, other_loads = _comparison_change(grid, windows, kept)
        sides = (EXPOSED, COMPARISON, DIFFERENCE)
        estimate += [other, exposed - other]
        loads += [other_loads, exposed_loads - other_loads]
    return (
        _Change(
            grid,
            sides,
            per * np.array(estimate),
            per * np.array(loads),
            _side_supports(grid, windows, kept, sides),
        ),
        lost,
    )


def _exposed_change(
    grid: CellGrid, windows: list[_Window], kept: list[np.ndarray]
) -> tuple[float, np.ndarray]:
    """Change of the exposed and its loads (C, X, 2T+1)."""
    size = len(grid.axis)
    loads = np.zeros((*grid.cell.shape, 2 * size + 1))
    change = 0.0
    for period, sign in (("after", 1.0), ("before", -1.0)):
        whole = sum(w.exposed_at_risk[period][k].sum() for w, k in zip(windows, kept, strict=True))
        rate = sum(w.exposed_total[period][k].sum() for w, k in zip(windows, kept, strict=True))
        rate /= whole
        change += sign * rate
        for window, cells in zip(windows, kept, strict=True):
            months = np.flatnonzero(window.months(period))
            x = np.flatnonzero(cells)[:, None]
            loads[window.cohort, x, months] += sign / whole
            loads[window.cohort, x, size + months] -= sign * rate / whole
    return change, loads


def _comparison_change(
    grid: CellGrid, windows: list[_Window], kept: list[np.ndarray]
) -> tuple[float, np.ndarray]:
    """Change of the comparison, standardized to the exposed, and its loads (C, X, 2T+1)."""
    size = len(grid.axis)
    loads = np.zeros((*grid.cell.shape, 2 * size + 1))
    change = 0.0
    for period, sign in (("after", 1.0), ("before", -1.0)):
        whole = sum(w.exposed_at_risk[period][k].sum() for w, k in zip(windows, kept, strict=True))
        means = [
            np.divide(
                w.comparison_total[period],
                w.comparison_at_risk[period],
                out=np.zeros(grid.cell.shape[1]),
                where=k,
            )
            for w, k in zip(windows, kept, strict=True)
        ]
        rate = sum(
            (w.exposed_at_risk[period] * k * mean).sum()
            for w, k, mean in zip(windows, kept, means, strict=True)
        )
        rate /= whole
        change += sign * rate
        for window, cells, mean in zip(windows, kept, means, strict=True):
            months = np.flatnonzero(window.months(period))
            x = np.flatnonzero(cells)
            share = window.exposed_at_risk[period][x] / whole / window.comparison_at_risk[period][x]
            loads[window.cohort, x[:, None], size + months] += sign * (mean[x, None] - rate) / whole
            cohorts = np.flatnonzero(window.cohorts)[:, None, None]
            loads[cohorts, x[:, None], months] += sign * share[:, None]
            loads[cohorts, x[:, None], size + months] -= sign * (share * mean[x])[:, None]
    return change, loads


def _side_supports(
    grid: CellGrid, windows: list[_Window], kept: list[np.ndarray], sides: tuple[str, ...]
) -> list[np.ndarray]:
    """Support of each term, both sides where it has two; shape (2, 3) each."""
    used = {side: np.zeros(grid.at_risk.shape, dtype=bool) for side in (EXPOSED, COMPARISON)}
    for window, cells in zip(windows, kept, strict=True):
        months = np.flatnonzero(window.before | window.after)
        x = np.flatnonzero(cells)
        used[EXPOSED][np.ix_(np.array([window.cohort]), x, months)] = True
        used[COMPARISON][np.ix_(np.flatnonzero(window.cohorts), x, months)] = True
    exposed, comparison = (side_support(grid, used[side]) for side in (EXPOSED, COMPARISON))
    pairs = {
        EXPOSED: (exposed, exposed),
        COMPARISON: (comparison, comparison),
        DIFFERENCE: (exposed, comparison),
    }
    return [np.stack(pairs[side]) for side in sides]


def _member_months(windows: list[_Window], kept: list[np.ndarray]) -> float:
    """Exposed member-months in the covariate cells kept."""
    return float(
        sum(
            (w.exposed_at_risk["before"] + w.exposed_at_risk["after"])[cells].sum()
            for w, cells in zip(windows, kept, strict=True)
        )
    )


def _outside(grid: CellGrid, windows: list[_Window]) -> list[tuple[str, str]]:
    """Cohorts set aside because a window reaches outside the panel."""
    is_exposed = (grid.cohorts != MISSING) & (grid.cohorts <= grid.axis[-1])
    is_exposed[[w.cohort for w in windows]] = False
    if not is_exposed.any():
        return []
    members = count_words(grid.n_members[is_exposed].sum(), "members")
    return [
        (
            "Cohorts set aside because their windows reach outside the panel",
            f"({members})",
        )
    ]


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
