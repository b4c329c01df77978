"""Days in jail by month from the optional custody feed, which covers the whole study area."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.spans import cut_by_month, day_number, merge_spans

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket


def custody_spells(bucket: Bucket) -> Table:
    """Spells in whole days; the days of booking and of release both count.

    A spell without a release runs to the end of the window, or to death.
    """
    feed, person = bucket.read("custody"), bucket.read("person").select("member", "death_date")
    joined = feed.left_join(person, "member")
    start = day_number(joined["booking_date"])
    open_end = ibis.least(
        ibis.literal(bucket.last_day), day_number(joined["death_date"]).fill_null(bucket.last_day)
    )
    last_day = day_number(joined["release_date"]).fill_null(open_end)
    return joined.select("member", start_day=start, end_day=ibis.greatest(last_day, start))


def whole_months(bucket: Bucket) -> Table:
    """Months with every calendar day in custody: `member`, `month`, `is_in_custody` (true)."""
    days, calendar = jail_days(bucket), bucket.calendar.select("month", "days_in_month")
    joined = days.join(calendar, "month")
    whole = joined.filter(joined["n_days"] == joined["days_in_month"])
    return whole.select("member", "month", is_in_custody=ibis.literal(True))


def jail_days(bucket: Bucket) -> Table:
    """Days by month, overlapping spells merged: `member`, `month`, `n_days`."""
    merged = merge_spans(custody_spells(bucket), by=["member"])
    cut = cut_by_month(merged, bucket.calendar)
    return cut.group_by("member", "month").agg(n_days=cut["n_days"].sum())
