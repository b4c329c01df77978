"""Re-estimates that leave out one cluster (county) at a time: which one drives an effect."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.inference.cluster_moments import (
    ClusterMembers,
    Estimator,
    cluster_members,
    matched_rows,
    require_clusters,
    without_cluster,
)
from calaim_eval.estimate.words import SMALL_COUNT
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable

if TYPE_CHECKING:
    from plotnine import ggplot

MIN_CLUSTERS = 3


@dataclass(frozen=True, slots=True, eq=False)
class LeaveOneOut:
    """Estimates without each cluster in turn.

    Attributes
    ----------
    table : EffectTable
        The estimates of all clusters; k rows.
    clusters : pd.Index
        Cluster ids, named after the cluster column; G of them.
    estimates : np.ndarray
        Without each cluster; shape (G, k). NaN where the rest does not identify the effect.
    members : ClusterMembers
        Members of each cluster behind each row.
    reasons : tuple[str, ...]
        Why re-estimates failed, each reason once.
    """

    table: EffectTable
    clusters: pd.Index
    estimates: np.ndarray
    members: ClusterMembers
    reasons: tuple[str, ...] = ()

    @property
    def is_withheld(self) -> np.ndarray:
        """Clusters with 1 to 10 members on a side: their estimates are not shown; (G, k).

        The exposed are also counted by cohort where rows are by cohort, event time or month.
        """
        of = self.members
        sides = (of.exposed, of.fewest_exposed, of.comparison)
        return np.asarray(
            np.logical_or.reduce([(side > 0) & (side < SMALL_COUNT) for side in sides])
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per estimate and cluster that has members behind it, largest change first.

        Returns
        -------
        pd.DataFrame
            Keys, the cluster column, ``estimate`` (of all), ``estimate_without``, ``change``
            (all minus without: what the cluster adds), ``change_in_std_errors``,
            ``is_withheld``. Changes of clusters with 1 to 10 members on a side, or in the
            exposed cohort of the row, are NaN.
        """
        name = self.clusters.name or "cluster"
        parts = []
        for row in range(len(self.table)):
            there = np.flatnonzero(self.members.are_there[:, row])
            hidden = self.is_withheld[there, row]
            without = np.where(hidden, np.nan, self.estimates[there, row])
            change = self.table.estimate[row] - without
            part = self.table.keys.iloc[np.full(len(there), row)].reset_index(drop=True)
            part = part.assign(
                **{str(name): self.clusters[there]},
                estimate=self.table.estimate[row],
                estimate_without=without,
                change=change,
                change_in_std_errors=change / self.table.std_error[row],
                is_withheld=hidden,
            )
            order = np.argsort(-np.abs(np.nan_to_num(change)), kind="stable")
            parts.append(part.iloc[order])
        return pd.concat(parts, ignore_index=True)

    def plot(self) -> ggplot:
        """Estimate without each cluster, against the estimate of all (line)."""
        import plotnine as p9

        frame = self.to_frame().dropna(subset=["estimate_without"])
        name, keys = str(self.clusters.name or "cluster"), list(self.table.keys.columns)
        order = frame.groupby(name)["change"].sum().sort_values().index
        frame[name] = pd.Categorical(frame[name].astype(str), [str(c) for c in order])
        plot = (
            p9.ggplot(frame, p9.aes(name, "estimate_without"))
            + p9.geom_hline(p9.aes(yintercept="estimate"), colour="#6b6b6b")
            + p9.geom_point()
            + p9.coord_flip()
            + p9.labs(x=f"Left out: {name}", y=self.table.estimand.unit)
            + p9.theme(figure_size=(6.4, max(4.8, 0.16 * len(order))))
        )
        return plot + p9.facet_wrap(keys, scales="free_x") if keys else plot

    def __repr__(self) -> str:
        return (
            f"<LeaveOneOut: {len(self.table)} estimates, each without one of "
            f"{len(self.clusters)} clusters by {self.clusters.name}>"
        )

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, float_format=lambda v: f"{v:.4g}")
        return f"<p>{escape(repr(self)[1:-1])}</p>{table}"


def leave_one_cluster_out(moments: CellMoments, estimate: Estimator) -> LeaveOneOut:
    r"""Estimate again without each cluster in turn, exactly.

    Use to see whether one county drives an effect. The re-estimates come from the cluster sums of
    the moments and are those of a panel without that county's members.

    Parameters
    ----------
    moments : CellMoments
        Reduced with ``cluster=``; at least three clusters.
    estimate : callable
        From `CellMoments` to `EffectTable`, any smooth function of cell means, clustered by the
        cluster column: ``lambda m: aggregate(group_time_att(m, outcome="ed_visits",
        cluster="county"))``.

    Returns
    -------
    LeaveOneOut
        With ``to_frame()`` and ``plot()``. For the analyst: `release` does not take it.

    Raises
    ------
    EstimationError
        No cluster sums, fewer than three clusters, or no re-estimate at all.

    Notes
    -----
    An average over cohorts is, without a county that alone makes a cohort, the average over the
    remaining ones.
    """
    sums = require_clusters(moments, at_least=MIN_CLUSTERS, what="leave_one_cluster_out")
    table = estimate(moments)
    estimates = np.full((sums.n_clusters, len(table)), np.nan)
    reasons: dict[str, None] = {}
    for position in range(sums.n_clusters):
        try:
            without = estimate(without_cluster(moments, position))
        except (DesignError, EstimationError) as error:
            reasons[str(error)] = None
            continue
        row = matched_rows(table.keys, without.keys)
        estimates[position] = np.where(row >= 0, without.estimate[row], np.nan)
    if np.isnan(estimates).all():
        why = next(
            iter(reasons),
            "the re-estimates are NaN; does the estimator need products of "
            "months within members, which are not kept by cluster?",
        )
        raise EstimationError(
            f"no effect can be estimated without one of the {sums.n_clusters} clusters by "
            f"{sums.name}. The first reason: {why}"
        )
    return LeaveOneOut(
        table=table,
        clusters=pd.Index(sums.labels, name=sums.name),
        estimates=estimates,
        members=cluster_members(moments, table.keys),
        reasons=tuple(reasons),
    )
