"""Moments rebuilt from cluster sums: without a cluster, or with clusters in other cohorts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.moments import CellMoments, ClusterSums
from calaim_eval.moments.cell_index import row_codes
from calaim_eval.moments.packing import sum_by
from calaim_eval.results import EffectTable

Estimator = Callable[[CellMoments], EffectTable]
"""What is re-estimated, e.g. ``lambda m: aggregate(group_time_att(m, outcome=..., cluster=...))``;
any smooth function of cell means."""


@dataclass(frozen=True, slots=True, eq=False)
class ClusterMembers:
    """Members of each cluster that stand behind each row of a table; shapes (n_clusters, k).

    Attributes
    ----------
    exposed, comparison : np.ndarray
        In the stratum of the row.
    fewest_exposed : np.ndarray
        Exposed members of the cohort of the row; of rows by event time or month, of the smallest
        cohort that the cluster has (0: none); of others all exposed.
    """

    exposed: np.ndarray
    comparison: np.ndarray
    fewest_exposed: np.ndarray

    @property
    def are_there(self) -> np.ndarray:
        """Whether the cluster has any member in the stratum of the row; bool."""
        return np.asarray((self.exposed + self.comparison) > 0)


def require_clusters(moments: CellMoments, *, at_least: int, what: str) -> ClusterSums:
    """The cluster sums, or an error that says how to get them."""
    if moments.clusters is None:
        raise EstimationError(
            f"{what}: these moments keep no cluster sums. "
            "Name the column: reduce_panel(..., cluster='county')."
        )
    if moments.clusters.n_clusters < at_least:
        raise EstimationError(
            f"{what}: {moments.clusters.n_clusters} clusters by {moments.clusters.name}; at least "
            f"{at_least} are needed."
        )
    return moments.clusters


def without_cluster(moments: CellMoments, left_out: int) -> CellMoments:
    """Moments of the members of all clusters but one; `left_out` is its position.

    Counts and sums are exact. Cross-products within members are not kept by cluster: they are NaN,
    so nothing that needs them can pass for an estimate.
    """
    sums = require_clusters(moments, at_least=2, what="without_cluster")
    rows = np.flatnonzero(sums.cluster != left_out)
    kept, cell = np.unique(sums.cell[rows], return_inverse=True)
    present, cluster = np.unique(sums.cluster[rows], return_inverse=True)
    fewer = ClusterSums(
        name=sums.name,
        labels=sums.labels.iloc[present].reset_index(drop=True),
        cluster=cluster,
        cell=cell,
        n_members=sums.n_members[rows],
        at_risk=sums.at_risk[rows],
        totals={name: total[rows] for name, total in sums.totals.items()},
    )
    return _rebuilt(moments, fewer, moments.cells.iloc[kept].reset_index(drop=True))


def with_cohorts(moments: CellMoments, cohort_of_cluster: pd.Series) -> CellMoments:
    """Moments as if each cluster had been exposed in another month.

    Parameters
    ----------
    cohort_of_cluster : pd.Series
        Cohort labels as in ``moments.cells["cohort"]``; one per cluster. Clusters whose members
        share one cohort only.
    """
    sums = require_clusters(moments, at_least=2, what="with_cohorts")
    cells = moments.cells.iloc[sums.cell].reset_index(drop=True)
    cells["cohort"] = cohort_of_cluster.iloc[sums.cluster].reset_index(drop=True)
    cell, first = row_codes(cells)
    return _rebuilt(moments, replace(sums, cell=cell), cells.iloc[first].reset_index(drop=True))


def cluster_members(moments: CellMoments, keys: pd.DataFrame) -> ClusterMembers:
    """Exposed and comparison members of each cluster in the stratum of each row of `keys`."""
    sums = require_clusters(moments, at_least=1, what="cluster_members")
    named = [c for c in moments.stratum if c in keys.columns]
    is_exposed = moments.cells["cohort"].notna().to_numpy()
    exposed = _members_by_row(moments, sums, keys, named, is_exposed)
    fewest = exposed
    if "cohort" in keys.columns:
        fewest = _members_by_row(moments, sums, keys, [*named, "cohort"], is_exposed)
    elif {"event_time", "month"} & set(keys.columns):
        fewest = _smallest_cohort(moments, sums, keys, named)
    return ClusterMembers(
        exposed=exposed,
        comparison=_members_by_row(moments, sums, keys, named, ~is_exposed),
        fewest_exposed=fewest,
    )


def _members_by_row(
    moments: CellMoments,
    sums: ClusterSums,
    keys: pd.DataFrame,
    names: list[str],
    chosen: np.ndarray,
) -> np.ndarray:
    """Members by cluster in the `chosen` cells that share the `names` with each row; (G, k)."""
    of_cell, of_row = np.zeros(len(moments), dtype=int), np.zeros(len(keys), dtype=int)
    if names:
        codes = row_codes(pd.concat([moments.cells[names], keys[names]], ignore_index=True))[0]
        of_cell, of_row = codes[: len(moments)], codes[len(moments) :]
    size = int(max(of_cell.max(initial=0), of_row.max(initial=0))) + 1
    counts = np.zeros((sums.n_clusters, size))
    np.add.at(counts, (sums.cluster, of_cell[sums.cell]), sums.n_members * chosen[sums.cell])
    return counts[:, of_row]


def _smallest_cohort(
    moments: CellMoments, sums: ClusterSums, keys: pd.DataFrame, named: list[str]
) -> np.ndarray:
    """Members of the smallest exposed cohort of each cluster in the stratum of each row; (G, k)."""
    cohort = moments.cells["cohort"]
    smallest = np.full((sums.n_clusters, len(keys)), np.inf)
    for label in cohort.dropna().unique():
        own = (cohort == label).fillna(value=False).to_numpy(dtype=bool)
        members = _members_by_row(moments, sums, keys, named, own)
        smallest = np.where(members > 0, np.minimum(smallest, members), smallest)
    return np.where(np.isfinite(smallest), smallest, 0.0)


def matched_rows(keys: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Position in `other` of each row of `keys`, -1 where it is not there; shape (k,)."""
    if not len(keys.columns):
        return np.arange(len(keys)) if len(other) == len(keys) else np.full(len(keys), -1)
    codes = row_codes(pd.concat([keys, other[list(keys.columns)]], ignore_index=True))[0]
    ours, theirs = codes[: len(keys)], codes[len(keys) :]
    if len(np.unique(ours)) < len(ours):
        raise EstimationError(
            f"the keys of {len(ours) - len(np.unique(ours))} of {len(ours)} rows repeat, so that "
            "re-estimates can't be told apart. Let the estimator return a key that does."
        )
    position = np.full(int(codes.max(initial=0)) + 1, -1)
    position[theirs] = np.arange(len(theirs))
    return np.asarray(position[ours])


def _rebuilt(moments: CellMoments, sums: ClusterSums, cells: pd.DataFrame) -> CellMoments:
    """Moments whose counts and sums are added up from cluster sums."""
    n_cells, size = len(cells), len(moments.months)
    at_risk = sum_by(sums.at_risk, sums.cell, n_cells)
    triangle = np.broadcast_to(np.nan, (n_cells, size * (size + 1) // 2))
    square = np.broadcast_to(np.nan, (n_cells, size, size))
    return replace(
        moments,
        cells=cells,
        n_members=sum_by(sums.n_members, sums.cell, n_cells),
        at_risk=at_risk,
        rr=triangle,
        by_outcome={
            name: replace(
                old,
                total=sum_by(sums.totals[name], sums.cell, n_cells),
                yy=triangle,
                yr=square,
                # Not kept by cluster; an upper bound. `CellGrid.level` tells what is 0 by its sum.
                nonzero=np.ceil(at_risk).astype(np.int64),
            )
            for name, old in moments.by_outcome.items()
        },
        clusters=sums,
        # Not kept by cluster: none are known.
        different=moments.different and moments.different.nobody(n_cells),
    )
