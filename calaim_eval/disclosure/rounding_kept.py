"""Whether counts are rounded as in earlier releases: two roundings narrow a count down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from calaim_eval.disclosure.count_table import CellId, CountTable
from calaim_eval.disclosure.ledger import RowId, rounding_of, same_inputs, shown_counts
from calaim_eval.disclosure.released import ReleaseContent, count_table_of
from calaim_eval.errors import DisclosureError


def check_rounding_is_kept(entries: Sequence[Mapping[str, Any]], content: ReleaseContent) -> None:
    """Refuse a row that was released with another rounding: both together narrow it down.

    To the nearest 5 a 20 stands for 18 to 22, to midpoint 6 a 15 for 13 to 18: one number that is
    shown as both is 18.

    Raises
    ------
    DisclosureError
        Rows of the same table and keys were released rounded otherwise, or numbers of the same
        quarter or inputs in whatever table.
    """
    now = str(content.certificate.get("rounding", "none"))
    tables = _count_tables(content)
    for entry in entries:
        before = rounding_of(entry)
        if before == now:
            continue
        again = _rows_of(tables) & _shown_rows(entry)
        if not again and _of_same_numbers(entry, content):
            again = _rows_of_cells(tables, _shown_cells(entry))
        if again:
            raise DisclosureError(
                f"{len(again)} rows (first: of `{min(again)[0]}`) were released before with counts "
                f"rounded {_rounded(before)} (quarter {entry['quarter'] or 'not given'}); rounded "
                f"{_rounded(now)} too, they could be narrowed down. Nothing was released.\n"
                f"  Keep the earlier policy (`{entry['policy']}`), or release under other table "
                "names what is another number."
            )


def _count_tables(content: ReleaseContent) -> dict[str, CountTable]:
    """Tables of counts about members."""
    tables = {name: count_table_of(name, table) for name, table in content.tables.items()}
    return {name: counts for name, counts in tables.items() if counts is not None}


def _rows_of(tables: Mapping[str, CountTable]) -> set[RowId]:
    """Table and keys of every row."""
    return {
        (name, tuple(map(str, keys)))
        for name, counts in tables.items()
        for keys in counts.keys.to_numpy()
    }


def _shown_rows(entry: Mapping[str, Any]) -> set[RowId]:
    """Table and keys of every row that a release showed."""
    return {
        (name, tuple(map(str, keys)))
        for name, table in entry["tables"].items()
        for keys, *_ in table.get("shown", ())
    }


def _rows_of_cells(tables: Mapping[str, CountTable], shown: set[CellId]) -> set[RowId]:
    """Rows whose numerator or denominator is one of the cells."""
    return {
        (name, tuple(map(str, keys)))
        for name, counts in tables.items()
        for keys, cells in zip(counts.keys.to_numpy(), counts.cells(), strict=True)
        if not shown.isdisjoint(cells)
    }


def _shown_cells(entry: Mapping[str, Any]) -> set[CellId]:
    """Numbers that a release showed, by quantity and groups."""
    shown = set()
    for name, table in entry["tables"].items():
        if not table.get("shown"):
            continue
        counts = shown_counts(name, table)
        for row, (numerator, denominator) in enumerate(counts.cells()):
            shown |= {numerator} if np.isfinite(counts.numerator[row]) else set()
            shown |= {denominator} if np.isfinite(counts.denominator[row]) else set()
    return shown


def _rounded(how: str) -> str:
    return "not at all" if how == "none" else how


def _of_same_numbers(entry: Mapping[str, Any], content: ReleaseContent) -> bool:
    """Whether a release is of the same quarter, or was made from the same files."""
    return entry["quarter"] == content.quarter or same_inputs(
        entry["provenance"], content.provenance
    )
