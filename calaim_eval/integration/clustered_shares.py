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
from scipy import special

from calaim_eval.results import ALL
from calaim_eval.results.intervals import wilson_interval

_UPPER = 0.975


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
    codes, clusters = pd.factorize(cluster)
    y = np.asarray(is_success, dtype=float)
    sums = [_group_sums(y, codes, np.zeros(len(y), dtype=np.int64), len(clusters), 1)]
    if group is not None:
        places = pd.Index(groups).get_indexer(group)
        known = places >= 0
        sums.append(_group_sums(y[known], codes[known], places[known], len(clusters), len(groups)))
    names = [ALL, *groups] if group is not None else [ALL]
    table = pd.concat(sums, ignore_index=True).set_axis(pd.Index(names, name="group"))
    return _bounds_of_sums(table, reference=reference)


def _group_sums(
    y: np.ndarray, cluster: np.ndarray, group: np.ndarray, n_clusters: int, n_groups: int
) -> pd.DataFrame:
    """Per group: successes, trials, clusters, and the products the variance needs."""
    cell, keys = pd.factorize(group.astype(np.int64) * max(n_clusters, 1) + cluster)
    of = keys // max(n_clusters, 1)
    successes = np.bincount(cell, weights=y, minlength=len(keys))
    trials = np.bincount(cell, minlength=len(keys)).astype(float)
    per_cell = {
        "numerator": successes,
        "denominator": trials,
        "n_clusters": np.ones(len(keys)),
        "n_clusters_with_success": (successes > 0).astype(float),
        "yy": successes * successes,
        "yn": successes * trials,
        "nn": trials * trials,
    }
    return pd.DataFrame(
        {name: np.bincount(of, weights=v, minlength=n_groups) for name, v in per_cell.items()}
    )


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
    effective = np.where(n > 0, effective, 0.0)
    quantile: np.ndarray | None = None
    if reference == "t":
        freedom = np.where(n_clusters > 1, n_clusters - 1, np.nan)
        quantile = special.stdtrit(freedom, _UPPER)
    successes = np.where(n > 0, np.minimum(share * effective, effective), 0.0)
    low, high = wilson_interval(successes, effective, quantile=quantile)
    kept = table[["numerator", "denominator", "n_clusters", "n_clusters_with_success"]]
    return kept.assign(conf_low=low, conf_high=high)
