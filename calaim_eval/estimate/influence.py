r"""Covariance of any smooth function of cell means, from its influence loads.

Every effect here has an influence function :math:`\psi_i = b_c \cdot v_i` with loads
:math:`b_c` constant in a cell, so that the member-clustered covariance of terms with loads
:math:`B` is exactly :math:`B' M B`, and the cluster-robust one needs only sums of v by cluster.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.moments import CellMoments, ClusterSums
from calaim_eval.moments.small_products import small_product

MEMBER = "member"
MATCHED_GROUP = "matched_group"
ROUNDING = 1e-13
"""A variance below this share of the squares it is the difference of is rounding, and is 0."""


@dataclass(frozen=True, slots=True, eq=False)
class CellLoads:
    """Loads of m terms on some cells.

    Attributes
    ----------
    cells : np.ndarray
        Rows of the moments; shape (n,).
    loads : np.ndarray
        On ``v = (y_1 .. y_T, r_1 .. r_T, 1)``; shape (n, m, 2T+1).
    """

    cells: np.ndarray
    loads: np.ndarray


def member_covariance(
    moments: CellMoments, outcome: str, terms: Iterable[CellLoads], n_terms: int
) -> np.ndarray:
    """``B' M B``: covariance clustered by member; shape (n_terms, n_terms)."""
    covariance = np.zeros((n_terms, n_terms))
    gross = np.zeros(n_terms)
    for part in terms:
        used = np.flatnonzero(part.loads.any(axis=(1, 2)))
        matrices = moments.matrices(outcome, part.cells[used])
        for loads, matrix in zip(part.loads[used], matrices, strict=True):
            touched = np.flatnonzero(loads.any(axis=1))
            own = loads[touched]
            covariance[np.ix_(touched, touched)] += small_product(small_product(own, matrix), own.T)
            gross[touched] += own**2 @ np.abs(np.diag(matrix))
    return without_rounding(covariance, gross)


def cluster_influence(
    moments: CellMoments, outcome: str, terms: Iterable[CellLoads], n_terms: int
) -> np.ndarray:
    """Influence of each cluster on each term; shape (n_clusters, n_terms)."""
    sums = _clusters(moments)
    order = np.argsort(sums.cell, kind="stable")
    start = np.searchsorted(sums.cell[order], np.arange(len(moments) + 1))
    totals = np.hstack([sums.totals[outcome], sums.at_risk, sums.n_members[:, None]])
    influence = np.zeros((sums.n_clusters, n_terms))
    gross = np.zeros((sums.n_clusters, n_terms))
    for part in terms:
        for cell, loads in zip(part.cells, part.loads, strict=True):
            rows = order[start[cell] : start[cell + 1]]
            v = totals[rows].astype(float)
            influence[sums.cluster[rows]] += small_product(v, loads.T)
            gross[sums.cluster[rows]] += small_product(np.abs(v), np.abs(loads.T))
    return np.where(np.abs(influence) > ROUNDING * gross, influence, 0.0)


def without_rounding(covariance: np.ndarray, gross: np.ndarray) -> np.ndarray:
    """A covariance whose variances that are only rounding (or negative) are exactly 0."""
    nothing = np.diag(covariance) <= ROUNDING * gross
    covariance[nothing, :] = 0.0
    covariance[:, nothing] = 0.0
    return covariance


def require_cluster(moments: CellMoments, cluster: str) -> None:
    """Refuse a clustering these moments can't give."""
    if cluster == MEMBER:
        if moments.different is not None:
            raise EstimationError(
                "cluster='member': these moments are of a matched design; members of a set are "
                "alike and some are in several sets, so its rows are not independent.\n"
                f"  Use cluster={moments.clusters.name if moments.clusters else MATCHED_GROUP!r}."
            )
        return
    if moments.clusters is None or moments.clusters.name != cluster:
        kept = "none" if moments.clusters is None else f"`{moments.clusters.name}`"
        raise EstimationError(
            f"cluster={cluster!r}: these moments keep cluster sums for {kept}. "
            f"Use cluster='member', or reduce_panel(..., cluster={cluster!r})."
        )
    if moments.clusters.n_clusters < 2:
        raise EstimationError(
            f"cluster={cluster!r}: there is one cluster only, so no variance between clusters can "
            "be estimated. Use cluster='member'."
        )


def labelled_influence(moments: CellMoments, influence: np.ndarray) -> pd.DataFrame:
    """Cluster influence with cluster ids as its index."""
    sums = _clusters(moments)
    return pd.DataFrame(influence, index=pd.Index(sums.labels, name=sums.name))


def _clusters(moments: CellMoments) -> ClusterSums:
    """Cluster sums, known to be there."""
    if moments.clusters is None:
        raise EstimationError("these moments keep no cluster sums; name `cluster` in reduce_panel.")
    return moments.clusters
