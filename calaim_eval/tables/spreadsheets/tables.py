"""The table in a sheet: the header found under titles, the rows below it, what is not read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice

from calaim_eval.errors import TableError
from calaim_eval.tables.spreadsheets.sheets import Sheet, SheetRow, sheet_rows

EMPTY = "empty row of a sheet"
HEADER_AGAIN = "header repeated in a sheet"
OUTSIDE = "cell beside the named columns of a sheet (not read)"
ABOVE = "row above the header of a sheet (a title; not read)"
_LOOKED_AT = 60
"""Rows from the top among which the header is."""
_LEAST_FILLED = 0.6
"""Share of the widest row's cells that are filled in a header nobody has told the names of."""


@dataclass
class SheetTable:
    """Header and rows of a sheet.

    Attributes
    ----------
    sheet : Sheet
    header : list[str]
        Names of columns; empty for a column without one.
    header_row : int
        Number of the header's row in the spreadsheet.
    n_fitting : int
        Columns that were asked for and are there.
    set_aside, remarks : Counter
        Rows that are no data and cells to know about, by reason, as far as rows were read.
    places : dict of str to list[int]
        Numbers of the rows set aside, by reason.
    """

    sheet: Sheet
    header: list[str]
    header_row: int
    n_fitting: int
    _rows: Iterator[SheetRow]
    set_aside: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[int]] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Number and cells of each row that has any, as many cells as the header; once."""
        width = len(self.header)
        unnamed = [at for at, name in enumerate(self.header) if not name]
        for row in self._rows:
            reason = EMPTY if row.is_empty else self._reason(row)
            if reason:
                self.set_aside[reason] += 1
                self.places.setdefault(reason, []).append(row.number)
                continue
            self.remarks.update(row.remarks)
            cells = (row.cells + [""] * width)[:width]
            beside = (*row.cells[width:], *(cells[at] for at in unnamed))
            self.remarks[OUTSIDE] += sum(1 for cell in beside if cell)
            yield row.number, cells

    def _reason(self, row: SheetRow) -> str:
        """Why a row with something in it is no data; nothing for most."""
        cells = [plain_head(cell) for cell in row.cells if cell]
        return HEADER_AGAIN if cells == self._heads else ""

    @cached_property
    def _heads(self) -> list[str]:
        """Names of columns, compared without case, blanks and punctuation."""
        return [plain_head(name) for name in self.header if name]


def open_table(
    sheet: Sheet, where: str, *, wanted: Iterable[str] = (), header_row: int | None = None
) -> SheetTable | None:
    """The table in a sheet; nothing for a sheet without one.

    Parameters
    ----------
    sheet : Sheet
    where : str
        What the sheet is called in messages.
    wanted : iterable of str
        Names columns may have. The header is the row among the first 60 that has most of them;
        where none has two, the first row that is filled like the table and holds no number.
    header_row : int, optional
        Number of the header's row, where it is known.

    Raises
    ------
    TableError
        The sheet cannot be read, or has nothing in the row that is said to be its header.
    """
    rows = sheet_rows(sheet, where)
    names = frozenset(plain_head(name) for name in wanted)
    first = list(islice(rows, max(_LOOKED_AT, header_row or 0)))
    at = find_header(first, names) if header_row is None else header_row - 1
    if at is None:
        return None
    if at >= len(first) or first[at].is_empty:
        raise TableError(
            f"{where} has nothing in row {header_row}, which is to be its header.\n"
            "  Give the number of the row that names the columns."
        )
    header = _trimmed(first[at].cells)
    table = SheetTable(
        sheet,
        header,
        first[at].number,
        len(names.intersection(map(plain_head, header))),
        chain(first[at + 1 :], rows),
    )
    table.remarks[ABOVE] += sum(1 for row in first[:at] if not row.is_empty)
    return table


def find_header(rows: Sequence[SheetRow], wanted: frozenset[str]) -> int | None:
    """Place of the header among the first rows of a sheet; nothing where there is none."""
    fitting = [len(wanted.intersection(map(plain_head, row.cells))) for row in rows]
    most = max(fitting, default=0)
    if most >= min(2, len(wanted)) and most > 0:
        return fitting.index(most)
    filled = [sum(1 for cell in row.cells if cell) for row in rows]
    least = max(1.0, _LEAST_FILLED * max(filled, default=0))
    for at, row in enumerate(rows):
        if filled[at] >= least and not any(map(_is_numeric, row.cells)):
            return at
    return None


def plain_head(head: str) -> str:
    """A head without case, blanks and punctuation, so that spellings of it compare."""
    return "".join(letter for letter in head.lower() if letter.isalnum())


def _is_numeric(cell: str) -> bool:
    """Whether a cell is a number or a day, which no name of a column is."""
    return bool(re.fullmatch(r"-?\d+(\.\d+)?|\d{4}-\d{2}-\d{2}( .*)?", cell))


def _trimmed(cells: list[str]) -> list[str]:
    """Cells up to the last that is filled."""
    length = max((at for at, cell in enumerate(cells, start=1) if cell), default=0)
    return cells[:length]
