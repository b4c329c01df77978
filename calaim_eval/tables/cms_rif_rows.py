"""What every kind of Medicare research file shares: dates, missing codes, withdrawn rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from calaim_eval.schema.values import as_text
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    import ibis

WITHDRAWN = "withdrawn (DML_IND is DELETE, in this row or another of the claim)"
UPDATED = "replaced by an UPDATE row"
NOT_FINAL = "not the final action (FINAL_ACTION is N)"
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAY = r"^(\d{1,2})-?([A-Za-z]{3})-?(\d{4})$"


def rif_date(text: ibis.Value) -> ibis.Value:
    """A date such as 27-OCT-1999 or 27OCT1999 as 1999-10-27; other text stays as it is."""
    word = text.strip()
    month = word.re_extract(_DAY, 2).upper()
    number = month.cases(*[(name, f"{i:02d}") for i, name in enumerate(_MONTHS, start=1)])
    iso = word.re_extract(_DAY, 3) + "-" + number + "-" + word.re_extract(_DAY, 1).lpad(2, "0")
    return (word.re_search(_DAY) & number.notnull()).ifelse(iso, text)


def column_or_missing(rows: ibis.Table, *names: str) -> ibis.Value:
    """The first of some columns that the file has, blanks trimmed; missing where it has none.

    Whole numbers have no decimal point: programs give one to codes of a column with gaps.
    """
    import ibis

    given = [name for name in names if name in rows.columns]
    if not given:
        return ibis.null("string")
    column = rows[given[0]]
    text = as_text(column) if column.type().is_floating() else column.cast("string").strip()
    return text.nullif("")


def keep_columns(rows: ibis.Table, names: Iterable[str]) -> ibis.Table:
    """Only the named columns, of those the file has: a line of hundreds is read in part."""
    wanted = set(names)
    return rows.select(*[column for column in rows.columns if column in wanted])


def npi_or_missing(rows: ibis.Table, *names: str) -> ibis.Value:
    """The first of some provider numbers that is filled and not all zeros."""
    import ibis

    numbers = [column_or_missing(rows, name) for name in names if name in rows.columns]
    filled = [number.re_search(r"^0+$").ifelse(None, number) for number in numbers]
    return ibis.coalesce(*filled) if filled else ibis.null("string")


def row_fate(rows: ibis.Table, key: Iterable[str]) -> ibis.Value:
    """Whether a row stands: ``"used"``, or why another row or action takes its place.

    `DML_IND` tells what a row does to what was loaded before (INSERT, UPDATE, DELETE), for all
    rows of its `key`; `FINAL_ACTION` tells F for the final version of a claim. A file without
    these columns holds rows that stand.
    """
    import ibis

    is_final = column_or_missing(rows, "FINAL_ACTION").upper().fill_null("F") != "N"
    fates = [(~is_final, NOT_FINAL)]
    if "DML_IND" in rows.columns:
        action = column_or_missing(rows, "DML_IND").upper().fill_null("")
        own = ibis.window(group_by=list(key))
        is_update = action == "UPDATE"
        fates = [
            ((action == "DELETE").max().over(own), WITHDRAWN),
            (is_update.max().over(own) & ~is_update, UPDATED),
            *fates,
        ]
    return ibis.cases(*fates, else_=USED)
