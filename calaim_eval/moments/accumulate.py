"""Cross-products of members by cell: the dense route, blocks of members through BLAS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.moments.cell_index import label_codes, row_codes
from calaim_eval.moments.cell_moments import CellMoments, OutcomeMoments
from calaim_eval.moments.cluster_sums import ClusterSums
from calaim_eval.moments.packing import as_whole, compact, pack_symmetric
from calaim_eval.moments.panel_rows import PanelColumns, PanelRows
from calaim_eval.moments.small_products import cross_products, own_products


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """Members ordered by cell: members of cell c are at positions start[c] to start[c + 1]."""

    cell: np.ndarray
    position: np.ndarray
    start: np.ndarray
    n_months: int

    @property
    def n_cells(self) -> int:
        return len(self.start) - 1

    def members(self, cell: int) -> slice:
        """Positions of the members of a cell."""
        return slice(int(self.start[cell]), int(self.start[cell + 1]))

    def scatter(self, rows: PanelRows, values: np.ndarray) -> np.ndarray:
        """Row values as a dense (n_members, T) array, 0 where there is no row."""
        dense = np.zeros(rows.n_members * self.n_months, dtype=values.dtype)
        dense[self.position[rows.member] * self.n_months + rows.month] = values
        return dense.reshape(rows.n_members, self.n_months)


def accumulate(
    rows: PanelRows,
    labels: pd.DataFrame,
    *,
    months: pd.Index,
    columns: PanelColumns,
    cluster: pd.Series | None,
    provenance: dict[str, Any],
) -> CellMoments:
    """Cell moments of checked rows.

    Parameters
    ----------
    rows : PanelRows
    labels : pd.DataFrame
        Cell labels of each member; shape (rows.n_members, ...). Members without a row at risk
        are left out, so they move nothing.
    cluster : pd.Series, optional
        Cluster of each member; shape (rows.n_members,).
    """
    present = np.flatnonzero(np.bincount(rows.member, minlength=rows.n_members))
    rows = _only_present(rows, present)
    labels = labels.iloc[present].reset_index(drop=True)
    cell, first = row_codes(labels)
    layout = _layout(cell, len(first), len(months))
    covered = layout.scatter(rows, _fractions(rows))
    shifts = {name: _centre(values) for name, values in rows.values.items()}
    at_risk, rr = _coverage_products(layout, covered, is_whole=rows.at_risk is None)
    return CellMoments(
        cells=labels.iloc[first].reset_index(drop=True),
        months=months,
        stratum=columns.stratum,
        covariate_cells=columns.covariate_cells,
        n_members=np.diff(layout.start).astype(np.int64),
        at_risk=at_risk,
        rr=rr,
        by_outcome={
            name: _outcome_moments(layout, rows, covered, values, shift=shifts[name])
            for name, values in rows.values.items()
        },
        clusters=None
        if cluster is None
        else _cluster_sums(layout, rows, cluster.iloc[present].reset_index(drop=True), shifts),
        provenance=provenance,
    )


def _only_present(rows: PanelRows, present: np.ndarray) -> PanelRows:
    """Members renumbered so that every one has a row."""
    if len(present) == rows.n_members:
        return rows
    new = np.full(rows.n_members, -1, dtype=np.int64)
    new[present] = np.arange(len(present))
    return replace(rows, member=new[rows.member], n_members=len(present))


def _layout(cell: np.ndarray, n_cells: int, n_months: int) -> _Layout:
    """Order the members by cell."""
    order = np.argsort(cell, kind="stable")
    position = np.empty(len(cell), dtype=np.int64)
    position[order] = np.arange(len(cell))
    start = np.concatenate([[0], np.cumsum(np.bincount(cell, minlength=n_cells))])
    return _Layout(cell, position, start, n_months)


def _fractions(rows: PanelRows) -> np.ndarray:
    """Coverage of each row: 1 as a byte, or fractions as floats."""
    return np.ones(len(rows.member), dtype=np.uint8) if rows.at_risk is None else rows.at_risk


def _is_whole(values: np.ndarray) -> bool:
    """Whole numbers small enough that every sum of squares stays exact in a float."""
    if not values.size:
        return True
    largest = max(-float(values.min()), float(values.max()))
    if largest**2 * len(values) >= 2.0**53:
        return False
    return bool(np.array_equal(values, np.floor(values)))


def _centre(values: np.ndarray) -> float | None:
    """Constant taken off amounts before squaring; None for whole numbers."""
    return None if _is_whole(values) else float(values.mean())


def _coverage_products(
    layout: _Layout, covered: np.ndarray, *, is_whole: bool
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
    layout: _Layout,
    rows: PanelRows,
    covered: np.ndarray,
    values: np.ndarray,
    *,
    shift: float | None,
) -> OutcomeMoments:
    """Sums and cross-products of one outcome by cell."""
    size = layout.n_months
    dense = layout.scatter(rows, _centred(rows, values, shift))
    total = np.zeros((layout.n_cells, size))
    yy = np.zeros((layout.n_cells, size * (size + 1) // 2))
    yr = np.zeros((layout.n_cells, size, size))
    for cell in range(layout.n_cells):
        members = layout.members(cell)
        y, r = dense[members], covered[members]
        total[cell] = y.sum(axis=0)
        if rows.at_risk is None and r.all():
            yy[cell] = pack_symmetric(own_products(y))
            yr[cell] = total[cell][:, None]
        else:
            full, yr[cell] = cross_products(y, r)
            yy[cell] = pack_symmetric(full)
    exact = shift is None and rows.at_risk is None
    key = layout.cell[rows.member[values != 0]] * size + rows.month[values != 0]
    nonzero = np.bincount(key, minlength=layout.n_cells * size).reshape(layout.n_cells, size)
    return OutcomeMoments(
        shift=shift or 0.0,
        is_count=shift is None and bool((values >= 0).all()),
        total=compact(as_whole(total)) if shift is None else total,
        yy=compact(as_whole(yy)) if shift is None else yy,
        yr=compact(as_whole(yr)) if exact else yr,
        nonzero=compact(nonzero),
    )


def _centred(rows: PanelRows, values: np.ndarray, shift: float | None) -> np.ndarray:
    """Outcome minus its centre times coverage."""
    if shift is None:
        return values
    return values - shift * (1.0 if rows.at_risk is None else rows.at_risk)


def _cluster_sums(
    layout: _Layout, rows: PanelRows, cluster: pd.Series, shifts: dict[str, float | None]
) -> ClusterSums:
    """Sums by cluster and cell."""
    codes = label_codes(cluster)[0]
    pairs, group = np.unique(codes * layout.n_cells + layout.cell, return_inverse=True)
    shape = (len(pairs), layout.n_months)
    key = group[rows.member] * layout.n_months + rows.month

    def sums(weights: np.ndarray | None) -> np.ndarray:
        return np.bincount(key, weights=weights, minlength=shape[0] * shape[1]).reshape(shape)

    at_risk = sums(rows.at_risk)
    return ClusterSums(
        name=str(cluster.name),
        labels=cluster.iloc[np.unique(codes, return_index=True)[1]].reset_index(drop=True),
        cluster=pairs // layout.n_cells,
        cell=pairs % layout.n_cells,
        n_members=np.bincount(group, minlength=len(pairs)),
        at_risk=compact(at_risk),
        totals={
            name: compact(as_whole(sums(values)))
            if shifts[name] is None
            else sums(_centred(rows, values, shifts[name]))
            for name, values in rows.values.items()
        },
    )
