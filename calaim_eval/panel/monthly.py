"""Every event of a bucket in one table, and that table joined to the member months once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.calendar import number_of
from calaim_eval.panel.columns import BASE_COLUMNS
from calaim_eval.panel.spans import completed_years, date_of, month_number
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    import pandas as pd
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.care import Care
    from calaim_eval.panel.measure import Measure


def event_table(care: Care, measures: Sequence[Measure]) -> Table:
    """All events of the bucket: `member`, `month`, `measure` (its place in the list), `value`."""
    schema = {"member": "int64", "month": "int64", "value": "float64", "measure": "int16"}
    none = ibis.memtable([], schema=ibis.schema(schema))
    pieces = [_events(measure, place, care) for place, measure in enumerate(measures)]
    return care.bucket.keep("events", ibis.union(none, *pieces) if pieces else none)


def _events(measure: Measure, place: int, care: Care) -> Table:
    """Events of one measure by member and month."""
    found = measure.events(care)
    if "value" not in found.columns:
        dated = found.select("member", month=month_number(date_of(found["day"])))
        found = dated.group_by("member", "month").agg(value=dated.count())
    return found.select(
        "member",
        "month",
        value=found["value"].cast("float64"),
        measure=ibis.literal(place, "int16"),
    )


def member_month_rows(
    bucket: Bucket,
    candidates: Table,
    events: Table,
    measures: Sequence[Measure],
    unobserved: Mapping[str, pd.PeriodIndex],
) -> Table:
    """Rows of the table `member_month`: covered months, who the member is, every measure.

    A month without an event has 0; a month in which a measure cannot be known has none. `events`
    has the measures that can be known at all, in the order of their places.
    """
    known = [measure for measure in measures if not _is_hidden(measure, bucket, unobserved)]
    wide = events.group_by("member", "month").agg(
        **{
            measure.name: events["value"].sum(where=events["measure"] == place)
            for place, measure in enumerate(known)
        }
    )
    months = candidates.filter(candidates["reason"].isnull())
    described = _with_person(bucket, _with_plan(bucket, months))
    joined = described.left_join(wide, ["member", "month"])
    values = {each.name: _known(joined, each, unobserved.get(each.name)) for each in measures}
    number = {"__month": joined["month"], "__member": joined["member"]}
    rows = joined.mutate(**values, **number, month=joined["month_start"])
    rows = rows.rename(is_full_scope="is_full").order_by("__member", "__month")
    return rows.select(*BASE_COLUMNS, *values)


def _is_hidden(measure: Measure, bucket: Bucket, unobserved: Mapping[str, pd.PeriodIndex]) -> bool:
    """Whether a measure cannot be known in any month."""
    return len(unobserved.get(measure.name, ())) == len(bucket.months)


def _with_plan(bucket: Bucket, months: Table) -> Table:
    """Months with their plan, county and aid code: the span's, or as settled among several."""
    names = ("plan", "county", "aid_code")
    settled = bucket.kept("settled_months").select("member", "month", *names)
    said = bucket.kept("spans").select("span", **{f"{name}_said": name for name in names})
    joined = months.left_join(said, "span").left_join(settled, ["member", "month"])
    chosen = {name: ibis.coalesce(joined[name], joined[f"{name}_said"]) for name in names}
    return joined.select(
        *months.columns, **{name: value.nullif("") for name, value in chosen.items()}
    )


def _with_person(bucket: Bucket, months: Table) -> Table:
    """Months with age on their first day and what the person table says of the member."""
    person = bucket.read("person").select(
        "member", "birth_date", "sex", "race_ethnicity", "language"
    )
    joined = months.left_join(bucket.members, "member").left_join(person, "member")
    age = completed_years(joined["birth_date"], joined["month_start"])
    return joined.select(
        *months.columns,
        "member_id",
        "language",
        age_years=ibis.ifelse(age < 0, 0, age),
        sex=joined["sex"].fill_null("unknown"),
        race_ethnicity=joined["race_ethnicity"].fill_null("unknown"),
    )


def _known(rows: Table, measure: Measure, hidden: pd.PeriodIndex | None) -> Value:
    """Value of a measure, 0 without events, missing in the months it cannot be known."""
    dtype = "int64" if measure.dtype == "integer" else "float64"
    if measure.name not in rows.columns:
        return ibis.null(dtype)
    value = rows[measure.name].fill_null(0.0).cast(dtype)
    if hidden is None or hidden.empty:
        return value
    numbers = [number_of(month) for month in hidden]
    return ibis.ifelse(rows["month"].isin(numbers), ibis.null(dtype), value)


def event_outcomes(fated: Table) -> Table:
    """Events by `measure` and `reason`: how many landed in the panel, and why others did not."""
    return fated.group_by("measure", "reason").agg(value=fated["value"].sum())


def only_used(fated: Table) -> Table:
    """Events that landed in a month of the panel."""
    return fated.filter(fated["reason"] == USED).drop("reason")
