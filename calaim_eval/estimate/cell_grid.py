"""The cells of one stratum as a grid: cohort × covariate cell × month."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.moments import CellMoments
from calaim_eval.moments.cell_index import row_codes
from calaim_eval.moments.periods import MISSING, index_frequency, index_ordinals, label_ordinals

LEVEL_ROUNDING = 1e-9
"""A sum below this share of what it was centred by is rounding, and is 0."""


@dataclass(frozen=True, slots=True, eq=False)
class CellGrid:
    """Cells of one stratum: C cohorts, X covariate cells, T months.

    Attributes
    ----------
    stratum : pd.DataFrame
        One row of stratum labels; no columns without strata.
    cohorts : np.ndarray
        Ordinals in order, `MISSING` (never exposed) first where present; shape (C,).
    axis : np.ndarray
        Ordinals of the months; shape (T,).
    cell : np.ndarray
        Row of the moments that holds each cell, -1 where it has no members; shape (C, X).
    total, at_risk, events : np.ndarray
        Outcome total (centred), member-months, and events (for amounts: member-months that are
        not 0); shape (C, X, T).
    n_members : np.ndarray
        Shape (C, X).
    shift : float
        What the totals are centred by.
    different_at_risk, different_events : np.ndarray | None
        Of a matched design: the same of different members, at least; shape (C, X, T).
    """

    stratum: pd.DataFrame
    cohorts: np.ndarray
    axis: np.ndarray
    cell: np.ndarray
    total: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray
    n_members: np.ndarray
    shift: float
    different_at_risk: np.ndarray | None = None
    different_events: np.ndarray | None = None

    @property
    def is_never(self) -> np.ndarray:
        """Which cohorts are the never exposed; shape (C,)."""
        return np.asarray(self.cohorts == MISSING)

    @property
    def level(self) -> np.ndarray:
        """Outcome total with the centre put back; shape (C, X, T).

        Without events it is exactly 0. Sums added up from clusters do not tell events (theirs are
        an upper bound) and leave rounding of the centre, which is 0 too.
        """
        centre = self.shift * self.at_risk
        level = self.total + centre
        is_zero = (self.events == 0) | (np.abs(level) <= LEVEL_ROUNDING * np.abs(centre))
        return np.where(is_zero, 0.0, level)

    def words(self) -> str:
        """The values that make the stratum, such as "black, Kings"; "" without strata."""
        labels = self.stratum.iloc[0]
        return ", ".join(str(value) for value in labels)


def stratum_grids(moments: CellMoments, outcome: str) -> list[CellGrid]:
    """One grid per stratum, in the order of the stratum labels."""
    cells = moments.cells
    frequency = index_frequency(moments.months)
    ordinals = label_ordinals(cells["cohort"], frequency)
    if moments.stratum:
        stratum_of, first = row_codes(cells[list(moments.stratum)])
    else:
        stratum_of, first = np.zeros(len(cells), dtype=np.int64), np.zeros(1, dtype=np.int64)
    return [
        _grid(moments, outcome, np.flatnonzero(stratum_of == code), ordinals, int(first[code]))
        for code in range(len(first))
    ]


def _grid(
    moments: CellMoments, outcome: str, rows: np.ndarray, ordinals: np.ndarray, example: int
) -> CellGrid:
    """Grid of the cells at positions `rows`."""
    of_outcome, different = moments.outcome_moments(outcome), moments.different
    cohorts, cohort = np.unique(ordinals[rows], return_inverse=True)
    if moments.covariate_cells:
        covariate = row_codes(moments.cells.iloc[rows][list(moments.covariate_cells)])[0]
    else:
        covariate = np.zeros(len(rows), dtype=np.int64)
    shape = (len(cohorts), int(covariate.max()) + 1)
    cell = np.full(shape, -1)
    cell[cohort, covariate] = rows
    at_risk = moments.at_risk[rows]
    events = of_outcome.nonzero[rows]
    if of_outcome.is_count:
        events = of_outcome.total[rows]

    def placed(values: np.ndarray) -> np.ndarray:
        full = np.zeros((*shape, *values.shape[1:]))
        full[cohort, covariate] = values
        return full

    return CellGrid(
        stratum=moments.cells.iloc[[example]][list(moments.stratum)].reset_index(drop=True),
        cohorts=cohorts,
        axis=index_ordinals(moments.months),
        cell=cell,
        total=placed(of_outcome.total[rows]),
        at_risk=placed(at_risk),
        events=placed(events),
        n_members=placed(moments.n_members[rows]),
        shift=of_outcome.shift,
        different_at_risk=None if different is None else placed(different.at_risk[rows]),
        different_events=None if different is None else placed(different.events[outcome][rows]),
    )
