"""The range of the county-phase effect when each county in turn is left out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from calaim_eval.estimate.inference.cluster_moments import cluster_members
from calaim_eval.estimate.inference.leave_one_out import LeaveOneOut
from calaim_eval.estimate.words import SMALL_COUNT
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable

BREAK_MONTH = "2022-01"
LOWEST, HIGHEST = "lowest_without_a_county", "highest_without_a_county"
FEWEST_LEFT_OUT = 3


def without_one_county(
    moments: CellMoments, outcome: str, jackknife: EffectTable
) -> dict[str, EffectTable]:
    """The lowest and highest estimate without a county, where no few members or events make it.

    Parameters
    ----------
    moments : CellMoments
        With cluster sums by county.
    outcome : str
    jackknife : EffectTable
        The effect on the outcome from `cluster_jackknife`, one row.

    Returns
    -------
    dict[str, EffectTable]
        By `LOWEST` and `HIGHEST`, rounded as a release rounds the effect; empty where fewer than
        three counties may be left out. A county is not left out where it, or the others of its
        side together, have 1 to 10 members or events.
    """
    influence = jackknife.cluster_influence
    if influence is None or np.isnan(influence.to_numpy()).any():
        return {}
    sums = moments.clusters
    members = cluster_members(moments, jackknife.keys)
    n_clusters = int(members.are_there.sum())
    scale = np.sqrt((n_clusters - 1) / n_clusters)
    without = jackknife.estimate - influence.to_numpy() / scale
    left_out = LeaveOneOut(jackknife, influence.index, without, members)
    is_told = members.are_there[:, 0] & ~left_out.is_withheld[:, 0]
    is_told &= ~_few_events(moments, outcome)
    is_told &= ~_few(np.array([members.exposed[:, 0], members.comparison[:, 0]]))
    if sums is None or is_told.sum() < FEWEST_LEFT_OUT:
        return {}
    told = without[is_told, 0]
    places = _places(float(jackknife.std_error[0]))
    return {
        name: replace(
            jackknife,
            estimate=np.array([round(value, places)]),
            covariance=np.full((1, 1), np.nan),
            cluster_influence=None,
            degrees=None,
        )
        for name, value in ((LOWEST, float(told.min())), (HIGHEST, float(told.max())))
    }


def _places(std_error: float) -> int:
    """Decimal places of an estimate of that error in a release."""
    return 1 - int(np.floor(np.log10(std_error))) if std_error > 0 else 0


def _few(counts: np.ndarray) -> np.ndarray:
    """Counties with 1 to 10 on a side, or beside which the others of it are 1 to 10; (n_counties,).

    `counts` has shape (2, n_counties). Without the larger of two counties, the estimate is that of
    the smaller.
    """
    others = counts.sum(axis=1, keepdims=True) - counts
    few = [(each > 0) & (each < SMALL_COUNT) for each in (counts, others)]
    return np.asarray(np.logical_or.reduce(few).any(axis=0))


def _few_events(moments: CellMoments, outcome: str) -> np.ndarray:
    """Counties that few events, or none known, say not to leave out; (n_counties,).

    Counted over all months, and over those of the effect with the month before.
    """
    sums, of_outcome = moments.clusters, moments.outcome_moments(outcome)
    if sums is None or not of_outcome.is_count:
        return np.ones(0 if sums is None else sums.n_clusters, dtype=bool)
    is_exposed = moments.cells["cohort"].notna().to_numpy()[sums.cell]
    used = np.asarray(moments.months >= pd.Period(BREAK_MONTH, "M") - 1)
    few = np.zeros(sums.n_clusters, dtype=bool)
    for months in (np.ones_like(used), used):
        events = np.zeros((2, sums.n_clusters))
        total = sums.totals[outcome][:, months].sum(axis=1)
        np.add.at(events, (is_exposed.astype(int), sums.cluster), total)
        few |= _few(events)
    return few
