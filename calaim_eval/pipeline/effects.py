"""Panel of a study to its moments, effects by group, and gaps."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from calaim_eval.design import Design, design_county_phase, design_exposure
from calaim_eval.equity import effect_gap
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import aggregate, group_time_att, pre_post
from calaim_eval.moments import CellMoments, load_moments, reduce_panel
from calaim_eval.panel import MEASURES, MemberMonths
from calaim_eval.results import EffectTable, stack
from calaim_eval.study import Study

log = logging.getLogger(__name__)

Anchor = Literal["first_outreach", "first_service"]
STRATUM = "race_ethnicity"
MAIN_ANCHOR: Anchor = "first_service"


def observed_outcomes(study: Study, panel: MemberMonths) -> list[str]:
    """Outcomes of the study that the panel can measure; the others are named in the log."""
    absent = [o for o in study.file.outcomes if o == "jail_days" and "custody" not in panel.feeds]
    for outcome in absent:
        log.warning("%s: left out, no `custody` file was given.", outcome)
    return [o for o in study.file.outcomes if o not in absent]


def exposure_design(study: Study, panel: MemberMonths, *, anchor: Anchor) -> Design:
    """The study's exposed-versus-eligible design for one anchor."""
    exposure = study.file.exposure
    if exposure is None:
        raise DesignError(
            f"{study.path.name} has no [exposure] section, so there is no effect to estimate. Add "
            "the section, or use `calaim-eval run`, which then only describes."
        )
    return design_exposure(
        panel,
        service=exposure.service,
        anchor=anchor,
        eligibility=exposure.eligibility,
        comparison=exposure.comparison,
        lookback_months=exposure.lookback_months,
        follow_up_months=exposure.follow_up_months,
        anticipation_months=exposure.anticipation_months,
        strata=(STRATUM,),
    )


def build_moments(study: Study, panel: MemberMonths) -> dict[str, Path]:
    """Reduce the panel for every design of the study; moments by design name."""
    folder = study.restricted / "moments"
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = observed_outcomes(study, panel)
    paths: dict[str, Path] = {}
    if study.file.exposure is not None:
        for anchor in ("first_outreach", "first_service"):
            design = exposure_design(study, panel, anchor=anchor)
            moments = reduce_panel(design, outcomes=outcomes, stratum=STRATUM)
            paths[anchor] = moments.save(folder / f"{anchor}.moments")
    if study.file.county_phase is not None:
        try:
            design = design_county_phase(
                panel, lookback_months=study.file.county_phase.lookback_months
            )
        except DesignError as error:
            log.warning("County phases are left out: %s", error)
        else:
            moments = reduce_panel(design, outcomes=outcomes)
            paths["county_phase"] = moments.save(folder / "county_phase.moments")
    return paths


def estimate_effects(
    study: Study, paths: dict[str, Path], *, pooled_with: Sequence[Path] = ()
) -> dict[str, EffectTable]:
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
    """
    kept = {MAIN_ANCHOR: paths[MAIN_ANCHOR]} if pooled_with else paths
    moments = {name: load_moments(path) for name, path in kept.items()}
    for path in pooled_with:
        moments[MAIN_ANCHOR] = moments[MAIN_ANCHOR] + load_moments(path)
    results: dict[str, EffectTable] = {}
    if study.file.exposure is not None and MAIN_ANCHOR in moments:
        results |= _exposure_effects(study, moments)
    if "county_phase" in moments:
        results |= _county_phase_effects(moments["county_phase"])
    return results


def _exposure_effects(study: Study, moments: dict[str, CellMoments]) -> dict[str, EffectTable]:
    exposure = study.file.exposure
    assert exposure is not None
    main = moments[MAIN_ANCHOR]
    by_race, overall, event_study, before_after = {}, {}, {}, {}
    for outcome in main.outcomes:
        try:
            by_race[outcome] = _att(study, main, outcome)
        except EstimationError as error:
            log.warning("%s: effects by race are left out: %s", outcome, error)
    for outcome in main.outcomes:
        total = _att(study, main.pooled(), outcome)
        event_study[outcome] = aggregate(
            total,
            by="event_time",
            min_event_time=-exposure.lookback_months,
            max_event_time=exposure.follow_up_months,
        )
        overall[outcome] = _overall(study, total)
        before_after[outcome] = pre_post(
            main,
            outcome=outcome,
            months_before=exposure.lookback_months,
            months_after=exposure.follow_up_months,
            per=MEASURES[outcome].per,
            unit=MEASURES[outcome].unit,
        )
    groups = {o: _overall(study, table) for o, table in by_race.items()}
    gaps = {o: effect_gap(t, reference=study.file.equity.reference) for o, t in groups.items()}
    return {
        "effect_event_study": _stacked(event_study),
        "effect_overall": _by_anchor(study, moments, overall),
        "effect_by_race": _stacked(groups),
        "effect_gap": _stacked(gaps),
        "pre_post": _stacked(before_after),
    }


def _att(study: Study, moments: CellMoments, outcome: str) -> EffectTable:
    exposure = study.file.exposure
    assert exposure is not None
    return group_time_att(
        moments,
        outcome=outcome,
        comparison=exposure.comparison,
        base_period=exposure.base_period,
        anticipation_months=exposure.anticipation_months,
        per=MEASURES[outcome].per,
        unit=MEASURES[outcome].unit,
    )


def _overall(study: Study, att_gt: EffectTable) -> EffectTable:
    """Average over cohorts and months 0 to the end of follow-up."""
    exposure = study.file.exposure
    assert exposure is not None
    return aggregate(att_gt, by="overall", max_event_time=exposure.follow_up_months)


def _by_anchor(
    study: Study, moments: dict[str, CellMoments], main: dict[str, EffectTable]
) -> EffectTable:
    """Overall effects of both anchors, under one another."""
    anchors = {MAIN_ANCHOR: _stacked(main)}
    if "first_outreach" in moments:
        other = moments["first_outreach"].pooled()
        outreach = {o: _overall(study, _att(study, other, o)) for o in other.outcomes}
        anchors["first_outreach"] = _stacked(outreach)
    return stack(list(anchors.values()), key="anchor", labels=list(anchors))


def _county_phase_effects(moments: CellMoments) -> dict[str, EffectTable]:
    tables = {}
    for outcome in moments.outcomes:
        att_gt = group_time_att(
            moments,
            outcome=outcome,
            comparison="never_exposed",
            cluster="county",
            per=MEASURES[outcome].per,
            unit=MEASURES[outcome].unit,
        )
        tables[outcome] = aggregate(att_gt, by="event_time")
    return {"county_phase": _stacked(tables)}


def _stacked(tables: dict[str, EffectTable]) -> EffectTable:
    """One table over outcomes, each row with its unit."""
    return stack(list(tables.values()), key="outcome", labels=list(tables))
