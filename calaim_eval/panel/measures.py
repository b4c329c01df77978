# ruff: noqa: PD003  (Ibis names: `isnull`)
"""Every event of a bucket in one table, and that table joined to the member months once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.calendar import number_of
from calaim_eval.panel.spans import completed_years, date_of, month_number
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.tables import EXPOSURES, MEASURES, TABLES
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    import pandas as pd
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket

ALL_MEASURES = (*MEASURES, *EXPOSURES)


def by_month(events: Table, measure: str) -> Table:
    """Events with a `day` counted by member and month, as rows of the event table."""
    dated = events.select("member_id", month=month_number(date_of(events["day"])))
    counted = dated.group_by("member_id", "month").agg(value=dated.count().cast("float64"))
    return counted.mutate(measure=ibis.literal(measure))


def in_months(amounts: Table, measure: str, value: str) -> Table:
    """Amounts that are by member and month already, as rows of the event table."""
    return amounts.select(
        "member_id",
        "month",
        value=amounts[value].cast("float64"),
        measure=ibis.literal(measure),
    )


def event_table(bucket: Bucket, pieces: list[Table]) -> Table:
    """All events of the bucket: `member_id`, `month`, `measure`, `value`."""
    columns = ["member_id", "month", "measure", "value"]
    return bucket.keep("events", ibis.union(*[piece.select(*columns) for piece in pieces]))


def member_month_rows(
    bucket: Bucket, candidates: Table, events: Table, unobserved: Mapping[str, pd.PeriodIndex]
) -> Table:
    """Rows of the table `member_month`: covered months, who the member is, every measure.

    A month without an event has 0; a month in which a measure cannot be known has none.
    """
    wide = events.group_by("member_id", "month").agg(
        **{
            measure: events["value"].sum(where=events["measure"] == measure)
            for measure in ALL_MEASURES
        }
    )
    months = candidates.filter(candidates["reason"].isnull())
    described = _with_person(bucket, _with_plan(bucket, months))
    joined = described.left_join(wide, ["member_id", "month"])
    values = {measure: _known(joined, measure, unobserved.get(measure)) for measure in ALL_MEASURES}
    rows = joined.mutate(**values, month=joined["month_start"], is_full_scope=joined["is_full"])
    return rows.select(*TABLES["member_month"].fields).order_by("member_id", "month")


def _with_plan(bucket: Bucket, months: Table) -> Table:
    """Months with their plan, county and aid code: the span's, or as settled among several."""
    names = ("plan", "county", "aid_code")
    settled = bucket.kept("settled_months").select("member_id", "month", *names)
    said = bucket.kept("spans").select("span", **{f"{name}_said": name for name in names})
    joined = months.left_join(said, "span").left_join(settled, ["member_id", "month"])
    chosen = {name: ibis.coalesce(joined[name], joined[f"{name}_said"]) for name in names}
    return joined.select(
        *months.columns, **{name: value.nullif("") for name, value in chosen.items()}
    )


def _with_person(bucket: Bucket, months: Table) -> Table:
    """Months with age on their first day and what the person table says of the member."""
    person = bucket.read("person").select(
        "member_id", "birth_date", "sex", "race_ethnicity", "language"
    )
    joined = months.left_join(person, "member_id")
    age = completed_years(joined["birth_date"], joined["month_start"])
    return joined.select(
        *months.columns,
        "language",
        age_years=ibis.ifelse(age < 0, 0, age),
        sex=joined["sex"].fill_null("unknown"),
        race_ethnicity=joined["race_ethnicity"].fill_null("unknown"),
    )


def _known(rows: Table, measure: str, hidden: pd.PeriodIndex | None) -> Value:
    """Value of a measure, 0 without events, missing in the months it cannot be known."""
    dtype = "int64" if FIELDS[measure].dtype == "integer" else "float64"
    value = rows[measure].fill_null(0.0).cast(dtype)
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
