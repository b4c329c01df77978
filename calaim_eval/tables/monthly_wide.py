"""Wide monthly files: one row per member and year with a column a month, made one row a month.

Enrollment files of CMS have such columns: `DUAL_STUS_CD_01` to `_12` in the Master Beneficiary
Summary File, `MDCD_ENRLMT_DAYS_01` to `_12` in the TAF Demographic and Eligibility file,
`META_DUAL_ELGBL_STUS_JAN_CD` to `_DEC_CD` in the files the Beneficiary FHIR Data server loads. A
reader declares which ones it wants as `MonthlyColumn`s and unpivots with `unpivot_months`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calaim_eval.errors import TableError
from calaim_eval.schema.values import as_text

if TYPE_CHECKING:
    import ibis

_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEPT", "OCT", "NOV", "DEC")


@dataclass(frozen=True, slots=True)
class MonthlyColumn:
    """One quantity of which a wide file has a column for each month.

    Attributes
    ----------
    name : str
        Its name in the long result.
    patterns : tuple[str, ...]
        What the twelve columns are called, upper case; the first pattern the file has is taken.
        ``{mm}`` stands for 01 to 12, ``{m}`` for 1 to 12, ``{mon}`` for JAN to DEC (SEPT in full).
    is_needed : bool
        A file without it cannot be read; otherwise it is missing in the result.
    """

    name: str
    patterns: tuple[str, ...]
    is_needed: bool = False


def upper_columns(rows: ibis.Table) -> ibis.Table:
    """The same rows with column names in upper case and without blanks around them.

    Raises
    ------
    TableError
        Two columns have the same name then.
    """
    names = [column.strip().upper() for column in rows.columns]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise TableError(
            f"a file has two columns `{repeated[0]}` that differ in case alone.\n  Keep one."
        )
    return rows.select(
        **{name: rows[column] for name, column in zip(names, rows.columns, strict=True)}
    )


def columns_of_months(pattern: str) -> tuple[str, ...]:
    """The twelve columns of a pattern, January first.

    Examples
    --------
    >>> columns_of_months("DUAL_STUS_CD_{mm}")[8], columns_of_months("RDS_{mon}_IND")[8]
    ('DUAL_STUS_CD_09', 'RDS_SEPT_IND')
    """
    return tuple(
        pattern.format(mm=f"{number:02d}", m=number, mon=name)
        for number, name in enumerate(_NAMES, start=1)
    )


def find_months(
    columns: Iterable[str], wanted: Iterable[MonthlyColumn], *, file: str
) -> Mapping[str, tuple[str, ...]]:
    """For each quantity the twelve columns of a file, January first.

    Raises
    ------
    TableError
        A needed quantity is not there, or some of its months are not.
    """
    given = set(columns)
    found = {}
    for quantity in wanted:
        named = [columns_of_months(pattern) for pattern in quantity.patterns]
        whole = next((each for each in named if given.issuperset(each)), None)
        if whole:
            found[quantity.name] = whole
            continue
        parts = [name for each in named for name in each if name in given]
        if parts or quantity.is_needed:
            shown = " or ".join(f"`{each[0]}` to `{each[-1]}`" for each in named)
            has = f"it has {len(parts)} of them" if parts else "it has none of them"
            raise TableError(
                f"{file} lacks columns {shown}; {has}.\n"
                "  Export the file again with the columns of all twelve months."
            )
    return found


def unpivot_months(
    rows: ibis.Table,
    *,
    year: str,
    keep: Iterable[str],
    monthly: Iterable[MonthlyColumn],
    file: str,
) -> ibis.Table:
    """One row per row and month.

    The file is scanned once, whatever the number of quantities.

    Parameters
    ----------
    rows : ibis.Table
        Wide rows, column names in upper case.
    year : str
        Column with the calendar year, four digits.
    keep : iterable of str
        Columns that stay as they are in each of the twelve rows.
    monthly : iterable of MonthlyColumn
        Quantities to unpivot.
    file : str
        Name of the file, for messages.

    Returns
    -------
    ibis.Table
        Twelve rows for each of `rows`: `keep`, `month` (text, ``YYYY-MM``; what the year column
        holds, where that is no year), and one text column for each quantity, blanks trimmed and
        the empty text missing; a quantity the file lacks is missing throughout.

    Raises
    ------
    TableError
        A column is not there.
    """
    import ibis

    wanted, kept = tuple(monthly), tuple(keep)
    found = find_months(rows.columns, wanted, file=file)
    months = ibis.memtable({"month_number": list(range(1, 13))})
    crossed = rows.cross_join(months)
    number = crossed.month_number.cast("string").lpad(2, "0")
    month = as_text(crossed[year]) + ibis.literal("-") + number
    given = {name: _of_month(crossed, columns) for name, columns in found.items()}
    # `view` keeps the engine from repeating the choice of the month inside every use of it.
    long = crossed.select(*kept, month=month, **given).view()
    values = {
        quantity.name: as_text(long[quantity.name])
        if quantity.name in found
        else ibis.null("string")
        for quantity in wanted
    }
    return long.select(*kept, "month", **values)


def _of_month(crossed: ibis.Table, columns: tuple[str, ...]) -> ibis.Value:
    """What the column of the row's month holds, as text."""
    import ibis

    texts = [
        crossed[column] if crossed[column].type().is_string() else as_text(crossed[column])
        for column in columns
    ]
    return ibis.array(texts)[crossed.month_number - 1]
