"""The grid of members and months: where a month's row is, and what falls into it.

A member's months of the window follow one another, and so do members; a month's place is its cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calaim_eval.errors import TableError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]


def row_of(numbers: Whole, ordered: Whole) -> Whole:
    """Row of each number among ordered ones, all of which are there."""
    if len(ordered) and ordered[-1] - ordered[0] == len(ordered) - 1:
        rows: Whole = numbers - ordered[0]
    else:
        rows = np.searchsorted(ordered, numbers)
    return rows


def cells_of(rows: pa.Table, members: Whole, first_month: int, n_months: int) -> Whole:
    """Place of each row's month in the grid of members and months; -1 outside of it."""
    offset = rows["month"].to_numpy() - first_month
    row = row_of(rows["member"].to_numpy(), members)
    is_inside = (offset >= 0) & (offset < n_months) & (row >= 0) & (row < len(members))
    return np.where(is_inside, row * n_months + offset, -1)


def order_of(cells: Whole, n_cells: int) -> tuple[Whole, Whole]:
    """Rows in the order of their cells, and for each cell its place in that order."""
    row_at = np.full(n_cells, -1)
    row_at[cells] = np.arange(len(cells))
    is_there = row_at >= 0
    order = row_at[is_there]
    if len(order) != len(cells):
        raise TableError(
            f"{len(cells) - len(order):,} member-months are there twice.\n"
            "  This is a defect of the panel, not of the data; please report it."
        )
    return order, np.cumsum(is_there) - 1


@dataclass(frozen=True)
class Text:
    """Text as the numbers of its distinct values, which are in order; -1 where it is missing."""

    codes: NDArray[np.int32]
    distinct: pa.Array

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Text:
        """A column of text."""
        import pyarrow.compute as pc

        distinct = pc.unique(column).drop_null()
        distinct = distinct.take(pc.sort_indices(distinct))
        codes = pc.index_in(column, value_set=distinct).fill_null(-1)
        return cls(codes.to_numpy(), distinct)

    def at(self, rows: Whole) -> pa.Array:
        """Values of some rows."""
        import pyarrow as pa

        codes = self.codes[rows]
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), self.distinct)


@dataclass(frozen=True)
class MonthEvents:
    """Events by the row of their month, the measure's number and the value."""

    rows: Whole
    measures: NDArray[np.int16]
    values: NDArray[np.float64]

    def within(self, part: slice) -> MonthEvents:
        """Those of a stretch of rows, counted from its start, in the order of the measures."""
        inside = np.flatnonzero((self.rows >= part.start) & (self.rows < part.stop))
        inside = inside[np.argsort(self.measures[inside], kind="stable")]
        return MonthEvents(
            self.rows[inside] - part.start, self.measures[inside], self.values[inside]
        )

    def total(self, number: int, n: int) -> NDArray[np.float64]:
        """Sum of one measure for each of `n` rows; the events are in the order of the measures."""
        bounds = np.array([number, number + 1], self.measures.dtype)
        first, last = np.searchsorted(self.measures, bounds)
        mine = slice(first, last)
        total = np.bincount(self.rows[mine], weights=self.values[mine], minlength=n)
        return total.astype(np.float64, copy=False)
