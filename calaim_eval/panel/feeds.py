"""Where and when a feed from outside the claims reaches: elsewhere its measures are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.landing import IN_PANEL, NOT_FED, OUTSIDE_FEED
from calaim_eval.panel.spans import day_number, merge_spans
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.measure import Measure

_ALWAYS = 10**6


def outside(feed: str) -> str:
    """Name of the flag of months that a feed does not cover."""
    return f"outside_{feed}"


def limited_feeds(bucket: Bucket, measures: Sequence[Measure]) -> list[str]:
    """Feeds of the measures that `feed_coverage` may limit; none where it was not given."""
    if not bucket.has("feed_coverage"):
        return []
    return sorted({measure.feed for measure in measures if measure.feed})


def unfed_months(bucket: Bucket, months: Table, feeds: Sequence[str]) -> Table:
    """Months that a feed does not cover from the first day to the last.

    Parameters
    ----------
    bucket : Bucket
    months : Table
        `member`, `month`, `county` of the panel's months.
    feeds : sequence of str

    Returns
    -------
    Table
        `member`, `month`, and for each feed the flag `outside(feed)`.
    """
    coverage = bucket.read("feed_coverage")
    flagged = months.select("member", "month", county=months["county"].fill_null(""))
    for feed in feeds:
        stretches = coverage.filter(coverage["feed"] == feed)
        fed = _fed_months(stretches, bucket)
        here = fed.filter(fed["county"] != "").rename(fed_month="month", fed_county="county")
        anywhere = fed.filter(fed["county"] == "").select(any_month="month").distinct()
        joined = flagged.left_join(
            here,
            [flagged["month"] == here["fed_month"], flagged["county"] == here["fed_county"]],
        ).left_join(anywhere, [("month", "any_month")])
        is_unlimited = stretches.count() == 0
        is_fed = joined["fed_month"].notnull() | joined["any_month"].notnull() | is_unlimited
        told = joined.mutate(**{outside(feed): ~is_fed})
        flagged = told.drop("fed_month", "fed_county", "any_month")
    return bucket.keep("unfed_months", flagged.drop("county"))


def _fed_months(stretches: Table, bucket: Bucket) -> Table:
    """Months wholly covered, by county; the empty county stands for those that are not named.

    Stretches of every county go on where those of a county end: together they may cover a month.
    """
    days = stretches.select(
        county=stretches["county"].fill_null(""),
        start_day=day_number(stretches["coverage_start_date"]).fill_null(-_ALWAYS),
        end_day=day_number(stretches["coverage_end_date"]).fill_null(_ALWAYS),
    )
    everywhere = days.filter(days["county"] == "").drop("county")
    named = days.filter(days["county"] != "")
    of_all = named.select("county").distinct().cross_join(everywhere)
    merged = merge_spans(ibis.union(days, of_all.select(*days.columns)), by=["county"])
    calendar = bucket.calendar
    whole = merged.join(
        calendar,
        [
            merged["start_day"] <= calendar["first_day"],
            merged["end_day"] >= calendar["last_day"],
        ],
    )
    return whole.select("county", "month").distinct()


def with_feed_landing(
    landed: Table, unfed: Table, measures: Sequence[Measure], feeds: Sequence[str]
) -> Table:
    """Events with `landing` changed where their feed does not cover the month they landed in."""
    joined = landed.left_join(unfed, ["member", "month"])
    is_outside = ibis.literal(False)
    for feed in feeds:
        places = [place for place, each in enumerate(measures) if each.feed == feed]
        is_outside = is_outside | (
            joined["measure"].isin(places) & joined[outside(feed)].fill_null(False)
        )
    is_unfed = (joined["landing"] == IN_PANEL) & is_outside
    landing = ibis.ifelse(is_unfed, ibis.literal(NOT_FED, "int8"), joined["landing"])
    return joined.mutate(landing=landing).select(*landed.columns)


def with_feed_reason(fated: Table, unfed: Table | None, feed: str) -> Table:
    """Rows of a feed with `reason` changed where the feed does not cover the month they fall in."""
    if unfed is None or outside(feed) not in unfed.columns:
        return fated
    joined = fated.left_join(unfed, ["member", "month"])
    is_unfed = (joined["reason"] == USED) & joined[outside(feed)].fill_null(False)
    reason = ibis.ifelse(is_unfed, OUTSIDE_FEED, joined["reason"])
    return joined.mutate(reason=reason).select(*fated.columns)
