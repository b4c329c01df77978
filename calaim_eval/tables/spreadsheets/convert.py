"""Workbooks of a declared table, converted once to parquet, with a count of every row."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.engine import atomic_folder, track
from calaim_eval.errors import TableError
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.spreadsheets.choose import chosen_tables
from calaim_eval.tables.spreadsheets.tables import SheetTable, plain_head

if TYPE_CHECKING:
    import pyarrow as pa

SERIAL = "day written as a serial number of a spreadsheet (read as the day it stands for)"
_COUNTS = "counts.json"
_ROWS_PER_CHUNK = 20_000
_FIRST_DAY = date(1899, 12, 30)
_SHOWN_ROWS = 5


@dataclass(frozen=True)
class WorkbookSource:
    """Which part of workbooks holds a declared table.

    Attributes
    ----------
    table : str
    sheet : str
        As in `chosen_tables`.
    rename : mapping of str to str
        Head in the sheet to declared column, where they differ.
    """

    table: str
    sheet: str = ""
    rename: Mapping[str, str] = field(default_factory=dict)

    def name(self, head: str) -> str:
        """A head as it is written on: as in `rename`, as declared, or as it is.

        Case, blanks and punctuation do not matter: ``Organization ID`` is `organization_id`.
        """
        plain = plain_head(head)
        for known in (*self.rename, *TABLES[self.table].fields):
            if plain_head(known) == plain:
                return known
        return head

    def column(self, name: str) -> str | None:
        """Declared column of a name; nothing for another."""
        declared = self.rename.get(name, name)
        return declared if declared in TABLES[self.table].fields else None

    @property
    def wanted(self) -> tuple[str, ...]:
        """Heads that are read."""
        return (*TABLES[self.table].fields, *self.rename)


def convert_workbooks(
    paths: Sequence[Path], folder: Path, source: WorkbookSource
) -> tuple[Path, ...]:
    """Convert the sheets of a table to parquet parts of text; what was converted is used again.

    Days of declared columns written as serial numbers become days.

    Raises
    ------
    MissingExtraError
        The library that reads workbooks is not installed.
    TableError
        A workbook cannot be read, lacks the sheet, or names a column twice.
    """
    for number, path in enumerate(track(paths, description="converting workbooks")):
        converted = folder / f"file-{number:04d}"
        if not converted.is_dir():
            with atomic_folder(converted) as filling:
                _convert_one(path, filling, source)
    return tuple(sorted(folder.glob("file-*/part-*.parquet")))


def workbook_ledger(table: str, folder: Path) -> RowLedger:
    """What became of the rows of the workbooks converted to a folder; stage ``"source"``."""
    ledger = RowLedger()
    for path in sorted(folder.glob(f"file-*/{_COUNTS}")):
        counts = json.loads(path.read_text(encoding="utf-8"))
        name = f"{table} workbook"
        for reason, n_rows in counts["rows"].items():
            ledger.add(name, reason, n_rows, stage="source")
        for remark, n in counts["remarks"].items():
            ledger.note(name, remark, n)
    return ledger


def serial_day(text: str) -> str:
    """A serial number of a spreadsheet as a day; any other text as it is.

    Five digits before the point, from 1927 to 2099; the time of day is left out.

    Examples
    --------
    >>> serial_day("45474"), serial_day("20240701"), serial_day("1/2/2024")
    ('2024-07-01', '20240701', '1/2/2024')
    """
    fits = re.fullmatch(r"(\d{5})(?:\.\d+)?", text)
    if fits is None or not 10_000 <= int(fits[1]) < 73_051:
        return text
    return (_FIRST_DAY + timedelta(days=int(fits[1]))).isoformat()


def _convert_one(path: Path, folder: Path, source: WorkbookSource) -> None:
    """Write the sheets of one workbook, and what became of their rows."""
    where = f"table `{source.table}`: `{path.name}`"
    tables, not_read = chosen_tables(path, where, wanted=source.wanted, spec=source.sheet)
    rows: Counter[str] = Counter()
    remarks: Counter[str] = Counter(not_read)
    for table in tables:
        place = folder / f"part-{table.sheet.number:04d}.parquet"
        rows[USED] += _write_sheet(table, place, source, where)
        several = f"sheet {table.sheet.number}, " if len(tables) > 1 else ""
        for reason, n_rows in table.set_aside.items():
            rows[f"{reason} ({several}{row_words(table.places[reason])})"] += n_rows
        remarks.update(table.remarks)
    counts = {"rows": rows, "remarks": {name: n for name, n in remarks.items() if n}}
    (folder / _COUNTS).write_text(json.dumps(counts), encoding="utf-8")


def row_words(numbers: Sequence[int]) -> str:
    """Numbers of rows in words, the first few of many.

    Examples
    --------
    >>> row_words([7]), row_words([7, 9]), row_words(list(range(2, 10)))
    ('row 7', 'rows 7, 9', 'rows 2, 3, 4, 5, 6 and 3 more')
    """
    shown = ", ".join(str(number) for number in numbers[:_SHOWN_ROWS])
    more = len(numbers) - _SHOWN_ROWS
    return f"row{'s' if len(numbers) > 1 else ''} {shown}{f' and {more} more' if more > 0 else ''}"


def _write_sheet(table: SheetTable, path: Path, source: WorkbookSource, where: str) -> int:
    """Write the declared columns of a sheet as text; how many rows it has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    at = _places(table.header, source, where)
    days = {head for head in at if _is_day(source.column(head))}
    names = list(at)
    schema = pa.schema([(name, pa.string()) for name in names])
    n_rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for chunk in _chunks(table.rows()):
            columns = {}
            for name, place in at.items():
                texts = [cells[place] or None for cells in chunk]
                columns[name] = _as_days(texts, table) if name in days else texts
            writer.write_table(_as_table(columns, schema))
            n_rows += len(chunk)
    return n_rows


def _as_table(columns: Mapping[str, list[str | None]], schema: pa.Schema) -> pa.Table:
    """Columns of text as a table."""
    import pyarrow as pa

    return pa.table(dict(columns), schema=schema)


def _as_days(texts: list[str | None], table: SheetTable) -> list[str | None]:
    """Serial numbers as days, with a remark for each."""
    read = [None if text is None else serial_day(text) for text in texts]
    table.remarks[SERIAL] += sum(1 for old, new in zip(texts, read, strict=True) if old != new)
    return read


def _is_day(column: str | None) -> bool:
    """Whether a declared column holds days or months."""
    return column is not None and FIELDS[column].dtype in ("date", "month")


def _places(header: Sequence[str], source: WorkbookSource, where: str) -> dict[str, int]:
    """Where each named column stands, the first of those nobody asks for."""
    found: dict[str, int] = {}
    for place, head in enumerate(header):
        name = source.name(head)
        if name in found and source.column(name) is not None:
            raise TableError(
                f"{where} has more than one column `{head}`.\n  Give each column a name of its own."
            )
        if name:
            found.setdefault(name, place)
    return found


def _chunks(rows: Iterator[tuple[int, list[str]]]) -> Iterator[list[list[str]]]:
    """Cells of some rows at a time."""
    held: list[list[str]] = []
    for _, cells in rows:
        held.append(cells)
        if len(held) == _ROWS_PER_CHUNK:
            yield held
            held = []
    if held:
        yield held
