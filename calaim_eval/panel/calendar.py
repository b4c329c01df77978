"""The window as tables: one row per month, and one per day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.errors import TableError

if TYPE_CHECKING:
    import ibis

_EPOCH = pd.Timestamp("1970-01-01")


def window_months(first_month: str | pd.Period, last_month: str | pd.Period) -> pd.PeriodIndex:
    """Months of the window.

    Raises
    ------
    TableError
        A month cannot be read, or the window ends before it begins.
    """
    try:
        first, last = pd.Period(first_month, "M"), pd.Period(last_month, "M")
    except ValueError:
        raise TableError(
            f"`first_month` {first_month!r} or `last_month` {last_month!r} is not a month.\n"
            '  Write months as "2021-01".'
        ) from None
    if last < first:
        raise TableError(
            f"the window ends ({last}) before it begins ({first}).\n"
            "  Give a `last_month` at or after `first_month`."
        )
    return pd.period_range(first, last, freq="M")


def month_calendar(months: pd.PeriodIndex) -> ibis.Table:
    """One row per month: `month` number, `month_start`, first and last day numbers, length."""
    import ibis

    starts, ends = months.start_time, months.end_time.normalize()
    frame = pd.DataFrame(
        {
            "month": [number_of(month) for month in months],
            "month_start": starts.astype("datetime64[s]"),
            "first_day": (starts - _EPOCH).days,
            "last_day": (ends - _EPOCH).days,
            "days_in_month": months.days_in_month,
        }
    )
    schema = {
        "month": "int64",
        "month_start": "date",
        "first_day": "int64",
        "last_day": "int64",
        "days_in_month": "int64",
    }
    return ibis.memtable(frame, schema=ibis.schema(schema))


def day_calendar(months: pd.PeriodIndex) -> ibis.Table:
    """One row per day of the window: its `day` number and `month` number."""
    import ibis

    days = pd.date_range(months[0].start_time, months[-1].end_time.normalize())
    numbers = (days - _EPOCH).days
    frame = pd.DataFrame({"day": numbers, "month": days.year * 12 + days.month - 1})
    return ibis.memtable(frame, schema=ibis.schema({"day": "int64", "month": "int64"}))


def number_of(month: pd.Period) -> int:
    """Months since year 0, as `spans.month_number` counts them."""
    return int(month.year * 12 + month.month - 1)


def day_of(date: pd.Timestamp) -> int:
    """Days since 1970-01-01, as `spans.day_number` counts them."""
    return int((date.normalize() - _EPOCH).days)
