"""P-values for few clusters: a wild bootstrap of the clusters' influence."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable

Weights = Literal["webb", "rademacher"]
_POINTS = {
    "webb": np.sqrt([0.5, 1.0, 1.5]),
    "rademacher": np.array([1.0]),
}


def wild_bootstrap_p_values(
    table: EffectTable,
    *,
    rng: np.random.Generator,
    draws: int = 9_999,
    weights: Weights = "webb",
) -> pd.DataFrame:
    r"""P-values from a studentized wild score bootstrap over clusters.

    Use beside cluster-robust intervals when clusters (counties) are few. With fewer than some ten
    exposed clusters no bootstrap is reliable either: use randomization inference over the
    assignment of clusters.

    Parameters
    ----------
    table : EffectTable
        Made with ``cluster=`` a cluster column, so that it carries ``cluster_influence``.
    rng : np.random.Generator
    draws : int
        Bootstrap draws.
    weights : {"webb", "rademacher"}
        Six-point weights, right also for fewer than 12 clusters, or two-point weights.

    Returns
    -------
    pd.DataFrame
        Keys, ``estimate``, ``std_error``, ``p_value`` (two-sided, of no effect), ``n_clusters``
        that bear on the estimate.

    Raises
    ------
    EstimationError
        The table keeps no cluster influence.

    Notes
    -----
    With cluster influence :math:`\psi_g` (sums to 0 over clusters) and weights :math:`w_g`,
    :math:`t^* = \sum_g w_g \psi_g / \sqrt{\sum_g (w_g \psi_g - \overline{w\psi})^2}` [1]_; the
    p-value is the share of :math:`|t^*| \ge |t|`, t studentized alike.

    References
    ----------
    .. [1] Kline P, Santos A (2012). A score based approach to wild bootstrap inference. Journal of
       Econometric Methods 1(1):23-41. doi:10.1515/2156-6674.1006
    """
    if table.cluster_influence is None:
        raise EstimationError(
            "wild_bootstrap_p_values: the table keeps no cluster influence. Estimate with "
            "cluster= the cluster column of the moments."
        )
    if weights not in _POINTS:
        raise EstimationError(f"weights: {weights!r} is not one of 'webb', 'rademacher'.")
    influence = table.cluster_influence.to_numpy()
    signs = rng.choice(np.array([-1.0, 1.0]), size=(draws, len(influence)))
    drawn = signs * rng.choice(_POINTS[weights], size=(draws, len(influence)))
    return table.keys.reset_index(drop=True).assign(
        estimate=table.estimate,
        std_error=table.std_error,
        p_value=[
            _p_value(influence[:, row], table.estimate[row], drawn) for row in range(len(table))
        ],
        n_clusters=(influence != 0).sum(axis=0),
    )


def _p_value(influence: np.ndarray, estimate: float, drawn: np.ndarray) -> float:
    """Share of draws at least as far from 0 as the estimate; NaN without variation."""
    spread = np.sqrt(((influence - influence.mean()) ** 2).sum())
    if not np.isfinite(estimate) or spread == 0:
        return float("nan")
    scores = drawn * influence
    centred = scores - scores.mean(axis=1, keepdims=True)
    statistics = scores.sum(axis=1) / np.sqrt((centred**2).sum(axis=1))
    at_least = (np.abs(statistics) >= np.abs(estimate) / spread).sum()
    return float((at_least + 1) / (len(drawn) + 1))
