"""Cell moments: counts, sums and within-member cross-products, all that estimation needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.moments.cell_index import row_codes
from calaim_eval.moments.cluster_sums import ClusterSums, add_cluster_sums
from calaim_eval.moments.different_members import DifferentMembers
from calaim_eval.moments.packing import compact, sum_by, unpack_symmetric, widen
from calaim_eval.moments.unbalanced import COVERAGE

OF_A_PART = "Of a part of the members: "
"""Before a note of one summand that another does not have."""


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeMoments:
    """Sums and cross-products of one outcome; rows are cells.

    Attributes
    ----------
    shift : float
        Amounts are stored as ``y - shift`` in every covered month, so that squares keep their
        digits; 0 for whole numbers, which are summed exactly.
    is_count : bool
        Whole numbers, none negative.
    total : np.ndarray
        Sum of y by month; shape (n_cells, T).
    yy : np.ndarray
        Packed lower triangles of ``sum y_t y_s``; shape (n_cells, T(T+1)/2).
    yr : np.ndarray
        ``sum y_t r_s``; shape (n_cells, T, T).
    nonzero : np.ndarray
        Member-months with y other than 0 (before centring); shape (n_cells, T).
    """

    shift: float
    is_count: bool
    total: np.ndarray
    yy: np.ndarray
    yr: np.ndarray
    nonzero: np.ndarray

    def level_total(self, at_risk: np.ndarray) -> np.ndarray:
        """Sum of y by month with the centre put back; floats, shape (n_cells, T)."""
        return np.asarray(self.total + self.shift * at_risk, dtype=float)


@dataclass(frozen=True, slots=True, eq=False)
class CellMoments:
    r"""A member-month panel, reduced to what pre/post and difference-in-differences need of it.

    For member i let :math:`v_i = (y_{i1} \dots y_{iT}, r_{i1} \dots r_{iT}, 1)`, the outcome and
    the coverage indicator of each month. A cell holds the members of one stratum, one cohort and
    one covariate cell, and :math:`M_c = \sum_i v_i v_i'`. Moments of disjoint member sets (two
    files, two health plans) add up with ``+``.

    Attributes
    ----------
    cells : pd.DataFrame
        One row per cell: stratum columns, ``cohort`` (missing = never exposed; first day of the
        month, or a nullable whole number) and covariate-cell columns; shape (n_cells, ...).
    months : pd.Index
        The T months: a `pd.PeriodIndex`, or whole numbers such as years.
    stratum, covariate_cells : tuple[str, ...]
        Which columns of `cells` are which.
    n_members : np.ndarray
        Members with at least one covered month; shape (n_cells,).
    at_risk : np.ndarray
        Member-months; shape (n_cells, T).
    rr : np.ndarray
        Packed lower triangles of ``sum r_t r_s``; shape (n_cells, T(T+1)/2).
    by_outcome : Mapping[str, OutcomeMoments]
    clusters : ClusterSums | None
        Sums by cluster and cell, when a cluster column was named.
    provenance : Mapping[str, Any]
        Where the rows came from and how many were used and set aside.
    different : DifferentMembers | None
        Of a matched design, whose rows are parts of members: how many different members there are
        at least. The other counts are then of parts.

    Notes
    -----
    Storage is about ``T² × (0.5 + 1.5 × outcomes)`` numbers per cell, in the smallest integer
    type that is exact: 48 months and 2,000 cells take some 20 to 40 MB per outcome. With more
    cells than about one per 50 members the member-level data are the smaller thing to keep.
    """

    cells: pd.DataFrame
    months: pd.Index
    stratum: tuple[str, ...]
    covariate_cells: tuple[str, ...]
    n_members: np.ndarray
    at_risk: np.ndarray
    rr: np.ndarray
    by_outcome: Mapping[str, OutcomeMoments]
    clusters: ClusterSums | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    different: DifferentMembers | None = None

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Names of the outcomes."""
        return tuple(self.by_outcome)

    def __len__(self) -> int:
        return len(self.cells)

    def matrices(self, outcome: str, rows: np.ndarray) -> np.ndarray:
        """``M_c`` of the cells at positions `rows`; shape (len(rows), 2T+1, 2T+1).

        Order of both axes: the outcome in months 1..T (centred), coverage in months 1..T, 1.
        """
        moments = self.outcome_moments(outcome)
        size = len(self.months)
        full = np.empty((len(rows), 2 * size + 1, 2 * size + 1))
        full[:, :size, :size] = unpack_symmetric(moments.yy[rows], size)
        full[:, :size, size:-1] = moments.yr[rows]
        full[:, size:-1, :size] = moments.yr[rows].swapaxes(1, 2)
        full[:, size:-1, size:-1] = unpack_symmetric(self.rr[rows], size)
        full[:, :size, -1] = full[:, -1, :size] = moments.total[rows]
        full[:, size:-1, -1] = full[:, -1, size:-1] = self.at_risk[rows]
        full[:, -1, -1] = self.n_members[rows]
        return full

    def outcome_moments(self, outcome: str) -> OutcomeMoments:
        """Moments of one outcome, or an error that lists the outcomes there are."""
        if outcome not in self.by_outcome:
            raise EstimationError(
                f"these moments have no outcome `{outcome}`; they have "
                f"{', '.join(f'`{name}`' for name in self.outcomes)}. "
                "Name it in reduce_panel(..., outcomes=[...])."
            )
        return self.by_outcome[outcome]

    def select(self, mask: np.ndarray | pd.Series) -> CellMoments:
        """The cells where `mask` is true; shape of `mask` is (n_cells,)."""
        rows = np.flatnonzero(np.asarray(mask, dtype=bool))
        renumbered = np.full(len(self), -1)
        renumbered[rows] = np.arange(len(rows))
        return replace(
            self,
            cells=self.cells.iloc[rows].reset_index(drop=True),
            n_members=self.n_members[rows],
            at_risk=self.at_risk[rows],
            rr=self.rr[rows],
            by_outcome={
                name: replace(
                    m,
                    total=m.total[rows],
                    yy=m.yy[rows],
                    yr=m.yr[rows],
                    nonzero=m.nonzero[rows],
                )
                for name, m in self.by_outcome.items()
            },
            clusters=None if self.clusters is None else self.clusters.regrouped(renumbered),
            different=None if self.different is None else self.different.select(rows),
        )

    def pooled(self, *columns: str) -> CellMoments:
        """Cells added up over stratum or covariate-cell columns; default: over all strata.

        ``moments.pooled()`` is the whole population; ``moments.pooled("county")`` keeps the other
        strata. Pooling a covariate-cell column gives up standardizing to it.
        """
        names = columns or self.stratum
        known = (*self.stratum, *self.covariate_cells)
        unknown = [name for name in names if name not in known]
        if unknown:
            raise EstimationError(
                f"pooled: {', '.join(f'`{c}`' for c in unknown)} is not a stratum or covariate "
                f"cell of these moments; they have {', '.join(f'`{c}`' for c in known) or 'none'}."
            )
        cells = self.cells.drop(columns=list(names))
        group, first = row_codes(cells)
        summed = _summed(self, group, cells.iloc[first].reset_index(drop=True))
        return replace(
            summed,
            stratum=tuple(c for c in self.stratum if c not in names),
            covariate_cells=tuple(c for c in self.covariate_cells if c not in names),
            clusters=None if self.clusters is None else self.clusters.regrouped(group),
        )

    def __add__(self, other: CellMoments) -> CellMoments:
        """Moments of two disjoint member sets together.

        No member may be in both: the moments hold no ids, so this can't be checked here.
        """
        _require_same_layout(self, other)
        left, right = self, other
        for name in self.outcomes:
            if len(self):
                right = recentred(right, name, self.by_outcome[name].shift)
            else:
                # Nobody has no centre.
                left = recentred(left, name, other.by_outcome[name].shift)
        cells = pd.concat([left.cells, right.cells], ignore_index=True)
        group, first = row_codes(cells)
        both = _stacked(left, right)
        summed = _summed(both, group, cells.iloc[first].reset_index(drop=True))
        clusters = None
        if left.clusters is not None and right.clusters is not None:
            clusters = add_cluster_sums(
                left.clusters,
                right.clusters,
                left_cell=group[: len(self)],
                right_cell=group[len(self) :],
            )
        return replace(
            summed,
            clusters=clusters,
            provenance=_joined_provenance(self.provenance, other.provenance),
        )

    def save(self, path: str | Path) -> Path:
        """Write one small file (compressed arrays, no pickle); read it with `load_moments`."""
        from calaim_eval.moments.storage import save_moments

        return save_moments(self, Path(path))

    def __repr__(self) -> str:
        strata = f"{len(self.cells[list(self.stratum)].drop_duplicates()):,} strata, "
        clusters = "" if self.clusters is None else f"; {self.clusters.n_clusters:,} clusters"
        return (
            f"<CellMoments: {int(self.n_members.sum()):,} members in {len(self):,} cells "
            f"({strata if self.stratum else ''}{self.cells['cohort'].nunique():,} cohorts), "
            f"{len(self.months)} months {self.months[0]} to {self.months[-1]}{clusters}; "
            f"outcomes {', '.join(self.outcomes)}>"
        )


def _require_same_layout(left: CellMoments, right: CellMoments) -> None:
    """Refuse to add moments that are about different months, outcomes, cells or clusters."""
    problems = []
    if not left.months.equals(right.months):
        problems.append(
            f"months {left.months[0]} to {left.months[-1]} ({len(left.months)}) and "
            f"{right.months[0]} to {right.months[-1]} ({len(right.months)})"
        )
    if set(left.outcomes) != set(right.outcomes):
        problems.append(f"outcomes {list(left.outcomes)} and {list(right.outcomes)}")
    for what in ("stratum", "covariate_cells"):
        ours, theirs = getattr(left, what), getattr(right, what)
        if ours != theirs:
            problems.append(f"{what} {list(ours)} and {list(theirs)}")
    names = [None if m.clusters is None else m.clusters.name for m in (left, right)]
    if (left.different is None) != (right.different is None):
        problems.append("kind: one is of a matched design, the other is not")
    if names[0] != names[1]:
        problems.append(f"clusters {names[0]!r} and {names[1]!r}")
    if problems:
        raise EstimationError(
            f"these moments can't be added: they differ in {'; '.join(problems)}. "
            "Reduce both panels with the same months, outcomes, strata, covariate cells and "
            "cluster."
        )


def recentred(moments: CellMoments, outcome: str, shift: float) -> CellMoments:
    """The same moments with `outcome` stored as y minus `shift`."""
    old = moments.by_outcome[outcome]
    step = shift - old.shift
    if step == 0:
        return moments
    size = len(moments.months)
    row, column = np.tril_indices(size)
    rr = unpack_symmetric(moments.rr, size)
    new = replace(
        old,
        shift=shift,
        total=old.total - step * moments.at_risk,
        yr=old.yr - step * rr,
        yy=old.yy
        - step * (old.yr[:, row, column] + old.yr[:, column, row])
        + step**2 * rr[:, row, column],
    )
    clusters = moments.clusters
    return replace(
        moments,
        by_outcome={**moments.by_outcome, outcome: new},
        clusters=None if clusters is None else clusters.recentred(outcome, step),
    )


def _stacked(left: CellMoments, right: CellMoments) -> CellMoments:
    """The arrays of two layouts that agree, one under the other."""

    def both(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        return np.concatenate([widen(ours), widen(theirs)])

    return replace(
        left,
        n_members=both(left.n_members, right.n_members),
        at_risk=both(left.at_risk, right.at_risk),
        rr=both(left.rr, right.rr),
        by_outcome={
            name: OutcomeMoments(
                shift=m.shift,
                is_count=m.is_count and right.by_outcome[name].is_count,
                total=both(m.total, right.by_outcome[name].total),
                yy=both(m.yy, right.by_outcome[name].yy),
                yr=both(m.yr, right.by_outcome[name].yr),
                nonzero=both(m.nonzero, right.by_outcome[name].nonzero),
            )
            for name, m in left.by_outcome.items()
        },
        clusters=None,
        different=None
        if left.different is None or right.different is None
        else left.different.below(right.different),
    )


def _summed(moments: CellMoments, group: np.ndarray, cells: pd.DataFrame) -> CellMoments:
    """Cells added up within `group`; clusters are left to the caller."""

    def add(values: np.ndarray) -> np.ndarray:
        return compact(sum_by(values, group, len(cells)))

    return replace(
        moments,
        cells=cells,
        n_members=sum_by(moments.n_members, group, len(cells)),
        at_risk=add(moments.at_risk),
        rr=add(moments.rr),
        by_outcome={
            name: replace(m, total=add(m.total), yy=add(m.yy), yr=add(m.yr), nonzero=add(m.nonzero))
            for name, m in moments.by_outcome.items()
        },
        clusters=None,
        different=None
        if moments.different is None
        else moments.different.summed(group, len(cells)),
    )


def _joined_provenance(left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    """Counts added, sources listed, notes of both kept once; the rest from the left."""
    joined = {**right, **left}
    for counted in ("rows", COVERAGE):
        joined[counted] = dict(left.get(counted, {}))
        for what, count in right.get(counted, {}).items():
            joined[counted][what] = joined[counted].get(what, 0) + count
    joined["sources"] = list(dict.fromkeys([*left.get("sources", []), *right.get("sources", [])]))
    joined["notes"] = _joined_notes(left.get("notes", []), right.get("notes", []))
    return joined


def _joined_notes(left: Sequence[str], right: Sequence[str]) -> list[str]:
    """Notes of both once; one of a single part is said to be of a part."""
    of_both = set(left) & set(right)
    told = [
        note if note in of_both or note.startswith(OF_A_PART) else OF_A_PART + note
        for note in (*left, *right)
    ]
    return list(dict.fromkeys(told))
