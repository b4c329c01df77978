"""What the file of member months is assembled from: months, places, people, and all events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ibis

from calaim_eval.panel.calendar import number_of
from calaim_eval.panel.claim_stage import ClaimStage, counted_events
from calaim_eval.panel.coverage import place_of, places
from calaim_eval.panel.feeds import outside
from calaim_eval.panel.landing import IN_PANEL, with_landing
from calaim_eval.panel.month_file import MONTH_COLUMNS, MeasureColumn, MonthFile
from calaim_eval.panel.spans import date_of, month_number

if TYPE_CHECKING:
    import pandas as pd
    from ibis import Table

    from calaim_eval.panel.bucket import Bucket
    from calaim_eval.panel.care import Care
    from calaim_eval.panel.landing import Landing
    from calaim_eval.panel.measure import Measure


@dataclass(frozen=True)
class Events:
    """All events of a bucket: `member`, `month`, `measure` (its place in the list), `value`.

    Attributes
    ----------
    sparse : Table
        Events that fall where they fall, with `landing`; several may be of one month.
    landed : Table
        What is known to be in the panel: dollars, which most months have.
    """

    sparse: Table
    landed: Table

    @property
    def in_panel(self) -> Table:
        """Events in months of the panel."""
        sparse = self.sparse.filter(self.sparse["landing"] == IN_PANEL).drop("landing")
        return ibis.union(sparse, self.landed)


_EVENT = {"member": "int64", "month": "int64", "measure": "int16", "value": "float64"}


def find_events(
    care: Care, measures: Sequence[Measure], land: Landing, stage: ClaimStage
) -> Events:
    """Events of all measures; those counted before are taken from there."""
    none = ibis.memtable([], schema=ibis.schema(_EVENT))
    sparse, landed = [none], [none]
    places = {}
    for place, measure in enumerate(measures):
        if measure.name in stage.numbers:
            places[measure.name] = place
            continue
        found = dated(measure.events(care)).mutate(measure=ibis.literal(place, "int16"))
        (landed if measure.is_landed else sparse).append(found.select(*_EVENT))
    if places:
        sparse.append(counted_events(stage, places).select(*_EVENT))
    return Events(with_landing(ibis.union(*sparse), land), ibis.union(*landed))


def dated(found: Table) -> Table:
    """Events with their month and what each counts: `member`, `month`, `value`."""
    if "value" in found.columns:
        return found.select("member", "month", value=found["value"].cast("float64"))
    return found.select(
        "member", month=month_number(date_of(found["day"])), value=ibis.literal(1, "float64")
    )


def hand_months(bucket: Bucket, candidates: Table, events: Events, unfed: Table | None) -> None:
    """Hand what the file of member months is assembled from: see `MonthFile`.

    `candidates` are those of `coverage.candidate_months`; `unfed` the months that a feed does not
    cover (`feeds.unfed_months`).
    """
    months = panel_months(candidates).rename(is_full_scope="is_full")
    flags = []
    if unfed is not None:
        flags = [name for name in unfed.columns if name not in ("member", "month")]
        months = months.left_join(unfed, ["member", "month"])
        months = months.mutate(**{name: months[name].fill_null(False) for name in flags})
    recipe = bucket.recipe
    recipe.hand("panel_months", months.select("member", "month", "place", *MONTH_COLUMNS, *flags))
    recipe.hand("panel_places", places(bucket))
    recipe.hand("panel_people", _people(bucket))
    recipe.hand("panel_events", events.in_panel)


def panel_months(candidates: Table) -> Table:
    """Months of the panel with the number of their `place` (`coverage.places`)."""
    months = candidates.filter(candidates["reason"].isnull())
    return months.mutate(place=place_of(months)).drop("reason", "span", "settled")


def month_file(
    bucket: Bucket,
    known: Sequence[Measure],
    measures: Sequence[Measure],
    unobserved: Mapping[str, pd.PeriodIndex],
    unfed: Table | None,
) -> MonthFile:
    """How the file is put together. A month without an event has 0; an unknown one has none.

    `known` are the measures that can be known at all, in the order of their places in the events.
    """
    first = number_of(bucket.months[0])
    places = {measure.name: place for place, measure in enumerate(known)}
    flags = () if unfed is None else unfed.columns
    columns = tuple(
        MeasureColumn(
            measure.name,
            is_whole=measure.dtype == "integer",
            number=places.get(measure.name),
            hidden=tuple(number_of(each) - first for each in unobserved.get(measure.name, ())),
            outside=outside(measure.feed) if outside(measure.feed) in flags else "",
        )
        for measure in measures
    )
    custody = outside("custody") if outside("custody") in flags else ""
    gap = bucket.rules.max_gap_months
    return MonthFile(first, len(bucket.months), columns, custody, gap)


def _people(bucket: Bucket) -> Table:
    """Members with what the person table says of them, and the month from which age 0 is counted.

    Completed years on a first of the month: a birthday after the 1st counts from the next month.
    """
    person = bucket.read("person")
    birth = person["birth_date"]
    born = month_number(birth) + ibis.ifelse(birth.day() > 1, 1, 0)
    told = person.select("member", "language", "race_ethnicity", "sex", born=born)
    people = bucket.members.left_join(told, "member").drop("member_right")
    return people.mutate(
        sex=people["sex"].fill_null("unknown"),
        race_ethnicity=people["race_ethnicity"].fill_null("unknown"),
    )
