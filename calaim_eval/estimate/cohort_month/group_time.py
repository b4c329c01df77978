"""Group-time average effects (Callaway and Sant'Anna) from cell moments."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError
from calaim_eval.estimate.cell_grid import CellGrid, stratum_grids
from calaim_eval.estimate.cohort_month.group_time_effects import GroupTimeEffects
from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects, stratum_effects
from calaim_eval.estimate.cohort_month.time_pairs import (
    SIDE,
    BasePeriod,
    Comparison,
    TimePairs,
    require_comparison,
    require_pair_options,
    time_pairs,
)
from calaim_eval.estimate.inference.clustering import cluster_notes
from calaim_eval.estimate.influence import MEMBER, require_cluster
from calaim_eval.estimate.stratum_terms import require_variation
from calaim_eval.estimate.support import (
    error_notes,
    has_single_member,
    pair_supports,
    support_frame,
)
from calaim_eval.estimate.words import (
    count_words,
    default_unit,
    notes_by_group,
    period_words,
    share_words,
)
from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import MISSING, index_frequency, period_labels
from calaim_eval.results import Estimand, Method

REFERENCE = (
    "Callaway B, Sant'Anna PHC (2021). Difference-in-differences with multiple time periods. "
    "Journal of Econometrics 225(2):200-230. doi:10.1016/j.jeconom.2020.12.001"
)


def group_time_att(
    moments: CellMoments,
    *,
    outcome: str,
    comparison: Comparison = "not_yet_exposed",
    base_period: BasePeriod = "varying",
    anticipation_months: int = 0,
    cluster: str = MEMBER,
    per: float = 1.0,
    unit: str | None = None,
) -> GroupTimeEffects:
    r"""Effect on the exposed by cohort and month, ATT(g, t), for all strata jointly.

    Use with `aggregate` for overall effects and event studies. Positive: the exposed have more of
    the outcome than they would have had.

    Parameters
    ----------
    moments : CellMoments
        From `reduce_panel`.
    outcome : str
        One of ``moments.outcomes``.
    comparison : {"not_yet_exposed", "never_exposed"}
        Whose change stands for what the exposed would have had. Not yet exposed includes never
        exposed.
    base_period : {"varying", "universal"}
        Months before exposure are compared with the month before them, or all months with the
        last month before exposure (less anticipation; that row is 0 with no standard error).
    anticipation_months : int
        Months before the cohort that may already be affected.
    cluster : str
        ``"member"``, or the cluster column the moments were reduced with.
    per : float
        1,000 gives effects per 1,000 member-months.
    unit : str, optional
        In the words of a report, e.g. "ED visits per 1,000 member-months".

    Returns
    -------
    GroupTimeEffects
        Keys: stratum columns (if any), ``cohort``, ``month``. Pairs that are not identified have
        no row and are counted in ``notes``. Support is the smaller of the two sides in the two
        months compared.

    Raises
    ------
    DesignError
        Nothing is identified: nobody or everybody is exposed, no month before exposure, no
        comparison members.
    EstimationError
        Unknown outcome, option or cluster; an outcome that is the same in all member-months.

    Notes
    -----
    :math:`ATT(g,t) = (\bar y_{gt} - \bar y_{gb}) - (\bar y_{Ct} - \bar y_{Cb})` with
    :math:`\bar y = \sum y / \sum r` [1]_, on an unbalanced panel as R `did` computes it with
    ``allow_unbalanced_panel=TRUE``. With covariate cells the difference is taken within each cell
    and averaged with the exposed member-months of month t; the influence of these estimated weights
    is included. Exposed members in cells without comparison members are set aside on both sides.
    Standard errors are the raw cluster sandwich, as in R `did`, without a small-sample factor.

    References
    ----------
    .. [1] Callaway B, Sant'Anna PHC (2021). J Econometrics 225(2):200-230.
       doi:10.1016/j.jeconom.2020.12.001

    Examples
    --------
    >>> from calaim_eval.moments import reduce_panel
    >>> frame = pd.DataFrame({
    ...     "id": np.repeat([1, 2, 3, 4], 2), "year": [2020, 2021] * 4,
    ...     "first_exposed": [2021.0] * 4 + [np.nan] * 4, "visits": [1, 3, 2, 5, 1, 1, 0, 1],
    ... })
    >>> moments = reduce_panel(frame, outcomes=["visits"], member_id="id", month="year",
    ...                        cohort="first_exposed")
    >>> group_time_att(moments, outcome="visits").to_frame()[["estimate", "std_error"]].round(3)
       estimate  std_error
    0       2.0        0.5
    """
    require_pair_options(comparison, base_period, anticipation_months)
    require_cluster(moments, cluster)
    grids = stratum_grids(moments, outcome)
    require_variation(moments, outcome)
    require_comparison([grid.cohorts for grid in grids], moments.months, comparison)
    strata: list[StratumEffects] = []
    lost: list[tuple[str, str, str]] = []
    for grid in grids:
        pairs = time_pairs(
            grid.cohorts,
            grid.axis,
            comparison=comparison,
            base_period=base_period,
            anticipation_months=anticipation_months,
        )
        effects = stratum_effects(grid, pairs, per=per)
        lost += [(what, grid.words(), much) for what, much in _lost(moments, grid, pairs, effects)]
        if len(effects):
            strata.append(effects)
    if not strata:
        raise DesignError(_nothing_identified(moments, grids, comparison))
    sides = np.concatenate([pair_supports(effects) for effects in strata])
    estimate = np.concatenate([e.estimate for e in strata])
    support, is_single = support_frame(sides), has_single_member(sides)
    notes = [
        *moments.provenance.get("notes", []),
        *cluster_notes(moments, cluster),
        *error_notes(estimate, np.where(is_single, np.nan, 1.0), support),
        *notes_by_group(lost),
    ]
    return GroupTimeEffects(
        keys=pd.concat([_keys(moments, e) for e in strata], ignore_index=True),
        estimate=estimate,
        support=support,
        estimand=Estimand(
            name="ATT",
            contrast=moments.provenance.get("estimand_words")
            or f"exposed members, minus what they would have had by the change of "
            f"{SIDE[comparison]}",
            unit=unit or default_unit(moments, outcome, per),
        ),
        method=Method(
            estimator="Group-time average effects (Callaway and Sant'Anna), from cell moments",
            options=MappingProxyType(
                {
                    "outcome": outcome,
                    "comparison": comparison,
                    "base_period": base_period,
                    "anticipation_months": anticipation_months,
                    "cluster": cluster,
                    "per": per,
                    "covariate_cells": list(moments.covariate_cells),
                }
            ),
            reference=REFERENCE,
        ),
        notes=tuple(dict.fromkeys(notes)),
        moments=moments,
        outcome=outcome,
        cluster=cluster,
        is_undefined=is_single,
        effects=tuple(strata),
    )


def _keys(moments: CellMoments, effects: StratumEffects) -> pd.DataFrame:
    """Stratum columns, cohort and month of each effect."""
    frequency = index_frequency(moments.months)
    labels = effects.grid.stratum.iloc[np.zeros(len(effects), dtype=int)].reset_index(drop=True)
    labels["cohort"] = period_labels(effects.grid.cohorts[effects.pairs.cohort], frequency)
    labels["month"] = period_labels(effects.grid.axis[effects.pairs.month], frequency)
    return labels


def _lost(
    moments: CellMoments, grid: CellGrid, pairs: TimePairs, effects: StratumEffects
) -> list[tuple[str, str]]:
    """What one stratum lost, and how much of it."""
    is_early = (grid.cohorts != MISSING) & (grid.cohorts <= grid.axis[-1])
    is_early &= ~np.isin(np.arange(len(grid.cohorts)), pairs.cohort)
    lost = []
    if is_early.any():
        members = count_words(grid.n_members[is_early].sum(), "members")
        lost.append(
            (
                "Cohorts set aside for want of a month before exposure",
                f"({members})",
            )
        )
    n_lost = len(pairs.cohort) - len(effects)
    if n_lost:
        lost.append(
            (
                "Cohort-months not identified, for want of exposed or comparison members in both "
                "months",
                f"{share_words(n_lost, len(pairs.cohort))}{_last_identified(moments, effects)}",
            )
        )
    in_month = effects.grid.at_risk[effects.pairs.cohort, :, effects.pairs.month]
    aside, whole = float((in_month * ~effects.kept).sum()), float(in_month.sum())
    if aside:
        lost.append(
            (
                "Share of the exposed member-months in covariate cells without comparison "
                "members, set aside on both sides",
                share_words(aside, whole),
            )
        )
    return lost


def _last_identified(moments: CellMoments, effects: StratumEffects) -> str:
    """The last month any effect is identified in."""
    if not len(effects):
        return ""
    last = effects.grid.axis[effects.pairs.month.max()]
    return f" (last identified {period_words(last, moments.months)})"


def _nothing_identified(moments: CellMoments, grids: list[CellGrid], comparison: str) -> str:
    """The error when no cohort-month of any stratum is identified."""
    cohorts = np.unique(np.concatenate([g.cohorts[g.cohorts != MISSING] for g in grids]))
    words = ", ".join(period_words(c, moments.months) for c in cohorts[:3])
    more = f" and {len(cohorts) - 3} more" if len(cohorts) > 3 else ""
    advice = (
        "Add members who are exposed later or never."
        if comparison == "not_yet_exposed"
        else "Use comparison='not_yet_exposed', or fewer `covariate_cells`."
    )
    return (
        f"cohorts {words}{more}: no month has exposed and {SIDE[comparison]} in the same "
        f"stratum and covariate cell, so no effect is identified. {advice}"
    )
