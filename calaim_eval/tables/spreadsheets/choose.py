"""Which sheets of a workbook are read: the one named, the one that fits, or all that fit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from calaim_eval.errors import TableError
from calaim_eval.tables.spreadsheets.sheets import Sheet, list_sheets
from calaim_eval.tables.spreadsheets.tables import SheetTable, open_table

EVERY = "*"
HIDDEN = "hidden sheet (not read)"
OTHER = "sheet that is not read"
_CELL = re.compile(r"(?P<name>.*)!\$?A\$?(?P<row>[1-9]\d{0,6})")


def parse_sheet(spec: str) -> tuple[str, int | None]:
    """Name of a sheet and, where it is given, the row of its header.

    Examples
    --------
    >>> parse_sheet("Contracts 2024"), parse_sheet("Contracts!A4")
    (('Contracts 2024', None), ('Contracts', 4))
    """
    fits = _CELL.fullmatch(spec.strip())
    return (fits["name"].strip("'"), int(fits["row"])) if fits else (spec.strip(), None)


def chosen_tables(
    path: Path, where: str, *, wanted: Iterable[str], spec: str = "", tell_names: bool = True
) -> tuple[list[SheetTable], dict[str, int]]:
    """Tables of a workbook that are to be read, and how many sheets are not.

    Parameters
    ----------
    path : Path
        The workbook.
    where : str
        What it is called in messages.
    wanted : iterable of str
        Names columns may have: the header is found by them, and so is the sheet where none is
        named.
    spec : str
        A sheet (``"Contracts"``), a sheet and the first cell of its header (``"Contracts!A4"``), or
        ``"*"``: every visible sheet that has at least two of the columns, or the only one asked
        for. By default the one visible sheet with a table, or the one of several that has them.
    tell_names : bool
        Whether messages name the sheets.

    Raises
    ------
    TableError
        No sheet has the name, none fits, or several do.
    """
    sheets = list_sheets(path, where)
    names = list(wanted)
    shown = (
        ", ".join(f"'{each.name}'" for each in sheets) if tell_names else f"{len(sheets)} sheets"
    )
    if spec and spec != EVERY:
        name, row = parse_sheet(spec)
        named = [each for each in sheets if each.name.strip().lower() == name.lower()]
        if not named:
            raise TableError(f"{where} has no sheet '{name}'; it has {shown}.\n  Name one of them.")
        table = open_table(named[0], where, wanted=names, header_row=row)
        if table is None:
            raise TableError(_empty_message(where))
        return [table], _not_read(sheets, [table])
    visible = [each for each in sheets if not each.is_hidden]
    found = [open_table(each, where, wanted=names) for each in visible]
    tables = [each for each in found if each is not None]
    if not tables:
        raise TableError(_empty_message(where))
    fitting = [each for each in tables if each.n_fitting >= min(2, len(names))]
    if spec == EVERY and fitting:
        return fitting, _not_read(sheets, fitting)
    if len(tables) == 1 or len(fitting) == 1:
        chosen = fitting or tables
        return chosen, _not_read(sheets, chosen)
    how_many = f"{len(fitting)} sheets have" if fitting else "no sheet has"
    raise TableError(
        f"{where}: {how_many} the columns that are read; it has {shown}.\n"
        "  Say which sheet it is ('*' for every one with the columns), hide or take out the others."
    )


def _empty_message(where: str) -> str:
    """What is said of a workbook without a table."""
    return f"{where} has no table in a sheet that can be read.\n  Its columns need names in a row."


def _not_read(sheets: Iterable[Sheet], read: list[SheetTable]) -> dict[str, int]:
    """Sheets that are not read, hidden ones apart."""
    numbers = {each.sheet.number for each in read}
    others = [each for each in sheets if each.number not in numbers]
    n_hidden = sum(1 for each in others if each.is_hidden)
    counts = {HIDDEN: n_hidden, OTHER: len(others) - n_hidden}
    return {reason: n for reason, n in counts.items() if n}
