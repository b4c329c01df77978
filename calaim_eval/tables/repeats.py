"""Rows that are there more than once: exact copies, and rows that repeat a key.

An exact copy says nothing new and is dropped. Of rows that repeat a key with other values the
latest is kept: by the date the row was recorded, paid or closed, then for claims by standing
(void, replacement, denied, original), then the row with most values filled in. A key is looked
for within a member; a row whose key is incomplete has no key.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from calaim_eval.schema.field import Table

if TYPE_CHECKING:
    import ibis

EXACT = "exact duplicate"
_LATEST_BY = ("recorded_date", "paid_date", "closed_date", "record_date")
_STANDING = ("void", "replacement", "denied")


def key_reason(table: Table) -> str:
    """Reason for rows that repeat a key with other values."""
    named = ", ".join(f"`{column}`" for column in table.key)
    return f"repeats the key ({named}) with other values; the latest is kept"


@dataclass(frozen=True)
class Resolved:
    """Rows without repeats.

    Attributes
    ----------
    rows : ibis.Table
        Kept rows.
    n_exact, n_key : int
        Rows dropped as exact copies, and as older rows of a key.
    scratch : tuple[str, ...]
        Tables the engine holds for `rows`; drop them once it is written.
    """

    rows: ibis.Table
    n_exact: int
    n_key: int
    scratch: tuple[str, ...]


def resolve_repeats(
    rows: ibis.Table, table: Table, *, backend: ibis.BaseBackend, scratch: str
) -> Resolved:
    """Drop exact copies and older rows of a key.

    Parameters
    ----------
    rows : ibis.Table
        Declared columns only; all rows of the members in it.
    table : Table
        Declaration with the key.
    backend : ibis.BaseBackend
        Where the few repeated rows are held.
    scratch : str
        Prefix of the names of what is held there.
    """
    group = _group(rows, table)
    repeated = rows.select(repeat_group=group).group_by("repeat_group").agg(n=lambda t: t.count())
    repeated = repeated.filter(repeated.n > 1).select("repeat_group")
    held = backend.create_table(f"{scratch}_groups", repeated, temp=True)
    if not backend.execute(held.count()):
        backend.drop_table(f"{scratch}_groups")
        return Resolved(rows, 0, 0, ())
    grouped = rows.mutate(repeat_group=group)
    suspects = grouped.semi_join(held, "repeat_group").drop("repeat_group")
    distinct = suspects.group_by(list(rows.columns)).agg(n_copies=suspects.count())
    distinct = backend.create_table(f"{scratch}_distinct", distinct, temp=True)
    kept = _latest_of_key(distinct, table)
    counts = backend.execute(
        distinct.aggregate(n_rows=distinct.n_copies.sum(), n_distinct=distinct.count())
    ).iloc[0]
    n_kept = int(backend.execute(kept.count()))
    single = grouped.anti_join(held, "repeat_group").drop("repeat_group")
    return Resolved(
        rows=single.union(kept.select(*rows.columns)),
        n_exact=int(counts["n_rows"] - counts["n_distinct"]),
        n_key=int(counts["n_distinct"]) - n_kept,
        scratch=(f"{scratch}_groups", f"{scratch}_distinct"),
    )


def _group(rows: ibis.Table, table: Table) -> ibis.Value:
    """Number that rows with the same key share, or the same values where there is no key.

    Rows that share it by chance are told apart later, so it need not be unique.
    """
    import ibis

    whole = ibis.struct({column: rows[column] for column in rows.columns}).hash()
    if not table.key:
        return whole
    key = ibis.struct({column: rows[column] for column in table.key}).hash()
    return _has_key(rows, table).ifelse(key, whole)


def _has_key(rows: ibis.Table, table: Table) -> ibis.Value:
    """Whether every column of the key has a value."""
    import ibis

    return ibis.and_(*[rows[column].notnull() for column in table.key])


def _latest_of_key(distinct: ibis.Table, table: Table) -> ibis.Table:
    """The latest row of each key; all rows without a key. Ties are broken completely."""
    import ibis

    if not table.key:
        return distinct
    values = [column for column in table.fields if column not in table.key]
    dates = [column for column in _LATEST_BY if column in values]
    order = [ibis.desc(distinct[column], nulls_first=False) for column in dates]
    if "claim_status" in values:
        ranks = [(status, rank) for rank, status in enumerate(_STANDING)]
        order.append(distinct.claim_status.cases(*ranks, else_=len(_STANDING)))
    filled = reduce(add, [distinct[column].notnull().cast("int32") for column in values])
    # Ibis keeps one direction per column, so a column is named once.
    others = [column for column in table.fields if column not in dates]
    order += [ibis.desc(filled), *[distinct[column] for column in others]]
    window = ibis.window(group_by=[distinct[column] for column in table.key], order_by=order)
    ranked = distinct.mutate(
        key_rank=ibis.row_number().over(window), has_key=_has_key(distinct, table)
    )
    return ranked.filter((ranked.key_rank == 0) | ~ranked.has_key).drop("key_rank", "has_key")
