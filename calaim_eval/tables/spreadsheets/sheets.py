"""Sheets of a workbook and their rows as text, with the numbers a spreadsheet gives rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calaim_eval.errors import MissingExtraError, TableError
from calaim_eval.tables.spreadsheets.cell_marks import CellMarks, merged_over_rows, read_marks
from calaim_eval.tables.spreadsheets.cells import ERROR, cell_remark, cell_text

_OPEN_XML = (".xlsx", ".xlsm")
SPREADSHEET_SUFFIXES = (*_OPEN_XML, ".xls", ".xlsb", ".ods")
MERGED = "cell merged over several rows (each row has its value)"
NOT_STORED = "formula without a stored value (read as missing; open and save the workbook once)"


@dataclass(frozen=True)
class Sheet:
    """One sheet of a workbook.

    Attributes
    ----------
    path : Path
        The workbook.
    number : int
        Place among its sheets, from 1; charts are no sheets.
    name : str
        As on its tab.
    is_hidden : bool
        Whoever opens the workbook does not see it.
    """

    path: Path
    number: int
    name: str
    is_hidden: bool


@dataclass(frozen=True)
class SheetRow:
    """One row: its number in the spreadsheet, its cells as text, remarks about single cells."""

    number: int
    cells: list[str]
    remarks: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Nothing is in any cell."""
        return not any(self.cells)


def is_workbook(path: Path) -> bool:
    """Whether a file is a workbook by its name."""
    return path.name.lower().endswith(SPREADSHEET_SUFFIXES)


def list_sheets(path: Path, where: str) -> tuple[Sheet, ...]:
    """Sheets of a workbook in order, hidden ones too.

    Raises
    ------
    MissingExtraError
        The library that reads workbooks is not installed.
    TableError
        The workbook cannot be read; `where` names it in the message.
    """
    with _reading(where):
        from python_calamine import SheetTypeEnum, SheetVisibleEnum

        with _open(path) as book:
            states = [
                (each.name, each.visible != SheetVisibleEnum.Visible)
                for each in book.sheets_metadata
                if each.typ == SheetTypeEnum.WorkSheet
            ]
    return tuple(
        Sheet(path, number, name, is_hidden)
        for number, (name, is_hidden) in enumerate(states, start=1)
    )


def sheet_rows(sheet: Sheet, where: str) -> Iterator[SheetRow]:
    """Rows of a sheet from its first row on, empty ones too.

    A cell that is merged over several rows has its value in each; of cells merged side by side the
    first has it. Formulas have the value the spreadsheet stored when it was saved.

    Raises
    ------
    TableError
        The sheet cannot be read.
    """
    with _reading(where):
        values, marks = _values_and_marks(sheet)
        merged = _MergedCells(marks.merged)
        for number, cells in enumerate(_every_row(values, marks.last_row), start=1):
            texts = [
                cell_text(value, marks.formats.get((number, at), ""))
                for at, value in enumerate(cells, start=1)
            ]
            remarks = [each for value in cells if (each := cell_remark(value))]
            remarks += [ERROR] * marks.errors[number] + [NOT_STORED] * marks.not_stored[number]
            remarks += merged.fill(texts, number)
            yield SheetRow(number, texts, tuple(remarks))


def _every_row(values: Iterator[list[Any]], last_row: int) -> Iterator[list[Any]]:
    """Rows with values, and empty ones below them up to a last row."""
    number = 0
    for cells in values:
        number += 1
        yield cells
    for _ in range(number, last_row):
        yield []


class _MergedCells:
    """Cells merged over several rows, filled as rows go by from the top.

    Parameters
    ----------
    areas : tuple of tuple[int, int, int]
        First row, last row and column of each, the topmost first.
    """

    def __init__(self, areas: tuple[tuple[int, int, int], ...]) -> None:
        self._to_come = deque(areas)
        self._open: list[tuple[int, int, str]] = []

    def fill(self, texts: list[str], number: int) -> list[str]:
        """Give cells merged with one above its value; one remark for each."""
        remarks = []
        self._open = [each for each in self._open if each[0] >= number]
        for _, column, value in self._open:
            texts.extend([""] * (column - len(texts)))
            if value and not texts[column - 1]:
                texts[column - 1] = value
                remarks.append(MERGED)
        while self._to_come and self._to_come[0][0] == number:
            _, last, column = self._to_come.popleft()
            value = texts[column - 1] if column <= len(texts) else ""
            self._open.append((last, column, value))
        return remarks


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Tell a missing library, and whatever a library says of a broken file, without its words."""
    try:
        yield
    except (TableError, MissingExtraError, GeneratorExit):
        raise
    except ImportError:
        raise MissingExtraError(
            "workbooks are read with `python-calamine`, which is not installed.\n"
            '  Install it: pip install "calaim-eval[excel]".'
        ) from None
    # The libraries raise whatever their parsers do; all of it means that the file is not whole.
    except Exception as problem:
        raise TableError(
            f"{where} cannot be read as a workbook ({type(problem).__name__}).\n"
            "  It is damaged, locked with a password, or no workbook; save it again, or as CSV."
        ) from None


def _open(path: Path) -> Any:
    """A workbook."""
    from python_calamine import load_workbook

    return load_workbook(path)


def _values_and_marks(sheet: Sheet) -> tuple[Iterator[list[Any]], CellMarks]:
    """Values of a sheet row by row, and what its kind of workbook tells beside them."""
    with _open(sheet.path) as book:
        own = book.get_sheet_by_name(sheet.name)
        merged = merged_over_rows(own.merged_cell_ranges or [])
    if sheet.path.name.lower().endswith(_OPEN_XML):
        return own.iter_rows(), read_marks(sheet.path, sheet.name, merged)
    return own.iter_rows(), CellMarks(merged)
