"""Every event of a bucket in one table, and that table joined to the member months once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.calendar import number_of
from calaim_eval.panel.columns import BASE_COLUMNS
from calaim_eval.panel.feeds import outside
from calaim_eval.panel.landing import IN_PANEL, with_landing
from calaim_eval.panel.spans import date_of, month_number

if TYPE_CHECKING:
    import pandas as pd
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.care import Care
    from calaim_eval.panel.landing import Landing
    from calaim_eval.panel.measure import Measure


LOOKBACK_MONTHS = 12
"""Calendar months before a month that `lookback_covered_months` looks at."""

_DTYPES = {"integer": "int64", "number": "float64"}


def event_table(care: Care, measures: Sequence[Measure], land: Landing) -> Table:
    """All events of the bucket: `member`, `month`, `measure` (its place in the list), `value`.

    `landing` says whether they are in a month of the panel.
    """
    schema = {"member": "int64", "month": "int64", "value": "float64", "measure": "int16"}
    pieces = [_events(measure, place, care) for place, measure in enumerate(measures)]
    landed = [piece for piece in pieces if "landing" in piece.columns]
    others = [piece for piece in pieces if "landing" not in piece.columns]
    none = ibis.memtable([], schema=ibis.schema(schema))
    found = with_landing(ibis.union(none, *others) if others else none, land)
    return ibis.union(found, *landed) if landed else found


def _events(measure: Measure, place: int, care: Care) -> Table:
    """Events of one measure by member and month; with `landing` where that is known."""
    found = measure.events(care)
    if "value" not in found.columns:
        dated = found.select("member", month=month_number(date_of(found["day"])))
        found = dated.group_by("member", "month").agg(value=dated.count())
    typed = found.mutate(value=found["value"].cast("float64"), measure=ibis.literal(place, "int16"))
    known = ["landing"] if "landing" in found.columns else []
    return typed.select("member", "month", "value", "measure", *known)


def member_month_rows(
    bucket: Bucket,
    candidates: Table,
    events: Table,
    measures: Sequence[Measure],
    unobserved: Mapping[str, pd.PeriodIndex],
    unfed: Table | None = None,
) -> Table:
    """Rows of the table `member_month`: covered months, who the member is, every measure.

    A month without an event has 0; a month in which a measure cannot be known has none. `events`
    has the measures that can be known at all, in the order of their places; `unfed` the months
    that a feed does not cover (`feeds.unfed_months`).
    """
    known = [measure for measure in measures if not _is_hidden(measure, bucket, unobserved)]
    events = events.mutate(cell=cell_of(events, bucket))
    wide = events.group_by("cell").agg(
        **{
            measure.name: events["value"]
            .sum(where=events["measure"] == place)
            .cast(_DTYPES[measure.dtype])
            for place, measure in enumerate(known)
        }
    )
    described = _with_person(bucket, _with_history(bucket, located(bucket, candidates)))
    joined = described.mutate(cell=cell_of(described, bucket)).left_join(wide, "cell")
    if unfed is not None:
        joined = joined.drop("cell_right").left_join(unfed, ["member", "month"])
        joined = _with_known_custody(joined)
    values = {each.name: _known(joined, each, unobserved.get(each.name)) for each in measures}
    rows = joined.mutate(**values, month=joined["month_start"])
    rows = rows.rename(is_full_scope="is_full").order_by("cell")
    return rows.select(*BASE_COLUMNS, *values)


def cell_of(rows: Table, bucket: Bucket) -> Value:
    """Place of a member's month of the window in the order of members and months."""
    months = bucket.months
    return rows["member"] * len(months) + (rows["month"] - number_of(months[0]))


def _is_hidden(measure: Measure, bucket: Bucket, unobserved: Mapping[str, pd.PeriodIndex]) -> bool:
    """Whether a measure cannot be known in any month."""
    return len(unobserved.get(measure.name, ())) == len(bucket.months)


def located(bucket: Bucket, candidates: Table) -> Table:
    """Months of the panel with plan, county and aid code: the span's, or settled among several."""
    months = candidates.filter(candidates["reason"].isnull())
    names = ("plan", "county", "aid_code")
    spans, settled = bucket.kept("spans"), bucket.kept("settled_months")
    # A settled month is told from a span by a negative number.
    said = ibis.union(
        spans.select("span", *names),
        settled.select(span=-settled["settled"], **{name: settled[name] for name in names}),
    )
    said = said.select("span", **{name: said[name].nullif("") for name in names})
    at = ibis.coalesce(months["span"], -months["settled"])
    return months.mutate(span=at).left_join(said, "span").drop("span", "span_right")


def _with_history(bucket: Bucket, months: Table) -> Table:
    """Months with what the member's earlier months in the panel say.

    `is_plan_move`: the plan is another than in the previous month of the panel, however long ago.
    `lookback_covered_months`: months of the panel among the 12 calendar months before.
    """
    before = ibis.window(group_by="member", order_by="month")
    year = ibis.range_window(
        preceding=LOOKBACK_MONTHS, following=0, group_by="member", order_by="month"
    )
    can_be_known = months["month"] >= number_of(bucket.months[0]) + LOOKBACK_MONTHS
    seen = months["month"].count().over(year) - 1
    return months.mutate(
        is_plan_move=months["plan"] != months["plan"].lag().over(before),
        lookback_covered_months=ibis.ifelse(can_be_known, seen, ibis.null("int64")),
    )


def _with_known_custody(months: Table) -> Table:
    """Months with `is_in_custody` missing where the custody feed does not cover them."""
    if outside("custody") not in months.columns:
        return months
    is_outside = months[outside("custody")].fill_null(False)
    known = ibis.ifelse(is_outside, ibis.null("boolean"), months["is_in_custody"])
    return months.mutate(is_in_custody=known)


def _with_person(bucket: Bucket, months: Table) -> Table:
    """Months with age on their first day and what the person table says of the member."""
    person = bucket.read("person")
    birth = person["birth_date"]
    # Completed years on a first of the month: a birthday after the 1st counts from the next month.
    born = month_number(birth) + ibis.ifelse(birth.day() > 1, 1, 0)
    told = person.select("member", "language", "race_ethnicity", "sex", born=born)
    people = bucket.members.left_join(told, "member").drop("member_right")
    known = people.mutate(
        sex=people["sex"].fill_null("unknown"),
        race_ethnicity=people["race_ethnicity"].fill_null("unknown"),
    )
    people = bucket.keep("people", known)
    joined = months.left_join(people, "member").drop("member_right")
    years = (joined["month"] - joined["born"]) // 12
    # Born later in the month: 0. `greatest` would make an unknown age 0 as well.
    return joined.mutate(age_years=ibis.ifelse(years < 0, 0, years))


def _known(rows: Table, measure: Measure, hidden: pd.PeriodIndex | None) -> Value:
    """Value of a measure, 0 without events, missing in the months it cannot be known."""
    dtype = _DTYPES[measure.dtype]
    if measure.name not in rows.columns:
        return ibis.null(dtype)
    value = rows[measure.name].fill_null(ibis.literal(0, dtype))
    if measure.feed and outside(measure.feed) in rows.columns:
        is_outside = rows[outside(measure.feed)].fill_null(False)
        value = ibis.ifelse(is_outside, ibis.null(dtype), value)
    if hidden is None or hidden.empty:
        return value
    numbers = [number_of(month) for month in hidden]
    return ibis.ifelse(rows["month"].isin(numbers), ibis.null(dtype), value)


def only_used(landed: Table) -> Table:
    """Events that landed in a month of the panel."""
    return landed.filter(landed["landing"] == IN_PANEL).drop("landing")
