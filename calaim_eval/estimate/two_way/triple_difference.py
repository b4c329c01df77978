"""Triple difference: the effect in one stratum, less the same difference in another."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError, require_choice
from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cohort_month.cohort_averages import (
    By,
    average_terms,
    cohort_weights,
    share_loads,
)
from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects, stratum_effects
from calaim_eval.estimate.cohort_month.time_pairs import time_pairs
from calaim_eval.estimate.inference.clustering import cluster_notes
from calaim_eval.estimate.influence import MEMBER, CellLoads, require_cluster
from calaim_eval.estimate.stratum_terms import (
    StratumTerms,
    joint_covariance,
    require_variation,
)
from calaim_eval.estimate.support import error_notes, has_single_member, support_frame
from calaim_eval.estimate.words import default_unit, share_words
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.effect_table import with_undefined

REFERENCE = (
    "Olden A, Moen J (2022). The triple difference estimator. Econometrics J 25(3):531-553. "
    "doi:10.1093/ectj/utac010"
)
ASSUMES = (
    "Triple difference: whatever would have moved exposed and never-exposed members apart without "
    "exposure is taken to be the same in both strata, cohort by cohort and month by month."
)


def triple_difference(
    moments: CellMoments,
    *,
    outcome: str,
    stratum: str,
    target: str,
    reference: str,
    by: By = "overall",
    anticipation_months: int = 0,
    cluster: str = MEMBER,
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""Effect in the target stratum, less the same difference in a reference stratum.

    Use where exposed and comparison members are known to drift apart, and another stratum that
    the exposure does *not* reach drifts apart alike (a placebo). Where both strata are reached and
    the question is whether one gains more, use ``calaim_eval.effect_gap``.

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel` with `stratum` as its one stratum. `cohort` of the reference stratum is
        the month its exposed side *would* have been exposed (the month of its county, say).
    outcome : str
        One of ``moments.outcomes``.
    stratum, target, reference : str
        Column, and the two values compared.
    by : {"overall", "event_time"}
        One average over cohort-months from exposure on, or by months since exposure.
    anticipation_months : int
        The base is the last month more than this before exposure.
    cluster : str
        ``"member"`` or the cluster column of the moments.
    per : float
        1,000 gives effects per 1,000 member-months.
    unit : str, optional
        In the words of a report.

    Returns
    -------
    EffectTable
        Keys: ``event_time`` (none for ``"overall"``), `stratum`, ``reference``. Positive: the
        exposed of the target have more of the outcome than they would have had.

    Raises
    ------
    DesignError
        No cohort and month has a difference in both strata.
    EstimationError
        An unknown option, stratum or value, or an outcome that does not vary.

    Notes
    -----
    :math:`\mathrm{DDD}(g,t) = \mathrm{ATT}_{target}(g,t) - \mathrm{ATT}_{reference}(g,t)`, each
    against the never exposed and one base month, averaged over cohorts with the *target's* cohort
    sizes on both sides [1]_. Differences of averages with each stratum's own sizes would leave in
    a drift that differs by cohort; so would pooling the not yet exposed, whose mix differs between
    strata [2]_. With two cohorts and two months this is the coefficient of the three-way
    interaction.

    References
    ----------
    .. [1] Olden A, Moen J (2022). Econometrics J 25(3):531-553. doi:10.1093/ectj/utac010
    .. [2] Ortiz-Villavicencio M, Sant'Anna PHC (2025). Better understanding triple differences
       estimators. doi:10.48550/arXiv.2505.09942
    """
    _require_options(moments, by, stratum, anticipation_months)
    require_cluster(moments, cluster)
    grids = stratum_grids(moments, outcome)
    pair = [_grid_of(grids, stratum, value) for value in (target, reference)]
    of_target, of_reference = _matched(pair, anticipation_months)
    require_variation(moments, outcome)
    keys, weights = cohort_weights(of_target, by)
    estimate = weights @ (of_target.estimate - of_reference.estimate)
    sides = _sides(of_target, of_reference, keys, weights, estimate)
    loads: list[CellLoads] = []
    for part in sides:
        loads += part.scaled(per).cell_loads()
    covariance, influence = joint_covariance(moments, outcome, cluster, [(loads, len(keys))])
    undefined = np.logical_or(*(has_single_member(part.sides) for part in sides))
    covariance, influence = with_undefined(covariance, influence, undefined)
    both = [support_frame(part.sides) for part in sides]
    support = both[0].where(both[0] <= both[1], both[1])
    return EffectTable(
        keys=keys.assign(**{stratum: target, "reference": reference}),
        estimate=per * estimate,
        covariance=covariance,
        support=support,
        estimand=Estimand(
            name="ATT, triple difference",
            contrast=f"exposed minus never exposed members of '{target}', less the same in "
            f"'{reference}'",
            unit=unit or default_unit(moments, outcome, per),
        ),
        method=Method(
            "Triple difference of effects by cohort and month, from cell moments",
            MappingProxyType(
                {
                    "outcome": outcome,
                    "stratum": stratum,
                    "target": target,
                    "reference": reference,
                    "by": by,
                    "anticipation_months": anticipation_months,
                    "cluster": cluster,
                    "per": per,
                    "covariate_cells": list(moments.covariate_cells),
                }
            ),
            REFERENCE,
        ),
        cluster_influence=influence,
        notes=(
            ASSUMES,
            *moments.provenance.get("notes", []),
            *cluster_notes(moments, cluster),
            *_lost(pair[0], of_target, anticipation_months),
            *error_notes(estimate, np.diag(covariance), support),
        ),
    )


def _matched(
    pair: list[CellGrid], anticipation_months: int
) -> tuple[StratumEffects, StratumEffects]:
    """Effects of the cohort-months that both strata have, in one order."""
    found = [_effects(grid, anticipation_months) for grid in pair]
    labels = [
        list(zip(e.grid.cohorts[e.pairs.cohort], e.grid.axis[e.pairs.month], strict=True))
        for e in found
    ]
    place = {label: row for row, label in enumerate(labels[1])}
    rows = [row for row, label in enumerate(labels[0]) if label in place]
    of_target = found[0].take(np.array(rows, dtype=np.int64))
    if not (of_target.event_time >= 0).any():
        raise DesignError(
            "triple_difference: no cohort and month from exposure on has exposed and "
            "never-exposed members in both strata. `cohort` must be known in the reference "
            "stratum too: the month its exposed side would have been exposed."
        )
    others = np.array([place[labels[0][row]] for row in rows], dtype=np.int64)
    return of_target, found[1].take(others)


def _effects(grid: CellGrid, anticipation_months: int) -> StratumEffects:
    """Effects of one stratum against the never exposed, base month fixed."""
    pairs = time_pairs(
        grid.cohorts,
        grid.axis,
        comparison="never_exposed",
        base_period="universal",
        anticipation_months=anticipation_months,
    )
    return stratum_effects(grid, pairs, per=1.0)


def _sides(
    of_target: StratumEffects,
    of_reference: StratumEffects,
    keys: pd.DataFrame,
    weights: np.ndarray,
    estimate: np.ndarray,
) -> list[StratumTerms]:
    """Terms of target and reference; the target's cohort shares are estimated."""
    difference = of_target.estimate - of_reference.estimate
    constant = share_loads(of_target, weights, difference, estimate)
    nothing = np.zeros((len(keys), *of_reference.grid.cell.shape))
    return [
        average_terms(of_target, keys, weights @ of_target.estimate, weights, constant),
        average_terms(of_reference, keys, -weights @ of_reference.estimate, -weights, nothing),
    ]


def _lost(grid: CellGrid, kept: StratumEffects, anticipation_months: int) -> list[str]:
    """A note on the target's cohort-months without a counterpart."""
    whole = len(_effects(grid, anticipation_months))
    if len(kept) == whole:
        return []
    share = share_words(whole - len(kept), whole)
    return [f"Share of the target's cohort-months without a counterpart in the reference: {share}."]


def _grid_of(grids: list[CellGrid], stratum: str, value: str) -> CellGrid:
    """The cells of one stratum, or an error that lists the strata there are."""
    for grid in grids:
        if str(grid.stratum[stratum].iloc[0]) == value:
            return grid
    listed = ", ".join(repr(str(grid.stratum[stratum].iloc[0])) for grid in grids)
    raise EstimationError(f"`{stratum}` has no value {value!r}; it has {listed}.")


def _require_options(moments: CellMoments, by: str, stratum: str, anticipation_months: int) -> None:
    """Refuse options that mean nothing, and strata that are not the one asked for."""
    require_choice("by", by, ("overall", "event_time"))
    if anticipation_months < 0:
        raise EstimationError(
            f"anticipation_months: {anticipation_months} is negative; give 0 or more."
        )
    if moments.stratum != (stratum,):
        has = ", ".join(f"`{c}`" for c in moments.stratum) or "none"
        raise EstimationError(
            f"triple_difference: these moments have the strata {has}, and it takes `{stratum}` "
            f"alone. Use reduce_panel(..., stratum={stratum!r}), or moments.pooled(...)."
        )
