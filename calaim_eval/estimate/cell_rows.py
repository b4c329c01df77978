"""Cells by month as rows of a regression, and what the regression gives back to the cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.exposure_terms import event_times, used_rows
from calaim_eval.estimate.support import side_support
from calaim_eval.estimate.two_way.two_way_effects import TwoWayEffects, two_way_effects
from calaim_eval.estimate.words import share_words

FixedEffects = Literal["member", "cohort"]


@dataclass(frozen=True, slots=True, eq=False)
class CellRows:
    """The cell-months of one stratum that have members; n rows.

    Attributes
    ----------
    grid : CellGrid
    cohort, covariate, month : np.ndarray
        Positions in the grid; shape (n,).
    at_risk, mean : np.ndarray
        Member-months and mean (centred) outcome; shape (n,).
    event_time : np.ndarray
        Months since exposure; `NEVER` for those not exposed in the panel; shape (n,).
    """

    grid: CellGrid
    cohort: np.ndarray
    covariate: np.ndarray
    month: np.ndarray
    at_risk: np.ndarray
    mean: np.ndarray
    event_time: np.ndarray

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def unit(self) -> np.ndarray:
        """Code of the cohort × covariate cell, whose effect stands for its members'."""
        return np.asarray(self.cohort * self.grid.cell.shape[1] + self.covariate)

    @property
    def cell_month(self) -> np.ndarray:
        """Code of covariate cell × month: every covariate cell has months of its own."""
        return np.asarray(self.covariate * len(self.grid.axis) + self.month)

    def two_way(self) -> TwoWayEffects:
        """Effects of cells and of months (within covariate cells), weighted by member-months."""
        n_cohorts, n_covariates, n_months = self.grid.at_risk.shape
        return two_way_effects(
            self.unit,
            self.cell_month,
            self.at_risk,
            n_units=n_cohorts * n_covariates,
            n_months=n_covariates * n_months,
        )

    def take(self, chosen: np.ndarray) -> CellRows:
        """Some of the rows, by mask or position."""
        return CellRows(
            self.grid,
            self.cohort[chosen],
            self.covariate[chosen],
            self.month[chosen],
            self.at_risk[chosen],
            self.mean[chosen],
            self.event_time[chosen],
        )

    def on_grid(self, values: np.ndarray) -> np.ndarray:
        """Values of the rows (n, m) in their places; shape (m, C, X, T), 0 elsewhere."""
        full = np.zeros((values.shape[1], *self.grid.at_risk.shape))
        full[:, self.cohort, self.covariate, self.month] = values.T
        return full

    def support(self, chosen: np.ndarray) -> np.ndarray:
        """Members, events and member-months of the rows where `chosen` (n,) is true; (3,)."""
        return side_support(self.grid, self.on_grid(chosen[:, None])[0] > 0)

    def sides(self, columns: np.ndarray, exposed: np.ndarray) -> list[np.ndarray]:
        """Support of each term's rows and of those they are compared with; (2, 3) each.

        `columns` (n, k) says which rows a term is about, `exposed` (n,) which are exposed.
        """
        return [
            np.stack([self.support(term), self.support(used_rows(term, exposed, self.month))])
            for term in columns.T
        ]


def cell_rows(grid: CellGrid) -> CellRows:
    """Every cell-month of the stratum with members."""
    cohort, covariate, month = np.nonzero(grid.at_risk > 0)
    at_risk = grid.at_risk[cohort, covariate, month]
    return CellRows(
        grid,
        cohort,
        covariate,
        month,
        at_risk,
        grid.total[cohort, covariate, month] / at_risk,
        event_times(grid.cohorts[cohort], grid.axis[month], last=int(grid.axis[-1])),
    )


def require_balanced(grids: list[CellGrid], *, what: str, otherwise: str) -> None:
    """Refuse cells whose members are not covered in every month, saying what would be lost."""
    lacking = [grid.n_members[:, :, None] - grid.at_risk for grid in grids]
    n_cells = sum(int((grid.n_members > 0).sum()) for grid in grids)
    n_gaps = sum(int((gap > 1e-9).any(axis=2).sum()) for gap in lacking)
    if not n_gaps:
        return
    whole = sum(float(grid.n_members.sum() * len(grid.axis)) for grid in grids)
    absent = share_words(sum(float(gap.sum()) for gap in lacking), whole)
    of_members = sum(
        float(grid.n_members[(gap > 1e-9).any(axis=2)].sum())
        for grid, gap in zip(grids, lacking, strict=True)
    )
    touched = share_words(of_members, sum(float(grid.n_members.sum()) for grid in grids))
    raise EstimationError(
        f"{what} needs every member in every month: {absent} of the member-months are absent, in "
        f"{n_gaps:,} of {n_cells:,} cells, which hold {touched} of the members. Members with a gap "
        f"would be lost. {otherwise}"
    )


def require_fixed_effects(grids: list[CellGrid], fixed_effects: str, *, members: str) -> None:
    """Member effects are exact from cells only where the panel is balanced."""
    require_choice("fixed_effects", fixed_effects, ("member", "cohort"))
    if fixed_effects == "member":
        require_balanced(
            grids,
            what="fixed_effects='member' from cells",
            otherwise=f"Use {members} on the member-level data, or fixed_effects='cohort' (one "
            "effect for each cohort and covariate cell: keeps all member-months, and lets a change "
            "in who is covered look like an effect).",
        )
