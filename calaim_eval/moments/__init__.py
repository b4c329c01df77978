"""Cell moments: reduce a panel once, estimate many times."""

from calaim_eval.moments.cell_moments import CellMoments, OutcomeMoments
from calaim_eval.moments.cluster_sums import ClusterSums
from calaim_eval.moments.overlap import (
    member_digests,
    read_digests,
    save_digests,
    shared_members,
)
from calaim_eval.moments.reduce import reduce_panel
from calaim_eval.moments.storage import load_moments

__all__ = [
    "CellMoments",
    "ClusterSums",
    "OutcomeMoments",
    "load_moments",
    "member_digests",
    "read_digests",
    "reduce_panel",
    "save_digests",
    "shared_members",
]
