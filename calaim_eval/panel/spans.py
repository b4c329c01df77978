"""Span algebra on whole days: islands of touching spans, and spans cut into months."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import ibis

if TYPE_CHECKING:
    from ibis import Table, Value


def day_number(date: Value) -> Value:
    """Days since 1970-01-01."""
    return date.epoch_days().cast("int64")


def month_number(date: Value) -> Value:
    """Months since year 0: consecutive across years."""
    return (date.year().cast("int64") * 12 + date.month().cast("int64") - 1).cast("int64")


def date_of(day: Value) -> Value:
    """Date of a day number."""
    return ibis.date("1970-01-01") + day.as_interval("D")


def completed_years(birth: Value, date: Value) -> Value:
    """Age in completed years."""
    is_before_birthday = (date.month() < birth.month()) | (
        (date.month() == birth.month()) & (date.day() < birth.day())
    )
    return (date.year() - birth.year() - ibis.ifelse(is_before_birthday, 1, 0)).cast("int64")


def islands(
    rows: Table, *, by: Sequence[str], start: str, reach: str, ties: Sequence[str] = ()
) -> Table:
    """Number the runs of rows that touch.

    Parameters
    ----------
    rows : Table
    by : sequence of str
        Columns within which rows may touch.
    start, reach : str
        Whole-number columns: a row begins a new island when its `start` is after the `reach` of
        every row before it.
    ties : sequence of str
        Columns that complete the order of rows with the same `start` and `reach`.

    Returns
    -------
    Table
        The rows with the column `island`, 1 and on within `by`, in order of `start`.
    """
    order = [start, reach, *ties]
    before = ibis.window(group_by=list(by), order_by=order, preceding=(None, 1))
    so_far = ibis.window(group_by=list(by), order_by=order, preceding=(None, 0))
    reached = rows[reach].max().over(before)
    begins = ibis.ifelse(reached.isnull() | (rows[start] > reached), 1, 0)
    marked = rows.mutate(begins_island=begins)
    return marked.mutate(island=marked["begins_island"].sum().over(so_far)).drop("begins_island")


def merge_spans(spans: Table, *, by: Sequence[str], gap_days: int = 0) -> Table:
    """Union of the spans: one row per stretch of days without a gap.

    `spans` has `start_day` and `end_day`, both included; a gap of up to `gap_days` days is closed.
    """
    reaching = spans.mutate(reach_day=spans["end_day"] + 1 + gap_days)
    numbered = islands(reaching, by=by, start="start_day", reach="reach_day")
    return (
        numbered.group_by([*by, "island"])
        .agg(start_day=numbered["start_day"].min(), end_day=numbered["end_day"].max())
        .drop("island")
    )


def cut_by_month(spans: Table, calendar: Table) -> Table:
    """Each span cut into the calendar's months: `month`, `from_day`, `to_day`, `n_days`."""
    joined = spans.join(
        calendar,
        [
            spans["start_day"] <= calendar["last_day"],
            spans["end_day"] >= calendar["first_day"],
        ],
    )
    from_day = ibis.greatest(joined["start_day"], joined["first_day"])
    to_day = ibis.least(joined["end_day"], joined["last_day"])
    return joined.mutate(from_day=from_day, to_day=to_day, n_days=to_day - from_day + 1).drop(
        "first_day", "last_day", "month_start", "days_in_month"
    )


def anchored_starts(days: Table, *, by: Sequence[str], join_days: int) -> Table:
    """First day of the event each day belongs to, as `event_day`.

    An event takes in the days within `join_days` (0 or 1) of its *first* day; the next day begins
    another. Days that follow one another without end therefore do not become one endless event.
    `days` has one row per `by` and `day`.
    """
    reaching = days.mutate(reach_day=days["day"] + join_days)
    numbered = islands(reaching, by=by, start="day", reach="reach_day")
    run = ibis.window(group_by=[*by, "island"])
    first = numbered["day"].min().over(run)
    # Within a run the days are consecutive, so events are blocks of join_days + 1 days.
    block = ((numbered["day"] - first) / (join_days + 1)).floor().cast("int64")
    return numbered.mutate(event_day=first + block * (join_days + 1)).drop("reach_day", "island")
