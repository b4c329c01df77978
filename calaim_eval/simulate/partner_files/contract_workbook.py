"""Write contracts and the roster of organizations as a workbook, as people keep them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.errors import MissingExtraError
from calaim_eval.simulate.partner_files.source_ids import rows_of

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

SHEETS = {"contract": "Contracts", "organization": "Roster"}
_TITLES = {"contract": "Contracted organizations", "organization": "Who they are"}
HEADS = {
    "contract": {"plan": "Health plan", "capacity_members": "Capacity (members)"},
    "organization": {"organization_name": "Agency", "npi": "NPI number"},
}
"""Declared column to its head, where it is not the column's own name in words."""


def write_contract_workbook(tables: Mapping[str, pd.DataFrame], path: Path | str) -> Path:
    """Write `contract` and `organization` as two sheets under titles, with heads in words.

    Parameters
    ----------
    tables : mapping of str to pd.DataFrame
        `contract` and `organization`, as declared.
    path : Path or str
        Workbook, ``.xlsx``.

    Returns
    -------
    Path

    Raises
    ------
    MissingExtraError
        openpyxl is not installed.
    """
    try:
        from openpyxl import Workbook
    except ImportError:
        raise MissingExtraError(
            'writing a workbook needs openpyxl: pip install "calaim-eval[excel]".'
        ) from None
    book = Workbook()
    book.remove(book.active)
    for table, sheet in SHEETS.items():
        _fill(book.create_sheet(sheet), table, rows_of(tables, table))
    to = Path(path)
    to.parent.mkdir(parents=True, exist_ok=True)
    book.save(to)
    return to


def workbook_renames() -> dict[str, dict[str, str]]:
    """Head in the workbook to declared column by table, for ``[input.rename]``."""
    return {
        table: {head: column for column, head in heads.items()} for table, heads in HEADS.items()
    }


def _fill(sheet: Worksheet, table: str, rows: pd.DataFrame) -> None:
    """Title, an empty row, heads, rows; days as days of the spreadsheet."""
    columns = [column for column in rows if rows[column].notna().any()]
    heads = [HEADS[table].get(column, column.replace("_", " ").capitalize()) for column in columns]
    sheet.append([_TITLES[table]])
    sheet.append([])
    sheet.append(heads)
    made = {}
    for column in columns:
        values = rows[column]
        if column.endswith("_date"):
            values = pd.to_datetime(values).dt.to_pydatetime()
            made[column] = [None if pd.isna(day) else day for day in values]
            continue
        made[column] = [None if pd.isna(value) else value for value in values.tolist()]
    for cells in zip(*made.values(), strict=True):
        sheet.append(list(cells))
