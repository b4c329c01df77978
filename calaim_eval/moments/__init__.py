"""Cell moments: reduce a panel once, estimate many times."""

from calaim_eval.moments.cell_moments import CellMoments, OutcomeMoments
from calaim_eval.moments.cluster_sums import ClusterSums
from calaim_eval.moments.reduce import reduce_panel
from calaim_eval.moments.storage import load_moments

__all__ = ["CellMoments", "ClusterSums", "OutcomeMoments", "load_moments", "reduce_panel"]
