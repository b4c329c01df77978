"""Moments of a study to its effects, by group, and the gaps between groups."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from calaim_eval.design import policy_notes
from calaim_eval.equity import effect_gap
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import GroupTimeEffects, aggregate, group_time_att, pre_post
from calaim_eval.moments import CellMoments, load_moments
from calaim_eval.panel import MEASURES
from calaim_eval.pipeline.designs import MAIN_ANCHOR, STRATUM
from calaim_eval.results import ALL, EffectTable, stack
from calaim_eval.study import Study
from calaim_eval.study.model import Exposure

log = logging.getLogger(__name__)


def estimate_effects(
    study: Study, paths: dict[str, tuple[Path, ...]], *, pooled_with: Sequence[Path] = ()
) -> tuple[dict[str, EffectTable], dict[str, str]]:
    """Effects of every design from saved moments.

    Parameters
    ----------
    study : Study
    paths : dict
        As `build_moments` returns.
    pooled_with : sequence of paths
        Moments of other plans, added to this study's main design. The estimate is what pooling
        the members would have given; their members must be different people. Only the main
        design is then estimated: the others were not shared.

    Returns
    -------
    results : dict[str, EffectTable]
    left_out : dict[str, str]
        Result name to the reason why it, or an outcome of it, is not there.
    """
    kept = {MAIN_ANCHOR: paths[MAIN_ANCHOR]} if pooled_with else paths
    moments = {name: _by_outcome(files) for name, files in kept.items()}
    for path in pooled_with:
        theirs = load_moments(path)
        for outcome in theirs.outcomes:
            moments[MAIN_ANCHOR][outcome] = moments[MAIN_ANCHOR][outcome] + theirs
    results: dict[str, EffectTable] = {}
    left_out: dict[str, str] = {}
    if study.file.exposure is not None and MAIN_ANCHOR in moments:
        recipes = _exposure_recipes(study, study.file.exposure, moments)
        for name, estimate in recipes.items():
            _add(results, left_out, name, list(moments[MAIN_ANCHOR]), estimate)
    if "county_phase" in moments:
        county = moments["county_phase"]
        _add(results, left_out, "county_phase", list(county), lambda o: _county_phase(county[o], o))
    return results, left_out


def _by_outcome(files: Sequence[Path]) -> dict[str, CellMoments]:
    """The moments that hold each outcome."""
    loaded = [load_moments(path) for path in files]
    return {outcome: moments for moments in loaded for outcome in moments.outcomes}


Moments = dict[str, CellMoments]
Estimate = Callable[[str], EffectTable]


def _exposure_recipes(
    study: Study, exposure: Exposure, moments: dict[str, Moments]
) -> dict[str, Estimate]:
    """What each result of the exposure design is made of, for one outcome."""
    main = moments[MAIN_ANCHOR]
    reference = study.file.equity.reference
    return {
        "effect_event_study": lambda o: _event_study(exposure, main[o].pooled(), o),
        "effect_overall": lambda o: _by_anchor(exposure, moments, o),
        "effect_by_race": lambda o: _overall(exposure, main[o], o),
        "effect_gap": lambda o: effect_gap(_overall(exposure, main[o], o), reference=reference),
        "pre_post": lambda o: _before_after(exposure, main[o], o),
    }


def _add(
    results: dict[str, EffectTable],
    left_out: dict[str, str],
    name: str,
    outcomes: Sequence[str],
    estimate: Estimate,
) -> None:
    """One result over the outcomes that can be estimated, and why the others cannot."""
    made: dict[str, EffectTable] = {}
    reasons: dict[str, str] = {}
    for outcome in outcomes:
        try:
            made[outcome] = estimate(outcome)
        except (DesignError, EstimationError) as error:
            reasons[outcome] = str(error)
            log.warning("%s, %s: left out. %s", name, outcome, error)
    if made:
        results[name] = stack(list(made.values()), key="outcome", labels=list(made))
    if reasons:
        left_out[name] = " ".join(dict.fromkeys(reasons.values()))


def _att(exposure: Exposure, moments: CellMoments, outcome: str) -> GroupTimeEffects:
    return group_time_att(
        moments,
        outcome=outcome,
        comparison=exposure.comparison,
        base_period=exposure.base_period,
        anticipation_months=exposure.anticipation_months,
        per=MEASURES[outcome].per,
        unit=MEASURES[outcome].unit,
    )


def _overall(exposure: Exposure, moments: CellMoments, outcome: str) -> EffectTable:
    """Average over cohorts and months 0 to the end of follow-up."""
    att_gt = _att(exposure, moments, outcome)
    table = aggregate(att_gt, by="overall", max_event_time=exposure.follow_up_months)
    return _with_calendar(table, moments, outcome)


def _event_study(exposure: Exposure, moments: CellMoments, outcome: str) -> EffectTable:
    table = aggregate(
        _att(exposure, moments, outcome),
        by="event_time",
        min_event_time=-exposure.lookback_months,
        max_event_time=exposure.follow_up_months,
    )
    return _with_calendar(table, moments, outcome)


def _with_calendar(table: EffectTable, moments: CellMoments, outcome: str) -> EffectTable:
    """The effects with a note for every policy break that meets a month of first exposure."""
    cohorts = moments.cells["cohort"].dropna().dt.to_period("M").unique()
    notes = policy_notes(outcome, sorted(map(str, cohorts)))
    return replace(table, notes=(*table.notes, *notes))


def _by_anchor(exposure: Exposure, moments: dict[str, Moments], outcome: str) -> EffectTable:
    """Overall effect with each anchor, under one another."""
    anchors = [a for a in (MAIN_ANCHOR, "first_outreach") if a in moments]
    tables = [_overall(exposure, moments[a][outcome].pooled(), outcome) for a in anchors]
    return stack(tables, key="anchor", labels=anchors)


def _before_after(exposure: Exposure, moments: CellMoments, outcome: str) -> EffectTable:
    """Change from before to after, everybody and by group; not causal."""
    tables = [
        pre_post(
            cells,
            outcome=outcome,
            months_before=exposure.lookback_months,
            months_after=exposure.follow_up_months,
            comparison=exposure.comparison,
            per=MEASURES[outcome].per,
            unit=MEASURES[outcome].unit,
        )
        for cells in (moments.pooled(), moments)
    ]
    everybody = replace(tables[0], keys=tables[0].keys.assign(**{STRATUM: ALL}))
    return stack([everybody, tables[1]])


def _county_phase(moments: CellMoments, outcome: str) -> EffectTable:
    att_gt = group_time_att(
        moments,
        outcome=outcome,
        comparison="never_exposed",
        cluster="county",
        per=MEASURES[outcome].per,
        unit=MEASURES[outcome].unit,
    )
    return aggregate(att_gt, by="event_time")
