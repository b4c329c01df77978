"""Months that several spans touch: covered days, plan, county and aid code, settled day by day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.rules import PanelRules

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket

KEY = ("member", "month")


def settled_months(bucket: Bucket, pieces: Table) -> Table:
    """One row per member and month with several pieces.

    `settled` numbers the rows, from 1. `settled_days` counts a day once however many spans cover
    it. The plan is settled first, the county among the spans of that plan, the aid code among those
    of that county.
    """
    on_days = _days(bucket, pieces)
    days = on_days.group_by(*KEY).agg(settled_days=on_days["day"].nunique())
    plan = bucket.keep("settled_plan", _settle(on_days, [*KEY], "plan", bucket.rules))
    of_plan = on_days.semi_join(plan, [*KEY, "plan"])
    county = bucket.keep("settled_county", _settle(of_plan, [*KEY, "plan"], "county", bucket.rules))
    of_county = on_days.semi_join(county, [*KEY, "plan", "county"])
    aid = _settle(of_county, [*KEY, "plan", "county"], "aid_code", bucket.rules)
    settled = aid.join(days, KEY)
    number = ibis.row_number().over(ibis.window(order_by=[settled[each] for each in KEY])) + 1
    return bucket.keep("settled_months", settled.mutate(settled=number.cast("int64")))


def _days(bucket: Bucket, pieces: Table) -> Table:
    """The pieces of months with several, one row per day, with what their spans say."""
    counted = pieces.group_by(*KEY).agg(n_spans=pieces.count())
    several = counted.filter(counted["n_spans"] > 1)
    contested = pieces.semi_join(several, KEY)
    calendar = bucket.days
    by_day = contested.join(
        calendar,
        [
            contested["month"] == calendar["month"],
            contested["from_day"] <= calendar["day"],
            contested["to_day"] >= calendar["day"],
        ],
    ).select(*KEY, "day", "span", "recorded_day")
    said = bucket.kept("spans").select("span", "plan", "county", "aid_code")
    return bucket.keep("contested_days", by_day.join(said, "span"))


def _settle(on_days: Table, key: list[str], value: str, rules: PanelRules) -> Table:
    """The one value of each key, by the plan rule; a known value before a missing one."""
    weighed = on_days.group_by([*key, value]).agg(
        n_days=on_days["day"].nunique(), recorded_day=on_days["recorded_day"].max()
    )
    most = weighed["n_days"].desc()
    latest = weighed["recorded_day"].desc(nulls_first=False)
    first, second = (most, latest) if rules.plan_rule == "most_days" else (latest, most)
    order = [first, second, weighed[value] == "", weighed[value]]
    ranked = weighed.mutate(place=ibis.row_number().over(ibis.window(group_by=key, order_by=order)))
    return ranked.filter(ranked["place"] == 0).select(*key, value)
