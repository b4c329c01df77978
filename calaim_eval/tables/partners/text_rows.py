"""Rows of a partner's files, and what becomes of each: used, or set aside and counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.schema.values import MISSING_TEXTS
from calaim_eval.tables.formats import SOURCE
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.partners.row_files import RowFile, open_cells
from calaim_eval.tables.partners.row_places import PlacedLedger
from calaim_eval.tables.spreadsheets.convert import serial_day
from calaim_eval.tables.spreadsheets.tables import plain_head

SERIAL = "`{}` is a serial number of a spreadsheet (read as the day it stands for)"
EXACT = "exact duplicate"
DAY_FORMATS = {
    r"\d{4}-\d{2}-\d{2}(?:[ T].*)?": ("%Y-%m-%d", 10),
    r"\d{8}": ("%Y%m%d", 8),
    r"\d{1,2}/\d{1,2}/\d{4}(?: .*)?": ("%m/%d/%Y", 0),
    r"\d{1,2}-\d{1,2}-\d{4}(?: .*)?": ("%m-%d-%Y", 0),
}
"""How a day may be written: pattern to format and length, 0 where it ends at the first blank."""
_EARLIEST, _LATEST = np.datetime64("1900-01-01", "s"), np.datetime64("2100-01-01", "s")


class FileRows:
    """Rows of one kind of file; each is open until it is set aside or used.

    Parameters
    ----------
    name : str
        Name of the file in the ledger, such as ``"hmis Client"``.
    frame : pd.DataFrame
        Text columns; a missing value is None.
    ledger : RowLedger
        Where rows are counted.
    is_there : bool
        False for a file that is not there: it has no rows and no line in the ledger.
    places : list of tuple[str, int], optional
        File and number of each row.
    """

    def __init__(
        self,
        name: str,
        frame: pd.DataFrame,
        ledger: RowLedger,
        *,
        is_there: bool = True,
        places: list[tuple[str, int]] | None = None,
    ) -> None:
        self.name = name
        self.places = places or []
        self.is_there = is_there
        self.frame = frame.reset_index(drop=True)
        self.ledger = ledger
        self.is_open = np.ones(len(frame), dtype=bool)

    def __getitem__(self, column: str) -> pd.Series:
        """One column of all rows."""
        return self.frame[column]

    def set_aside(self, mask: pd.Series | np.ndarray, reason: str) -> None:
        """Count open rows under a reason and close them."""
        here = np.asarray(mask, dtype=bool) & self.is_open
        self.ledger.add(self.name, reason, int(here.sum()), stage=SOURCE)
        if self.places and isinstance(self.ledger, PlacedLedger):
            self.ledger.place(self.name, reason, (self.places[at] for at in np.flatnonzero(here)))
        self.is_open &= ~here

    def note(self, mask: pd.Series | np.ndarray, remark: str) -> None:
        """Remark on rows that stay."""
        here = np.asarray(mask, dtype=bool) & self.is_open
        self.ledger.note(self.name, remark, int(here.sum()))

    def require(self, column: str) -> None:
        """Set rows aside that lack a value."""
        self.set_aside(self.frame[column].isna(), f"`{column}` is missing")

    def day(self, column: str, *, is_needed: bool) -> pd.Series:
        """Column as days; a row whose needed day is missing or no day is set aside."""
        written = self.frame[column]
        text = by_value(written, serial_day)
        self.note(written.notna() & (text != written), SERIAL.format(column))
        days = read_days(text)
        is_bad = text.notna() & days.isna()
        if is_needed:
            self.require(column)
            self.set_aside(is_bad, f"`{column}` cannot be read as a date of 1900 to 2100")
        else:
            self.note(is_bad, f"`{column}` cannot be read as a date (read as missing)")
        return days

    def keep_latest(self, key: Sequence[str], *, by: str) -> None:
        """Of open rows of one key keep the latest by a column of times; the last on a tie."""
        open_rows = self.frame[self.is_open]
        is_copy = pd.Series(data=False, index=self.frame.index)
        is_copy[open_rows.index] = open_rows.duplicated(keep="first")
        self.set_aside(is_copy, EXACT)
        open_rows = self.frame.loc[self.is_open, list(key)]
        open_rows = open_rows[open_rows.duplicated(list(key), keep=False)]
        if open_rows.empty:
            return
        text = self.frame.loc[open_rows.index, by]
        open_rows = open_rows.assign(time=read_times(text))
        ordered = open_rows.sort_values("time", kind="stable", na_position="first")
        is_older = pd.Series(data=False, index=self.frame.index)
        is_older[ordered.index] = ordered.duplicated(list(key), keep="last")
        named = ", ".join(f"`{column}`" for column in key)
        self.set_aside(is_older, f"repeats {named}; the latest is kept")

    def used(self) -> np.ndarray:
        """Count the rows that are left as used; their places."""
        if self.is_there:
            self.ledger.add(self.name, USED, int(self.is_open.sum()), stage=SOURCE)
        return np.flatnonzero(self.is_open)


def read_file_rows(
    files: Sequence[RowFile],
    name: str,
    ledger: RowLedger,
    *,
    columns: Sequence[str],
    required: Sequence[str] = (),
    heads: Mapping[str, str] | None = None,
    place: str = "",
    is_exact: bool = False,
) -> FileRows:
    """Read the files of one kind, all of one ledger name.

    Parameters
    ----------
    files : sequence of RowFile
        Text files, packed or not, workbooks, or sheets of them; each has a header.
    name : str
        Name in the ledger and in messages: names of files are not told.
    ledger : RowLedger
    columns : sequence of str
        Columns to take; what a file lacks is missing.
    required : sequence of str
        Columns every file must have.
    heads : mapping of str to str, optional
        Head in the file to the name it is taken under, where they differ.
    place : str
        What a single file is called where rows set aside are listed.
    is_exact : bool
        Heads are as written: ``Q5_1`` is not ``Q51``. By default case, blanks and punctuation do
        not matter.

    Returns
    -------
    FileRows
        Rows with as many cells as the header; the others are counted.

    Raises
    ------
    TableError
        A file cannot be read, has no header, or lacks a required column.
    """
    held: dict[str, list[str | None]] = {column: [] for column in columns}
    places: list[tuple[str, int]] = []
    for number, file in enumerate(files, start=1):
        which = place if len(files) == 1 else f"file {number} of {len(files)}"
        where = name if len(files) == 1 else f"{name}, {which}"
        cells = open_cells(file, where, wanted=(*columns, *(heads or {})))
        if cells is None:
            raise TableError(f"{where} has no header.\n  A row of it must name the columns.")
        at = _places(cells.header, columns, heads or {}, where, is_exact=is_exact)
        lacking = [column for column in required if column not in at]
        if lacking:
            heading = {column: head for head, column in (heads or {}).items()}
            raise TableError(
                f"{where} lacks column `{heading.get(lacking[0], lacking[0])}`; it has "
                f"{len(cells.header)} columns.\n"
                "  Export it again with all columns, or say what the column is called."
            )
        for row, texts in cells.rows:
            places.append((which, row))
            for column, taken in held.items():
                taken.append(_value(texts[at[column]]) if column in at else None)
        for reason, n_rows in cells.set_aside.items():
            ledger.add(name, reason, n_rows, stage=SOURCE)
            if isinstance(ledger, PlacedLedger):
                ledger.place(name, reason, ((which, row) for row in cells.places[reason]))
        for remark, n_cells in cells.remarks.items():
            ledger.note(name, remark, n_cells)
    frame = pd.DataFrame(held, columns=list(columns), dtype=object)
    return FileRows(name, frame, ledger, places=places)


def read_header(file: RowFile, where: str, wanted: Iterable[str] = ()) -> list[str]:
    """Heads of the columns of a file; none for a sheet without a table."""
    cells = open_cells(file, where, wanted=wanted)
    return [] if cells is None else cells.header


def read_days(text: pd.Series) -> pd.Series:
    """Days out of text in one of `DAY_FORMATS`; missing where there is none of 1900 to 2100."""
    at, distinct = pd.factorize(text.astype("string").str.strip())
    values = pd.Series(distinct, dtype="string")
    days = pd.Series(np.datetime64("NaT", "s"), index=values.index, dtype="datetime64[s]")
    for pattern, (written, length) in DAY_FORMATS.items():
        fits = values.str.fullmatch(pattern).fillna(value=False).to_numpy(dtype=bool)
        if fits.any():
            some = values[fits]
            some = some.str[:length] if length else some.str.split(" ").str[0]
            read = pd.to_datetime(some, format=written, errors="coerce")
            days[fits] = read.astype("datetime64[s]")
    days = days.mask((days < _EARLIEST) | (days > _LATEST))
    # Place -1, of what is missing, is the last one.
    every = np.append(days.to_numpy(), np.datetime64("NaT", "s"))
    return pd.Series(every[at], index=text.index)


def read_times(text: pd.Series) -> pd.Series:
    """Times in UTC, for their order; the start of the day where no time is told that can be read.

    Missing where there is no day of 1900 to 2100.
    """
    days = read_days(text).dt.tz_localize("UTC")
    times = pd.to_datetime(text.where(days.notna()), format="mixed", errors="coerce", utc=True)
    return times.where(times.notna(), days)


def by_value(text: pd.Series, function: Callable[[str], str | None]) -> pd.Series:
    """What a function makes of each text, called once for each that differs; missing stays so."""
    made = {each: function(each) for each in text.dropna().unique()}
    found = text.map(made).astype(object)
    return found.where(found.notna(), None)


def look_up(ids: pd.Series, column: pd.Series) -> pd.Series:
    """Values of a column indexed by identifier, for each of `ids`; of the column's own type."""
    found = column.reindex(pd.Index(ids, dtype=object))
    found.index = ids.index
    return found


def _places(
    header: Sequence[str],
    columns: Sequence[str],
    heads: Mapping[str, str],
    where: str,
    *,
    is_exact: bool,
) -> dict[str, int]:
    """Where each wanted column is; of other names upper and lower case do not matter."""
    plain = str.strip if is_exact else plain_head
    wanted = {column.strip().lower(): column for column in columns}
    renamed = {plain(head): column for head, column in heads.items()}
    found: dict[str, int] = {}
    for at, head in enumerate(header):
        column = renamed.get(plain(head)) or wanted.get(head.strip().lower())
        if column is None:
            continue
        if column in found:
            raise TableError(
                f"{where} has more than one column `{column}`.\n"
                "  Give each column a name of its own."
            )
        found[column] = at
    return found


def _value(cell: str) -> str | None:
    """A cell without blanks around; what stands for missing is."""
    text = cell.strip()
    return None if text in MISSING_TEXTS else text
