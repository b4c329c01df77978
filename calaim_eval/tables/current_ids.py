"""Rows of merged members under their current `member_id`.

Of the persons that become one member the row of the identifier nearest to the current one is kept
(the current one itself, else one merged into it directly, ...), of equally near ones that of the
latest merge, then the first in the order of the former identifiers. The others are set aside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.schema.rules import REASON, REMARKS, remark_texts
from calaim_eval.schema.tables import TABLES

if TYPE_CHECKING:
    import ibis

MERGED = "row of a merged `member_id`, moved to the current one"
FORMER_PERSON = "person of a merged `member_id`; the row nearest to the current one is kept"
LOOKUP_COLUMNS = ("former_id", "current_id", "n_steps", "merged_date")


def with_current_ids(rows: ibis.Table, table: str, merges: ibis.Table) -> ibis.Table:
    """Marked rows under the current `member_id`; a row that moved carries the remark `MERGED`.

    Parameters
    ----------
    rows : ibis.Table
        What `schema.rules.read_rows` returns for a table with a `member_id`.
    table : str
        Name of the table. Persons that become one member: see the rules above.
    merges : ibis.Table
        What `resolve_merges` returns.

    Returns
    -------
    ibis.Table
        Every row once, same columns; `member_id` is the current one.
    """
    import ibis

    if table == "person":
        rows = _set_aside_former_persons(rows, merges)
    lookup = merges.select("former_id", "current_id")
    joined = rows.left_join(lookup, rows.member_id == lookup.former_id)
    bit = 1 << len(remark_texts(TABLES[table]))
    moved = joined.current_id.notnull().ifelse(bit, 0).cast("int64")
    return joined.mutate(
        member_id=ibis.coalesce(joined.current_id, joined.member_id),
        **{REMARKS: joined[REMARKS] + moved},
    ).select(*rows.columns)


def _set_aside_former_persons(rows: ibis.Table, merges: ibis.Table) -> ibis.Table:
    """Persons, those that give way to another of the same member set aside."""
    import ibis

    usable = rows.filter(rows[REASON].isnull())
    targets = merges.select(
        former_id="current_id",
        current_id="current_id",
        n_steps=ibis.literal(0, "int64"),
        merged_date=ibis.null("date"),
    ).distinct()
    concerned = ibis.union(merges.select(*LOOKUP_COLUMNS), targets)
    there = concerned.semi_join(usable, concerned.former_id == usable.member_id)
    nearest = [
        there.n_steps,
        there.merged_date.desc(nulls_first=False),
        there.former_id,
    ]
    window = ibis.window(group_by="current_id", order_by=nearest)
    ranked = there.mutate(place=ibis.row_number().over(window))
    giving_way = ranked.filter(ranked.place > 0).select("former_id")
    joined = rows.left_join(giving_way, rows.member_id == giving_way.former_id)
    gives_way = joined.former_id.notnull().ifelse(FORMER_PERSON, None)
    return joined.mutate(**{REASON: joined[REASON].fill_null(gives_way)}).select(*rows.columns)
