"""The recipe of a member bucket: from its input parts to its output parts and its counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.engine import Recipe
from calaim_eval.panel.bucket import Bucket
from calaim_eval.panel.care import Care
from calaim_eval.panel.care_files import CountedCare, counted_stage
from calaim_eval.panel.claim_stage import ClaimStage, claim_stage
from calaim_eval.panel.coverage import (
    candidate_months,
    enrollment_spans,
    span_outcomes,
    with_place,
)
from calaim_eval.panel.exposure import member_exposure
from calaim_eval.panel.fates import (
    claim_account,
    claim_outcomes,
    paid_in_panel,
    person_outcomes,
)
from calaim_eval.panel.feeds import limited_feeds, unfed_months, with_feed_landing
from calaim_eval.panel.landing import Landing, landing, outcomes
from calaim_eval.panel.member_months import PANEL_TABLES
from calaim_eval.panel.monthly import find_events, hand_months, month_file
from calaim_eval.panel.populations import member_populations
from calaim_eval.panel.tally import Tally
from calaim_eval.tables.ledger import USED

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.measure import Measure
    from calaim_eval.panel.rules import PanelRules

MONTHS, EXPOSURE, POPULATION = PANEL_TABLES


@dataclass(frozen=True)
class BucketRecipe:
    """What to run on each bucket, and how to read what it counted.

    Attributes
    ----------
    recipe : Recipe
        Reads `bucket.source_name` of every input table; writes the tables of a panel.
    tally : Tally
    """

    recipe: Recipe
    tally: Tally


def bucket_recipe(
    names: Sequence[str],
    *,
    months: pd.PeriodIndex,
    rules: PanelRules,
    measures: Sequence[Measure],
    unobserved: Mapping[str, pd.PeriodIndex],
    counted: CountedCare | None = None,
) -> BucketRecipe:
    """Write down the steps for a bucket; the same question gets the same recipe.

    A table that was not given costs nothing: only the feeds that are there are worked on. With
    `counted` the recipe begins from the files of `count_care`, which it reads besides, and does not
    write `member_exposure`: that is one of them.
    """
    window = (months[0], months[-1])
    hidden = tuple((name, tuple(where)) for name, where in unobserved.items())
    return _bucket_recipe(tuple(names), window, rules, tuple(measures), hidden, counted)


@lru_cache(maxsize=8)
def _bucket_recipe(
    names: tuple[str, ...],
    window: tuple[pd.Period, pd.Period],
    rules: PanelRules,
    measures: tuple[Measure, ...],
    hidden: tuple[tuple[str, tuple[pd.Period, ...]], ...],
    counted: CountedCare | None,
) -> BucketRecipe:
    """The steps, from arguments that can be compared."""
    months = pd.period_range(*window, freq="M")
    unobserved = {name: pd.PeriodIndex(where, freq="M") for name, where in hidden}
    recipe = Recipe()
    bucket = Bucket(recipe, frozenset(names), months, rules)
    tally = Tally(bucket)
    candidates, land = _coverage(bucket, tally)
    known = [each for each in measures if len(unobserved.get(each.name, ())) < len(months)]
    stage = counted_stage(bucket, counted) if counted else claim_stage(bucket, known)
    care = _care(stage, bucket, land, tally)
    _note_outside(care, known, tally)
    feeds = limited_feeds(bucket, known)
    unfed = unfed_months(bucket, with_place(bucket, _inside(candidates)), feeds) if feeds else None
    events = find_events(care, known, land, stage)
    if unfed is not None:
        events = replace(events, sparse=with_feed_landing(events.sparse, unfed, known, feeds))
    events = replace(events, sparse=bucket.keep("events", events.sparse))
    tally.add_events(outcomes(events.sparse, land, by=["measure"], sums=["value"]), known)
    if not counted:
        exposure = member_exposure(bucket, care.contacts)
        recipe.write(EXPOSURE, exposure, order_by=("member_id", "service"))
    recipe.write(POPULATION, member_populations(care), order_by=("member_id", "population"))
    if not counted:
        recipe.drop("claim_lines")
    hand_months(bucket, candidates, events, unfed)
    recipe.assemble(MONTHS, month_file(bucket, known, measures, unobserved, unfed))
    tally.add_feeds(land, unfed)
    tally.add_members(land)
    return BucketRecipe(recipe, tally)


def _inside(candidates: Table) -> Table:
    """Months of the panel."""
    return candidates.filter(candidates["reason"].isnull())


def _coverage(bucket: Bucket, tally: Tally) -> tuple[Table, Landing]:
    """Covered months of the bucket, and where rows can land."""
    spans = bucket.keep("spans", enrollment_spans(bucket))
    candidates = candidate_months(bucket, spans)
    tally.add("eligibility", span_outcomes(bucket, spans, candidates))
    if bucket.has("person"):
        tally.add("person", person_outcomes(bucket, candidates))
    reason = candidates.select(reason=candidates["reason"].fill_null(USED))
    tally.add("member_month", reason.group_by("reason").agg(n_rows=reason.count()))
    tally.note_spans(spans)
    return candidates, landing(bucket, candidates)


def _care(stage: ClaimStage, bucket: Bucket, land: Landing, tally: Tally) -> Care:
    """Lines, contacts and dollars; every claim line goes to the ledger on the way."""
    tally.add_lines("unclassified", stage.unclassified)
    paid = {}
    for name, sums in stage.sums.items():
        tally.note_actions(name, stage.acting_alone[name])
        account = claim_account(bucket, name, sums, land)
        tally.add_claims(name, claim_outcomes(bucket, name, account, land))
        if name == "medical_claim" or bucket.rules.paid_claims != "medical":
            paid[name] = paid_in_panel(account)
    return Care(bucket, stage.lines, stage.contacts, stage.fills, paid, land.months, stage.pieces)


def _note_outside(care: Care, measures: Sequence[Measure], tally: Tally) -> None:
    """Count what falls outside the window, for measures that count inside it only."""
    for measure in measures:
        if measure.in_all is not None:
            inside = measure.events(care)
            total = inside.agg(total=inside["value"].sum())
            tally.add_outside(measure.name, measure.in_all(care), total)
