# ruff: noqa: FBT003, PD003, PD004  (Ibis names: `fill_null(False)`, `isnull`, `notnull`)
"""Findings on persons and enrollment spans of one bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ibis
import pandas as pd

from calaim_eval.panel.spans import (
    completed_years,
    date_of,
    day_number,
    islands,
    month_number,
)
from calaim_eval.quality.counts import Counts, as_counts
from calaim_eval.quality.findings import NOT_RECORDED

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.quality.questions import Questions

OLDEST_AGE = 115
_NO_END = 10**6


def ask_enrollment(questions: Questions, covered: Table) -> None:
    """Questions on spans, and on persons where the table `person` is there."""
    bucket = questions.bucket
    spans = _recorded_spans(bucket)
    questions.ask("overlaps", _overlaps(spans), _count_overlaps)
    if bucket.has("person"):
        questions.ask("birth_dates", _birth_dates(bucket, covered), _count_birth_dates)
        questions.ask("enrolled", _enrolled(bucket, spans), _count_enrolled)
        questions.ask("strangers", _strangers(bucket, spans), _count_strangers)
    last = _last(bucket, covered)
    places = last.group_by("plan", "county").agg(of=last.count())
    questions.ask("last_places", places, _count_places)
    if bucket.has("person"):
        questions.ask("race", _race(bucket, last), _count_race)


def _recorded_spans(bucket: Bucket) -> Table:
    """Spans in whole days as recorded; an open end has no end."""
    spans = bucket.read("eligibility")
    numbered = spans.select(
        "member",
        span=ibis.row_number(),
        plan=spans["plan"].fill_null(""),
        payer=spans["payer_type"].fill_null("medicaid"),
        start_day=day_number(spans["enrollment_start_date"]),
        end_day=day_number(spans["enrollment_end_date"]).fill_null(_NO_END),
    )
    return bucket.keep("recorded_spans", numbered)


def _overlaps(spans: Table) -> Table:
    """Spans that begin on or before the end of an earlier one of the same line of business.

    No span is held against every other: under an identifier that stands for many people there may
    be a hundred thousand.
    """
    key = ["member", "payer"]
    counted = spans.group_by(*key).agg(n_spans=spans.count())
    several = spans.semi_join(counted.filter(counted["n_spans"] > 1), key)
    before = ibis.window(
        group_by=[*key, "plan"], order_by=["start_day", "span"], preceding=(None, 1)
    )
    reached = several["end_day"].max().over(before)
    is_same = (reached >= several["start_day"]).fill_null(False)
    marked = several.select("span", is_same=is_same)
    joined = spans.left_join(marked, "span").drop("span_right")
    joined = joined.left_join(_begun_elsewhere(several), "span")
    return joined.group_by("plan").agg(
        of=joined.count(),
        same=joined["is_same"].fill_null(False).sum(),
        other=joined["is_other"].fill_null(False).sum(),
    )


def _begun_elsewhere(spans: Table) -> Table:
    """Spans that begin while an earlier one of another plan lasts: `span`, `is_other`.

    A stretch of a plan is its spans that share a day. Whatever begins in one after its first day
    begins in a span of it; on its first day the order of the spans decides.
    """
    key = ["member", "payer", "plan"]
    same_start = ibis.window(group_by=[*key, "start_day"])
    dated = spans.mutate(first_span=spans["span"].min().over(same_start))
    numbered = islands(dated, by=key, start="start_day", reach="end_day", ties=["span"])
    stretches = numbered.group_by("member", "payer", other_plan="plan", island="island").agg(
        other_start=numbered["start_day"].min(),
        other_end=numbered["end_day"].max(),
        other_span=numbered["first_span"].argmin(numbered["start_day"]),
    )
    pairs = spans.join(stretches, ["member", "payer"])
    comes_before = (pairs["other_start"] < pairs["start_day"]) | (
        (pairs["other_start"] == pairs["start_day"]) & (pairs["other_span"] < pairs["span"])
    )
    is_there = comes_before & (pairs["other_end"] >= pairs["start_day"])
    found = pairs.filter(is_there & (pairs["plan"] != pairs["other_plan"])).select("span")
    return found.distinct().mutate(is_other=ibis.literal(value=True))


def _count_overlaps(found: pd.DataFrame) -> Counts:
    checks = {"same": "spans_overlap_same_plan", "other": "spans_overlap_other_plan"}
    pieces = [
        as_counts(_named(found).assign(n=found[column]), check=check, table="eligibility")
        for column, check in checks.items()
    ]
    return {"counts": pd.concat(pieces)}


def _birth_dates(bucket: Bucket, covered: Table) -> Table:
    """Birth dates that are missing, or make somebody covered in the window too old."""
    persons = bucket.read("person")
    seen = covered.select("member").distinct().mutate(is_covered=ibis.literal(value=True))
    joined = persons.left_join(seen, "member")
    age = completed_years(joined["birth_date"], ibis.date(str(bucket.months[0].start_time.date())))
    is_too_old = (age > OLDEST_AGE) & joined["is_covered"].notnull()
    return joined.agg(
        of=joined.count(),
        missing=joined["birth_date"].isnull().sum(),
        too_old=is_too_old.fill_null(False).sum(),
    )


def _count_birth_dates(found: pd.DataFrame) -> Counts:
    checks = {"missing": "birth_date_missing", "too_old": "birth_date_implausible"}
    pieces = [
        as_counts(found.assign(n=found[column]), check=check, table="person")
        for column, check in checks.items()
    ]
    return {"counts": pd.concat(pieces)}


def _enrolled(bucket: Bucket, spans: Table) -> Table:
    """Members with enrollment: how many are no persons, and how many are covered after death."""
    persons = bucket.read("person")
    deaths = persons.select(
        "member", death=persons["death_date"], is_person=ibis.literal(value=True)
    )
    members = spans.group_by("member").agg(end_day=spans["end_day"].max())
    joined = members.left_join(deaths, "member")
    is_after = month_number(date_of(joined["end_day"])) > month_number(joined["death"])
    return joined.agg(
        of=joined.count(),
        without=joined["is_person"].isnull().sum(),
        dead=joined["death"].notnull().sum(),
        after=is_after.fill_null(False).sum(),
    )


def _count_enrolled(found: pd.DataFrame) -> Counts:
    pieces = [
        as_counts(
            found.assign(n=found["without"]),
            check="eligibility_without_person",
            table="eligibility",
        ),
        as_counts(
            found.assign(n=found["after"], of=found["dead"]),
            check="coverage_after_death",
            table="eligibility",
        ),
    ]
    return {"counts": pd.concat(pieces)}


def _strangers(bucket: Bucket, spans: Table) -> Table:
    """Persons, and those of them without any span."""
    persons = bucket.read("person")
    seen = spans.select("member").distinct().mutate(is_enrolled=ibis.literal(value=True))
    joined = persons.left_join(seen, "member")
    return joined.agg(of=joined.count(), n=joined["is_enrolled"].isnull().sum())


def _count_strangers(found: pd.DataFrame) -> Counts:
    return {"counts": as_counts(found, check="persons_without_eligibility", table="person")}


def _last(bucket: Bucket, covered: Table) -> Table:
    """Plan and county of the last covered month of each member."""
    last = covered.group_by("member").agg(
        plan=covered["plan"].argmax(covered["month"]),
        county=covered["county"].argmax(covered["month"]),
    )
    return bucket.keep("last_covered_month", last)


def _race(bucket: Bucket, last: Table) -> Table:
    """Members covered in the window, and those of unknown race, by plan and county."""
    persons = bucket.read("person").select("member", "race_ethnicity")
    joined = last.left_join(persons, "member")
    is_unknown = joined["race_ethnicity"].fill_null("unknown") == "unknown"
    return joined.group_by("plan", "county").agg(of=joined.count(), n=is_unknown.sum())


def _count_race(found: pd.DataFrame) -> Counts:
    return {"counts": as_counts(_named(found), check="race_unknown", table="person")}


def _count_places(found: pd.DataFrame) -> Counts:
    no_county = found.assign(n=found["of"].where(found["county"] == "", 0)).drop(columns="county")
    no_plan = found.assign(n=found["of"].where(found["plan"] == "", 0)).drop(columns="plan")
    pieces = [
        as_counts(_named(no_county), check="county_missing", table="eligibility"),
        as_counts(_named(no_plan), check="plan_missing", table="eligibility"),
    ]
    return {"counts": pd.concat(pieces)}


def _named(found: pd.DataFrame) -> pd.DataFrame:
    """Empty plan or county as a group with a name."""
    columns = [column for column in ("plan", "county") if column in found.columns]
    return found.assign(**{c: found[c].replace("", NOT_RECORDED) for c in columns})
