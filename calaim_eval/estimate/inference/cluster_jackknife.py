"""Standard errors from leaving out one cluster at a time (CRV3)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.estimate.inference.cluster_intervals import degrees_of_clusters
from calaim_eval.estimate.inference.cluster_moments import Estimator
from calaim_eval.estimate.inference.leave_one_out import LeaveOneOut, leave_one_cluster_out
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable, Method
from calaim_eval.results.effect_table import with_undefined

REFERENCE = (
    "MacKinnon JG, Nielsen MO, Webb MD (2023). Cluster-robust inference: a guide to empirical "
    "practice. Journal of Econometrics 232(2):272-299. doi:10.1016/j.jeconom.2022.04.001"
)
Center = Literal["estimate", "mean"]


def cluster_jackknife(
    moments: CellMoments, estimate: Estimator, *, center: Center = "estimate"
) -> EffectTable:
    r"""The estimates with their cluster jackknife covariance, CRV3.

    Use instead of the plain sandwich when counties are few or unequal: it is far less often too
    small [1]_. Its intervals are Student's t, with the clusters behind a row less one.

    Parameters
    ----------
    moments : CellMoments
        Reduced with ``cluster=``; at least three clusters.
    estimate : callable
        From `CellMoments` to `EffectTable`; see `leave_one_cluster_out`.
    center : {"estimate", "mean"}
        Squares are taken around the estimate (CV3) or around the mean of the re-estimates (CV3J,
        never larger).

    Returns
    -------
    EffectTable
        The rows of ``estimate(moments)``; ``cluster_influence`` holds the scaled changes. A row
        that cannot be estimated without some cluster has no standard error, and a note says so.

    Raises
    ------
    EstimationError
        No cluster sums, fewer than three clusters, no row with a jackknife, or an unknown option.

    Notes
    -----
    :math:`V = \frac{G-1}{G} \sum_g (\hat\theta_{(g)} - \hat\theta)(\hat\theta_{(g)} -
    \hat\theta)'`, G the clusters with members in the stratum of the row; every
    :math:`\hat\theta_{(g)}` is estimated anew from the sums of the other clusters.

    References
    ----------
    .. [1] MacKinnon JG, Nielsen MO, Webb MD (2023). J Econometrics 232(2):272-299.
       doi:10.1016/j.jeconom.2022.04.001
    """
    require_choice("center", center, ("estimate", "mean"))
    left_out = leave_one_cluster_out(moments, estimate)
    influence, lost = _influence(left_out, center)
    if lost.all():
        why = left_out.reasons[0] if left_out.reasons else "not identified without it."
        raise EstimationError(
            f"cluster_jackknife: none of the {len(lost)} effects can be estimated without each "
            f"cluster in turn; often a single {left_out.clusters.name} holds all exposed or all "
            f"comparison members. Use randomization_test. The first reason: {why}"
        )
    table = left_out.table
    covariance, by_cluster = with_undefined(
        influence.T @ influence,
        pd.DataFrame(influence, index=left_out.clusters),
        np.isnan(np.diag(table.covariance)) | lost,
    )
    name = str(left_out.clusters.name)
    return EffectTable(
        keys=table.keys,
        estimate=table.estimate,
        covariance=covariance,
        support=table.support,
        estimand=table.estimand,
        method=Method(
            table.method.estimator,
            MappingProxyType(
                {**table.method.options, "cluster": name, "std_error": "CRV3", "center": center}
            ),
            "; ".join(part for part in (table.method.reference, REFERENCE) if part),
        ),
        cluster_influence=by_cluster,
        degrees=None if by_cluster is None else degrees_of_clusters(by_cluster),
        notes=(*table.notes, *_notes(left_out, lost)),
    )


def _influence(left_out: LeaveOneOut, center: Center) -> tuple[np.ndarray, np.ndarray]:
    """Scaled changes (G, k), and rows that some cluster can't be left out of (k,)."""
    there = left_out.members.are_there
    lost = (there & np.isnan(left_out.estimates)).any(axis=0) | np.isnan(left_out.table.estimate)
    n_clusters = there.sum(axis=0)
    lost |= n_clusters < 2
    without = np.where(there, np.nan_to_num(left_out.estimates), 0.0)
    around = left_out.table.estimate
    if center == "mean":
        around = without.sum(axis=0) / np.maximum(n_clusters, 1)
    scale = np.sqrt((n_clusters - 1) / np.maximum(n_clusters, 1))
    return np.where(there & ~lost, scale * (around - without), 0.0), lost


def _notes(left_out: LeaveOneOut, lost: np.ndarray) -> list[str]:
    """How the standard errors were made, and which rows have none."""
    name = left_out.clusters.name
    notes = [
        f"Standard errors leave out one {name} at a time (CRV3); intervals are "
        "Student's t, with the clusters behind an effect less one degrees of freedom."
    ]
    if lost.any():
        notes.append(
            f"{int(lost.sum())} of {len(lost)} effects can't be estimated without some {name} and "
            "have no jackknife standard error."
        )
    return notes
