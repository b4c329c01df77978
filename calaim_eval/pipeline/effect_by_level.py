"""Whether the effect goes with how well counties integrate: effects by level of counties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from calaim_eval.design import Design
from calaim_eval.design.design import KEPT_EXPOSED
from calaim_eval.design.ledger import count_words
from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.integration import effect_by_integration, integration_level, success_units
from calaim_eval.moments import CellMoments, load_moments
from calaim_eval.panel import MEASURES, MemberMonths
from calaim_eval.pipeline.attempts import Attempts
from calaim_eval.pipeline.designs import MAIN_ANCHOR, exposure_design, reduce_by_months
from calaim_eval.results import EffectTable, Result
from calaim_eval.study import Study
from calaim_eval.study.model import EffectByLevel, Exposure
from calaim_eval.tables import Tables

RESULT = "effect_by_integration"
LEVEL, COUNTY = "integration", "county"
EARLIER = "first exposed before the level of the county was taken"
NOT_POOLED = "the level of a county is known for this study's members only"


def effects_by_level(
    study: Study,
    panel: MemberMonths,
    tables: Tables | None = None,
    *,
    pooled_with: Sequence[Path] = (),
) -> tuple[dict[str, Result], dict[str, str]]:
    """Effects in counties that close fewer and more referrals, and the difference.

    The level is what was known on the first day of the declared month, and only members first
    served from that month on count as served: the level is no consequence of the effect.

    Returns
    -------
    results : dict[str, Result]
        ``effect_by_integration`` by `outcome` and `integration`, errors by leaving out counties;
        empty where the study declares no `integration.effect_by_level`.
    left_out : dict[str, str]
        Why it, or an outcome of it, is not there.
    """
    declared, exposure = study.file.integration.effect_by_level, study.file.exposure
    if declared is None or exposure is None:
        return {}, {}
    if pooled_with:
        return {}, {RESULT: NOT_POOLED}
    attempts = Attempts()
    design = attempts.tried(RESULT, partial(_design, study, panel, tables, declared))
    if design is None:
        return {}, attempts.left_out
    for path in reduce_by_months(study, design, RESULT, stratum=LEVEL, cluster=COUNTY):
        moments = load_moments(path)
        for outcome in moments.outcomes:
            attempts.add(RESULT, outcome, partial(_effect, exposure, moments, outcome))
    return attempts.results(), attempts.left_out


def county_levels(study: Study, tables: Tables | None, declared: EffectByLevel) -> pd.Series:
    """Counties as ``"lower"`` or ``"higher"`` by what was known before the declared month.

    Raises
    ------
    EstimationError
        Referrals or organizations are not there, no county has enough referrals that had matured,
        or all are on one side of the cut.
    """
    wanted = ("referral", "organization")
    absent = [name for name in wanted if tables is None or not tables.has(name)]
    if tables is None or absent:
        raise EstimationError(f"the tables {', '.join(absent)} were not provided.")
    units = success_units(
        tables.frame("referral"),
        tables.frame("organization"),
        as_of=pd.Period(declared.before, "M").start_time,
        by=(COUNTY,),
        maturation_days=study.file.integration.maturation_days,
        exempt_services=(),
    )
    return integration_level(units, cut=declared.cut)


def _design(
    study: Study, panel: MemberMonths, tables: Tables | None, declared: EffectByLevel
) -> Design:
    """The main design with each member's level, without those first served earlier."""
    levels = county_levels(study, tables, declared)
    design = exposure_design(study, panel, anchor=MAIN_ANCHOR)
    members = design.members.assign(**{LEVEL: design.members[COUNTY].map(levels)})
    is_earlier = members["cohort"].lt(pd.Period(declared.before, "M").start_time).to_numpy()
    if not (members["cohort"].notna() & ~is_earlier).any():
        raise DesignError(
            f"nobody was first served from {declared.before} on. Take an earlier month."
        )
    n_earlier = int(is_earlier.sum())
    words = (
        f"Level of a county: share of its referrals closed with services received, as known before "
        f"{declared.before}; from {100 * declared.cut:g}% on it is higher. Members first served "
        f"earlier are left out: {count_words(n_earlier)}."
    )
    return replace(
        design,
        members=members[~is_earlier].reset_index(drop=True),
        ledger=_without(design.ledger, n_earlier),
        notes=(*design.notes, words),
    )


def _without(ledger: pd.DataFrame, n_earlier: int) -> pd.DataFrame:
    """The ledger with the members first served earlier set aside."""
    is_exposed = ledger["reason"].eq(KEPT_EXPOSED)
    counts = ledger["n_members"] - np.where(is_exposed, n_earlier, 0)
    row = pd.DataFrame({"reason": [EARLIER], "n_members": [n_earlier], "is_kept": [False]})
    return pd.concat([row, ledger.assign(n_members=counts)], ignore_index=True)


def _effect(exposure: Exposure, moments: CellMoments, outcome: str) -> EffectTable:
    """Both levels and the difference for one outcome, without the influence of each county."""
    table = effect_by_integration(
        moments,
        outcome=outcome,
        comparison=exposure.comparison,
        base_period=exposure.base_period,
        anticipation_months=exposure.anticipation_months,
        max_event_time=exposure.follow_up_months,
        per=MEASURES[outcome].per,
        unit=MEASURES[outcome].unit,
    )
    return replace(table, cluster_influence=None)
