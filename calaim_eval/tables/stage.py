"""First pass over a table: read every row as declared, mark it, and put it in its member bucket."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.engine import bucket_of
from calaim_eval.engine.paths import exactly
from calaim_eval.errors import TableError
from calaim_eval.schema.check import STRUCTURAL_SIGNS, empty_message, raise_if_structural
from calaim_eval.schema.field import Table
from calaim_eval.schema.rules import REASON, REMARKS, read_rows, remark_texts
from calaim_eval.schema.values import engine_type
from calaim_eval.tables.current_ids import MERGED, with_current_ids
from calaim_eval.tables.ledger import RowLedger

if TYPE_CHECKING:
    import ibis

READ = "read"
_HELD_IN_ALL = 4_000_000
_FEWEST_HELD, _MOST_HELD = 8_192, 131_072
"""Rows held of all buckets by all threads, and of one by one: fewer make slower files."""


@dataclass
class StagedTable:
    """What the first pass found.

    Attributes
    ----------
    n_rows : int
        Rows of the source.
    set_aside : dict[str, int]
        Rows set aside, by problem.
    remarks : dict[str, int]
        Kept rows remarked on, by problem.
    """

    n_rows: int
    set_aside: dict[str, int] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)

    def add_to(self, ledger: RowLedger, table: str) -> None:
        """Put the counts of this pass into the ledger."""
        for problem, n_rows in self.set_aside.items():
            ledger.add(table, problem, n_rows, stage=READ)
        for problem, n_rows in self.remarks.items():
            ledger.note(table, problem, n_rows)


def mark_rows(
    raw: ibis.Table,
    table: Table,
    *,
    extract_date: date | None,
    n_buckets: int,
    merges: ibis.Table | None = None,
) -> ibis.Table:
    """Rows as declared, under current member ids, with their reason, remarks and bucket."""
    rows = read_rows(raw, table, extract_date=extract_date)
    if merges is not None and "member_id" in table.fields:
        rows = with_current_ids(rows, table.name, merges)
    if "member_id" not in table.fields or n_buckets == 1:
        return rows.mutate(bucket=0)
    return rows.mutate(bucket=bucket_of(rows.member_id.fill_null(""), n_buckets=n_buckets))


def count_marked(marked: ibis.Table, table: Table, *, source: str) -> StagedTable:
    """Count rows by reason and remark; raise when the table as a whole cannot be used.

    Raises
    ------
    TableError
        No rows; no row that can be used; or more than half of a column is not what it should be.
    """
    by_reason = marked.group_by(marked[REASON]).agg(n=marked.count()).to_pandas()
    missing = by_reason[REASON].isna()
    set_aside = dict(
        zip(by_reason.loc[~missing, REASON], by_reason.loc[~missing, "n"], strict=True)
    )
    staged = StagedTable(
        n_rows=int(by_reason["n"].sum()),
        set_aside={problem: int(n) for problem, n in sorted(set_aside.items())},
        remarks=_count_remarks(marked, table),
    )
    _raise_if_unusable(staged, marked, table, source)
    return staged


def _count_remarks(marked: ibis.Table, table: Table) -> dict[str, int]:
    """Kept rows by remark."""
    texts = (*remark_texts(table), MERGED)
    kept = marked.filter(marked[REASON].isnull())
    bits = {str(i): ((kept[REMARKS] // (1 << i)) % 2).sum().fill_null(0) for i in range(len(texts))}
    counted = kept.aggregate(**bits).to_pandas().iloc[0]
    return {text: int(counted[str(i)]) for i, text in enumerate(texts) if counted[str(i)]}


def _raise_if_unusable(staged: StagedTable, marked: ibis.Table, table: Table, source: str) -> None:
    """Raise for an empty table, for one without usable rows, and for a column of a wrong kind."""
    if staged.n_rows == 0:
        raise TableError(empty_message(table.name, source))
    for problem, n_bad in {**staged.set_aside, **staged.remarks}.items():
        if not any(sign in problem for sign in STRUCTURAL_SIGNS):
            continue
        column = problem.split("`")[1]
        n_recorded = staged.n_rows
        if "is missing" not in problem:
            kept = marked.filter(marked[column].notnull() & marked[REASON].isnull())
            stays_recorded = "(read as `" in problem
            n_recorded = int(kept.count().to_pandas()) + (0 if stays_recorded else n_bad)
        raise_if_structural(table, column, problem, n_bad, n_recorded, source=source)
    if sum(staged.set_aside.values()) == staged.n_rows:
        worst = max(staged.set_aside, key=lambda problem: staged.set_aside[problem])
        raise TableError(
            f"table `{table.name}` (file {source}): none of its {staged.n_rows:,} rows can be "
            f"used; in {staged.set_aside[worst]:,}, {worst}.\n"
            "  Check that the file is the one meant, and how it was written."
        )


def write_staged(
    marked: ibis.Table,
    columns: Sequence[str],
    folder: Path,
    *,
    backend: ibis.BaseBackend,
    n_buckets: int,
) -> None:
    """Write marked rows to one folder a bucket; columns the source lacks are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = marked.select(*columns, REASON, REMARKS, "bucket")
    if n_buckets == 1:
        (folder / "bucket=0").mkdir(exist_ok=True)
        backend.to_parquet(rows.drop("bucket"), folder / "bucket=0" / "rows.parquet")
        return
    held = rows_held(n_buckets, os.cpu_count() or 1)
    backend.raw_sql(f"SET partitioned_write_flush_threshold = {held}")
    backend.to_parquet(rows, folder, partition_by="bucket", overwrite_or_ignore=True)


def rows_held(n_buckets: int, n_threads: int) -> int:
    """Rows of a bucket that a thread holds before it writes them.

    The engine's own number takes memory, and scratch disk beyond it, in proportion to buckets and
    threads: 14 GB for 64 buckets of claim lines on two cores.

    Examples
    --------
    >>> rows_held(2, 2), rows_held(64, 2), rows_held(1000, 64)
    (131072, 31250, 8192)
    """
    return min(_MOST_HELD, max(_FEWEST_HELD, _HELD_IN_ALL // (n_buckets * n_threads)))


def open_staged(
    folder: Path, table: Table, bucket: int | None, *, backend: ibis.BaseBackend
) -> ibis.Table:
    """Marked rows of one bucket, or of all; no rows where the bucket is empty."""
    import ibis

    own = "*" if bucket is None else f"bucket={bucket}"
    is_empty = bucket is not None and not (folder / own).is_dir()
    pattern = f"{exactly(folder)}/{'*' if is_empty else own}/*.parquet"
    rows = backend.read_parquet(pattern, hive_partitioning=False)
    absent = {
        column: ibis.null(engine_type(column))
        for column in table.fields
        if column not in rows.columns
    }
    rows = rows.mutate(**absent)
    return rows.limit(0) if is_empty else rows
