"""Months before anybody is exposed, with a placebo exposure among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.cell_grid import stratum_grids
from calaim_eval.estimate.cohort_month.aggregate import aggregate
from calaim_eval.estimate.cohort_month.group_time import group_time_att
from calaim_eval.estimate.detectable_effects.power import power
from calaim_eval.estimate.detectable_effects.power_table import PowerTable
from calaim_eval.estimate.influence import MEMBER
from calaim_eval.estimate.words import period_words, share_words
from calaim_eval.moments import CellMoments, OutcomeMoments
from calaim_eval.moments.packing import pack_symmetric, unpack_symmetric
from calaim_eval.moments.periods import (
    MISSING,
    index_frequency,
    index_ordinals,
    label_ordinals,
    period_labels,
)

_PLACEHOLDER = "__placebo__"


def placebo_moments(
    moments: CellMoments, *, follow_up_months: int, anticipation_months: int = 0
) -> CellMoments:
    """The months before the first cohort, as if its members had been exposed in one of them.

    Use to see what a design could detect, or whether it finds an effect where there is none,
    without looking at any outcome after exposure.

    Parameters
    ----------
    moments : CellMoments
    follow_up_months : int
        Months from the placebo exposure on; as many as the study will have, if there are.
    anticipation_months : int
        Months before the first cohort that may already be affected, left out.

    Returns
    -------
    CellMoments
        Everybody exposed in the panel is one cohort, exposed `follow_up_months` before the months
        end; members exposed later or never are the comparison. Members exposed in the first month
        or before are left out, and a note says how many.

    Raises
    ------
    DesignError
        Nobody is exposed after the first month, or too few months come before.
    """
    if follow_up_months < 1 or anticipation_months < 0:
        raise EstimationError(
            f"placebo_moments: follow_up_months={follow_up_months}, "
            f"anticipation_months={anticipation_months}; give at least 1 and at least 0."
        )
    frequency, axis = index_frequency(moments.months), index_ordinals(moments.months)
    cohort = label_ordinals(moments.cells["cohort"], frequency)
    is_exposed = (cohort != MISSING) & (cohort <= axis[-1])
    is_early = is_exposed & (cohort <= axis[0])
    later = cohort[is_exposed & ~is_early]
    if not later.size:
        raise DesignError(
            f"placebo_moments: nobody is first exposed after {moments.months[0]} and by "
            f"{moments.months[-1]}, so there is no cohort to give a placebo to."
        )
    kept = np.flatnonzero(axis < later.min() - anticipation_months)
    if len(kept) <= follow_up_months:
        raise DesignError(
            f"placebo_moments: {len(kept)} months come before the first cohort "
            f"({period_words(int(later.min()), moments.months)}, less {anticipation_months} of "
            f"anticipation); a placebo of {follow_up_months} months needs "
            f"{follow_up_months + 1}. Shorten `follow_up_months`, or begin the panel earlier."
        )
    placebo = np.where(is_exposed, axis[kept[-follow_up_months]], MISSING)
    shown = _months_only(moments, kept)
    cells = shown.cells.assign(cohort=period_labels(placebo, frequency), **{_PLACEHOLDER: 0})
    merged = replace(
        shown, cells=cells, covariate_cells=(*shown.covariate_cells, _PLACEHOLDER)
    ).select(~is_early & (shown.at_risk.sum(axis=1) > 0))
    merged = merged.pooled(_PLACEHOLDER)
    words = (
        f"placebo: nobody is exposed before {period_words(int(later.min()), moments.months)}, so "
        "the true effect is 0"
    )
    notes = [*moments.provenance.get("notes", []), *_left_out(moments, is_exposed, is_early)]
    return replace(
        merged, provenance={**moments.provenance, "estimand_words": words, "notes": notes}
    )


def power_before_exposure(
    moments: CellMoments,
    *,
    outcome: str,
    follow_up_months: int,
    anticipation_months: int = 0,
    cluster: str = MEMBER,
    per: float = 1.0,
    unit: str | None = None,
    take_up: float | Sequence[float] = 1.0,
    effect: float | None = None,
    served_mean: float | None = None,
    alpha: float = 0.05,
    target_power: float = 0.8,
) -> PowerTable:
    """What the study could detect, from months before exposure only: print it before estimating.

    Parameters
    ----------
    moments : CellMoments
        Of the whole study; outcomes from the first cohort on are not looked at.
    outcome : str
    follow_up_months, anticipation_months : int
        See `placebo_moments`.
    cluster, per, unit
        As in `group_time_att`.
    take_up, effect, served_mean, alpha, target_power
        See `power`. The comparison's mean is taken from the same months.

    Returns
    -------
    PowerTable
        Keys: stratum columns (if any). About the average over cohorts and months that
        ``aggregate(group_time_att(...))`` gives.

    Raises
    ------
    DesignError, EstimationError
        As `placebo_moments`, `group_time_att` and `power`.
    """
    before = placebo_moments(
        moments, follow_up_months=follow_up_months, anticipation_months=anticipation_months
    )
    effects = group_time_att(
        before,
        outcome=outcome,
        comparison="never_exposed",
        cluster=cluster,
        per=per,
        unit=unit,
    )
    table = aggregate(effects)
    found = power(
        table,
        take_up=take_up,
        effect=effect,
        comparison_mean=_comparison_means(before, outcome, table.keys, per),
        served_mean=served_mean,
        alpha=alpha,
        target_power=target_power,
    )
    months = f"{before.months[0]} to {before.months[-1]}"
    words = (
        f"Variance of a placebo effect of {follow_up_months} months in {months}, before anybody "
        "was exposed; all cohorts are taken together."
    )
    known = moments.provenance.get("notes", [])
    lost = [note for note in effects.notes if note not in known]
    return replace(found, assumptions=(words, *lost, *found.assumptions))


def _left_out(moments: CellMoments, is_exposed: np.ndarray, is_early: np.ndarray) -> list[str]:
    """How many of the exposed have no month before exposure."""
    if not is_early.any():
        return []
    share = share_words(moments.n_members[is_early].sum(), moments.n_members[is_exposed].sum())
    return [
        f"Left out of the placebo: {share} of the exposed, who were exposed in the first month or "
        "before. Their months before exposure are not in the panel, and nothing is known of them."
    ]


def _months_only(moments: CellMoments, kept: np.ndarray) -> CellMoments:
    """The same members, seen in some of the months only."""
    size = len(moments.months)
    square = np.ix_(np.arange(len(moments)), kept, kept)

    def triangle(packed: np.ndarray) -> np.ndarray:
        full = unpack_symmetric(packed, size)[square]
        is_whole = np.issubdtype(packed.dtype, np.integer)
        return pack_symmetric(np.rint(full).astype(np.int64) if is_whole else full)

    clusters = moments.clusters
    if clusters is not None:
        clusters = replace(
            clusters,
            at_risk=clusters.at_risk[:, kept],
            totals={name: total[:, kept] for name, total in clusters.totals.items()},
        )

    def fewer(old: OutcomeMoments) -> OutcomeMoments:
        return replace(
            old,
            total=old.total[:, kept],
            yy=triangle(old.yy),
            yr=old.yr[square],
            nonzero=old.nonzero[:, kept],
        )

    return replace(
        moments,
        months=moments.months[kept],
        at_risk=moments.at_risk[:, kept],
        rr=triangle(moments.rr),
        by_outcome={name: fewer(old) for name, old in moments.by_outcome.items()},
        clusters=clusters,
    )


def _comparison_means(
    moments: CellMoments, outcome: str, keys: pd.DataFrame, per: float
) -> np.ndarray:
    """Mean of the never exposed in each row's stratum; shape (k,)."""
    means = {}
    for grid in stratum_grids(moments, outcome):
        at_risk = grid.at_risk[grid.is_never].sum()
        total = grid.total[grid.is_never].sum() + grid.shift * at_risk
        means[tuple(map(str, grid.stratum.iloc[0]))] = per * total / at_risk if at_risk else 0.0
    names = list(moments.stratum)
    rows = keys[names].astype(object).to_numpy() if names else np.zeros((len(keys), 0))
    return np.array([means[tuple(map(str, row))] for row in rows])
