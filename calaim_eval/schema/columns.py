"""Find the declared columns in what a file calls them; say what to rename when one is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from calaim_eval.errors import TableError, quoted
from calaim_eval.schema.field import Table
from calaim_eval.schema.tables import TABLES

_SIMILAR_ENOUGH = 0.6


def declared_table(name: str) -> Table:
    """Declaration of a table; `TableError` naming all tables for an unknown one."""
    if name not in TABLES:
        listed = ", ".join(f"`{each}`" for each in TABLES)
        raise TableError(f"no table is named `{name}`.\n  Tables: {listed}.")
    return TABLES[name]


def match_columns(
    given: Iterable[str],
    table: Table,
    *,
    rename: Mapping[str, str] | None = None,
    source: str = "",
) -> dict[str, str]:
    """Which column of a file is which declared column.

    Parameters
    ----------
    given : iterable of str
        Column names as they come; upper and lower case and blanks around a name do not matter.
    table : Table
        Declaration of the table.
    rename : mapping of str to str, optional
        Name in the file to declared name; case does not matter where no name is exactly so.
    source : str
        File the columns come from, for the message.

    Returns
    -------
    dict[str, str]
        Declared name to name in the file, for the declared columns that are there.

    Raises
    ------
    TableError
        A required column is missing, two columns claim the same name, or `rename` names a column
        that is not in the file or not declared.
    """
    names = list(given)
    where = f" (file {source})" if source else ""
    renamed = _renamed(names, table, dict(rename or {}), where)
    found: dict[str, str] = {}
    for name in names:
        declared = renamed.get(name, name.strip().lower())
        if declared not in table.fields:
            continue
        if declared in found:
            raise TableError(
                f"table `{table.name}` has two columns for `{declared}`: `{found[declared]}` and "
                f"`{name}`{where}.\n  Keep one of them."
            )
        found[declared] = name
    missing = [column for column in table.required if column not in found]
    if missing:
        raise TableError(_missing_message(missing, names, found, table, where))
    return found


def _renamed(
    names: list[str], table: Table, rename: Mapping[str, str], where: str
) -> Mapping[str, str]:
    """Name in the file to declared name, once they fit both; exact names before others."""
    folded = {name.strip().lower(): name for name in reversed(names)}
    known = [name for name in names if name in rename or name.strip().lower() in table.fields]
    found = {}
    for old, new in rename.items():
        if new not in table.fields:
            close = get_close_matches(new, table.fields, n=1)
            hint = f" Did you mean `{close[0]}`?" if close else ""
            raise TableError(
                f"rename: table `{table.name}` declares no column `{new}`.{hint}\n"
                f"  Its columns: {quoted(table.fields)}."
            )
        given = old if old in names else folded.get(old.strip().lower())
        if given is None:
            close = get_close_matches(old, names, n=1)
            hint = f" Did you mean `{close[0]}`?" if close else ""
            raise TableError(
                f"rename: table `{table.name}` has no column `{old}`{where}.{hint}\n"
                f"  {_what_it_has(names, is_header=bool(known))}"
            )
        found[given] = new
    return found


def _what_it_has(names: list[str], *, is_header: bool) -> str:
    """Names of the columns; their number where the first line may be a row, not a header."""
    if is_header:
        return f"The file has: {quoted(names)}."
    return (
        f"None of the {len(names)} columns has a name that is known: check that the first line "
        "names the columns."
    )


def _missing_message(
    missing: list[str], names: list[str], found: Mapping[str, str], table: Table, where: str
) -> str:
    """What is missing, what the file has instead, and the call that renames it."""
    free = {name.strip().lower(): name for name in names if name not in found.values()}
    noun = "column" if len(missing) == 1 else "columns"
    message = f"table `{table.name}` lacks {noun} {quoted(missing)}{where}."
    close = {
        column: free[match[0]]
        for column in missing
        if (match := get_close_matches(column, free, n=1, cutoff=_SIMILAR_ENOUGH))
    }
    if close:
        pairs = ", ".join(f'"{given}": "{column}"' for column, given in close.items())
        lines = ", ".join(f'"{given}" = "{column}"' for column, given in close.items())
        return (
            f"{message}\n  It has {quoted(close.values())}. Rename: "
            f'read_tables(..., rename={{"{table.name}": {{{pairs}}}}}).\n'
            f"  In the study file: [input.rename.{table.name}] {lines}."
        )
    if not found:
        # Without a header the first line is a row, and its values must not be shown.
        return (
            f"{message}\n  None of its {len(names)} columns has a declared name: check that the "
            "first line names the columns, or rename them with `rename=`."
        )
    return f"{message}\n  It has {quoted(names)}. Add the {noun}, or rename with `rename=`."
