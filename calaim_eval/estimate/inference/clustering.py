"""What a reader must know about the clusters behind a standard error."""

from __future__ import annotations

import numpy as np

from calaim_eval.estimate.influence import MATCHED_GROUP, MEMBER
from calaim_eval.estimate.words import count_words
from calaim_eval.moments import CellMoments

FEW_CLUSTERS = 50
"""Below this many clusters normal intervals run too narrow (20 to 50 are "few": Cameron and
Miller 2015, doi:10.3368/jhr.50.2.317)."""


def cluster_notes(moments: CellMoments, cluster: str) -> tuple[str, ...]:
    """The number of clusters, how many hold exposed members, and what to do when few."""
    if cluster == MEMBER or moments.clusters is None:
        return ()
    sums = moments.clusters
    is_exposed = moments.cells["cohort"].notna().to_numpy()
    n_exposed = len(np.unique(sums.cluster[is_exposed[sums.cell]]))
    return _words(sums.name, sums.n_clusters, n_exposed)


def member_cluster_notes(
    cluster: str,
    codes: np.ndarray | None,
    is_exposed: np.ndarray,
    *,
    is_number_told: bool = True,
) -> tuple[str, ...]:
    """The same of members' clusters; `codes` and `is_exposed` have shape (n,).

    Where each cluster holds one member their numbers are numbers of members: not told.
    """
    if cluster == MEMBER or codes is None:
        return ()
    return _words(
        cluster,
        len(np.unique(codes)),
        len(np.unique(codes[is_exposed])),
        is_number_told=is_number_told,
    )


def _words(
    name: str, n_clusters: int, n_exposed: int, *, is_number_told: bool = True
) -> tuple[str, ...]:
    """Clusters in words, with advice when they are few."""
    note = (
        f"Standard errors are clustered by {name}: {n_clusters} clusters, "
        f"{n_exposed} with exposed members."
    )
    if (
        name == MATCHED_GROUP or not is_number_told
    ):  # each holds an exposed member: their number is one of members
        note = f"Standard errors are clustered by {name}: {count_words(n_clusters, 'clusters')}."
    if min(n_clusters, n_exposed) >= FEW_CLUSTERS:
        return (note,)
    return (
        f"{note} That is few: normal intervals are too narrow. Report "
        "wild_bootstrap_p_values(effects, rng=...) beside them.",
    )
