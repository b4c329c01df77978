"""Terms that are linear in the months of members, by stratum, as one table with its covariance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.inference.clustering import cluster_notes
from calaim_eval.estimate.influence import (
    MEMBER,
    CellLoads,
    cluster_influence,
    labelled_influence,
    member_covariance,
)
from calaim_eval.estimate.support import error_notes, has_single_member, support_frame
from calaim_eval.estimate.words import notes_by_group
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.effect_table import with_undefined

UNIDENTIFIED = "Strata in which the terms are not identified, left out"


@dataclass(frozen=True, slots=True, eq=False)
class StratumTerms:
    """m terms of one stratum with their influence loads.

    Attributes
    ----------
    grid : CellGrid
    keys : pd.DataFrame
        What each term is about, beside the stratum; m rows (it may have no column).
    estimate : np.ndarray
        Shape (m,).
    on_outcome, on_coverage : np.ndarray
        Loads on the (centred) outcome and on coverage; shape (m, C, X, T).
    on_member : np.ndarray | None
        Loads on the constant; shape (m, C, X).
    sides : Sequence[np.ndarray]
        Support of exposed and comparison behind each term; m arrays of shape (2, 3).
    factor : float
        Small-sample factor of the covariance.
    """

    grid: CellGrid
    keys: pd.DataFrame
    estimate: np.ndarray
    on_outcome: np.ndarray
    on_coverage: np.ndarray
    sides: Sequence[np.ndarray]
    on_member: np.ndarray | None = None
    factor: float = 1.0

    def __len__(self) -> int:
        return len(self.estimate)

    def scaled(self, per: float) -> StratumTerms:
        """The terms per so many member-months."""
        return replace(
            self,
            estimate=per * self.estimate,
            on_outcome=per * self.on_outcome,
            on_coverage=per * self.on_coverage,
            on_member=None if self.on_member is None else per * self.on_member,
        )

    def cell_loads(self) -> Iterator[CellLoads]:
        """Loads, a cohort of cells at a time, the small-sample factor included."""
        scale = np.sqrt(self.factor)
        for cohort, cells in enumerate(self.grid.cell):
            covered = np.flatnonzero(cells >= 0)
            parts = [self.on_outcome[:, cohort, covered], self.on_coverage[:, cohort, covered]]
            constant = np.zeros((len(self), len(covered), 1))
            if self.on_member is not None:
                constant[:, :, 0] = self.on_member[:, cohort, covered]
            loads = np.concatenate([*parts, constant], axis=2)
            yield CellLoads(cells[covered], scale * loads.swapaxes(0, 1))


def identified_strata(
    grids: Iterable[CellGrid],
    terms_of: Callable[[CellGrid], tuple[StratumTerms, Iterable[tuple[str, str]]]],
    *,
    per: float = 1.0,
) -> tuple[list[StratumTerms], list[str]]:
    """Terms of every stratum that identifies them, and notes on what was lost in which stratum.

    Parameters
    ----------
    grids : Iterable[CellGrid]
    terms_of : Callable
        Terms of one stratum, and what was lost in it as (what, how much); a `DesignError` sets the
        stratum aside.
    per : float
        1,000 gives terms per 1,000 member-months.

    Raises
    ------
    DesignError
        The last refusal, where no stratum is left.
    """
    strata: list[StratumTerms] = []
    lost: list[tuple[str, str, str]] = []
    refusal: DesignError | None = None
    for grid in grids:
        try:
            found, words = terms_of(grid)
        except DesignError as error:
            refusal = error
            lost.append((UNIDENTIFIED, grid.words(), ""))
            continue
        strata.append(found.scaled(per))
        lost += [(what, grid.words(), much) for what, much in words]
    if not strata:
        raise refusal or DesignError("there are no cells.")
    return strata, notes_by_group(lost)


def terms_table(
    moments: CellMoments,
    outcome: str,
    cluster: str,
    strata: Sequence[StratumTerms],
    *,
    estimand: Estimand,
    method: Method,
    notes: Sequence[str] = (),
    losses: Sequence[str] = (),
) -> EffectTable:
    """Terms of all strata with their joint covariance; undefined errors are NaN.

    Its notes: `notes`, those of the moments and of the clusters, `losses`; each once.
    """
    estimate = np.concatenate([terms.estimate for terms in strata])
    blocks = [(terms.cell_loads(), len(terms)) for terms in strata]
    covariance, influence = joint_covariance(moments, outcome, cluster, blocks)
    sides = [side for terms in strata for side in terms.sides]
    covariance, influence = with_undefined(covariance, influence, has_single_member(sides))
    if not np.isfinite(estimate).all():
        raise EstimationError(
            f"`{outcome}`: {int((~np.isfinite(estimate)).sum())} of {len(estimate)} estimates are "
            "not finite. Look for extreme amounts in the outcome."
        )
    known = moments.provenance.get("notes", [])
    support = support_frame(sides)
    reference = 1.0 if estimand.scale == "ratio" else 0.0
    of_errors = (
        *cluster_notes(moments, cluster),
        *error_notes(estimate, np.diag(covariance), support, reference=reference),
    )
    keys = [
        pd.concat([_repeated(t.grid.stratum, len(t)), t.keys.reset_index(drop=True)], axis=1)
        for t in strata
    ]
    return EffectTable(
        keys=pd.concat(keys, ignore_index=True),
        estimate=estimate,
        covariance=covariance,
        support=support,
        estimand=estimand,
        method=method,
        cluster_influence=influence,
        notes=tuple(dict.fromkeys([*notes, *known, *of_errors, *losses])),
    )


def joint_covariance(
    moments: CellMoments,
    outcome: str,
    cluster: str,
    blocks: Sequence[tuple[Iterable[CellLoads], int]],
) -> tuple[np.ndarray, pd.DataFrame | None]:
    """Covariance of blocks of terms (loads, number of terms) that share no member.

    The second is the cluster influence, None when clustered by member.
    """
    if cluster != MEMBER:
        parts = [cluster_influence(moments, outcome, loads, n) for loads, n in blocks]
        influence = labelled_influence(moments, np.hstack(parts))
        return influence.to_numpy().T @ influence.to_numpy(), influence
    size = sum(n for _, n in blocks)
    covariance = np.zeros((size, size))
    start = 0
    for loads, n in blocks:
        rows = slice(start, start + n)
        covariance[rows, rows] = member_covariance(moments, outcome, loads, n)
        start = rows.stop
    return covariance, None


def clusters_of(moments: CellMoments, grid: CellGrid, cluster: str) -> int:
    """Clusters with members in the stratum."""
    if cluster == MEMBER or moments.clusters is None:
        return int(grid.n_members.sum())
    inside = np.isin(moments.clusters.cell, grid.cell[grid.cell >= 0])
    return len(np.unique(moments.clusters.cluster[inside]))


def require_variation(moments: CellMoments, outcome: str) -> None:
    """Refuse an outcome that is the same in every member-month."""
    found = moments.outcome_moments(outcome)
    size = len(moments.months)
    diagonal = np.array([t * (t + 3) // 2 for t in range(size)])
    squares = float(found.yy[:, diagonal].sum())
    cross = float(np.trace(found.yr, axis1=1, axis2=2).sum())
    # The outcome less its multiple of coverage: fractions of a month are at risk too.
    left = squares - cross**2 / float(moments.rr[:, diagonal].sum())
    if left <= 1e-12 * max(squares, 1e-300):
        raise EstimationError(
            f"`{outcome}` is the same in all member-months: there is nothing to estimate. Check "
            "the column."
        )


def _repeated(stratum: pd.DataFrame, n: int) -> pd.DataFrame:
    """The stratum labels once for each term."""
    return stratum.iloc[np.zeros(n, dtype=int)].reset_index(drop=True)
