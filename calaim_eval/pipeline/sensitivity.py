"""What the effects of a study are put to: other trends, false dates, outcomes out of reach."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from calaim_eval.design import Design, policy_notes
from calaim_eval.engine import track
from calaim_eval.errors import EstimationError
from calaim_eval.estimate import (
    aggregate,
    breakdown_value,
    event_periods,
    honest_did,
    negative_control,
    placebo_dates,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.panel import MEASURES, MemberMonths
from calaim_eval.pipeline.attempts import Attempts
from calaim_eval.pipeline.designs import MAIN_ANCHOR, STRATUM, exposure_design
from calaim_eval.pipeline.effects import Groups, exposure_att, moments_by_outcome
from calaim_eval.results import (
    ALL,
    SUPPORT_COLUMNS,
    BoundsTable,
    EffectTable,
    Result,
    stack,
    stack_bounds,
)
from calaim_eval.study import Study
from calaim_eval.study.model import Exposure, Sensitivity

log = logging.getLogger(__name__)

SAME_EFFECTS = ("effect_event_study", "effect_overall", "effect_by_race")
"""Results of the main design: the middle of a set is an average of their months."""
NO_BOUNDS = (
    "A group without an interval: some month has too few events for a joint error of all months."
)
NOT_POOLED = "negative controls are not among the moments that plans share"
NO_DATES = "`sensitivity.placebo_months` names no date before the months of anticipation"
SWITCHED_OFF = "`sensitivity.{key}` of the study file is empty"


class Recipe(Protocol):
    """Makes one result for one outcome."""

    def __call__(self, groups: Groups, outcome: str, /) -> BoundsTable | EffectTable:
        """The result."""
        ...


def sensitivity_of_effects(
    study: Study,
    paths: Mapping[str, Sequence[Path]],
    panel: MemberMonths,
    *,
    pooled_with: Sequence[Path] = (),
) -> tuple[dict[str, Result], dict[str, str]]:
    """Bounds, false dates and negative controls of the main design, as the study file asks.

    Parameters
    ----------
    study : Study
    paths : mapping
        Moments by design, as `build_moments` returns.
    panel : MemberMonths
        Negative controls are reduced from it.
    pooled_with : sequence of paths
        Moments of other plans, as in `estimate_effects`.

    Returns
    -------
    results : dict[str, Result]
        `effect_bounds`, `placebo_dates` and `negative_control`, for everybody and by group.
    left_out : dict[str, str]
        Result name to the reason why it, or an outcome of it, is not there. A design that cannot
        be tested is no failure.
    """
    exposure = study.file.exposure
    if exposure is None:
        return {}, {}
    asked = study.file.sensitivity
    moments, _ = moments_by_outcome({MAIN_ANCHOR: paths[MAIN_ANCHOR]}, pooled_with=pooled_with)
    recipes: dict[str, Recipe] = {}
    attempts = Attempts()
    if asked.trends_differ:
        recipes["effect_bounds"] = partial(_bounds, exposure, asked)
    else:
        attempts.leave_out("effect_bounds", SWITCHED_OFF.format(key="trends_differ"))
    if dates := [each for each in asked.placebo_months if each > exposure.anticipation_months]:
        recipes["placebo_dates"] = partial(_placebo, exposure, dates)
    else:
        attempts.leave_out("placebo_dates", NO_DATES)
    for outcome, groups in track(moments[MAIN_ANCHOR].items(), description="trends, false dates"):
        for name, recipe in recipes.items():
            attempts.add(name, outcome, partial(recipe, groups, outcome))
    if asked.negative_control and pooled_with:
        attempts.leave_out("negative_control", NOT_POOLED)
    elif asked.negative_control:
        _add_controls(attempts, study, exposure, panel)
    return attempts.results(), attempts.left_out


def _bounds(exposure: Exposure, asked: Sensitivity, groups: Groups, outcome: str) -> BoundsTable:
    """Bounds on the effect of the first months, of everybody and of each group."""
    whole = _bounds_of(_event_study(exposure, asked, groups.everybody, outcome), asked)
    whole = replace(whole, keys=whole.keys.assign(**{STRATUM: ALL}))
    studies = _event_study(exposure, asked, groups.by_race, outcome)
    tables, is_lost = [whole], False
    served = studies.keys.loc[studies.keys["event_time"] >= 0, STRATUM]
    for group in served.drop_duplicates():
        mine = studies.select((studies.keys[STRATUM] == group).to_numpy())
        try:
            tables.append(_bounds_of(mine, asked))
        except EstimationError as error:
            log.info("effect_bounds, %s, one group without bounds: %s", outcome, error)
            tables.append(_no_bounds(whole, mine))
            is_lost = True
    table = stack_bounds(tables)
    first = [STRATUM, *(c for c in table.keys.columns if c not in (STRATUM, "unit"))]
    notes = (*policy_notes(outcome, groups.everybody.months), *((NO_BOUNDS,) if is_lost else ()))
    return replace(
        table, keys=table.keys[first], notes=(*table.notes, *notes), rests_on=SAME_EFFECTS
    )


def _event_study(
    exposure: Exposure, asked: Sensitivity, moments: CellMoments, outcome: str
) -> EffectTable:
    """Effects month by month against one base month, of whole periods from exposure on.

    The same cohorts in every month from exposure on; before it, those that the window holds.
    """
    followed = min(asked.first_months, exposure.follow_up_months + 1)
    whole = followed - followed % asked.months_per_period
    last = (whole or followed) - 1
    return aggregate(
        exposure_att(exposure, moments, outcome, base_period="universal"),
        by="event_time",
        min_event_time=-asked.months_before,
        max_event_time=last,
        balance_event_time=last,
    )


def _bounds_of(study: EffectTable, asked: Sensitivity) -> BoundsTable:
    """Bounds of one group, and the bound from which on its interval holds 0."""
    periods = event_periods(study, months=asked.months_per_period)
    made = honest_did(periods, bounds=(0.0, *asked.trends_differ), effect="average")
    value = breakdown_value(periods, effect="average")["breakdown"].item()
    return replace(made, breakdown=np.full(len(made), value, dtype=float))


def _no_bounds(whole: BoundsTable, study: EffectTable) -> BoundsTable:
    """Rows of a group without bounds: disclosure control decides whether that may be seen."""
    empty = {name: np.full(len(whole), np.nan) for name in whole.arrays}
    smallest = study.support[list(SUPPORT_COLUMNS)].min().to_frame().T
    support = pd.concat([smallest] * len(whole), ignore_index=True)
    group = study.keys[STRATUM].iloc[0]
    keys = whole.keys.assign(**{STRATUM: group})
    return replace(whole, keys=keys, support=support, **empty)  # type: ignore[arg-type]


def _placebo(exposure: Exposure, dates: Sequence[int], groups: Groups, outcome: str) -> EffectTable:
    """Effects at false dates, of everybody and of each group."""
    tables = [
        placebo_dates(
            cells,
            outcome=outcome,
            months_earlier=dates,
            comparison=exposure.comparison,
            anticipation_months=exposure.anticipation_months,
            per=MEASURES[outcome].per,
            unit=MEASURES[outcome].unit,
        )
        for cells in (groups.everybody, groups.by_race)
    ]
    return _with_everybody(tables)


def _with_everybody(tables: Sequence[EffectTable]) -> EffectTable:
    """Rows of everybody, then those of each group."""
    everybody = replace(tables[0], keys=tables[0].keys.assign(**{STRATUM: ALL}))
    return stack([everybody, *tables[1:]])


def _add_controls(
    attempts: Attempts, study: Study, exposure: Exposure, panel: MemberMonths
) -> None:
    """Effects on the outcomes declared to be out of reach."""
    design = exposure_design(study, panel, anchor=MAIN_ANCHOR)
    declared = study.file.sensitivity.negative_control
    for outcome, reason in track(declared.items(), description="negative controls"):
        work = partial(_control, study, exposure, design, outcome, reason)
        attempts.add("negative_control", outcome, work)


def _control(
    study: Study, exposure: Exposure, design: Design, outcome: str, reason: str
) -> EffectTable:
    """Effect on one outcome out of reach, of everybody and of each group."""
    months = design.months.intersection(design.panel.observed_months(outcome))
    if months.empty:
        raise EstimationError(f"`{outcome}`: the files it needs were not given.")
    cells = reduce_panel(
        replace(design, months=months),
        outcomes=[outcome],
        stratum=STRATUM,
        unbalanced=study.file.coverage.unbalanced,
    )
    tables = [
        negative_control(
            each,
            outcomes={outcome: reason},
            comparison=exposure.comparison,
            anticipation_months=exposure.anticipation_months,
            max_event_time=exposure.follow_up_months,
            per=MEASURES[outcome].per,
        )
        for each in (cells.pooled(), cells)
    ]
    table = _with_everybody(tables)
    keys = table.keys.assign(unit=MEASURES[outcome].unit)
    # Which intervals exclude 0 is read from what is released: a note would tell of hidden rows.
    notes = tuple(note for note in table.notes if not note.startswith("Warning: "))
    return replace(table, keys=keys, notes=notes)
