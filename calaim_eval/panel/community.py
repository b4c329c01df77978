"""Bookings, police contacts and ambulance calls from feeds outside the claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.landing import UNKNOWN_MEMBER, Landing, with_reason
from calaim_eval.panel.spans import day_number, month_number
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket

REPEATED = "repeats another row of the day"
NOT_TRANSPORTED = "no transport, or not known"


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


def police_outcomes(bucket: Bucket, land: Landing) -> Table:
    """What became of each police contact: `reason` and `n_rows`."""
    feed = bucket.read("police_contact")
    told = feed.mutate(date=feed["contact_date"], kind=_contact_type(feed))
    return _outcomes(told, land, key=["member", "date", "kind"], set_aside=())


def ems_outcomes(bucket: Bucket, land: Landing) -> Table:
    """What became of each emergency call: `reason` and `n_rows`."""
    feed = bucket.read("ems_call")
    is_transported = feed["is_transported"].fill_null(False)
    told = feed.mutate(date=feed["call_date"], kind=is_transported)
    key = ["member", "date", "kind"]
    return _outcomes(told, land, key=key, set_aside=((~told["kind"], NOT_TRANSPORTED),))


def _contact_type(feed: Table) -> Value:
    """Type of contact; other where it is missing."""
    return feed["contact_type"].fill_null("other")


def _outcomes(
    rows: Table, land: Landing, *, key: Sequence[str], set_aside: Sequence[tuple[Value, str]]
) -> Table:
    """Rows by what became of them: the first of a key is used, if its month is in the panel."""
    place = ibis.row_number().over(ibis.window(group_by=list(key)))
    told = rows.mutate(
        month=month_number(rows["date"]),
        place=place,
        aside=ibis.cases(*set_aside) if set_aside else ibis.null("string"),
    )
    fated = with_reason(told.select("member", "month", "place", "aside"), land)
    reason = ibis.cases(
        (fated["reason"] == UNKNOWN_MEMBER, UNKNOWN_MEMBER),
        (fated["aside"].notnull(), fated["aside"]),
        (fated["reason"] != USED, fated["reason"]),
        (fated["place"] > 0, REPEATED),
        else_=USED,
    )
    counted = fated.select(reason=reason)
    return counted.group_by("reason").agg(n_rows=counted.count())
