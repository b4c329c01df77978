"""What the values of a sheet do not say: merged cells, formats with zeros, formulas, errors."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from calaim_eval.tables.spreadsheets.cells import shows_zeros

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_REFERENCE = re.compile(r"([A-Z]+)(\d+)")
_TOLD = re.compile(rb'<(?:\w+:)?f[\s/>]|\bt=["\']e["\']')
"""A formula, or a cell with an error."""
_BLOCK_BYTES = 1 << 20
_OVERLAP = 80
"""Bytes by which blocks are looked at together, more than `_TOLD` is long."""


@dataclass(frozen=True)
class CellMarks:
    """Marks of single cells; rows and columns are counted from 1.

    Attributes
    ----------
    merged : tuple of tuple[int, int, int]
        First row, last row and column of cells merged over several rows.
    not_stored, errors : Counter
        Formulas without a value, and errors, by row.
    formats : dict of tuple[int, int] to str
        Row and column of cells whose format shows leading zeros, and the format.
    """

    merged: tuple[tuple[int, int, int], ...] = ()
    not_stored: Counter[int] = field(default_factory=Counter)
    errors: Counter[int] = field(default_factory=Counter)
    formats: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def last_row(self) -> int:
        """Last row with a formula or an error that has no text; 0 where there is none."""
        return max((*self.not_stored, *self.errors), default=0)


def merged_over_rows(
    ranges: Iterable[tuple[tuple[int, int], tuple[int, int]]],
) -> tuple[tuple[int, int, int], ...]:
    """Merged areas, corners counted from 0, as `CellMarks` has them, the topmost first."""
    return tuple(
        sorted((top + 1, last + 1, left + 1) for (top, left), (last, _) in ranges if last > top)
    )


def read_marks(path: Path, sheet: str, merged: tuple[tuple[int, int, int], ...]) -> CellMarks:
    """Marks of the cells of a sheet of an `.xlsx` file.

    The part of the file is gone through only where it has something to tell.
    """
    marks = CellMarks(merged)
    with zipfile.ZipFile(path) as archive:
        part = _part_of(archive, sheet)
        formats = _formats_with_zeros(archive)
        if formats or _tells_more(archive, part):
            for cell in _cells(archive, part):
                _mark(cell, formats, marks)
    return marks


def _mark(cell: ElementTree.Element, formats: dict[str, str], marks: CellMarks) -> None:
    """Note what is to know about a cell."""
    has_value = _has_value(cell)
    if not has_value and cell.find(f"{_MAIN}f") is not None:
        marks.not_stored[_place(cell)[0]] += 1
    elif has_value and cell.get("t") == "e":
        marks.errors[_place(cell)[0]] += 1
    elif has_value and (shape := formats.get(cell.get("s", "0"))):
        marks.formats[_place(cell)] = shape


def _tells_more(archive: zipfile.ZipFile, part: str) -> bool:
    """Whether a part has formulas or errors."""
    end = b""
    with archive.open(part) as stream:
        while block := stream.read(_BLOCK_BYTES):
            if _TOLD.search(end + block):
                return True
            end = block[-_OVERLAP:]
    return False


def _cells(archive: zipfile.ZipFile, part: str) -> Iterator[ElementTree.Element]:
    """Cells of a part, one after the other."""
    with archive.open(part) as stream:
        rows = None
        for event, element in ElementTree.iterparse(stream, events=("start", "end")):
            if event == "start":
                rows = element if element.tag == f"{_MAIN}sheetData" else rows
            elif element.tag == f"{_MAIN}c":
                yield element
            elif element.tag == f"{_MAIN}row" and rows is not None:
                rows.clear()


def _has_value(cell: ElementTree.Element) -> bool:
    """Whether the value of a cell is stored; that of a formula of text may be the empty one."""
    value = cell.find(f"{_MAIN}v")
    return value is not None and (bool(value.text) or cell.get("t") == "str")


def _formats_with_zeros(archive: zipfile.ZipFile) -> dict[str, str]:
    """Formats that show leading zeros, by the number of the style that cells name."""
    if "xl/styles.xml" not in archive.namelist():
        return {}
    styles = ElementTree.fromstring(archive.read("xl/styles.xml"))
    codes = {
        each.get("numFmtId"): each.get("formatCode", "") for each in styles.iter(f"{_MAIN}numFmt")
    }
    own = styles.find(f"{_MAIN}cellXfs")
    numbers = [] if own is None else [each.get("numFmtId") for each in own]
    shapes = {str(at): codes.get(number, "") for at, number in enumerate(numbers)}
    return {style: shape for style, shape in shapes.items() if shows_zeros(shape)}


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


def _place(cell: ElementTree.Element) -> tuple[int, int]:
    """Row and column of a cell by its reference, such as ``C4``; (0, 0) where it has none."""
    fits = _REFERENCE.fullmatch(cell.get("r", ""))
    if fits is None:
        return 0, 0
    column = 0
    for letter in fits[1]:
        column = column * 26 + ord(letter) - ord("A") + 1
    return int(fits[2]), column
