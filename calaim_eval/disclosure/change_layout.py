"""Another layout of a release: tables without one of their columns, or left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from calaim_eval.disclosure.primary import TOTALS
from calaim_eval.errors import DisclosureError
from calaim_eval.results import RateTable, Result


def change_layout(
    results: Mapping[str, Result],
    *,
    without: Iterable[tuple[str, str]] = (),
    leave_out: Iterable[str] = (),
) -> dict[str, Result]:
    """Results with fewer columns or fewer tables, for a release that hides less.

    Use when too many rows of a table are hidden: its rows over all groups of a column are few and
    large. Nothing is estimated again.

    Parameters
    ----------
    results : Mapping[str, Result]
    without : iterable of (table, column)
        Columns to do without: of the table the rows over all of the column stay.
    leave_out : iterable of str
        Tables to do without.

    Returns
    -------
    dict[str, Result]

    Raises
    ------
    DisclosureError
        A table or column is not there, or the table has no rows over all of the column.

    Examples
    --------
    >>> change_layout({}, leave_out=())
    {}
    """
    changed = dict(results)
    for name in leave_out:
        _require_table(name, changed)
        del changed[name]
    for name, column in without:
        _require_table(name, changed)
        changed[name] = without_column(name, changed[name], column)
    return changed


def without_column(name: str, table: Result, column: str) -> Result:
    """The rows of a table over all groups of a column, without the column.

    Raises
    ------
    DisclosureError
        The column is not there, or has no rows over all of its groups.
    """
    keys = table.keys
    is_total = {c: keys[c].astype(str).isin(TOTALS).to_numpy() for c in keys.columns}
    if column not in is_total or not is_total[column].any():
        able = [f"`{c}`" for c, rows in is_total.items() if rows.any()]
        raise DisclosureError(
            f"`{name}` cannot do without `{column}`: "
            + ("it has no such column" if column not in is_total else "it has no rows over all of")
            + (" it" if column in is_total else "")
            + ".\n  "
            + (f"It can do without {', '.join(able)}." if able else "Leave the table out instead.")
        )
    rows = table.select(np.asarray(is_total[column]))
    fewer = rows.keys.drop(columns=column)
    if not isinstance(rows, RateTable):
        return replace(rows, keys=fewer)
    own = rows.denominator_keys
    return replace(
        rows,
        keys=fewer,
        margins=tuple(c for c in rows.margins if c != column),
        denominator_keys=None if own is None else tuple(c for c in own if c != column),
    )


def _require_table(name: str, results: Mapping[str, Result]) -> None:
    """Refuse a table that is not there."""
    if name not in results:
        listed = ", ".join(f"`{n}`" for n in results)
        raise DisclosureError(f"there is no table `{name}` to release.\n  There are {listed}.")
