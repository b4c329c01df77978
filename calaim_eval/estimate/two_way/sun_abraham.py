"""The interaction-weighted event study of Sun and Abraham, from cell moments."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

import numpy as np

from calaim_eval.errors import DesignError, EstimationError, require_choice
from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cohort_month.cohort_averages import (
    By,
    average_terms,
    cohort_weights,
    share_loads,
)
from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects, stratum_effects
from calaim_eval.estimate.cohort_month.time_pairs import TimePairs, time_pairs
from calaim_eval.estimate.influence import MEMBER, require_cluster
from calaim_eval.estimate.stratum_terms import (
    StratumTerms,
    clusters_of,
    identified_strata,
    require_variation,
    terms_table,
)
from calaim_eval.estimate.two_way.two_way_fit import crv1_factor
from calaim_eval.estimate.two_way.two_way_terms import SmallSample
from calaim_eval.estimate.words import count_words, default_unit
from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import MISSING
from calaim_eval.results import EffectTable, Estimand, Method

Comparison = Literal["never_exposed", "last_exposed"]
Shares = Literal["estimated", "fixed"]
REFERENCE = (
    "Sun L, Abraham S (2021). Estimating dynamic treatment effects in event studies with "
    "heterogeneous treatment effects. Journal of Econometrics 225(2):175-199. "
    "doi:10.1016/j.jeconom.2020.09.006"
)
_SIDE = {
    "never_exposed": "members never exposed",
    "last_exposed": "members exposed last, before their exposure",
}


def sun_abraham(
    moments: CellMoments,
    *,
    outcome: str,
    by: By = "event_time",
    comparison: Comparison = "never_exposed",
    anticipation_months: int = 0,
    shares: Shares = "estimated",
    cluster: str = MEMBER,
    small_sample: SmallSample = "none",
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""Interaction-weighted event study (Sun and Abraham).

    What a regression event study gives once every cohort has coefficients of its own, averaged by
    cohort shares. The same numbers as ``aggregate(group_time_att(comparison="never_exposed",
    base_period="universal"), by="event_time")``; here for those who know it by this name, with the
    options of the software they know it from.

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`.
    outcome : str
        One of ``moments.outcomes``.
    by : {"event_time", "overall"}
        By months since exposure, or one average over all cohort-months from exposure on.
    comparison : {"never_exposed", "last_exposed"}
        Members never exposed; or, without such, the cohort exposed last, whose months from
        exposure on are then left out for everybody.
    anticipation_months : int
        The base is the last month more than this before exposure.
    shares : {"estimated", "fixed"}
        Whether the error of the estimated cohort shares is included (the paper, Stata
        `eventstudyinteract`) or not (R fixest `sunab`).
    cluster : str
        ``"member"`` or the cluster column of the moments.
    small_sample : {"none", "crv1"}
        The raw sandwich, or R fixest's factor.
    per : float
        1,000 gives effects per 1,000 member-months.
    unit : str, optional
        In the words of a report.

    Returns
    -------
    EffectTable
        Keys: stratum columns (if any), and ``event_time``. The base month is a row of 0 without a
        standard error.

    Raises
    ------
    DesignError
        No comparison of the kind asked for, or no cohort with a month before exposure.
    EstimationError
        An unknown option, or an outcome that does not vary.

    Notes
    -----
    The regression of the outcome on cohort and month effects and the interactions of cohort with
    event time is saturated for the exposed, so that its coefficient is
    :math:`(\bar y_{gt} - \bar y_{gb}) - (\bar y_{Ct} - \bar y_{Cb})`, averaged with weights
    :math:`\Pr(G = g \mid \text{cohort observed at } l)` [1]_. On an unbalanced panel this is the
    regression with cohort rather than member effects.

    References
    ----------
    .. [1] Sun L, Abraham S (2021). J Econometrics 225(2):175-199.
       doi:10.1016/j.jeconom.2020.09.006

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from calaim_eval.moments import reduce_panel
    >>> frame = pd.DataFrame({
    ...     "id": np.repeat([1, 2, 3, 4], 2), "year": [2020, 2021] * 4,
    ...     "first_exposed": [2021.0] * 4 + [np.nan] * 4, "visits": [1, 3, 2, 5, 1, 1, 0, 1],
    ... })
    >>> moments = reduce_panel(frame, outcomes=["visits"], member_id="id", month="year",
    ...                        cohort="first_exposed")
    >>> sun_abraham(moments, outcome="visits").estimate.round(3)
    array([0., 2.])
    """
    _require_options(by, comparison, shares, small_sample, anticipation_months)
    require_cluster(moments, cluster)

    def terms_of(grid: CellGrid) -> tuple[StratumTerms, list[tuple[str, str]]]:
        """Averages of one stratum, and the cohorts set aside."""
        effects = _effects(grid, comparison, anticipation_months)
        if not (effects.event_time >= 0).any():
            raise DesignError(_nothing(moments, comparison))
        factor = 1.0
        if small_sample == "crv1":
            factor = _factor(effects, clusters_of(moments, grid, cluster))
        return _averages(effects, by, shares, factor), _set_aside(grid, effects)

    strata, losses = identified_strata(stratum_grids(moments, outcome), terms_of, per=per)
    require_variation(moments, outcome)
    return terms_table(
        moments,
        outcome,
        cluster,
        strata,
        estimand=Estimand(
            name="ATT",
            contrast=f"exposed members, minus what they would have had by the change of "
            f"{_SIDE[comparison]}",
            unit=unit or default_unit(moments, outcome, per),
        ),
        method=Method(
            "Interaction-weighted event study (Sun and Abraham), from cell moments",
            MappingProxyType(
                {
                    "outcome": outcome,
                    "by": by,
                    "comparison": comparison,
                    "anticipation_months": anticipation_months,
                    "shares": shares,
                    "cluster": cluster,
                    "small_sample": small_sample,
                    "per": per,
                    "covariate_cells": list(moments.covariate_cells),
                }
            ),
            REFERENCE,
        ),
        losses=losses,
    )


def _effects(grid: CellGrid, comparison: Comparison, anticipation_months: int) -> StratumEffects:
    """Effects by cohort and month against the comparison, base month fixed."""
    never = comparison == "never_exposed"
    pairs = time_pairs(
        grid.cohorts,
        grid.axis,
        comparison="never_exposed" if never else "not_yet_exposed",
        base_period="universal",
        anticipation_months=anticipation_months,
    )
    return stratum_effects(grid, pairs if never else _against_last(grid, pairs), per=1.0)


def _against_last(grid: CellGrid, pairs: TimePairs) -> TimePairs:
    """The pairs compared with the last cohort alone, while it is not exposed."""
    exposed = np.flatnonzero((grid.cohorts != MISSING) & (grid.cohorts <= grid.axis[-1]))
    if not exposed.size:
        return pairs.take(np.zeros(0, dtype=np.int64))
    last = exposed[-1]
    kept = np.flatnonzero((pairs.cohort != last) & pairs.comparison[:, last])
    only = np.zeros((len(kept), len(grid.cohorts)), dtype=bool)
    only[:, last] = True
    return TimePairs(pairs.cohort[kept], pairs.month[kept], pairs.base[kept], only)


def _averages(effects: StratumEffects, by: By, shares: Shares, factor: float) -> StratumTerms:
    """Averages with cohort shares as weights."""
    keys, weights = cohort_weights(effects, by)
    estimate = weights @ effects.estimate
    constant = np.zeros((len(keys), *effects.grid.cell.shape))
    if shares == "estimated":
        constant = share_loads(effects, weights, effects.estimate, estimate)
    return average_terms(effects, keys, estimate, weights, constant, factor=factor)


def _factor(effects: StratumEffects, n_clusters: int) -> float:
    """R fixest's factor: interactions and months count, member effects do not."""
    grid, pairs = effects.grid, effects.pairs
    entering = effects.entering_cells()
    entering[pairs.comparison.any(axis=0)] = True
    months = np.zeros(len(grid.axis), dtype=bool)
    months[pairs.month] = months[pairs.base] = True
    at_risk = grid.at_risk * entering[:, :, None] * months
    n_months = int((at_risk.sum(axis=0) > 0).sum())
    n_terms = int((pairs.month != pairs.base).sum())
    return crv1_factor(n_clusters, float(at_risk.sum()), n_terms + n_months)


def _set_aside(grid: CellGrid, effects: StratumEffects) -> list[tuple[str, str]]:
    """Exposed cohorts without any effect, and how many members they have."""
    exposed = (grid.cohorts != MISSING) & (grid.cohorts <= grid.axis[-1])
    compared = effects.pairs.comparison.any(axis=0)
    exposed &= ~np.isin(np.arange(len(grid.cohorts)), effects.pairs.cohort) & ~compared
    if not exposed.any():
        return []
    members = count_words(grid.n_members[exposed].sum(), "members")
    return [("Cohorts set aside for want of a base month or of comparison", f"({members})")]


def _require_options(
    by: str, comparison: str, shares: str, small_sample: str, anticipation_months: int
) -> None:
    """Refuse options that mean nothing, listing those that do."""
    for name, given, allowed in (
        ("by", by, ("overall", "event_time")),
        ("comparison", comparison, ("never_exposed", "last_exposed")),
        ("shares", shares, ("estimated", "fixed")),
        ("small_sample", small_sample, ("none", "crv1")),
    ):
        require_choice(name, given, allowed)
    if anticipation_months < 0:
        raise EstimationError(
            f"anticipation_months: {anticipation_months} is negative; give 0 or more."
        )


def _nothing(moments: CellMoments, comparison: str) -> str:
    """The error when no effect of any stratum is identified."""
    other = "last_exposed" if comparison == "never_exposed" else "never_exposed"
    return (
        f"no cohort first exposed between {moments.months[0]} and {moments.months[-1]} has a month "
        f"before exposure and {_SIDE[comparison]} to be compared with. Check that `cohort` holds "
        f"the month of first exposure, missing for never exposed; or use comparison={other!r}."
    )
