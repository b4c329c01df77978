"""Open a partner's file of rows, delimited text or a sheet of a workbook: header, cells, places."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeAlias

from calaim_eval.errors import TableError
from calaim_eval.tables.sources import TEXT_SUFFIXES
from calaim_eval.tables.spreadsheets.choose import HIDDEN, chosen_tables
from calaim_eval.tables.spreadsheets.sheets import (
    SPREADSHEET_SUFFIXES,
    Sheet,
    is_workbook,
    list_sheets,
)
from calaim_eval.tables.spreadsheets.tables import SheetTable, open_table
from calaim_eval.tables.text_files import DELIMITERS, UNREADABLE, encoding_of, open_text

ROW_SUFFIXES = (*TEXT_SUFFIXES, *SPREADSHEET_SUFFIXES)
"""Kinds of files that hold rows."""
RowFile: TypeAlias = Path | Sheet
"""A text file or a workbook of one table, or one sheet of a workbook."""
RAGGED = "another number of cells than the header"
NOT_UTF8 = "row of a file that is not UTF-8 (read as Windows-1252; look at accents)"


@dataclass
class FileCells:
    """Header of a file and its rows, each with its number in the file.

    Attributes
    ----------
    header : list[str]
    rows : iterator of tuple[int, list[str]]
        Line of the file or row of the sheet, and as many cells as the header has.
    set_aside, remarks : Counter
        Rows that are not among them, and what to know about those that are, by reason; complete
        when the rows have been read.
    places : dict of str to list[int]
        Numbers of the rows set aside, by reason.
    """

    header: list[str]
    rows: Iterator[tuple[int, list[str]]] = field(default_factory=lambda: iter(()))
    set_aside: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[int]] = field(default_factory=dict)

    def drop(self, number: int, reason: str) -> None:
        """Count a row that is not handed on."""
        self.set_aside[reason] += 1
        self.places.setdefault(reason, []).append(number)


def is_row_file(path: Path) -> bool:
    """Whether a path is a file of rows by its name; hidden files and locks are none."""
    is_kind = path.name.lower().endswith(ROW_SUFFIXES)
    return is_kind and not path.name.startswith((".", "~$")) and path.is_file()


def row_files(paths: Iterable[Path], where: str) -> tuple[list[RowFile], int]:
    """Text files as they are, of workbooks each visible sheet; and how many hidden ones there are.

    Raises
    ------
    TableError
        A workbook cannot be read.
    """
    found: list[RowFile] = []
    n_hidden = 0
    for path in paths:
        if not is_workbook(path):
            found.append(path)
            continue
        sheets = list_sheets(path, where)
        n_hidden += sum(1 for sheet in sheets if sheet.is_hidden)
        found += [sheet for sheet in sheets if not sheet.is_hidden]
    return found, n_hidden


def open_cells(file: RowFile, where: str, *, wanted: Iterable[str] = ()) -> FileCells | None:
    """Header and rows of a file; nothing for a sheet without a table.

    Parameters
    ----------
    file : RowFile
        Of a workbook of several sheets the one that has the columns asked for.
    where : str
        What the file is called in messages: names of files and sheets are not told.
    wanted : iterable of str
        Names columns may have: in a sheet the header is found by them.

    Raises
    ------
    TableError
        The file cannot be read, has no header, or several sheets fit.
    """
    if isinstance(file, Sheet):
        table = open_table(file, where, wanted=wanted)
        return None if table is None else _sheet_cells(table)
    if is_workbook(file):
        tables, not_read = chosen_tables(file, where, wanted=wanted, tell_names=False)
        cells = _sheet_cells(tables[0])
        cells.remarks.update(not_read)
        return cells
    return _text_cells(file, where)


def _sheet_cells(table: SheetTable) -> FileCells:
    """Cells of a sheet, which counts on its own."""
    return FileCells(table.header, table.rows(), table.set_aside, table.remarks, table.places)


def _text_cells(path: Path, where: str) -> FileCells:
    """Cells of a text file; its header is read at once."""
    lines = _lines(path, where)
    encoding, first = next(lines)
    cells = FileCells(first[1])
    cells.rows = _whole(lines, cells, is_utf8=encoding != "cp1252")
    return cells


def _whole(
    lines: Iterator[tuple[str, tuple[int, list[str]]]], cells: FileCells, *, is_utf8: bool
) -> Iterator[tuple[int, list[str]]]:
    """Rows with as many cells as the header; the others are counted."""
    for _, (number, texts) in lines:
        if len(texts) != len(cells.header):
            cells.drop(number, RAGGED)
            continue
        cells.remarks[NOT_UTF8] += not is_utf8
        yield number, texts


def _lines(path: Path, where: str) -> Iterator[tuple[str, tuple[int, list[str]]]]:
    """Encoding of the file with header and then each row that is not empty, and its line."""
    try:
        encoding = encoding_of(path)
        with open_text(path, encoding=encoding) as stream:
            delimiter = _delimiter(stream, where)
            reader = csv.reader(stream, delimiter=delimiter, strict=True)
            for cells in reader:
                if cells:
                    yield encoding, (reader.line_num, cells)
    except csv.Error:
        raise TableError(
            f"{where} cannot be read: a quote in it is not closed, or stands inside a cell.\n"
            "  Write the file again; a quote inside a quoted cell is doubled."
        ) from None
    except UNREADABLE as problem:
        raise TableError(
            f"{where} cannot be read ({type(problem).__name__}).\n"
            "  It is damaged, cut short, locked, or no text; fetch or write it again."
        ) from None


def _delimiter(stream: IO[str], where: str) -> str:
    """Delimiter of the header; the stream is at its start again."""
    line = stream.readline()
    if not line.strip():
        raise TableError(f"{where} has no header.\n  Its first line must name the columns.")
    stream.seek(0)
    return max(DELIMITERS, key=line.count)


__all__ = [
    "HIDDEN",
    "NOT_UTF8",
    "RAGGED",
    "ROW_SUFFIXES",
    "FileCells",
    "RowFile",
    "is_row_file",
    "open_cells",
    "row_files",
]
