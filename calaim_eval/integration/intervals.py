r"""Intervals of a share: Wilson, and Wilson on the effective number of trials where rows cluster.

Several referrals of one member, or several invoices to one plan, say less than as many
independent ones. The interval then rests on the *effective* number of trials

.. math:: n_{\mathrm{eff}} = \min\{n,\; p(1-p)/v\},
   \qquad v = \frac{G}{G-1} \sum_g (y_g - p\,n_g)^2 / n^2 ,

with :math:`y_g` successes among :math:`n_g` trials of cluster :math:`g` of :math:`G` [1]_. Where
every trial ends the same way, :math:`v` says nothing and :math:`n_{\mathrm{eff}} = G`, the
cautious end.

References
----------
.. [1] Dean N, Pagano M (2015). Evaluating confidence interval methods for binomial proportions
   in clustered surveys. J Surv Stat Methodol 3(4):484-503. doi:10.1093/jssam/smv024
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from calaim_eval.results import ALL

CONF_LEVEL = 0.95


def wilson_bounds(
    numerator: np.ndarray,
    denominator: np.ndarray,
    *,
    effective: np.ndarray | None = None,
    quantile: np.ndarray | float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Wilson 95 % bounds of ``numerator / denominator``; NaN where the denominator is 0.

    Parameters
    ----------
    numerator, denominator : np.ndarray
        Successes and trials; shape (k,).
    effective : np.ndarray, optional
        Effective number of trials, shape (k,). Default: the denominator.
    quantile : optional
        Quantile of the reference distribution. Default: normal, 1.96.
    """
    z = float(stats.norm.ppf(0.5 + CONF_LEVEL / 2)) if quantile is None else quantile
    trials = np.asarray(denominator, dtype=float)
    trials = np.where(trials > 0, trials, np.nan)
    share = np.asarray(numerator, dtype=float) / trials
    n = trials if effective is None else np.where(np.isnan(trials), np.nan, effective)
    z2 = np.square(z)
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def clustered_shares(
    is_success: pd.Series,
    *,
    group: pd.Series | None,
    cluster: pd.Series,
    groups: Sequence[str] = (),
    reference: Literal["normal", "t"] = "normal",
) -> pd.DataFrame:
    """Share of successes by group and in all, with intervals that respect the clusters.

    Parameters
    ----------
    is_success : pd.Series
        Boolean, one row per trial; shape (n,).
    group : pd.Series | None
        Group of each trial; None gives the row ``"all"`` only.
    cluster : pd.Series
        What the trials of one cluster share: member or plan.
    groups : Sequence[str]
        Groups to report, in order; those without a trial get 0 of 0.
    reference : {"normal", "t"}
        ``"t"`` with G - 1 degrees of freedom where clusters are few.

    Returns
    -------
    pd.DataFrame
        Index ``"all"`` and the groups; columns numerator, denominator, n_clusters,
        n_clusters_with_success, conf_low, conf_high.
    """
    trials = pd.DataFrame(
        {"cluster": cluster.to_numpy(), "y": np.asarray(is_success, dtype=float), "group": ALL}
    )
    sums = [_cluster_sums(trials)]
    if group is not None:
        sums.append(_cluster_sums(trials.assign(group=group.to_numpy())))
    wanted = [ALL, *groups] if group is not None else [ALL]
    table = pd.concat(sums).groupby("group").sum().reindex(wanted).fillna(0.0)
    return _bounds_of_sums(table, reference=reference)


def _cluster_sums(trials: pd.DataFrame) -> pd.DataFrame:
    """Per group and cluster: successes, trials, and the products the variance needs."""
    cells = trials.groupby(["group", "cluster"], observed=True, dropna=False)["y"].agg(
        ["sum", "size"]
    )
    y, n = cells["sum"], cells["size"].astype(float)
    return pd.DataFrame(
        {
            "numerator": y,
            "denominator": n,
            "n_clusters": 1.0,
            "n_clusters_with_success": (y > 0).astype(float),
            "yy": y * y,
            "yn": y * n,
            "nn": n * n,
        }
    ).reset_index("cluster", drop=True)


def _bounds_of_sums(table: pd.DataFrame, *, reference: Literal["normal", "t"]) -> pd.DataFrame:
    """Effective trials and Wilson bounds from the sums over clusters."""
    y, n, n_clusters = (table[c].to_numpy() for c in ("numerator", "denominator", "n_clusters"))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = y / n
        squares = table["yy"] - 2 * share * table["yn"] + share**2 * table["nn"]
        variance = n_clusters / (n_clusters - 1) * np.maximum(squares, 0.0) / n**2
        effective = np.minimum(n, share * (1 - share) / variance)
    is_same = (share <= 0) | (share >= 1) | (n_clusters <= 1)
    effective = np.where(is_same, n_clusters, effective)
    quantile: np.ndarray | None = None
    if reference == "t":
        freedom = np.where(n_clusters > 1, n_clusters - 1, np.nan)
        quantile = stats.t.ppf(0.5 + CONF_LEVEL / 2, freedom)
    low, high = wilson_bounds(y, n, effective=effective, quantile=quantile)
    kept = table[["numerator", "denominator", "n_clusters", "n_clusters_with_success"]]
    return kept.assign(conf_low=low, conf_high=high)
