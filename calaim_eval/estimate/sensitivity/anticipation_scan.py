"""How an effect moves when more of the months before exposure may already be affected."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects
from calaim_eval.estimate.cohort_month.time_pairs import (
    SIDE,
    Comparison,
    require_comparison,
    require_pair_options,
)
from calaim_eval.estimate.influence import MEMBER, require_cluster
from calaim_eval.estimate.repeated_terms import (
    effects_from_exposure,
    less_the_first,
    overall_term,
    under_one_another,
)
from calaim_eval.estimate.sensitivity.calendar_notes import calendar_notes
from calaim_eval.estimate.stratum_terms import (
    StratumTerms,
    identified_strata,
    require_variation,
    terms_table,
)
from calaim_eval.estimate.words import default_unit, share_words
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable, Estimand, Method

EFFECT, DIFFERENCE = "effect", "difference"


def anticipation_scan(
    moments: CellMoments,
    *,
    outcome: str,
    max_anticipation_months: int = 3,
    comparison: Comparison = "not_yet_exposed",
    cluster: str = MEMBER,
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""The overall effect with 0, 1, 2 ... months of anticipation, and the differences.

    Use where members may change before the recorded month of exposure: outreach, an assessment,
    or a crisis that led to the referral. If the effect moves as the base month goes back, the
    months before exposure are not a clean base.

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`.
    outcome : str
    max_anticipation_months : int
        The most months of anticipation, at least 1.
    comparison : {"not_yet_exposed", "never_exposed"}
    cluster : str
        ``"member"`` or the cluster column of the moments.
    per : float
        1,000 gives effects per 1,000 member-months.
    unit : str, optional
        In the words of a report.

    Returns
    -------
    EffectTable
        Keys: stratum columns (if any), ``anticipation_months`` and ``row``: ``"effect"``, or
        ``"difference"`` from the effect without anticipation. All rows jointly estimated.

    Raises
    ------
    DesignError
        No cohort-month is identified with every number of months.
    EstimationError
        An unknown option, an outcome that does not vary.

    Notes
    -----
    The same cohort-months enter every row: those identified with all the months of anticipation
    asked for, so that a difference is not one of samples. Each effect is that of
    ``aggregate(group_time_att(..., anticipation_months=a))`` on them.

    References
    ----------
    Callaway B, Sant'Anna PHC (2021). J Econometrics 225(2):200-230.
    doi:10.1016/j.jeconom.2020.12.001
    """
    if max_anticipation_months < 1:
        raise EstimationError(
            f"anticipation_scan: max_anticipation_months={max_anticipation_months}; give 1 or more."
        )
    require_pair_options(comparison, "varying", max_anticipation_months)
    require_cluster(moments, cluster)
    require_variation(moments, outcome)
    grids = stratum_grids(moments, outcome)
    require_comparison([grid.cohorts for grid in grids], moments.months, comparison)

    def terms_of(grid: CellGrid) -> tuple[StratumTerms, list[tuple[str, str]]]:
        """Effects and differences of one stratum, and the cohort-months left out."""
        found = [
            effects_from_exposure(grid, comparison, anticipation_months=months, per=per)
            for months in range(max_anticipation_months + 1)
        ]
        shared = _shared(found)
        if not len(shared[0]):
            raise DesignError(
                f"anticipation_scan: no cohort-month is identified with {max_anticipation_months} "
                f"months of anticipation in {moments.months[0]} to {moments.months[-1]}. Lower "
                "`max_anticipation_months`, or begin the panel earlier."
            )
        n_lost = len(found[0]) - len(shared[0])
        lost = [("Cohort-months left out of all rows", f"({share_words(n_lost, len(found[0]))})")]
        return _rows(shared), lost if n_lost else []

    strata, losses = identified_strata(grids, terms_of)
    return terms_table(
        moments,
        outcome,
        cluster,
        strata,
        estimand=Estimand(
            name="ATT by months of anticipation",
            contrast=f"exposed members, minus what they would have had by the change of "
            f"{SIDE[comparison]} since the last month taken as unaffected",
            unit=unit or default_unit(moments, outcome, per),
        ),
        method=Method(
            "Group-time average effects (Callaway and Sant'Anna) by months of anticipation, from "
            "cell moments",
            MappingProxyType(
                {
                    "outcome": outcome,
                    "max_anticipation_months": max_anticipation_months,
                    "comparison": comparison,
                    "cluster": cluster,
                    "per": per,
                    "covariate_cells": list(moments.covariate_cells),
                }
            ),
            "Callaway B, Sant'Anna PHC (2021). Journal of Econometrics 225(2):200-230. "
            "doi:10.1016/j.jeconom.2020.12.001",
        ),
        notes=calendar_notes(outcome, moments.months),
        losses=losses,
    )


def _shared(found: list[StratumEffects]) -> list[StratumEffects]:
    """The cohort-months that all have, in one order."""
    places = [
        {pair: row for row, pair in enumerate(zip(e.pairs.cohort, e.pairs.month, strict=True))}
        for e in found
    ]
    common = [pair for pair in places[0] if all(pair in place for place in places)]
    return [
        effects.take(np.array([place[pair] for pair in common], dtype=np.int64))
        for effects, place in zip(found, places, strict=True)
    ]


def _rows(shared: list[StratumEffects]) -> StratumTerms:
    """Effects of one stratum, then their differences from the first."""
    effects = under_one_another(
        [
            overall_term(each, {"anticipation_months": months, "row": EFFECT})
            for months, each in enumerate(shared)
        ]
    )
    differences = less_the_first(effects)
    differences.keys["row"] = DIFFERENCE
    return under_one_another([effects, differences])
