"""The matched comparison of a study: its design, how alike the sides are, its effects."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.design import Design, balance, design_matched
from calaim_eval.design.design import PANEL_MEMBER
from calaim_eval.design.events_before import events_before
from calaim_eval.disclosure import load_policy
from calaim_eval.equity import effect_gap
from calaim_eval.errors import DesignError
from calaim_eval.moments import CellMoments, load_moments
from calaim_eval.panel import MEASURES, MemberMonths
from calaim_eval.pipeline.attempts import Attempts
from calaim_eval.pipeline.designs import (
    MAIN_ANCHOR,
    STRATUM,
    observed_outcomes,
    reduce_by_months,
)
from calaim_eval.pipeline.effects import Recipe, event_study, exposure_att, overall_effect
from calaim_eval.results import EffectTable, Estimand, Method, Result
from calaim_eval.study import Study

if TYPE_CHECKING:
    from calaim_eval.study.model import Exposure, Matched

log = logging.getLogger(__name__)

DESIGN = "matched"
RESULTS = ("matched_balance", "matched_overall", "matched_event_study", "matched_by_race")
NOT_POOLED = "matched members are not among the moments that plans share"
BEFORE, AFTER = "difference_before", "difference_after"
SIDES = {"mean_exposed": "mean_exposed", "mean_comparison": "mean_comparison_in_cells"}
OTHER_LEVELS = (
    "Groups of fewer members than may be shown are hidden, and where that is a single group a "
    "second one, so that it does not follow from the others. So are measures of fewer events."
)
LIMIT_NOTE = (
    "Standardized difference: exposed minus comparison in standard deviations of the exposed; "
    "beyond 0.1 is usually read as imbalance. Before: everybody eligible, covered and not yet "
    "exposed in the month; known for what was matched on."
)
UNBALANCED_NOTE = (
    "Means are of the sets followed in each month, whatever `coverage.unbalanced` says: keeping "
    "only members covered throughout would choose sets by what happened later."
)


def match_members(
    study: Study, panel: MemberMonths, *, pooled_with: Sequence[Path] = ()
) -> tuple[dict[str, Result], dict[str, str]]:
    """The effects of the study's service judged by matched members, and how alike they were.

    Parameters
    ----------
    study : Study
        With a section `matched`; without one nothing is made.
    panel : MemberMonths
    pooled_with : sequence of paths
        Moments of other plans, as in `estimate_effects`: with any, nothing is made, for the
        effects beside it are then of the members of all plans.

    Returns
    -------
    results : dict[str, Result]
        `matched_balance` (standardized differences before and after, means of both sides),
        `matched_overall`, `matched_event_study`, and where matches are of the same race and
        ethnicity `matched_by_race` and `matched_gap`.
    left_out : dict[str, str]
        Result name to the reason why it, or an outcome of it, is not there.
    """
    options, exposure = study.file.matched, study.file.exposure
    if options is None or exposure is None:
        return {}, {}
    if pooled_with:
        return {}, dict.fromkeys(RESULTS, NOT_POOLED)
    try:
        design = matched_design(study, panel)
    except DesignError as error:
        log.warning("%s: left out. %s", DESIGN, error)
        return {}, dict.fromkeys(RESULTS, str(error))
    attempts = Attempts()
    by_race = STRATUM in options.exact
    for path in reduce_by_months(
        study, design, DESIGN, stratum=STRATUM if by_race else None, unbalanced="cell_means"
    ):
        moments = load_moments(path)
        for outcome in moments.outcomes:
            for name, recipe in _recipes(study, exposure, moments, outcome).items():
                attempts.add(name, outcome, recipe)
    results = attempts.results()
    results["matched_balance"] = balance_table(
        design,
        outcomes=observed_outcomes(study, panel),
        options=options,
        min_count=load_policy(study.disclosure_policy).support_needed,
    )
    return results, attempts.left_out


def matched_design(study: Study, panel: MemberMonths) -> Design:
    """Each member served, matched as the study file says.

    Raises
    ------
    DesignError
        The study file has no such section, or nobody can be matched.
    """
    options, exposure = study.file.matched, study.file.exposure
    if options is None or exposure is None:
        raise DesignError(f"{study.path.name} has no [matched] section, or no [exposure].")
    return design_matched(
        panel,
        rng=np.random.default_rng(options.seed),
        service=exposure.service,
        anchor=MAIN_ANCHOR,
        eligibility=exposure.eligibility,
        match_on=options.match_on,
        use_in=options.use_in,
        exact=options.exact,
        same_eligibility=options.same_eligibility,
        distance=options.distance,
        caliper=options.caliper,
        ratio=options.ratio,
        replacement=options.replacement,
        censor=options.censor,
        lookback_months=options.lookback_months or exposure.lookback_months,
        follow_up_months=exposure.follow_up_months,
        anticipation_months=exposure.anticipation_months,
    )


def _recipes(
    study: Study, exposure: Exposure, moments: CellMoments, outcome: str
) -> dict[str, Recipe]:
    """What each result is made of, for one outcome."""
    whole = moments.pooled() if moments.stratum else moments
    att_of = partial(
        exposure_att,
        exposure,
        outcome=outcome,
        comparison="not_yet_exposed",
        cluster="matched_group",
    )
    everybody = cache(lambda: att_of(whole))
    recipes: dict[str, Recipe] = {
        "matched_overall": lambda: _of_sets(overall_effect(exposure, everybody())),
        "matched_event_study": lambda: _of_sets(event_study(exposure, everybody())),
    }
    if moments.stratum:
        by_race = cache(lambda: _of_sets(overall_effect(exposure, att_of(moments))))
        reference = study.file.equity.reference
        recipes["matched_by_race"] = by_race
        recipes["matched_gap"] = lambda: effect_gap(by_race(), reference=reference)
    return recipes


def _of_sets(table: EffectTable) -> EffectTable:
    """The effects without the influence of single sets, with what a reader must know."""
    return replace(table, cluster_influence=None, notes=(*table.notes, UNBALANCED_NOTE))


def balance_table(
    design: Design, *, outcomes: Sequence[str], options: Matched, min_count: int
) -> EffectTable:
    """How alike exposed members and matches were before exposure, for a release.

    Parameters
    ----------
    design : Design
        From `design_matched`.
    outcomes : sequence of str
        Measures to look at beside those matched on.
    options : Matched
    min_count : int
        Fewest members of a side that may be shown.

    Returns
    -------
    EffectTable
        Keys `variable`, `level`, `what` (`mean_exposed`, `mean_comparison`, `difference_before`,
        `difference_after`), `unit`. There is no standard error: the table describes the members
        there are. Support is the different members of the smaller side, and the different events
        of a measure: its mean times the members is their number. Shares of groups are whole
        percents: with more digits each is a count, and would tell how it changed since a quarter.
    """
    measures = [name for name in options.match_on if name in MEASURES]
    looked_at = list(dict.fromkeys([*measures, *outcomes]))
    found = balance(design, outcomes=looked_at, groups=list(options.exact))
    events = events_before(design, looked_at)
    found["n_events"] = [events.get(v.split(" ")[0], 0) for v in found["variable"]]
    found["n_members"] = _with_second_group(
        found, _different_members(design.members, found), min_count
    )
    parts = [
        found.assign(what=what, estimate=found[column], unit=_units(found, what))
        for what, column in (
            *SIDES.items(),
            (BEFORE, "standardized_difference_before"),
            (AFTER, "standardized_difference"),
        )
    ]
    rows = pd.concat(parts, ignore_index=True)
    rows = rows[rows["estimate"].notna()].reset_index(drop=True)
    is_share = rows["level"].ne("") & rows["what"].isin(list(SIDES))
    rows.loc[is_share, "estimate"] = rows.loc[is_share, "estimate"].round(2)
    n_members = rows["n_members"].to_numpy()
    return EffectTable(
        keys=rows[["variable", "level", "what", "unit"]],
        estimate=rows["estimate"].to_numpy(dtype=float),
        covariance=np.full((len(rows), len(rows)), np.nan),
        support=pd.DataFrame(
            {
                "n_members": n_members,
                "n_events": rows["n_events"].to_numpy(dtype=np.int64),
                "member_months": n_members.astype(float),
            }
        ),
        estimand=Estimand(
            name="Balance before exposure",
            contrast="members served and their matches before the month of first service",
            unit="see `unit`",
            is_causal=False,
        ),
        method=Method(
            estimator="Standardized differences before and after matching",
            options=_options(options),
            reference="Stuart EA (2010). Matching methods for causal inference. Stat Sci "
            "25(1):1-21. doi:10.1214/09-STS313",
        ),
        notes=(*design.notes, LIMIT_NOTE, OTHER_LEVELS),
    )


def _options(options: Matched) -> dict[str, object]:
    """How members were matched, for the table of methods."""
    stated = options.model_dump()
    return {name: stated[name] for name in stated if stated[name] is not None}


def _units(found: pd.DataFrame, what: str) -> np.ndarray:
    """Unit of each row of a column of the balance."""
    if what in (BEFORE, AFTER):
        return np.full(len(found), "standard deviations of the exposed")
    is_group = (found["level"] != "").to_numpy()
    is_age = found["variable"].eq("age_years").to_numpy()
    return np.where(is_group, "share", np.where(is_age, "years", "per month"))


def _different_members(members: pd.DataFrame, found: pd.DataFrame) -> np.ndarray:
    """Different members of the smaller side behind each row; shape (k,)."""
    is_exposed = members["cohort"].notna()
    sizes = []
    for variable, level in zip(found["variable"], found["level"], strict=True):
        inside = members[members[variable].astype(str) == level] if level else members
        sides = inside.groupby(is_exposed[inside.index])[PANEL_MEMBER].nunique()
        sizes.append(int(sides.min()) if len(sides) > 1 else 0)
    return np.array(sizes, dtype=np.int64)


def _with_second_group(found: pd.DataFrame, n_members: np.ndarray, min_count: int) -> np.ndarray:
    """Members behind each row, those of a second group hidden too where one alone would be.

    Shares of the groups of a variable add up to 1, so a single hidden one follows from the others.
    """
    counted = n_members.copy()
    for variable in found.loc[found["level"] != "", "variable"].unique():
        rows = np.flatnonzero((found["variable"] == variable).to_numpy())
        order = rows[np.argsort(n_members[rows], kind="stable")]
        n_hidden = int((n_members[order] < min_count).sum())
        if not n_hidden:
            continue
        while n_hidden < len(order) and (
            n_hidden < 2 or n_members[order[:n_hidden]].sum() < min_count
        ):
            n_hidden += 1
        counted[order[:n_hidden]] = np.minimum(counted[order[:n_hidden]], min_count - 1)
    return counted
