"""ATT(g, t) of one stratum with the influence loads of every effect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.cohort_month.time_pairs import TimePairs
from calaim_eval.estimate.influence import CellLoads


@dataclass(frozen=True, slots=True, eq=False)
class PairLoads:
    """Influence loads by covariate cell on outcome (y) and coverage (r), month and base.

    All of shape (k, X). `exposed_*` act on the cohort's own cells; `comparison_*` on every cell
    of the comparison cohorts.
    """

    exposed_y: np.ndarray
    exposed_r: np.ndarray
    exposed_base_y: np.ndarray
    exposed_base_r: np.ndarray
    comparison_y: np.ndarray
    comparison_r: np.ndarray
    comparison_base_y: np.ndarray
    comparison_base_r: np.ndarray

    def scaled(self, factor: np.ndarray) -> PairLoads:
        """Every load times `factor`, shape (k, 1)."""
        return PairLoads(*(getattr(self, f.name) * factor for f in fields(self)))

    def take(self, rows: np.ndarray) -> PairLoads:
        """Some of the effects."""
        return PairLoads(*(getattr(self, f.name)[rows] for f in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class StratumEffects:
    """Identified ATT(g, t) of one stratum.

    Attributes
    ----------
    grid : CellGrid
    pairs : TimePairs
        k effects.
    estimate : np.ndarray
        In the unit asked for; shape (k,).
    kept : np.ndarray
        Covariate cells with exposed and comparison members in both months; shape (k, X).
    loads : PairLoads
    """

    grid: CellGrid
    pairs: TimePairs
    estimate: np.ndarray
    kept: np.ndarray
    loads: PairLoads

    def __len__(self) -> int:
        return len(self.estimate)

    @property
    def event_time(self) -> np.ndarray:
        """Months since the cohort; shape (k,)."""
        return np.asarray(self.grid.axis[self.pairs.month] - self.grid.cohorts[self.pairs.cohort])

    @property
    def stratum(self) -> pd.DataFrame:
        """One row of stratum labels."""
        return self.grid.stratum

    @property
    def cohorts(self) -> np.ndarray:
        """Ordinals of the cohorts; shape (C,)."""
        return self.grid.cohorts

    @property
    def axis(self) -> np.ndarray:
        """Ordinals of the months; shape (T,)."""
        return self.grid.axis

    def cohort_sizes(self) -> np.ndarray:
        """Members of each cohort in covariate cells that enter any of its effects; shape (C,)."""
        return np.asarray((self.grid.n_members * self.entering_cells()).sum(axis=1))

    def entering_cells(self) -> np.ndarray:
        """Cells of each cohort that enter any of its effects; shape (C, X), bool."""
        entering = np.zeros(self.grid.cell.shape, dtype=bool)
        np.logical_or.at(entering, self.pairs.cohort, self.kept)
        return entering

    def take(self, rows: np.ndarray) -> StratumEffects:
        """Some of the effects."""
        return StratumEffects(
            self.grid,
            self.pairs.take(rows),
            self.estimate[rows],
            self.kept[rows],
            self.loads.take(rows),
        )

    def cell_loads(
        self, weights: np.ndarray, constant: np.ndarray | None = None
    ) -> Iterator[CellLoads]:
        """Loads of linear combinations of the effects, a cohort of cells at a time.

        Parameters
        ----------
        weights : np.ndarray
            Shape (m, k).
        constant : np.ndarray, optional
            Loads on the constant, for every member of a cell (estimated cohort shares); shape
            (m, C, X).
        """
        n_terms, size = len(weights), len(self.grid.axis)
        term, effect = np.nonzero(weights)
        weight = weights[term, effect][:, None]
        for cohort in range(len(self.grid.cohorts)):
            covered = np.flatnonzero(self.grid.cell[cohort] >= 0)
            loads = np.zeros((n_terms, 2 * size + 1, self.grid.cell.shape[1]))
            own = self.pairs.cohort[effect] == cohort
            other = self.pairs.comparison[effect, cohort]
            self._add_side(loads, "exposed", term[own], effect[own], weight[own])
            self._add_side(loads, "comparison", term[other], effect[other], weight[other])
            if constant is not None:
                loads[:, -1, :] += constant[:, cohort]
            yield CellLoads(
                self.grid.cell[cohort, covered], loads[:, :, covered].transpose(2, 0, 1)
            )

    def _add_side(
        self, loads: np.ndarray, side: str, term: np.ndarray, effect: np.ndarray, weight: np.ndarray
    ) -> None:
        """Add weighted loads of one side into ``loads`` (m, 2T+1, X)."""
        size = len(self.grid.axis)
        month, base = self.pairs.month[effect], self.pairs.base[effect]
        for position, name in (
            (month, "y"),
            (size + month, "r"),
            (base, "base_y"),
            (size + base, "base_r"),
        ):
            values = getattr(self.loads, f"{side}_{name}")[effect]
            np.add.at(loads, (term, position), weight * values)


def stratum_effects(grid: CellGrid, pairs: TimePairs, *, per: float) -> StratumEffects:
    r"""Every identified ATT(g, t) of a stratum.

    Within covariate cell x the effect is
    :math:`\theta_x = (\bar y_{gxt} - \bar y_{gxb}) - (\bar y_{Cxt} - \bar y_{Cxb})`; it is
    averaged with the exposed member-months of month t, :math:`w_x = N_{gxt} / \sum N_{gxt}`,
    whose own influence :math:`r_{it} (\theta_x - \mathrm{ATT}) / \sum N_{gxt}` is included.
    """
    n_exposed, y_exposed = _own(grid, pairs, pairs.month)
    n_exposed_base, y_exposed_base = _own(grid, pairs, pairs.base)
    n_comparison, y_comparison = _pooled(grid, pairs, pairs.month)
    n_comparison_base, y_comparison_base = _pooled(grid, pairs, pairs.base)
    sizes = (n_exposed, n_exposed_base, n_comparison, n_comparison_base)
    kept = np.logical_and.reduce([size > 0 for size in sizes])
    inverse = [np.divide(1.0, size, out=np.zeros_like(size), where=kept) for size in sizes]
    means = [
        total * one_over
        for total, one_over in zip(
            (y_exposed, y_exposed_base, y_comparison, y_comparison_base), inverse, strict=True
        )
    ]
    effect_in_cell = means[0] - means[1] - means[2] + means[3]
    in_month = (n_exposed * kept).sum(axis=1, keepdims=True)
    identified = np.flatnonzero(in_month[:, 0] > 0)
    share_unit = np.divide(1.0, in_month, out=np.zeros_like(in_month), where=in_month > 0)
    share = n_exposed * kept * share_unit
    att = (share * effect_in_cell).sum(axis=1, keepdims=True)
    loads = PairLoads(
        exposed_y=kept * share_unit,
        exposed_r=kept * share_unit * (effect_in_cell - att - means[0]),
        exposed_base_y=-share * inverse[1],
        exposed_base_r=share * inverse[1] * means[1],
        comparison_y=-share * inverse[2],
        comparison_r=share * inverse[2] * means[2],
        comparison_base_y=share * inverse[3],
        comparison_base_r=-share * inverse[3] * means[3],
    )
    is_reference = pairs.month == pairs.base
    scale = np.where(is_reference, 0.0, per)[:, None]
    everything = StratumEffects(grid, pairs, (scale * att)[:, 0], kept, loads.scaled(scale))
    return everything.take(identified)


def _own(grid: CellGrid, pairs: TimePairs, month: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Member-months and totals of the exposed cohort; shape (k, X) each."""
    return grid.at_risk[pairs.cohort, :, month], grid.total[pairs.cohort, :, month]


def _pooled(grid: CellGrid, pairs: TimePairs, month: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Member-months and totals of the pooled comparison cohorts; shape (k, X) each."""
    shape = (len(month), grid.cell.shape[1])
    at_risk, total = np.zeros(shape), np.zeros(shape)
    for position in np.unique(month):
        rows = month == position
        cohorts = pairs.comparison[rows].astype(float)
        at_risk[rows] = cohorts @ grid.at_risk[:, :, position]
        total[rows] = cohorts @ grid.total[:, :, position]
    return at_risk, total
