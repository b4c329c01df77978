"""Randomization inference over which clusters (counties) were exposed when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from math import factorial, prod

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.cluster_moments import (
    Estimator,
    matched_rows,
    require_clusters,
    with_cohorts,
)
from calaim_eval.moments import CellMoments, ClusterSums
from calaim_eval.moments.cell_index import label_codes
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
    sums = require_clusters(moments, at_least=3, what="randomization_test")
    if draws < 1:
        raise EstimationError(f"randomization_test: draws={draws}; give at least 1.")
    cohort = _cohort_of_cluster(moments, sums)
    codes = label_codes(cohort)[0]
    blocks = _blocks(sums, within)
    n_possible = prod(_n_orders(codes[block]) for block in blocks)
    if n_possible < 2:
        raise DesignError(
            f"randomization_test: the {sums.n_clusters} clusters by {sums.name} can be assigned in "
            "one way only (every cluster of a block has the same cohort). Use wider blocks, or a "
            "design with exposed and comparison clusters."
        )
    is_enumerated = n_possible - 1 <= draws
    table = estimate(with_cohorts(moments, cohort))
    observed = _statistic(table)
    if np.isnan(observed).all():
        raise EstimationError(
            "randomization_test: no effect has a standard error by cluster. Let the estimator "
            f"cluster by the same column: cluster={sums.name!r}."
        )
    assignments = (
        _other_assignments(codes, blocks) if is_enumerated else _drawn(codes, blocks, rng, draws)
    )
    first = np.unique(codes, return_index=True)[1]
    at_least, undefined, n_done = np.zeros(len(table)), np.zeros(len(table)), 0
    for assignment in assignments:
        statistic = _restated(moments, estimate, table, cohort.iloc[first[assignment]])
        is_nan = np.isnan(statistic)
        undefined += is_nan
        at_least += is_nan | (np.abs(statistic) >= np.abs(observed) * (1 - TIE))
        n_done += 1
    return table.keys.reset_index(drop=True).assign(
        estimate=table.estimate,
        statistic=observed,
        p_value=np.where(np.isnan(observed), np.nan, (1 + at_least) / (1 + n_done)),
        n_assignments=n_done,
        is_enumerated=is_enumerated,
        p_value_step=1 / (1 + n_done),
        n_undefined=undefined.astype(int),
    )


def _cohort_of_cluster(moments: CellMoments, sums: ClusterSums) -> pd.Series:
    """The one cohort of each cluster, or DesignError."""
    code_of_cell = label_codes(moments.cells["cohort"])[0]
    own = code_of_cell[sums.cell]
    low = np.full(sums.n_clusters, np.iinfo(np.int64).max)
    high = np.full(sums.n_clusters, -1)
    np.minimum.at(low, sums.cluster, own)
    np.maximum.at(high, sums.cluster, own)
    n_mixed = int((low != high).sum())
    if n_mixed:
        raise DesignError(
            f"randomization_test: {n_mixed} of {sums.n_clusters} clusters by {sums.name} hold "
            "members of several cohorts, so exposure was not assigned by cluster and there is no "
            "assignment to permute. Use it with design_county_phase, or use "
            "wild_bootstrap_p_values."
        )
    first = np.unique(code_of_cell, return_index=True)[1]
    return moments.cells["cohort"].iloc[first[low]].reset_index(drop=True)


def _blocks(sums: ClusterSums, within: Mapping[object, object] | None) -> list[np.ndarray]:
    """Positions of the clusters of each block."""
    if within is None:
        return [np.arange(sums.n_clusters)]
    labels = sums.labels.map(dict(within))
    if labels.isna().any():
        raise EstimationError(
            f"randomization_test: `within` gives no block for {int(labels.isna().sum())} of "
            f"{sums.n_clusters} clusters by {sums.name}."
        )
    codes = label_codes(labels)[0]
    return [np.flatnonzero(codes == code) for code in np.unique(codes)]


def _n_orders(codes: np.ndarray) -> int:
    """Different orders of codes some of which repeat."""
    repeats = np.unique(codes, return_counts=True)[1]
    return factorial(len(codes)) // prod(factorial(int(n)) for n in repeats)


def _orders(codes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every different order of some codes, each once."""
    if not codes:
        yield ()
        return
    for code in sorted(set(codes)):
        rest = list(codes)
        rest.remove(code)
        for order in _orders(tuple(rest)):
            yield (code, *order)


def _other_assignments(codes: np.ndarray, blocks: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Every assignment but the actual one; shape (n_clusters,) each."""
    for orders in product(*(_orders(tuple(codes[block].tolist())) for block in blocks)):
        assigned = codes.copy()
        for block, order in zip(blocks, orders, strict=True):
            assigned[block] = order
        if not np.array_equal(assigned, codes):
            yield assigned


def _drawn(
    codes: np.ndarray, blocks: list[np.ndarray], rng: np.random.Generator | None, draws: int
) -> Iterable[np.ndarray]:
    """Random assignments, the actual one among the possible."""
    if rng is None:
        raise EstimationError(
            "randomization_test: there are too many assignments to enumerate with this `draws`. "
            "Give rng=np.random.default_rng(seed)."
        )
    for _ in range(draws):
        assigned = codes.copy()
        for block in blocks:
            assigned[block] = rng.permutation(codes[block])
        yield assigned


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
        other = estimate(with_cohorts(moments, cohort.reset_index(drop=True)))
    except (DesignError, EstimationError):
        return np.full(len(table), np.nan)
    row = matched_rows(table.keys, other.keys)
    return np.where(row >= 0, _statistic(other)[row], np.nan)
