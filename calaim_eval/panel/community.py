"""Bookings, police contacts and ambulance calls from feeds outside the claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import ibis

from calaim_eval.panel.feeds import with_feed_reason
from calaim_eval.panel.landing import UNKNOWN_MEMBER, Landing, with_reason
from calaim_eval.panel.spans import day_number, month_number
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket

REPEATED = "repeats another row of the day"
NOT_TRANSPORTED = "no transport, or not known"


class _Months(NamedTuple):
    """Months that rows of a feed can land in, and those the feed does not cover."""

    land: Landing
    unfed: Table | None
    feed: str


def bookings(bucket: Bucket) -> Table:
    """One row per member and day of booking: `member`, `day`."""
    feed = bucket.read("custody")
    return feed.select("member", day=day_number(feed["booking_date"])).distinct()


def police_contacts(bucket: Bucket) -> Table:
    """One row per member, day and type of contact: `member`, `day`, `contact_type`."""
    feed = bucket.read("police_contact")
    return feed.select(
        "member", day=day_number(feed["contact_date"]), contact_type=_contact_type(feed)
    ).distinct()


def ems_transports(bucket: Bucket) -> Table:
    """One row per member and day with a call that ended in a transport: `member`, `day`."""
    feed = bucket.read("ems_call")
    transported = feed.filter(feed["is_transported"].fill_null(False))
    return transported.select("member", day=day_number(transported["call_date"])).distinct()


def police_outcomes(bucket: Bucket, land: Landing, unfed: Table | None) -> Table:
    """What became of each police contact: `reason` and `n_rows`."""
    feed = bucket.read("police_contact")
    told = feed.mutate(date=feed["contact_date"], kind=_contact_type(feed))
    months = _Months(land, unfed, "police_contact")
    return _outcomes(told, months, key=["member", "date", "kind"], set_aside=())


def ems_outcomes(bucket: Bucket, land: Landing, unfed: Table | None) -> Table:
    """What became of each emergency call: `reason` and `n_rows`."""
    feed = bucket.read("ems_call")
    is_transported = feed["is_transported"].fill_null(False)
    told = feed.mutate(date=feed["call_date"], kind=is_transported)
    key = ["member", "date", "kind"]
    months = _Months(land, unfed, "ems_call")
    return _outcomes(told, months, key=key, set_aside=((~told["kind"], NOT_TRANSPORTED),))


def _contact_type(feed: Table) -> Value:
    """Type of contact; other where it is missing."""
    return feed["contact_type"].fill_null("other")


def _outcomes(
    rows: Table, months: _Months, *, key: Sequence[str], set_aside: Sequence[tuple[Value, str]]
) -> Table:
    """Rows by what became of them: the first of a key is used, if its month is in the panel."""
    place = ibis.row_number().over(ibis.window(group_by=list(key)))
    told = rows.mutate(
        month=month_number(rows["date"]),
        place=place,
        aside=ibis.cases(*set_aside) if set_aside else ibis.null("string"),
    )
    fated = with_reason(told.select("member", "month", "place", "aside"), months.land)
    fated = with_feed_reason(fated, months.unfed, months.feed)
    reason = ibis.cases(
        (fated["reason"] == UNKNOWN_MEMBER, UNKNOWN_MEMBER),
        (fated["aside"].notnull(), fated["aside"]),
        (fated["reason"] != USED, fated["reason"]),
        (fated["place"] > 0, REPEATED),
        else_=USED,
    )
    counted = fated.select(reason=reason)
    return counted.group_by("reason").agg(n_rows=counted.count())
