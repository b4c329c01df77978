"""Moments of a study to its effects, by group, and the gaps between groups."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from calaim_eval.design import policy_notes
from calaim_eval.equity import effect_gap
from calaim_eval.errors import EstimationError
from calaim_eval.estimate import (
    GroupTimeEffects,
    aggregate,
    count_effects,
    group_time_att,
    pre_post,
    relative_effect,
)
from calaim_eval.estimate.cohort_month.time_pairs import BasePeriod, Comparison
from calaim_eval.estimate.influence import MEMBER
from calaim_eval.moments import CellMoments, load_moments
from calaim_eval.panel import MEASURES
from calaim_eval.pipeline.attempts import Attempts
from calaim_eval.pipeline.designs import MAIN_ANCHOR, STRATUM
from calaim_eval.results import ALL, EffectTable, Result, stack
from calaim_eval.study import Study
from calaim_eval.study.model import Exposure

OUTREACH_NOTE = (
    "From first outreach: outreach is often in the month of listing, so the month before it can "
    "lie in the rise in use that led to listing. Read it beside the effect from first service, not "
    "in its place."
)


def estimate_effects(
    study: Study, paths: dict[str, tuple[Path, ...]], *, pooled_with: Sequence[Path] = ()
) -> tuple[dict[str, Result], dict[str, str]]:
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
    results : dict[str, Result]
    left_out : dict[str, str]
        Result name to the reason why it, or an outcome of it, is not there.
    """
    kept: dict[str, tuple[Path, ...]] = {MAIN_ANCHOR: paths[MAIN_ANCHOR]} if pooled_with else paths
    moments, left_out = moments_by_outcome(kept, pooled_with=pooled_with)
    attempts = Attempts()
    for name, reason in left_out.items():
        attempts.leave_out(name, reason)
    for outcome in moments.get(MAIN_ANCHOR, {}):
        for name, recipe in _exposure_recipes(study, moments, outcome).items():
            attempts.add(name, outcome, recipe)
    for outcome, groups in moments.get("county_phase", {}).items():
        attempts.add("county_phase", outcome, partial(_county_phase, groups.everybody, outcome))
    return attempts.results(), attempts.left_out


def moments_by_outcome(
    paths: Mapping[str, Sequence[Path]], *, pooled_with: Sequence[Path] = ()
) -> tuple[dict[str, Moments], dict[str, str]]:
    """Saved moments by design and outcome, those of other plans added to the main design.

    Returns
    -------
    moments : dict[str, dict[str, Groups]]
    left_out : dict[str, str]
        Why outcomes that other plans did not share are not there.
    """
    loaded = {name: [load_moments(path) for path in files] for name, files in paths.items()}
    others = [load_moments(path) for path in pooled_with]
    for theirs in others:
        loaded[MAIN_ANCHOR] = _added(loaded[MAIN_ANCHOR], theirs)
    moments = {name: _by_outcome(files) for name, files in loaded.items()}
    return moments, _only_pooled(moments, others)


def require_other_plans(own: Sequence[Path], others: Sequence[Path]) -> None:
    """Refuse moments that would count members twice: the study's own, or one plan's named twice.

    Files are told by their content; a plan's whole moments and those it shares are two files.

    Raises
    ------
    EstimationError
    """
    seen = {file.read_bytes(): "this study's own moments" for file in own}
    for file in others:
        content = file.read_bytes()
        if content in seen:
            raise EstimationError(
                f"`{file.name}` holds {seen[content]}: the same members would count twice.\n"
                "  Name the moments of each other plan once; this study's own are added by "
                "themselves."
            )
        seen[content] = f"the same as `{file.name}`"


@dataclass(frozen=True, slots=True)
class Groups:
    """Moments of an outcome: by race and ethnicity, and of everybody."""

    by_race: CellMoments
    everybody: CellMoments


def _added(ours: list[CellMoments], theirs: CellMoments) -> list[CellMoments]:
    """Our moments plus another plan's, for the outcomes both have."""
    same = [cells for cells in ours if cells.outcomes == theirs.outcomes]
    if not same:
        raise EstimationError(
            f"The moments to pool hold {', '.join(theirs.outcomes)}; ours hold "
            f"{' and '.join(', '.join(cells.outcomes) for cells in ours)}. Reduce both with the "
            "same `outcomes` in the study file."
        )
    return [cells + theirs if cells is same[0] else cells for cells in ours]


def _only_pooled(moments: dict[str, Moments], others: Sequence[CellMoments]) -> dict[str, str]:
    """Take out outcomes the other plans did not share; the reason."""
    main = moments.get(MAIN_ANCHOR, {})
    alone = [o for o in main if not all(o in theirs.outcomes for theirs in others)]
    for outcome in alone:
        del main[outcome]
    return {"pooled": f"not in the moments of every plan: {', '.join(alone)}"} if alone else {}


def _by_outcome(loaded: list[CellMoments]) -> dict[str, Groups]:
    """The moments that hold each outcome, pooled once a file."""
    groups = [Groups(cells, cells.pooled() if cells.stratum else cells) for cells in loaded]
    return {outcome: group for group in groups for outcome in group.by_race.outcomes}


Moments = dict[str, Groups]
Recipe = Callable[[], EffectTable]


def _exposure_recipes(study: Study, moments: dict[str, Moments], outcome: str) -> dict[str, Recipe]:
    """What each result of the exposure design is made of, for one outcome."""
    exposure = study.file.exposure
    if exposure is None:
        return {}
    main = moments[MAIN_ANCHOR][outcome]
    everybody = cache(lambda: exposure_att(exposure, main.everybody, outcome))
    each_race = cache(lambda: exposure_att(exposure, main.by_race, outcome))
    by_race = cache(lambda: overall_effect(exposure, each_race()))
    return {
        "effect_event_study": lambda: event_study(exposure, everybody()),
        "effect_overall": lambda: _by_anchor(exposure, moments, everybody(), outcome),
        "effect_by_race": by_race,
        "effect_gap": lambda: effect_gap(by_race(), reference=study.file.equity.reference),
        "effect_ratio": lambda: _ratio(exposure, everybody(), each_race()),
        "pre_post": lambda: _before_after(exposure, main, outcome),
    }


def exposure_att(
    exposure: Exposure,
    moments: CellMoments,
    outcome: str,
    *,
    comparison: Comparison | None = None,
    base_period: BasePeriod | None = None,
    cluster: str = MEMBER,
) -> GroupTimeEffects:
    """Effects by cohort and month as the study file says, but for what is given."""
    return group_time_att(
        moments,
        outcome=outcome,
        comparison=comparison or exposure.comparison,
        base_period=base_period or exposure.base_period,
        anticipation_months=exposure.anticipation_months,
        cluster=cluster,
        per=MEASURES[outcome].per,
        unit=MEASURES[outcome].unit,
    )


def overall_effect(exposure: Exposure, att_gt: GroupTimeEffects) -> EffectTable:
    """Average over cohorts and months 0 to the end of follow-up."""
    table = aggregate(att_gt, by="overall", max_event_time=exposure.follow_up_months)
    return _with_calendar(table, att_gt)


def event_study(exposure: Exposure, att_gt: GroupTimeEffects) -> EffectTable:
    """Averages over cohorts by month from the start of look-back to the end of follow-up."""
    table = aggregate(
        att_gt,
        by="event_time",
        min_event_time=-exposure.lookback_months,
        max_event_time=exposure.follow_up_months,
    )
    return _with_calendar(table, att_gt)


def _with_calendar(table: EffectTable, att_gt: GroupTimeEffects) -> EffectTable:
    """The effects with a note for every policy break that meets a month of the estimate."""
    notes = policy_notes(att_gt.outcome, att_gt.moments.months)
    return replace(table, notes=(*table.notes, *notes))


def _by_anchor(
    exposure: Exposure,
    moments: dict[str, Moments],
    served: GroupTimeEffects,
    outcome: str,
) -> EffectTable:
    """Overall effect with each anchor, under one another."""
    tables = {MAIN_ANCHOR: overall_effect(exposure, served)}
    if "first_outreach" in moments:
        outreach = exposure_att(exposure, moments["first_outreach"][outcome].everybody, outcome)
        overall = overall_effect(exposure, outreach)
        tables["first_outreach"] = replace(overall, notes=(*overall.notes, OUTREACH_NOTE))
    return stack(list(tables.values()), key="anchor", labels=list(tables))


def _ratio(
    exposure: Exposure, everybody: GroupTimeEffects, by_race: GroupTimeEffects
) -> EffectTable:
    """Rate ratio over the months of follow-up, everybody and by group."""
    tables = [rate_ratio(exposure, att_gt) for att_gt in (everybody, by_race)]
    whole = replace(tables[0], keys=tables[0].keys.assign(**{STRATUM: ALL}))
    return _with_calendar(stack([whole, tables[1]]), everybody)


def rate_ratio(exposure: Exposure, att_gt: GroupTimeEffects) -> EffectTable:
    """Rate with the service to the rate without, by the assumption the study file names."""
    if exposure.rate_ratio == "same_number":
        return relative_effect(att_gt, max_event_time=exposure.follow_up_months)
    return count_effects(
        att_gt.moments,
        outcome=att_gt.outcome,
        comparison=exposure.comparison,
        anticipation_months=exposure.anticipation_months,
        max_event_time=exposure.follow_up_months,
    )


def _before_after(exposure: Exposure, groups: Groups, outcome: str) -> EffectTable:
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
        for cells in (groups.everybody, groups.by_race)
    ]
    everybody = replace(tables[0], keys=tables[0].keys.assign(**{STRATUM: ALL}))
    return stack([everybody, tables[1]])


def county_phase_att(moments: CellMoments, outcome: str) -> GroupTimeEffects:
    """Effects of the first phase by month, clustered by county."""
    return group_time_att(
        moments,
        outcome=outcome,
        comparison="never_exposed",
        cluster="county",
        per=MEASURES[outcome].per,
        unit=MEASURES[outcome].unit,
    )


def _county_phase(moments: CellMoments, outcome: str) -> EffectTable:
    """The county-phase effect month by month and overall."""
    att_gt = county_phase_att(moments, outcome)
    months = aggregate(att_gt, by="event_time")
    overall = aggregate(att_gt, by="overall")
    tables = [
        replace(months, keys=months.keys.assign(event_time=months.keys["event_time"].astype(str))),
        replace(overall, keys=overall.keys.assign(event_time="overall")),
    ]
    return _with_calendar(stack(tables), att_gt)
