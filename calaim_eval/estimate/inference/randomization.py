"""Randomization inference over which clusters (counties) were exposed when."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.inference.cluster_assignment import cluster_assignment
from calaim_eval.estimate.inference.cluster_moments import Estimator, matched_rows, with_cohorts
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable

TIE = 1e-10
"""Statistics this near, relative, are ties: the same sums added in another order."""


def randomization_test(
    moments: CellMoments,
    estimate: Estimator,
    *,
    rng: np.random.Generator | None = None,
    draws: int = 999,
    within: Mapping[object, object] | None = None,
) -> pd.DataFrame:
    r"""P-values from permuting which counties were exposed, and when.

    Use for the county roll-out, where exposed counties are few: how often would an estimate this
    large relative to its error arise if the phases had been dealt to the counties otherwise and
    nothing had an effect?

    Parameters
    ----------
    moments : CellMoments
        Reduced with ``cluster="county"`` from a design in which a county's members share one
        cohort (`design_county_phase`).
    estimate : callable
        From `CellMoments` to `EffectTable`, clustered by the same column; see
        `leave_one_cluster_out`.
    rng : np.random.Generator, optional
        Needed where assignments are drawn, not enumerated.
    draws : int
        Assignments drawn. When there are no more than ``draws + 1`` different ones, all are
        enumerated instead.
    within : mapping, optional
        Cluster to block (e.g. county to region): cohorts are permuted within blocks only.

    Returns
    -------
    pd.DataFrame
        Keys, ``estimate``, ``statistic`` (estimate over its cluster-robust error), ``p_value``
        (two-sided), ``n_assignments`` (without the actual one), ``is_enumerated``,
        ``p_value_step`` (no p-value lies between its multiples), ``n_undefined`` (assignments
        under which the effect is not identified: counted as more extreme).

    Raises
    ------
    DesignError
        The design knows no assignment of clusters: some hold members of several cohorts, or all
        clusters of every block share one.
    EstimationError
        No cluster sums, no standard error by cluster, a cluster without block, or no `rng`.

    Notes
    -----
    :math:`p = (1 + \#\{|t^*| \ge |t|\}) / (1 + n)`, exact for the hypothesis of no effect on any
    county if the assignment was random within blocks; studentizing keeps it valid in large
    samples for no effect on average [1]_ [2]_. Counties were not drawn by lot: phase 1 had Whole
    Person Care or Health Homes. The p-value supposes that the counties' changes over time, not
    their levels, are exchangeable.

    References
    ----------
    .. [1] MacKinnon JG, Webb MD (2020). Randomization inference for difference-in-differences with
       few treated clusters. J Econometrics 218(2):435-450. doi:10.1016/j.jeconom.2020.04.024
    .. [2] Wu J, Ding P (2021). Randomization tests for weak null hypotheses in randomized
       experiments. JASA 116(536):1898-1913. doi:10.1080/01621459.2020.1750415
    """
    assignment = cluster_assignment(
        moments, rng=rng, draws=draws, within=within, what="randomization_test"
    )
    table = estimate(with_cohorts(moments, assignment.cohort))
    observed = _statistic(table)
    if np.isnan(observed).all():
        raise EstimationError(
            "randomization_test: no effect has a standard error by cluster. Let the estimator "
            "cluster by the column of the cluster sums."
        )
    at_least, undefined, n_done = np.zeros(len(table)), np.zeros(len(table)), 0
    for cohort in assignment.others():
        statistic = _restated(moments, estimate, table, cohort)
        is_nan = np.isnan(statistic)
        undefined += is_nan
        at_least += is_nan | (np.abs(statistic) >= np.abs(observed) * (1 - TIE))
        n_done += 1
    return table.keys.reset_index(drop=True).assign(
        estimate=table.estimate,
        statistic=observed,
        p_value=np.where(np.isnan(observed), np.nan, (1 + at_least) / (1 + n_done)),
        n_assignments=n_done,
        is_enumerated=assignment.is_enumerated,
        p_value_step=1 / (1 + n_done),
        n_undefined=undefined.astype(int),
    )


def _statistic(table: EffectTable) -> np.ndarray:
    """Estimate over its error, of the log for ratios; shape (k,)."""
    if table.estimand.scale == "ratio":
        positive = np.where(table.estimate > 0, table.estimate, np.nan)
        return np.asarray(np.log(positive) * positive / table.std_error)
    return np.asarray(table.estimate / table.std_error)


def _restated(
    moments: CellMoments, estimate: Estimator, table: EffectTable, cohort: pd.Series
) -> np.ndarray:
    """Statistics of the rows of `table` under another assignment; NaN where not identified."""
    try:
        other = estimate(with_cohorts(moments, cohort))
    except (DesignError, EstimationError):
        return np.full(len(table), np.nan)
    row = matched_rows(table.keys, other.keys)
    return np.where(row >= 0, _statistic(other)[row], np.nan)
