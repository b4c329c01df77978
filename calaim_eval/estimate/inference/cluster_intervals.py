"""Intervals for few clusters: Student's t with clusters less one degrees of freedom."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import special

from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable


def cluster_intervals(table: EffectTable, *, conf_level: float = 0.95) -> pd.DataFrame:
    r"""Tidy table with Student's t intervals, t(G - 1), G the clusters behind each row.

    Use with `cluster_jackknife` (or any table clustered by county) when clusters are few: normal
    intervals are then too narrow [1]_.

    Parameters
    ----------
    table : EffectTable
        With ``cluster_influence``.
    conf_level : float

    Returns
    -------
    pd.DataFrame
        ``table.to_frame(conf_level)`` with ``conf_low``, ``conf_high`` and ``p_value`` from t,
        and ``df``. On the ratio scale t is taken on the log scale.

    Raises
    ------
    EstimationError
        The table keeps no cluster influence, or `conf_level` is not between 0 and 1.

    References
    ----------
    .. [1] Cameron AC, Miller DL (2015). A practitioner's guide to cluster-robust inference. J Human
       Resources 50(2):317-372. doi:10.3368/jhr.50.2.317
    """
    if not 0 < conf_level < 1:
        raise EstimationError(f"conf_level: {conf_level} is not between 0 and 1.")
    df = cluster_degrees(table)
    critical = special.stdtrit(df, 0.5 + conf_level / 2)
    std_error = table.std_error
    frame = table.to_frame(conf_level)
    if table.estimand.scale == "ratio":
        positive = np.where(table.estimate > 0, table.estimate, np.nan)
        reach = np.exp(critical * std_error / positive)
        low, high = positive / reach, positive * reach
        statistic = np.log(positive) / (std_error / positive)
    else:
        low, high = table.estimate - critical * std_error, table.estimate + critical * std_error
        statistic = table.estimate / std_error
    return frame.assign(
        conf_low=low,
        conf_high=high,
        p_value=2 * special.stdtr(df, -np.abs(statistic)),
        df=df,
    )


def cluster_degrees(table: EffectTable) -> np.ndarray:
    """Clusters that bear on each row, less one; NaN where none or one does; shape (k,)."""
    influence = table.cluster_influence
    if influence is None:
        raise EstimationError(
            "the table keeps no cluster influence, so the number of clusters is not known. "
            "Estimate with cluster= the cluster column of the moments."
        )
    return degrees_of_clusters(influence)


def degrees_of_clusters(influence: pd.DataFrame) -> np.ndarray:
    """Clusters with an influence on each row, less one; NaN where none or one has; (k,)."""
    n_clusters = bearing(influence).sum(axis=0)
    return np.where(n_clusters > 1, n_clusters - 1.0, np.nan)


def bearing(influence: pd.DataFrame) -> np.ndarray:
    """Whether each cluster bears on each row; shape (n_clusters, k), bool."""
    values = influence.to_numpy()
    return np.asarray(np.isfinite(values) & (values != 0))
