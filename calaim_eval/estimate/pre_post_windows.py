"""Months before and after each cohort's exposure, and the rates of both sides in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.cohort_month.time_pairs import Comparison
from calaim_eval.estimate.support import side_support
from calaim_eval.estimate.words import count_words, share_words
from calaim_eval.moments.periods import MISSING

EXPOSED, COMPARISON, DIFFERENCE = "exposed", "comparison", "difference"
CHANGE: Mapping[str, float] = MappingProxyType({"after": 1.0, "before": -1.0})
"""The change: the rate after, minus the rate before."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
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


def windows_of(
    grid: CellGrid, months_before: int, months_after: int, comparison: Comparison
) -> list[Window]:
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
            Window(
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


def in_both_periods(sums: dict[str, np.ndarray]) -> np.ndarray:
    """Covariate cells with member-months before and after."""
    return np.asarray((sums["before"] > 0) & (sums["after"] > 0))


def exposed_rates(
    grid: CellGrid,
    windows: list[Window],
    kept: list[np.ndarray],
    *,
    periods: Mapping[str, float] = CHANGE,
) -> tuple[float, np.ndarray]:
    """Weighted sum of the (centred) rates of the exposed and its loads (C, X, 2T).

    `periods` holds the weight of "before" and of "after"; default the change.
    """
    size = len(grid.axis)
    loads = np.zeros((*grid.cell.shape, 2 * size))
    level = 0.0
    for period, sign in periods.items():
        whole = sum(w.exposed_at_risk[period][k].sum() for w, k in zip(windows, kept, strict=True))
        rate = sum(w.exposed_total[period][k].sum() for w, k in zip(windows, kept, strict=True))
        rate /= whole
        level += sign * rate
        for window, cells in zip(windows, kept, strict=True):
            months = np.flatnonzero(window.months(period))
            x = np.flatnonzero(cells)[:, None]
            loads[window.cohort, x, months] += sign / whole
            loads[window.cohort, x, size + months] -= sign * rate / whole
    return level, loads


def comparison_rates(
    grid: CellGrid,
    windows: list[Window],
    kept: list[np.ndarray],
    *,
    periods: Mapping[str, float] = CHANGE,
) -> tuple[float, np.ndarray]:
    """The same sum of the rates of the comparison, standardized to the exposed."""
    size = len(grid.axis)
    loads = np.zeros((*grid.cell.shape, 2 * size))
    level = 0.0
    for period, sign in periods.items():
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
        level += sign * rate
        for window, cells, mean in zip(windows, kept, means, strict=True):
            months = np.flatnonzero(window.months(period))
            x = np.flatnonzero(cells)
            share = window.exposed_at_risk[period][x] / whole / window.comparison_at_risk[period][x]
            loads[window.cohort, x[:, None], size + months] += sign * (mean[x, None] - rate) / whole
            cohorts = np.flatnonzero(window.cohorts)[:, None, None]
            loads[cohorts, x[:, None], months] += sign * share[:, None]
            loads[cohorts, x[:, None], size + months] -= sign * (share * mean[x])[:, None]
    return level, loads


def side_supports(
    grid: CellGrid,
    windows: list[Window],
    kept: list[np.ndarray],
    sides: tuple[str, ...],
    *,
    periods: Mapping[str, float] = CHANGE,
) -> list[np.ndarray]:
    """Support of each term, both sides where it has two; shape (2, 3) each.

    Months of the `periods` alone count: a rate before exposure rests on what happened before it.
    """
    used = {side: np.zeros(grid.at_risk.shape, dtype=bool) for side in (EXPOSED, COMPARISON)}
    for window, cells in zip(windows, kept, strict=True):
        months = np.flatnonzero(np.logical_or.reduce([window.months(each) for each in periods]))
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


def exposed_member_months(windows: list[Window], kept: list[np.ndarray]) -> float:
    """Exposed member-months in the covariate cells kept."""
    return float(
        sum(
            (w.exposed_at_risk["before"] + w.exposed_at_risk["after"])[cells].sum()
            for w, cells in zip(windows, kept, strict=True)
        )
    )


def cohorts_outside(grid: CellGrid, windows: list[Window]) -> list[tuple[str, str]]:
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


def cells_kept(
    grid: CellGrid, windows: list[Window]
) -> tuple[list[np.ndarray], bool, list[tuple[str, str]]]:
    """Covariate cells of each window, whether they have a comparison, and what was lost.

    With a comparison, cells that have one; without any, the exposed's own.
    """
    lost = cohorts_outside(grid, windows)
    own = [in_both_periods(w.exposed_at_risk) for w in windows]
    matched = [
        cells & in_both_periods(w.comparison_at_risk) for cells, w in zip(own, windows, strict=True)
    ]
    if not any(cells.any() for cells in own):
        return own, False, lost
    if not any(cells.any() for cells in matched):
        lost.append(("No comparison members in the same covariate cells and months", ""))
        return own, False, lost
    whole = exposed_member_months(windows, own)
    if (aside := whole - exposed_member_months(windows, matched)) > 0:
        share = share_words(aside, whole)
        lost.append(("Share of the exposed member-months without comparison, set aside", share))
    return matched, True, lost
