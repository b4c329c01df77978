"""Merged member identifiers: rows under a former `member_id` go to the current one.

The optional table `member_xref` says which identifier became which. It is read before all other
tables, followed to the end (a to b to c is a to c), applied to every table with a `member_id` and
then used up: it is in the ledger, not among the tables that were read.

Rules, in the order in which the first that applies decides what becomes of a row of `member_xref`:

1. A row that cannot be read, lacks an identifier or names the same identifier twice is set aside.
2. Of exact copies one is kept.
3. Of rows with the same `member_id` those with the latest `merged_date` decide (a missing date is
   the earliest). If they name one current identifier, one of them is kept and the earlier rows are
   set aside. If they name several, all rows of that `member_id` are set aside.
4. Rows that form a circle (a to b, b to a) are set aside. A row that leads into a circle is kept:
   it ends at the first identifier of the circle it meets.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from calaim_eval.schema.rules import REASON, read_rows
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.current_ids import LOOKUP_COLUMNS
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.repeats import EXACT
from calaim_eval.tables.stage import READ, count_marked

if TYPE_CHECKING:
    from datetime import date

    import ibis

XREF = "member_xref"
SAME = "names the same identifier twice"
EARLIER = "an earlier merge of the identifier; the latest is kept"
SEVERAL = "one identifier with several current ones, none of them the latest"
CIRCLE = "merges that form a circle"


def read_merges(raw: ibis.Table, *, extract_date: date | None) -> ibis.Table:
    """Rows of `member_xref` as declared, with their reason and remarks."""
    rows = read_rows(raw, TABLES[XREF], extract_date=extract_date)
    same = (rows.member_id == rows.current_member_id).fill_null(False)
    reason = rows[REASON].fill_null(same.ifelse(SAME, None))
    return rows.mutate(**{REASON: reason}, bucket=0)


def resolve_merges(
    rows: ibis.Table, *, backend: ibis.BaseBackend
) -> tuple[ibis.Table, Mapping[str, int]]:
    """Former identifiers with the current one at the end of their chain.

    Parameters
    ----------
    rows : ibis.Table
        What `read_merges` returns.
    backend : ibis.BaseBackend
        Where the identifiers are held; what is held is as large as `member_xref`, whatever the
        size of the other tables.

    Returns
    -------
    ibis.Table
        One row per `former_id`: `current_id`, `n_steps` to it (1 or more), `merged_date` of the
        first step. No `current_id` is a `former_id`, unless it is part of a circle that was set
        aside and so is no former identifier.
    mapping of str to int
        Rows set aside here by reason; with those `read_merges` marked and the rows of the result
        they are all rows.
    """
    import ibis

    kept = rows.filter(rows[REASON].isnull())
    copies = kept.group_by("member_id", "current_member_id", "merged_date").agg(
        n_copies=kept.count()
    )
    named = backend.create_table("xref_named", _decided(copies), temp=True, overwrite=True)
    links = named.filter(named.decision.isnull()).select(
        former_id="member_id", current_id="current_member_id", merged_date="merged_date"
    )
    circle = _circles(links, backend)
    straight = links.anti_join(circle, links.former_id == circle.circle_id)
    walked = _walk(straight, backend)
    lookup = backend.create_table("member_merges", walked, temp=True, overwrite=True)
    counted = backend.execute(
        ibis.union(
            named.group_by(reason=named.decision).agg(n_rows=named.count()).drop_null("reason"),
            named.agg(n_rows=(named.n_copies - 1).sum().fill_null(0)).select(
                reason=ibis.literal(EXACT), n_rows="n_rows"
            ),
            circle.agg(n_rows=circle.count()).select(reason=ibis.literal(CIRCLE), n_rows="n_rows"),
        )
    )
    set_aside = zip(counted["reason"], counted["n_rows"], strict=True)
    return lookup.select(*LOOKUP_COLUMNS), {reason: int(n) for reason, n in set_aside if n}


def _decided(copies: ibis.Table) -> ibis.Table:
    """Distinct rows with the `decision` that sets them aside, if any (rule 3)."""
    import ibis

    own = ibis.window(group_by="member_id")
    early = ibis.date(1, 1, 1)
    dated = copies.mutate(day=copies.merged_date.fill_null(early))
    latest = dated.mutate(is_latest=dated.day == dated.day.max().over(own))
    target = latest.is_latest.ifelse(latest.current_member_id, None)
    decided = latest.mutate(
        is_torn=target.min().over(own) != target.max().over(own),
    )
    decision = ibis.cases((decided.is_torn, SEVERAL), (~decided.is_latest, EARLIER))
    return decided.select(
        "member_id", "current_member_id", "merged_date", "n_copies", decision=decision
    )


def _circles(links: ibis.Table, backend: ibis.BaseBackend) -> ibis.Table:
    """Identifiers that lie on a circle: `circle_id`.

    After as many steps as there are links, a chain that has not ended is on a circle, and every
    identifier of a circle is then reached by some chain.
    """
    walked = _walk(links, backend)
    former = walked.select(on_id="former_id")
    endless = walked.semi_join(former, walked.current_id == former.on_id)
    circle = endless.select(circle_id="current_id").distinct()
    return backend.create_table("xref_circles", circle, temp=True, overwrite=True)


def _walk(links: ibis.Table, backend: ibis.BaseBackend) -> ibis.Table:
    """Links followed to their end, or for as many steps as there are links if they never end.

    Each round doubles the length of the step, so a chain of a thousand takes ten rounds.
    """
    import ibis

    name = "xref_walk_0"
    reached = backend.create_table(
        name, links.mutate(n_steps=ibis.literal(1, "int64")), temp=True, overwrite=True
    )
    n_links = int(backend.execute(reached.count()))
    for number in range(1, n_links.bit_length() + 1):
        onward = reached.select(on_id="former_id", next_id="current_id", more="n_steps")
        joined = reached.left_join(onward, reached.current_id == onward.on_id)
        if not int(backend.execute(joined.next_id.count())):
            break
        stepped = joined.select(
            "former_id",
            "merged_date",
            current_id=ibis.coalesce(joined.next_id, joined.current_id),
            n_steps=joined.n_steps + joined.more.fill_null(0),
        )
        last, name = name, f"xref_walk_{number % 2}"
        reached = backend.create_table(name, stepped, temp=True, overwrite=True)
        backend.drop_table(last)
    return reached


def count_merges(
    rows: ibis.Table, set_aside: Mapping[str, int], merges: ibis.Table, *, source: str
) -> RowLedger:
    """What became of every row of `member_xref`; a file without rows says that nothing merged.

    Raises
    ------
    TableError
        No row can be used, or more than half of a column is missing.
    """
    ledger = RowLedger()
    if int(rows.count().to_pandas()):
        count_marked(rows, TABLES[XREF], source=source).add_to(ledger, XREF)
    for reason, n_rows in set_aside.items():
        ledger.add(XREF, reason, n_rows, stage=READ)
    ledger.add(XREF, USED, int(merges.count().to_pandas()), stage=READ)
    return ledger
