"""Sheets of a workbook and their rows as text, with the numbers a spreadsheet gives rows."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from calaim_eval.errors import MissingExtraError, TableError
from calaim_eval.tables.spreadsheets.cells import cell_remark, cell_text

_OPEN_XML = (".xlsx", ".xlsm")
_OTHERS = (".xls", ".xlsb", ".ods")
SPREADSHEET_SUFFIXES = (*_OPEN_XML, *_OTHERS)
MERGED = "cell merged over several rows (each row has its value)"
NOT_STORED = "formula without a stored value (read as missing; open and save the workbook once)"
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_REFERENCE = re.compile(r"([A-Z]+)(\d+)")


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


@dataclass(frozen=True)
class _Marks:
    """What the cells themselves do not say; rows and columns are counted from 1.

    Attributes
    ----------
    merged : tuple of tuple[int, int, int]
        First row, last row and column of cells merged over several rows.
    not_stored : frozenset of tuple[int, int]
        Row and column of formulas without a value.
    """

    merged: tuple[tuple[int, int, int], ...] = ()
    not_stored: frozenset[tuple[int, int]] = frozenset()


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
        if _is_open_xml(path):
            book = _open_xml(path)
            states = [(sheet.title, sheet.sheet_state != "visible") for sheet in book.worksheets]
            book.close()
        else:
            from python_calamine import SheetTypeEnum, SheetVisibleEnum

            with _calamine(path) as book:
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
        values, marks = _open_xml_rows(sheet) if _is_open_xml(sheet.path) else _calamine_rows(sheet)
        held: dict[int, str] = {}
        for number, cells in enumerate(values, start=1):
            texts = [cell_text(value, shape) for value, shape in cells]
            remarks = [each for value, _ in cells if (each := cell_remark(value))]
            remarks += [
                NOT_STORED
                for at, text in enumerate(texts, start=1)
                if not text and (number, at) in marks.not_stored
            ]
            remarks += _fill_merged(texts, number, marks, held)
            yield SheetRow(number, texts, tuple(remarks))


def _fill_merged(texts: list[str], number: int, marks: _Marks, held: dict[int, str]) -> list[str]:
    """Give cells merged with one above its value; one remark for each."""
    remarks = []
    for place, (first, last, column) in enumerate(marks.merged):
        if not first <= number <= last:
            continue
        texts.extend([""] * (column - len(texts)))
        if number == first:
            held[place] = texts[column - 1]
        elif held.get(place) and not texts[column - 1]:
            texts[column - 1] = held[place]
            remarks.append(MERGED)
    return remarks


def _is_open_xml(path: Path) -> bool:
    """Whether a workbook is of the kind that tells the formats of cells."""
    return path.name.lower().endswith(_OPEN_XML)


@contextmanager
def _reading(where: str) -> Iterator[None]:
    """Tell a missing library, and whatever a library says of a broken file, without its words."""
    try:
        yield
    except (TableError, MissingExtraError, GeneratorExit):
        raise
    except ImportError:
        raise MissingExtraError(
            "workbooks are read with `openpyxl` (.xlsx) and `python-calamine` (.xls, .xlsb, .ods), "
            'one of which is not installed.\n  Install them: pip install "calaim-eval[excel]".'
        ) from None
    # The libraries raise whatever their parsers do; all of it means that the file is not whole.
    except Exception as problem:
        raise TableError(
            f"{where} cannot be read as a workbook ({type(problem).__name__}).\n"
            "  It is damaged, locked with a password, or no workbook; save it again, or as CSV."
        ) from None


def _open_xml(path: Path) -> Any:
    """An `.xlsx` workbook, its cells read as they are asked for."""
    import warnings

    from openpyxl import load_workbook

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load_workbook(path, read_only=True, data_only=True)


def _calamine(path: Path) -> Any:
    """A workbook of another kind."""
    from python_calamine import load_workbook

    return load_workbook(path)


def _open_xml_rows(sheet: Sheet) -> tuple[Iterator[list[tuple[object, str]]], _Marks]:
    """Values and formats of an `.xlsx` sheet, row by row, and what is told beside them."""

    def values() -> Iterator[list[tuple[object, str]]]:
        book = _open_xml(sheet.path)
        rows = book.worksheets[sheet.number - 1]
        # Some programs write a size that is not that of the sheet; what is there counts.
        rows.reset_dimensions()
        for row in rows.iter_rows():
            yield [
                (each.value, each.number_format if _is_number(each.value) else "") for each in row
            ]
        book.close()

    return values(), _marks_of(sheet)


def _is_number(value: object) -> bool:
    """Whether a value is a number, not a truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _calamine_rows(sheet: Sheet) -> tuple[Iterator[list[tuple[object, str]]], _Marks]:
    """Values of a sheet of another kind, and its merged cells where the kind tells them."""
    with _calamine(sheet.path) as book:
        own = book.get_sheet_by_name(sheet.name)
        rows = own.to_python(skip_empty_area=False)
        ranges = own.merged_cell_ranges or []
    merged = tuple(
        (top + 1, bottom + 1, left + 1) for (top, left), (bottom, _) in ranges if bottom > top
    )
    return ([(value, "") for value in row] for row in rows), _Marks(merged)


def _marks_of(sheet: Sheet) -> _Marks:
    """Merged cells and formulas without a value, out of the sheet's own part of the file."""
    merged, not_stored = [], set()
    with (
        zipfile.ZipFile(sheet.path) as archive,
        archive.open(_part_of(archive, sheet.name)) as part,
    ):
        for _, element in ElementTree.iterparse(part):
            if element.tag == f"{_MAIN}c":
                if element.find(f"{_MAIN}f") is not None and not _has_value(element):
                    not_stored.add(_place(element.get("r", "")))
            elif element.tag == f"{_MAIN}row":
                element.clear()
            elif element.tag == f"{_MAIN}mergeCell":
                first, _, last = element.get("ref", "").partition(":")
                (top, left), (bottom, _) = _place(first), _place(last or first)
                if bottom > top:
                    merged.append((top, bottom, left))
    return _Marks(tuple(merged), frozenset(not_stored))


def _has_value(cell: ElementTree.Element) -> bool:
    """Whether the value of a formula is stored; that of a text may be the empty one."""
    value = cell.find(f"{_MAIN}v")
    return value is not None and (bool(value.text) or cell.get("t") == "str")


def _part_of(archive: zipfile.ZipFile, name: str) -> str:
    """Where in an `.xlsx` file the sheet of a name is."""
    book = ElementTree.fromstring(archive.read("xl/workbook.xml"))
    relations = ElementTree.fromstring(archive.read("xl/_rels/workbook.xml.rels"))
    targets = {each.get("Id"): each.get("Target", "") for each in relations}
    for each in book.iter(f"{_MAIN}sheet"):
        if each.get("name") == name:
            target = targets[each.get(_RELATION)]
            return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
    raise KeyError(name)


def _place(reference: str) -> tuple[int, int]:
    """Row and column of a reference such as ``C4``; (0, 0) where it is none."""
    fits = _REFERENCE.fullmatch(reference)
    if fits is None:
        return 0, 0
    column = 0
    for letter in fits[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(fits[2]), column
