"""Cross-products of members by cell: blocks of members through BLAS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd

from calaim_eval.moments.cell_index import label_codes, row_codes
from calaim_eval.moments.cell_moments import CellMoments, OutcomeMoments
from calaim_eval.moments.cluster_sums import ClusterSums
from calaim_eval.moments.different_members import DifferentMembers
from calaim_eval.moments.packing import as_whole, compact, pack_symmetric
from calaim_eval.moments.panel_rows import PanelColumns, PanelRows
from calaim_eval.moments.small_products import cross_products, own_products
from calaim_eval.moments.unbalanced import COVERAGE, NOT_THROUGHOUT, coverage_counts


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Members ordered by cell, then cluster: cell c is at positions start[c] to start[c + 1].

    Attributes
    ----------
    order : np.ndarray
        Which member stands at each position; shape (n_members,).
    cell : np.ndarray
        Cell of each member; shape (n_members,).
    start : np.ndarray
        Shape (n_cells + 1,).
    n_months : int
    """

    order: np.ndarray
    cell: np.ndarray
    start: np.ndarray
    n_months: int

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.start) - 1

    def members(self, cell: int) -> slice:
        """Positions of the members of a cell."""
        return slice(int(self.start[cell]), int(self.start[cell + 1]))

    def positions(self) -> np.ndarray:
        """Position of each member; shape (n_members,)."""
        position = np.empty(len(self.order), dtype=np.int64)
        position[self.order] = np.arange(len(self.order))
        return position


class MemberRows(Protocol):
    """Checked member months, however they are held: what moments are added up from."""

    @property
    def n_members(self) -> int:
        """Members with at least one row."""

    @property
    def is_whole_months(self) -> bool:
        """Every row counts a whole month at risk."""

    def covered(self, layout: Layout) -> np.ndarray:
        """Fraction at risk by position and month, 0 without a row; (n_members, T)."""

    def centre(self, outcome: str) -> float | None:
        """What is taken off amounts before squaring; None for whole numbers."""

    def dense(self, outcome: str, layout: Layout, shift: float | None) -> np.ndarray:
        """Outcome less `shift` times coverage by position and month; (n_members, T)."""

    def nonzero(self, outcome: str, layout: Layout) -> np.ndarray:
        """Member-months whose outcome is not 0, by cell; (n_cells, T)."""

    def of_members(self, kept: np.ndarray) -> MemberRows:
        """Rows of the members numbered in `kept`, renumbered in its order."""


def accumulate(
    rows: MemberRows,
    labels: pd.DataFrame,
    *,
    months: pd.Index,
    columns: PanelColumns,
    cluster: pd.Series | None,
    provenance: dict[str, Any],
    balanced_only: bool = False,
    share: np.ndarray | None = None,
    label: np.ndarray | None = None,
) -> CellMoments:
    """Cell moments of checked rows; no cells when no member is kept.

    Parameters
    ----------
    rows : MemberRows
    labels : pd.DataFrame
        Cell labels of each member; shape (rows.n_members, ...).
    cluster : pd.Series, optional
        Cluster of each member; shape (rows.n_members,).
    provenance : dict
        Gets counts of members and member-months under `unbalanced.COVERAGE`.
    balanced_only : bool
        Keep members covered in every month only.
    share : np.ndarray, optional
        Of a matched design, whose rows are parts of members: one over the parts of the member;
        shape (rows.n_members,).
    label : np.ndarray, optional
        Which row of `labels` and `cluster` each member has, where they hold distinct ones; shape
        (rows.n_members,).
    """
    if label is None:
        label = np.arange(rows.n_members)
    labels, cluster, label = _present(labels, cluster, label)
    cell_of, first = row_codes(labels)
    cell = cell_of[label]
    codes_of = None if cluster is None else label_codes(cluster)[0]
    codes = None if codes_of is None else codes_of[label]
    layout = _layout(cell, codes, len(first), len(months))
    covered = rows.covered(layout)
    provenance = {**provenance, COVERAGE: coverage_counts(covered)}
    is_kept = covered.all(axis=1)
    if balanced_only and not is_kept.all():
        kept = np.sort(layout.order[is_kept]) if is_kept.any() else np.arange(rows.n_members)
        only = accumulate(
            rows.of_members(kept),
            labels,
            months=months,
            columns=columns,
            cluster=cluster,
            provenance=provenance,
            share=None if share is None else share[kept],
            label=label[kept],
        )
        only = only if is_kept.any() else _without_cells(only)
        return replace(only, provenance=_without(provenance, len(months)))
    at_risk, rr = _coverage_products(layout, covered, is_whole=rows.is_whole_months)
    clusters = _Clusters.of(layout, codes)
    own = None if share is None else share[layout.order][:, None]
    by_outcome, totals, events = {}, {}, {}
    for name in columns.outcomes:
        shift = rows.centre(name)
        values = rows.dense(name, layout, shift)
        by_outcome[name] = _outcome_moments(
            layout,
            covered,
            values,
            nonzero=rows.nonzero(name, layout),
            shift=shift,
            is_whole=rows.is_whole_months,
        )
        if clusters is not None:
            totals[name] = clusters.sums(values, is_whole=shift is None)
        if own is not None:
            events[name] = _by_cell(layout, own * _events(values, covered, shift))
    return CellMoments(
        cells=labels.iloc[first].reset_index(drop=True),
        months=months,
        stratum=columns.stratum,
        covariate_cells=columns.covariate_cells,
        n_members=np.diff(layout.start).astype(np.int64),
        at_risk=at_risk,
        rr=rr,
        by_outcome=by_outcome,
        clusters=None
        if clusters is None or cluster is None or codes_of is None
        else ClusterSums(
            name=str(cluster.name),
            labels=cluster.iloc[np.unique(codes_of, return_index=True)[1]].reset_index(drop=True),
            cluster=clusters.cluster,
            cell=clusters.cell,
            n_members=clusters.n_members,
            at_risk=clusters.sums(covered, is_whole=rows.is_whole_months),
            totals=totals,
        ),
        provenance=provenance,
        different=None
        if own is None
        else DifferentMembers(_by_cell(layout, own * covered), events),
    )


def _events(values: np.ndarray, covered: np.ndarray, shift: float | None) -> np.ndarray:
    """Events of each member month, or whether it is not 0; (n_members, T)."""
    if shift is None and (values >= 0).all():
        return values
    return np.asarray(values + (shift or 0.0) * covered != 0, dtype=float)


def _by_cell(layout: Layout, values: np.ndarray) -> np.ndarray:
    """Rows of members added up by cell; (n_cells, T)."""
    return np.asarray(np.add.reduceat(values, layout.start[:-1], axis=0, dtype=float))


def _present(
    labels: pd.DataFrame, cluster: pd.Series | None, label: np.ndarray
) -> tuple[pd.DataFrame, pd.Series | None, np.ndarray]:
    """The labels that some member has, and which of these each member has."""
    present = np.flatnonzero(np.bincount(label, minlength=len(labels)))
    if len(present) == len(labels):
        return labels, cluster, label
    place = np.zeros(len(labels), dtype=np.int64)
    place[present] = np.arange(len(present))
    return (
        labels.iloc[present].reset_index(drop=True),
        None if cluster is None else cluster.iloc[present].reset_index(drop=True),
        place[label],
    )


def _without_cells(moments: CellMoments) -> CellMoments:
    """Moments of nobody, in the same layout: what was read still counts."""
    empty = moments.select(np.zeros(len(moments), dtype=bool))
    clusters = empty.clusters
    if clusters is None:
        return empty
    return replace(empty, clusters=replace(clusters, labels=clusters.labels.iloc[:0]))


def _without(provenance: dict[str, Any], n_months: int) -> dict[str, Any]:
    """Provenance after members who are not covered in every month were left out."""
    kept = provenance[COVERAGE]["members_throughout"] * n_months
    left_out = provenance["rows"]["used"] - kept
    return {**provenance, "rows": {**provenance["rows"], "used": kept, NOT_THROUGHOUT: left_out}}


def accumulate_rows(
    rows: PanelRows,
    labels: pd.DataFrame,
    *,
    months: pd.Index,
    columns: PanelColumns,
    cluster: pd.Series | None,
    provenance: dict[str, Any],
    balanced_only: bool,
    share: np.ndarray | None = None,
) -> CellMoments:
    """As `accumulate`, of rows that leave some members without any: they move nothing."""
    present = np.flatnonzero(np.bincount(rows.member, minlength=rows.n_members))
    return accumulate(
        rows.of_members(present),
        labels.iloc[present].reset_index(drop=True),
        months=months,
        columns=columns,
        cluster=None if cluster is None else cluster.iloc[present].reset_index(drop=True),
        provenance=provenance,
        balanced_only=balanced_only,
        share=None if share is None else share[present],
    )


def _layout(cell: np.ndarray, cluster: np.ndarray | None, n_cells: int, n_months: int) -> Layout:
    """Order the members by cell, and within it by cluster."""
    if cluster is None:
        # Few cells fit a small integer, which numpy sorts in one pass.
        key = cell.astype(np.int16) if n_cells < np.iinfo(np.int16).max else cell
        order = np.argsort(key, kind="stable")
    else:
        order = np.lexsort((cluster, cell))
    start = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=n_cells))])
    return Layout(order, cell, start, n_months)


def _coverage_products(
    layout: Layout, covered: np.ndarray, *, is_whole: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Member-months and packed coverage cross-products by cell."""
    at_risk = np.zeros((layout.n_cells, layout.n_months))
    rr = np.zeros((layout.n_cells, layout.n_months * (layout.n_months + 1) // 2))
    for cell in range(layout.n_cells):
        r = covered[layout.members(cell)]
        if is_whole and r.all():
            at_risk[cell] = rr[cell] = len(r)
            continue
        rr[cell] = pack_symmetric(own_products(r))
        at_risk[cell] = r.sum(axis=0, dtype=float)
    if is_whole:
        return compact(as_whole(at_risk)), compact(as_whole(rr))
    return at_risk, rr


def _outcome_moments(
    layout: Layout,
    covered: np.ndarray,
    values: np.ndarray,
    *,
    nonzero: np.ndarray,
    shift: float | None,
    is_whole: bool,
) -> OutcomeMoments:
    """Sums and cross-products of one outcome by cell."""
    size = layout.n_months
    total = np.zeros((layout.n_cells, size))
    yy = np.zeros((layout.n_cells, size * (size + 1) // 2))
    yr = np.zeros((layout.n_cells, size, size))
    for cell in range(layout.n_cells):
        y, r = values[layout.members(cell)], covered[layout.members(cell)]
        total[cell] = y.sum(axis=0, dtype=float)
        if is_whole and r.all():
            yy[cell] = pack_symmetric(own_products(y))
            yr[cell] = total[cell][:, None]
        else:
            full, yr[cell] = cross_products(y, r)
            yy[cell] = pack_symmetric(full)
    exact = shift is None and is_whole
    return OutcomeMoments(
        shift=shift or 0.0,
        is_count=shift is None and bool((values >= 0).all()),
        total=compact(as_whole(total)) if shift is None else total,
        yy=compact(as_whole(yy)) if shift is None else yy,
        yr=compact(as_whole(yr)) if exact else yr,
        nonzero=compact(nonzero),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Clusters:
    """Runs of members of one cell and cluster: run k begins at position start[k]."""

    start: np.ndarray
    cluster: np.ndarray
    cell: np.ndarray
    n_members: np.ndarray

    @classmethod
    def of(cls, layout: Layout, codes: np.ndarray | None) -> _Clusters | None:
        """The runs of a layout; None without clusters."""
        if codes is None:
            return None
        cluster, cell = codes[layout.order], layout.cell[layout.order]
        is_new = np.ones(len(cell), dtype=bool)
        is_new[1:] = (np.diff(cell) != 0) | (np.diff(cluster) != 0)
        start = np.flatnonzero(is_new)
        size = np.diff(np.append(start, len(cell)))
        by_cluster = np.lexsort((cell[start], cluster[start]))
        start, size = start[by_cluster], size[by_cluster]
        return cls(start, cluster[start], cell[start], size)

    def sums(self, dense: np.ndarray, *, is_whole: bool) -> np.ndarray:
        """Rows of a dense array added up by run; shape (n_runs, T)."""
        total = np.zeros((len(self.start), dense.shape[1]))
        for run, (first, size) in enumerate(zip(self.start, self.n_members, strict=True)):
            total[run] = dense[first : first + size].sum(axis=0, dtype=float)
        return compact(as_whole(total)) if is_whole else total
