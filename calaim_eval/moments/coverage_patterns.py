"""Member months as one coverage pattern a member and the few months with any use.

Most member-months have no use: a member's covered months fit the bits of one or two words, and only
the months with use need a row. The engine makes both in two passes over rows in any order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from calaim_eval.moments.accumulate import Layout

WORD = 64
"""Months a word of bits holds."""
MOST_MONTHS = 2 * WORD


@dataclass(frozen=True, slots=True, eq=False)
class CoveragePatterns:
    """Whole-number outcomes of members that are covered whole months.

    Attributes
    ----------
    words : np.ndarray
        Bit t of the words of a member: covered in month ``bits[t]``; shape (n_members, n_words),
        uint64.
    bits : np.ndarray
        Bit that stands for each month of the axis; shape (T,).
    member, month : np.ndarray
        Member and month (0..T-1) of each member-month with any use; shape (n_uses,).
    values : dict[str, np.ndarray]
        Outcomes of those; shape (n_uses,) each.
    """

    words: np.ndarray
    bits: np.ndarray
    member: np.ndarray
    month: np.ndarray
    values: dict[str, np.ndarray]

    @property
    def n_members(self) -> int:
        """Number of members."""
        return len(self.words)

    @property
    def is_whole_months(self) -> bool:
        """Every row counts a whole month at risk."""
        return True

    def covered(self, layout: Layout) -> np.ndarray:
        """1 where covered, else 0, by position and month; shape (n_members, T), uint8."""
        ordered = np.ascontiguousarray(self.words[layout.order]).astype("<u8", copy=False)
        bits = np.unpackbits(ordered.view(np.uint8), axis=1, bitorder="little")
        return bits[:, self.bits]

    def centre(self, outcome: str) -> None:
        """Whole numbers are not centred."""

    def dense(self, outcome: str, layout: Layout, shift: float | None) -> np.ndarray:
        """Outcome by position and month, 0 without use; shape (n_members, T)."""
        if shift is not None:
            raise ValueError("coverage patterns hold whole numbers, which are not centred.")
        values = self.values[outcome]
        dense = np.zeros(self.n_members * layout.n_months, dtype=values.dtype)
        dense[layout.positions()[self.member] * layout.n_months + self.month] = values
        return dense.reshape(self.n_members, layout.n_months)

    def nonzero(self, outcome: str, layout: Layout) -> np.ndarray:
        """Member-months whose outcome is not 0, by cell; (n_cells, T)."""
        kept = self.values[outcome] != 0
        key = layout.cell[self.member[kept]] * layout.n_months + self.month[kept]
        counted = np.bincount(key, minlength=layout.n_cells * layout.n_months)
        return counted.reshape(layout.n_cells, layout.n_months)

    def of_members(self, kept: np.ndarray) -> CoveragePatterns:
        """Patterns of the members numbered in `kept`, renumbered in its order."""
        new = np.full(self.n_members, -1, dtype=np.int64)
        new[kept] = np.arange(len(kept))
        member = new[self.member]
        uses = np.flatnonzero(member >= 0)
        return CoveragePatterns(
            words=self.words[kept],
            bits=self.bits,
            member=member[uses],
            month=self.month[uses],
            values={name: values[uses] for name, values in self.values.items()},
        )
