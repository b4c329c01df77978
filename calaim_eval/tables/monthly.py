"""Monthly coverage as enrollment spans: the optional table `eligibility_month`.

Rules, in the order in which the first that applies decides what becomes of a row:

1. A row that lacks its member or month, or cannot be read, is set aside as in every table.
2. A row of 0 covered days is no coverage and is set aside.
3. Of exact copies one is kept. Of rows that differ in `covered_days` alone the longest is kept.
4. A missing `covered_days`, or one above the days of the month, is the whole month.
5. A part of a month is its last days when coverage by the same plan and line of business begins
   in it (no row for the month before, one for the month after), else its first days.
6. Days that follow each other with the same attributes are one span. Rows of one month with other
   attributes, another plan say, are spans that overlap: the panel settles them, as it does others.

`recorded_date` is one of the attributes: a month recorded later stays apart, so that what is
retroactive stays so.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.engine import engine_failures, track, write_json, write_parquet
from calaim_eval.engine.paths import exactly
from calaim_eval.schema.check import frame_as_ibis
from calaim_eval.schema.rules import REASON
from calaim_eval.schema.tables import TABLES
from calaim_eval.schema.values import as_text
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.passes import read_counts
from calaim_eval.tables.repeats import EXACT
from calaim_eval.tables.sources import select_declared
from calaim_eval.tables.stage import READ, count_marked, mark_rows, open_staged, write_staged

if TYPE_CHECKING:
    import ibis

MONTHS, SPANS = "eligibility_month", "eligibility"
NO_DAY = "month without a covered day"
SHORTER = "repeats a month with other `covered_days`; the longest is kept"
TOO_LONG = "`covered_days` is above the days of the month (read as the whole month)"
_DATES = ("enrollment_start_date", "enrollment_end_date")
_ATTRIBUTES = tuple(column for column in TABLES[SPANS].fields if column not in _DATES)
_NEIGHBOURS = ("member_id", "plan", "payer_type")


def months_to_spans(months: ibis.Table) -> ibis.Table:
    """Spans of covered months, by the rules of this module.

    Parameters
    ----------
    months : ibis.Table
        Rows of `eligibility_month`, read and checked: declared columns of their declared types,
        `member_id` and `month` never missing. All rows of the members in it.

    Returns
    -------
    ibis.Table
        Columns of `eligibility`; one row a span. The days of the spans of a member and a set of
        attributes are exactly the covered days of its months.
    """
    import ibis

    placed = _place_days(_one_row_a_month(months))
    row = ibis.window(group_by=list(_ATTRIBUTES), order_by="first_day")
    follows = placed.from_day == placed.to_day.lag().over(row) + ibis.interval(days=1)
    starts = placed.mutate(is_start=(~follows.fill_null(False)).cast("int64"))
    before = ibis.window(
        group_by=list(_ATTRIBUTES), order_by="first_day", preceding=None, following=0
    )
    runs = starts.mutate(run=starts.is_start.sum().over(before))
    spans = runs.group_by([*_ATTRIBUTES, "run"]).agg(
        enrollment_start_date=runs.from_day.min(), enrollment_end_date=runs.to_day.max()
    )
    return spans.select(*TABLES[SPANS].fields)


def _one_row_a_month(months: ibis.Table) -> ibis.Table:
    """Covered months, one row per member, month and attributes, with the days it covers."""
    import ibis

    covered = months.filter(months.covered_days.fill_null(1) > 0)
    last_day = (covered.month + ibis.interval(months=1)).cast("date") - ibis.interval(days=1)
    dated = covered.mutate(first_day=covered.month, n_month_days=last_day.day())
    days = ibis.least(dated.covered_days.fill_null(dated.n_month_days), dated.n_month_days)
    return dated.group_by([*_ATTRIBUTES, "first_day", "n_month_days"]).agg(n_days=days.max())


def _place_days(months: ibis.Table) -> ibis.Table:
    """Months with the first and last day that is covered (rules 4 and 5)."""
    import ibis

    number = months.first_day.year() * 12 + months.first_day.month()
    numbered = months.mutate(number=number.cast("int64"))
    known = numbered.select(*_NEIGHBOURS, "number").distinct()
    own = ibis.window(group_by=list(_NEIGHBOURS), order_by="number")
    known = known.mutate(
        continues=(known.number.lag().over(own) == known.number - 1).fill_null(False),
        goes_on=(known.number.lead().over(own) == known.number + 1).fill_null(False),
    )
    beside = known.rename({f"{name}__beside": name for name in (*_NEIGHBOURS, "number")})
    joined = numbered.join(
        beside,
        [numbered[name].identical_to(beside[f"{name}__beside"]) for name in _NEIGHBOURS]
        + [numbered.number == beside["number__beside"]],
    )
    is_part = joined.n_days < joined.n_month_days
    is_at_end = is_part & joined.goes_on & ~joined.continues
    skipped = is_at_end.ifelse(joined.n_month_days - joined.n_days, 0)
    return joined.select(
        *_ATTRIBUTES,
        "first_day",
        from_day=_add_days(joined.first_day, skipped),
        to_day=_add_days(joined.first_day, skipped + joined.n_days - 1),
    )


def _add_days(day: ibis.Value, n_days: ibis.Value) -> ibis.Value:
    """A date some days later."""
    return (day + n_days.cast("int32").as_interval("D")).cast("date")


def count_months(rows: ibis.Table) -> RowLedger:
    """What becomes of checked rows of `eligibility_month`: used, a copy, or without a day."""
    without_day = ~(rows.covered_days.fill_null(1) > 0)
    groups = rows.filter(~without_day).group_by([*_ATTRIBUTES, "month", "covered_days"])
    distinct = groups.agg(n_copies=lambda each: each.count())
    kept = distinct.select(*_ATTRIBUTES, "month").distinct()
    too_long = rows.covered_days > _days_of_month(rows.month.truncate("M"))
    n_rows, n_without, n_long = (
        int(value or 0)
        for value in rows.aggregate(
            n=rows.count(), n_without=without_day.sum(), n_long=too_long.sum().fill_null(0)
        )
        .fill_null(0)
        .to_pandas()
        .iloc[0]
    )
    n_distinct, n_kept = int(distinct.count().to_pandas()), int(kept.count().to_pandas())
    ledger = RowLedger()
    ledger.add(MONTHS, NO_DAY, n_without, stage=READ)
    ledger.add(MONTHS, EXACT, n_rows - n_without - n_distinct, stage=READ)
    ledger.add(MONTHS, SHORTER, n_distinct - n_kept, stage=READ)
    ledger.add(MONTHS, USED, n_kept, stage=READ)
    ledger.note(MONTHS, TOO_LONG, n_long)
    return ledger


def _days_of_month(first_day: ibis.Value) -> ibis.Value:
    """Days of a calendar month."""
    import ibis

    return ((first_day + ibis.interval(months=1)).cast("date") - ibis.interval(days=1)).day()


def with_spans_of_months(
    tables: Mapping[str, ibis.Table],
    labels: Mapping[str, str],
    building: Path,
    backend: ibis.BaseBackend,
    n_buckets: int,
    cut: date | None,
    ledger: RowLedger,
) -> tuple[dict[str, ibis.Table], dict[str, str]]:
    """Tables in which `eligibility_month` has become spans of `eligibility`.

    The months are put into member buckets and made into spans one bucket at a time; a step that a
    killed reading has finished is not done again. Tables without months come back as they are.

    Parameters
    ----------
    tables, labels : mapping of str
        Raw tables by declared name with their columns selected, and the file of each.
    building : Path
        Folder the reading is built in.
    backend : ibis.BaseBackend
    n_buckets : int
    cut : date or None
        Day the files were cut.
    ledger : RowLedger
        Gets what became of every row of `eligibility_month`.

    Raises
    ------
    TableError
        The months as a whole cannot be used.
    """
    if MONTHS not in tables:
        return dict(tables), dict(labels)
    done = building / "months.json"
    if not done.exists():
        counted = _build_spans(tables[MONTHS], labels[MONTHS], building, backend, n_buckets, cut)
        write_json({"ledger": counted.to_records()}, done)
    ledger.extend(read_counts(done))
    ledger.check(MONTHS, READ, int(backend.execute(tables[MONTHS].count())))
    spans = backend.read_parquet(f"{exactly(building)}/months/spans/*.parquet")
    return _put_in_place(tables, labels, spans)


def _put_in_place(
    tables: Mapping[str, ibis.Table], labels: Mapping[str, str], spans: ibis.Table
) -> tuple[dict[str, ibis.Table], dict[str, str]]:
    """Tables with the spans of months in, or added to, `eligibility`."""
    import ibis

    others = {name: rows for name, rows in tables.items() if name != MONTHS}
    if SPANS not in tables:
        return {SPANS: spans, **others}, {SPANS: labels[MONTHS], **labels}
    given = tables[SPANS]
    absent = ibis.null("string")
    as_given = given.select(
        **{
            column: as_text(given[column]) if column in given.columns else absent
            for column in TABLES[SPANS].fields
        }
    )
    as_built = spans.select(**{column: spans[column].cast("string") for column in spans.columns})
    return {**others, SPANS: ibis.union(as_given, as_built)}, dict(labels)


def _build_spans(
    raw: ibis.Table,
    label: str,
    building: Path,
    backend: ibis.BaseBackend,
    n_buckets: int,
    cut: date | None,
) -> RowLedger:
    """Write the spans of each member bucket; count every row of months."""
    table, folder = TABLES[MONTHS], building / "months"
    ledger = RowLedger()
    shutil.rmtree(folder, ignore_errors=True)
    with engine_failures(doing=f"reading table `{MONTHS}` (file {label})"):
        marked = mark_rows(raw, table, extract_date=cut, n_buckets=n_buckets)
        write_staged(marked, raw.columns, folder / "staged", backend=backend, n_buckets=n_buckets)
        written = open_staged(folder / "staged", table, None, backend=backend)
        staged = count_marked(written, table, source=label)
    staged.add_to(ledger, MONTHS)
    for bucket in track(range(n_buckets), description="months to spans"):
        with engine_failures(doing="making the months of one member bucket into spans"):
            rows = open_staged(folder / "staged", table, bucket, backend=backend)
            kept = rows.filter(rows[REASON].isnull()).select(*table.fields)
            ledger.extend(count_months(kept))
            part = folder / "spans" / f"part-{bucket:04d}.parquet"
            write_parquet(months_to_spans(kept), part, backend=backend)
    return ledger


def with_spans_of_frames(
    frames: Mapping[str, pd.DataFrame], backend: ibis.BaseBackend, ledger: RowLedger
) -> dict[str, pd.DataFrame]:
    """Frames in which `eligibility_month` has become spans of `eligibility`."""
    if MONTHS not in frames:
        return dict(frames)
    table = TABLES[MONTHS]
    raw = select_declared(frame_as_ibis(frames[MONTHS]), MONTHS, rename=None, label="")
    marked = backend.create_table(
        "marked_months", mark_rows(raw, table, extract_date=None, n_buckets=1)
    )
    count_marked(marked, table, source="").add_to(ledger, MONTHS)
    kept = marked.filter(marked[REASON].isnull()).select(*table.fields)
    ledger.extend(count_months(kept))
    ledger.check(MONTHS, READ, len(frames[MONTHS]))
    spans = months_to_spans(kept)
    if SPANS in frames:
        given = select_declared(frame_as_ibis(frames[SPANS]), SPANS, rename=None, label="")
        spans = _put_in_place({SPANS: given, MONTHS: raw}, {}, spans)[0][SPANS]
    others = {name: frame for name, frame in frames.items() if name not in (MONTHS, SPANS)}
    return {SPANS: backend.execute(spans), **others}
