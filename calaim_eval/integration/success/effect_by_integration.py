"""Do members gain more where integration is better: effects by level, counties as clusters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import aggregate, cluster_jackknife, group_time_att
from calaim_eval.estimate.cohort_month.time_pairs import BasePeriod, Comparison
from calaim_eval.integration.success.integration_level import HIGHER, LOWER
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable

DIFFERENCE = "higher minus lower"
FEWEST_COUNTIES = 3
"""Of a level: with fewer there is no telling how counties of one level differ."""


def effect_by_integration(
    moments: CellMoments,
    *,
    outcome: str,
    stratum: str = "integration",
    comparison: Comparison = "never_exposed",
    base_period: BasePeriod = "varying",
    anticipation_months: int = 0,
    max_event_time: int | None = None,
    per: float = 1.0,
    unit: str | None = None,
) -> EffectTable:
    r"""Effect on members in counties of each level of integration, and the difference.

    Whether the effect of ECM *goes with* integration. Members are compared with others of their
    own level; counties chose how to integrate and differ in much else, so the difference is an
    association even where each effect is one.

    Parameters
    ----------
    moments : CellMoments
        Of ``reduce_panel(..., stratum="integration", cluster="county")``, the stratum mapped from
        the county in which a member was exposed by `integration_level`.
    outcome : str
    stratum : str
        With the levels ``"higher"`` and ``"lower"``; other rows are left out.
    comparison, base_period, anticipation_months, per, unit
        As in `group_time_att`.
    max_event_time : int, optional
        As in `aggregate`.

    Returns
    -------
    EffectTable
        Key `stratum`: ``"lower"``, ``"higher"`` and ``"higher minus lower"``, jointly estimated;
        overall effects (`aggregate`). Errors by leaving out each county (CRV3), Student's t with
        the counties behind a row less one, for the difference those of the smaller level.

    Raises
    ------
    EstimationError
        The moments have no clusters or not both levels, a level has fewer than three counties, or
        an effect is not identified.

    References
    ----------
    MacKinnon JG, Nielsen MO, Webb MD (2023). doi:10.1016/j.jeconom.2022.04.001

    Examples
    --------
    ::

        moments = reduce_panel(panel, outcomes=["ed_visits"], stratum="integration",
                               cluster="county")
        effect_by_integration(moments, outcome="ed_visits").to_frame()
    """
    if moments.clusters is None:
        raise EstimationError(
            "effect_by_integration: the moments keep no clusters. Integration is of counties, so "
            'reduce with reduce_panel(..., stratum="integration", cluster="county").'
        )
    cluster = moments.clusters.name

    def overall(part: CellMoments) -> EffectTable:
        """The effect in each level."""
        att = group_time_att(
            part,
            outcome=outcome,
            comparison=comparison,
            base_period=base_period,
            anticipation_months=anticipation_months,
            cluster=cluster,
            per=per,
            unit=unit,
        )
        return aggregate(att, max_event_time=max_event_time)

    effects = cluster_jackknife(moments, overall)
    rows = _rows(effects, stratum)
    chosen = effects.select(np.isin(np.arange(len(effects)), rows))
    order = [chosen.keys[stratum].tolist().index(level) for level in (LOWER, HIGHER)]
    counties = _counties(chosen)[order]
    if counties.min() < FEWEST_COUNTIES:
        raise EstimationError(
            f"effect_by_integration: {counties[0]} counties of lower and {counties[1]} of higher "
            f"integration; {FEWEST_COUNTIES} of each are needed. Choose another cut, or describe "
            "the counties one by one."
        )
    weights = np.zeros((3, 2))
    weights[0, order[0]] = weights[1, order[1]] = 1.0
    weights[2] = weights[1] - weights[0]
    table = chosen.combine(
        weights,
        keys=pd.DataFrame({stratum: [LOWER, HIGHER, DIFFERENCE]}),
        estimand=replace(
            effects.estimand,
            name=f"{effects.estimand.name} by integration",
            contrast=f"{effects.estimand.contrast}, in counties of lower and of higher "
            "integration; the difference goes with integration and is not its effect",
            is_causal=False,
        ),
    )
    return replace(
        table,
        notes=(
            *table.notes,
            f"Counties of lower integration: {counties[0]}, of higher: {counties[1]}; each left "
            "out in turn." + _without_level(len(moments.clusters.labels) - int(counties.sum())),
            "The difference is between places that differ in more than integration.",
        ),
    )


def _rows(effects: EffectTable, stratum: str) -> list[int]:
    """Rows of the two levels."""
    held = effects.keys[stratum].tolist() if stratum in effects.keys else []
    if not {LOWER, HIGHER} <= set(held):
        raise EstimationError(
            f"effect_by_integration: `{stratum}` has no effects in both `{LOWER}` and `{HIGHER}`. "
            "Map `integration_level` to the members' counties, and reduce by it."
        )
    return [held.index(LOWER), held.index(HIGHER)]


def _without_level(n_counties: int) -> str:
    """Counties in neither level."""
    return f" In neither, and left out: {n_counties}." if n_counties > 0 else ""


def _counties(effects: EffectTable) -> np.ndarray:
    """Counties that bear on each row; shape (k,)."""
    if effects.cluster_influence is None or not np.isfinite(effects.std_error).all():
        raise EstimationError(
            "effect_by_integration: an effect cannot be estimated without one of its counties. "
            "Leave out levels that rest on one county."
        )
    return np.asarray((effects.cluster_influence.fillna(0.0) != 0).sum(axis=0))
