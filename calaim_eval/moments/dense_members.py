"""Member months as small whole numbers by member and month: what streamed rows become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from calaim_eval.moments.accumulate import Layout


@dataclass(frozen=True, slots=True, eq=False)
class DenseMembers:
    """Whole-number outcomes of members that are covered whole months.

    Attributes
    ----------
    held : np.ndarray
        1 where covered, else 0, by member and month; shape (n_members, T), uint8.
    values : dict[str, np.ndarray]
        Outcomes, 0 without a row; shape (n_members, T) each.
    """

    held: np.ndarray
    values: dict[str, np.ndarray]

    @property
    def n_members(self) -> int:
        """Number of members."""
        return len(self.held)

    @property
    def is_whole_months(self) -> bool:
        """Every row counts a whole month at risk."""
        return True

    def covered(self, layout: Layout) -> np.ndarray:
        """1 where covered, else 0, by position and month; shape (n_members, T), uint8."""
        return np.asarray(self.held[layout.order])

    def centre(self, outcome: str) -> None:
        """Whole numbers are not centred."""

    def dense(self, outcome: str, layout: Layout, shift: float | None) -> np.ndarray:
        """Outcome by position and month; shape (n_members, T)."""
        if shift is not None:
            raise ValueError("dense members hold whole numbers, which are not centred.")
        return np.asarray(self.values[outcome][layout.order])

    def nonzero(self, outcome: str, layout: Layout) -> np.ndarray:
        """Member-months whose outcome is not 0, by cell; (n_cells, T)."""
        values = self.values[outcome]
        counted = np.empty((layout.n_cells, layout.n_months), dtype=np.int64)
        for cell in range(layout.n_cells):
            members = layout.order[layout.members(cell)]
            counted[cell] = np.count_nonzero(values[members], axis=0)
        return counted

    def of_members(self, kept: np.ndarray) -> DenseMembers:
        """The members numbered in `kept`, renumbered in its order."""
        return DenseMembers(
            self.held[kept], {name: values[kept] for name, values in self.values.items()}
        )
