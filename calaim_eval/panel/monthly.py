"""Every event of a bucket in one table, and that table joined to the member months once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.calendar import number_of
from calaim_eval.panel.columns import BASE_COLUMNS
from calaim_eval.panel.coverage import with_place
from calaim_eval.panel.feeds import outside
from calaim_eval.panel.history import with_history
from calaim_eval.panel.landing import IN_PANEL, with_landing
from calaim_eval.panel.spans import date_of, month_number

if TYPE_CHECKING:
    import pandas as pd
    from ibis import Table, Value

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.care import Care
    from calaim_eval.panel.landing import Landing
    from calaim_eval.panel.measure import Measure


_DTYPES = {"integer": "int64", "number": "float64"}


@dataclass(frozen=True)
class Events:
    """All events of a bucket.

    Attributes
    ----------
    sparse : Table
        `member`, `month`, `measure` (its place in the list), `value` and `landing`.
    dense : Mapping[str, Table]
        By measure `member`, `month`, `value` of what is known to be in the panel, one row a
        month: dollars, which most months have.
    """

    sparse: Table
    dense: Mapping[str, Table]


def find_events(care: Care, measures: Sequence[Measure], land: Landing) -> Events:
    """Events of all measures."""
    schema = {"member": "int64", "month": "int64", "value": "float64", "measure": "int16"}
    none = ibis.memtable([], schema=ibis.schema(schema))
    sparse, dense = [], {}
    for place, measure in enumerate(measures):
        found = _monthly(measure.events(care))
        if measure.is_landed:
            dense[measure.name] = care.bucket.keep(f"landed_{measure.name}", found)
        else:
            sparse.append(found.mutate(measure=ibis.literal(place, "int16")))
    return Events(with_landing(ibis.union(none, *sparse) if sparse else none, land), dense)


def _monthly(found: Table) -> Table:
    """Events by member and month: `member`, `month`, `value`."""
    if "value" not in found.columns:
        dated = found.select("member", month=month_number(date_of(found["day"])))
        found = dated.group_by("member", "month").agg(value=dated.count())
    return found.select("member", "month", value=found["value"].cast("float64"))


def member_month_rows(
    land: Landing,
    months: Table,
    events: Events,
    measures: Sequence[Measure],
    unobserved: Mapping[str, pd.PeriodIndex],
    unfed: Table | None = None,
) -> Table:
    """Rows of the table `member_month`: covered months, who the member is, every measure.

    A month without an event has 0; a month in which a measure cannot be known has none. `months`
    are those of `located`; `events` has the measures that can be known at all, in the order of
    their places; `unfed` the months that a feed does not cover (`feeds.unfed_months`).
    """
    bucket = land.bucket
    known = [measure for measure in measures if not _is_hidden(measure, bucket, unobserved)]
    joined = _with_person(bucket, with_history(months, land))
    for wide in _wide(events, known, bucket):
        joined = joined.left_join(wide, "cell").drop("cell_right")
    for name, found in events.dense.items():
        amounts = found.select(cell=cell_of(found, bucket), **{name: found["value"]})
        joined = joined.left_join(amounts, "cell").drop("cell_right")
    if unfed is not None:
        joined = _with_known_custody(joined.left_join(unfed, ["member", "month"]))
    values = {each.name: _known(joined, each, unobserved.get(each.name)) for each in measures}
    rows = joined.mutate(**values, month=joined["month_start"])
    return rows.rename(is_full_scope="is_full").select(*BASE_COLUMNS, *values)


def _wide(events: Events, known: Sequence[Measure], bucket: Bucket) -> Iterator[Table]:
    """Events in the panel by place of their month, a column a measure, a table a family.

    Measures of a family fall into the same months, so that few of the cells are empty.
    """
    landed = events.sparse.filter(events.sparse["landing"] == IN_PANEL)
    landed = landed.mutate(cell=cell_of(landed, bucket))
    families: dict[str, dict[int, Measure]] = {}
    for place, measure in enumerate(known):
        if measure.name not in events.dense:
            families.setdefault(measure.events.__module__, {})[place] = measure
    for family in families.values():
        mine = landed.filter(landed["measure"].between(min(family), max(family)))
        yield mine.group_by("cell").agg(
            **{
                measure.name: mine["value"]
                .sum(where=mine["measure"] == place)
                .cast(_DTYPES[measure.dtype])
                for place, measure in family.items()
            }
        )


def cell_of(rows: Table, bucket: Bucket) -> Value:
    """Place of a member's month of the window in the order of members and months."""
    months = bucket.months
    return rows["member"] * len(months) + (rows["month"] - number_of(months[0]))


def _is_hidden(measure: Measure, bucket: Bucket, unobserved: Mapping[str, pd.PeriodIndex]) -> bool:
    """Whether a measure cannot be known in any month."""
    return len(unobserved.get(measure.name, ())) == len(bucket.months)


def located(bucket: Bucket, candidates: Table) -> Table:
    """Months of the panel with plan, county and aid code, held.

    `cell` is the place of the month in the order of members and months.
    """
    months = candidates.filter(candidates["reason"].isnull()).drop("reason")
    told = with_place(bucket, months)
    return bucket.keep("located", told.mutate(cell=cell_of(told, bucket)))


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
