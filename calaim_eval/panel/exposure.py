"""What happened to each member and service, inside coverage or not: first, last, how often.

1. Months are those of the day of the claim line or record; first is the earliest, last the latest.
2. `n_service_months` counts the months with any service (months on the program). Months between
   them without a service do not count.
3. Authorizations are kept apart: `authorized_month` is the first, `n_authorizations` counts one per
   support and day. Nothing authorized counts as received, and nothing received as authorized.
4. `any_community_support` takes all supports together: a month with two of them is one month.
   Outreach to no one support counts for it alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.columns import EXPOSURE_COLUMNS
from calaim_eval.panel.program_contacts import AUTHORIZATION
from calaim_eval.panel.spans import date_of, month_number

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket

ANY_SUPPORT = "any_community_support"


def member_exposure(bucket: Bucket, contacts: Table) -> Table:
    """One row per member and service with any record; the columns of `member_exposure`."""
    supports = contacts.filter(contacts["program"] == "community_support")
    by_service = contacts.filter(contacts["service"].notnull())
    rows = bucket.keep(
        "exposure_contacts",
        ibis.union(
            by_service.mutate(support=by_service["service"]),
            supports.mutate(support=supports["service"], service=ibis.literal(ANY_SUPPORT)),
        ),
    )
    is_service = rows["kind"] == "service"
    month = month_number(date_of(rows["day"]))
    firsts = rows.group_by("member", "service").agg(
        identified_month=_first_month(rows, "identified"),
        outreach_month=_first_month(rows, "outreach"),
        service_month=_first_month(rows, "service"),
        last_service_month=date_of(rows["day"].max(where=is_service)).truncate("M"),
        n_service_months=month.nunique(where=is_service),
        authorized_month=_first_month(rows, AUTHORIZATION),
        n_authorizations=_authorization(rows).nunique(where=rows["kind"] == AUTHORIZATION),
    )
    with_provider = firsts.left_join(_first_provider(rows), ["member", "service"]).drop(
        "member_right", "service_right"
    )
    told = with_provider.left_join(_populations(rows), ["member", "service"]).drop(
        "member_right", "service_right"
    )
    return told.left_join(bucket.members, "member").select(*EXPOSURE_COLUMNS)


def _first_month(rows: Table, kind: str) -> Value:
    """First month with a contact of a kind, as its first day."""
    return date_of(rows["day"].min(where=rows["kind"] == kind)).truncate("M")


def _authorization(rows: Table) -> Value:
    """What tells one authorization from another: support and day."""
    return rows["support"].fill_null("") + ":" + rows["day"].cast("string")


def _first_provider(rows: Table) -> Table:
    """Type of the organization of the first service; of several on that day a known one first."""
    served = rows.filter(rows["kind"] == "service")
    order = [
        served["day"],
        served["organization_type"].isnull(),
        served["is_claim"],
        served["organization_type"],
    ]
    window = ibis.window(group_by=["member", "service"], order_by=order)
    placed = served.mutate(place=ibis.row_number().over(window))
    return placed.filter(placed["place"] == 0).select("member", "service", "organization_type")


def _populations(rows: Table) -> Table:
    """Populations of focus on the records of a member and service: codes sorted, joined by ";"."""
    named = rows.filter(rows["population_of_focus"].notnull())
    codes = named.select("member", "service", code=named["population_of_focus"].split(";").unnest())
    codes = codes.mutate(code=codes["code"].strip())
    each = codes.filter(codes["code"] != "").distinct()
    return each.group_by("member", "service").agg(
        population_of_focus=each["code"].collect().sort().join(";")
    )
