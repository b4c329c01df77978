"""Sums by cluster (county) and cell: all that cluster-robust inference needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.moments.cell_index import label_codes
from calaim_eval.moments.packing import compact, sum_by, widen


@dataclass(frozen=True, slots=True, eq=False)
class ClusterSums:
    """Sums of ``v = (y, r, 1)`` over the members of a cluster in a cell.

    Attributes
    ----------
    name : str
        Column the members were clustered on.
    labels : pd.Series
        Cluster ids; shape (n_clusters,).
    cluster, cell : np.ndarray
        Which cluster and which cell each stored row is about; shape (n_rows,). A pair without
        members has no row.
    n_members : np.ndarray
        Shape (n_rows,).
    at_risk : np.ndarray
        Member-months; shape (n_rows, T).
    totals : dict[str, np.ndarray]
        Outcome totals, centred like the cell totals; shape (n_rows, T) each.
    """

    name: str
    labels: pd.Series
    cluster: np.ndarray
    cell: np.ndarray
    n_members: np.ndarray
    at_risk: np.ndarray
    totals: dict[str, np.ndarray]

    @property
    def n_clusters(self) -> int:
        """Number of clusters."""
        return len(self.labels)

    def regrouped(self, new_cell: np.ndarray) -> ClusterSums:
        """Rows added up after cell ``c`` has become cell ``new_cell[c]``; -1 drops the cell."""
        cell = new_cell[self.cell]
        kept = np.flatnonzero(cell >= 0)
        return _added_up(self, rows=kept, cluster=self.cluster[kept], cell=cell[kept])

    def recentred(self, outcome: str, shift: float) -> ClusterSums:
        """Totals after the centre of `outcome` has moved up by `shift`."""
        moved = dict(self.totals)
        moved[outcome] = widen(self.totals[outcome]) - shift * self.at_risk
        return ClusterSums(
            self.name, self.labels, self.cluster, self.cell, self.n_members, self.at_risk, moved
        )


def add_cluster_sums(
    left: ClusterSums, right: ClusterSums, *, left_cell: np.ndarray, right_cell: np.ndarray
) -> ClusterSums:
    """Sums of two disjoint member sets whose cells have been renumbered."""
    labels = pd.concat([left.labels, right.labels], ignore_index=True)
    codes, _ = label_codes(labels)
    distinct = labels.iloc[np.unique(codes, return_index=True)[1]].reset_index(drop=True)
    both = ClusterSums(
        name=left.name,
        labels=distinct,
        cluster=np.concatenate(
            [codes[: left.n_clusters][left.cluster], codes[left.n_clusters :][right.cluster]]
        ),
        cell=np.concatenate([left_cell[left.cell], right_cell[right.cell]]),
        n_members=np.concatenate([left.n_members, right.n_members]),
        at_risk=np.concatenate([widen(left.at_risk), widen(right.at_risk)]),
        totals={
            name: np.concatenate([widen(left.totals[name]), widen(right.totals[name])])
            for name in left.totals
        },
    )
    return _added_up(both, rows=np.arange(len(both.cell)), cluster=both.cluster, cell=both.cell)


def _added_up(
    sums: ClusterSums, *, rows: np.ndarray, cluster: np.ndarray, cell: np.ndarray
) -> ClusterSums:
    """One stored row per pair of cluster and cell; clusters without rows leave."""
    present, cluster = np.unique(cluster, return_inverse=True)
    n_cells = int(cell.max()) + 1 if cell.size else 1
    pairs, group = np.unique(cluster * n_cells + cell, return_inverse=True)
    return ClusterSums(
        name=sums.name,
        labels=sums.labels.iloc[present].reset_index(drop=True),
        cluster=pairs // n_cells,
        cell=pairs % n_cells,
        n_members=sum_by(sums.n_members[rows], group, len(pairs)),
        at_risk=compact(sum_by(sums.at_risk[rows], group, len(pairs))),
        totals={
            name: compact(sum_by(total[rows], group, len(pairs)))
            for name, total in sums.totals.items()
        },
    )
