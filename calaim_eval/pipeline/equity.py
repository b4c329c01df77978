"""How unequal use of care was before the program and is now, and where gaps in access arise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import pandas as pd

from calaim_eval.design.checks import service_exposures
from calaim_eval.design.ledger import FEW
from calaim_eval.equity import access_funnel_gap, disparity_measures, rate_by_group
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.panel import MEASURES, MemberMonths
from calaim_eval.pipeline.attempts import Attempts
from calaim_eval.pipeline.designs import STRATUM, observed_outcomes
from calaim_eval.report.figures.panels import HEADLINE_OUTCOMES
from calaim_eval.results import EffectTable, RateTable, Result, Scale, stack
from calaim_eval.study import Study

DISPARITY = "use_disparity"
ACCESS_GAPS: dict[str, Scale] = {"access_gap": "difference", "access_gap_ratio": "ratio"}
BEFORE, LAST = "before_program", "last_year"
YEAR = 12
# Absolute and relative, without a kink: what chance adds can be taken off.
SPREADS = ("between_group_sd", "coefficient_of_variation")
WEIGHTS = ("equal", "population")
STAGES = ("identified", "outreached", "served")
NO_TEST = (
    "Many members are in both years, so the two spreads depend on each other: whether the later "
    "one is lower is not tested."
)
READING = (
    "A spread cannot be negative and is above zero by chance alone, the more the smaller the "
    "groups: it is read beside what equal groups would show."
)
EQUAL_WEIGHTS = (
    "Weighted by members, a small group hardly counts, however far off it is; each group alike, "
    "it counts as much as a large one. Members without a recorded group are a group here."
)

Years = dict[str, tuple[str, str]]


def measure_disparity(
    study: Study, panel: MemberMonths, use: Mapping[str, RateTable]
) -> tuple[dict[str, Result], dict[str, str]]:
    """Spread of use between groups in two years, and gaps in access by stage.

    Parameters
    ----------
    study : Study
    panel : MemberMonths
    use : Mapping[str, RateTable]
        As `measure_use` returns.

    Returns
    -------
    results : dict[str, Result]
        `use_disparity` with keys `outcome`, `period` ("before_program", "last_year"), `measure`,
        `weights` and `version`; `access_gap`, `access_gap_ratio` as `access_funnel_gap`.
    left_out : dict[str, str]
        Result name to the reason why it, or an outcome of it, is not there.
    """
    spread, left_out = _spread_of_use(study, panel)
    gaps, not_split = _access_gaps(study, use)
    return spread | gaps, left_out | not_split


def _spread_of_use(study: Study, panel: MemberMonths) -> tuple[dict[str, Result], dict[str, str]]:
    """Spread between groups of each headline outcome, all members of the panel."""
    if study.file.exposure is None:
        return {}, {DISPARITY: "the study file has no `exposure` section to be before or after"}
    try:
        start = _first_month_served(panel, study.file.exposure.service)
    except DesignError as error:
        return {}, {DISPARITY: str(error)}
    outcomes = [o for o in observed_outcomes(study, panel) if o in HEADLINE_OUTCOMES]
    if not outcomes:
        return {}, {DISPARITY: "no headline outcome is measured"}
    attempts = Attempts()
    for outcome in outcomes:
        attempts.add(DISPARITY, outcome, partial(_spread_in_years, panel, outcome, start))
    return attempts.results(), attempts.left_out


def _first_month_served(panel: MemberMonths, service: str) -> pd.Period:
    """First month in which 11 members or more received the service for the first time.

    The month is published: that of fewer would be a date of theirs, and may be a mistaken claim.
    """
    months = service_exposures(panel, service)["service_month"].dropna()
    counts = months.value_counts()
    enough = counts.index[counts >= FEW]
    if enough.empty:
        raise DesignError(f"in no month did {FEW} members first receive `{service}`")
    return pd.Period(enough.min(), "M")


def _years(panel: MemberMonths, outcome: str, start: pd.Period) -> Years:
    """The last year before the first month served, and the last year of the data.

    Whole years, so that seasons are the same; EstimationError where the panel has no such two.
    """
    seen = panel.observed_months(outcome)
    found = {BEFORE: seen[seen < start][-YEAR:], LAST: seen[seen >= start][-YEAR:]}
    for months in found.values():
        if len(months) < YEAR or (months[-1] - months[0]).n != YEAR - 1:
            raise EstimationError(
                f"the panel does not hold {YEAR} months of the outcome before the first month "
                f"with {FEW} members newly served ({start}) and {YEAR} from then on"
            )
    return {period: (str(months[0]), str(months[-1])) for period, months in found.items()}


def _spread_in_years(panel: MemberMonths, outcome: str, start: pd.Period) -> EffectTable:
    """Spread of an outcome in both years over the groups that are there in both."""
    years = _years(panel, outcome, start)
    rates = {
        period: rate_by_group(
            panel,
            outcome=outcome,
            by=STRATUM,
            months=months,
            numerator_name=f"{outcome}_{period}",
            denominator_name=f"member_months_{period}",
        )
        for period, months in years.items()
    }
    common = set.intersection(*(set(each.keys[STRATUM]) for each in rates.values()))
    tables = [
        _spread(table.select(table.keys[STRATUM].isin(common)), outcome, weights)
        for table in rates.values()
        for weights in WEIGHTS
    ]
    periods = [period for period in rates for _ in WEIGHTS]
    both = stack(tables, key="period", labels=periods)
    names = {name for each in rates.values() for name in each.keys[STRATUM]}
    return replace(both, notes=(*both.notes, *_notes(years, n_left_out=len(names - common))))


def _spread(rates: RateTable, outcome: str, weights: str) -> EffectTable:
    """Measures of spread of one year: plain, less their bias, and if groups were equal."""
    found = disparity_measures(
        rates,
        reference="mean",
        favourable=not MEASURES[outcome].fewer_is_better,
        weights=weights,
        measures=SPREADS,
        stratum=STRATUM,
    ).tables()["differences"]
    # READING says in plain words what this note says of columns the release does not have.
    notes = tuple(note for note in found.notes if "`if_equal` (from" not in note)
    return replace(found, notes=notes)


def _notes(years: Years, *, n_left_out: int) -> tuple[str, ...]:
    """What a reader of the spreads must know."""
    first, last = (f"{a} to {b}" for a, b in years.values())
    notes = [
        f"Before the program: {first}, the last year before the first month in which {FEW} "
        f"members or more began to receive the service; last year: {last}. All members of the "
        "panel, served or not: a change is not an effect.",
        READING,
        EQUAL_WEIGHTS,
        NO_TEST,
    ]
    if n_left_out:
        notes.append("Groups with members in only one of the two years are left out of both.")
    return tuple(notes)


def _access_gaps(
    study: Study, use: Mapping[str, RateTable]
) -> tuple[dict[str, Result], dict[str, str]]:
    """Each group's gap in the share served, split between outreach and what follows it."""
    if "access_funnel" not in use:
        reason = "there is no funnel from identified to served to take it from"
        return {}, dict.fromkeys(ACCESS_GAPS, reason)
    attempts = Attempts()
    gap = partial(
        access_funnel_gap,
        use["access_funnel"],
        reference=study.file.equity.reference,
        by=STRATUM,
        stages=STAGES,
    )
    tried = {
        name: attempts.tried(name, partial(gap, scale=scale)) for name, scale in ACCESS_GAPS.items()
    }
    results: dict[str, Result] = {n: table for n, table in tried.items() if table is not None}
    return results, attempts.left_out
