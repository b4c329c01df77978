"""Combinations of conditions, the cases in each, and whether they go with the outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.qca.membership import (
    consistency,
    corner_bits,
    corner_memberships,
    memberships,
    proportional_reduction,
    reaches,
)


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """From where on a combination goes with the outcome.

    Attributes
    ----------
    consistency, pri : float
    frequency : int
    """

    consistency: float
    pri: float
    frequency: int


@dataclass(frozen=True, slots=True, eq=False)
class TruthTable:
    """A truth table.

    Attributes
    ----------
    rows : pd.DataFrame
        One row per combination: a column of 0 and 1 per condition; ``n_cases`` (membership above
        one half), ``consistency``, ``pri``, ``is_outcome`` (True, False, or missing where too few
        cases are in it: a remainder).
    conditions : tuple[str, ...]
    outcome : str
    x, y : np.ndarray
        Memberships of the cases; shapes (n, k) and (n,).
    cutoffs : Cutoffs
    notes : tuple[str, ...]
    """

    rows: pd.DataFrame
    conditions: tuple[str, ...]
    outcome: str
    x: np.ndarray
    y: np.ndarray
    cutoffs: Cutoffs
    notes: tuple[str, ...]

    def corners(self, *, is_outcome: bool) -> tuple[int, ...]:
        """Numbers of the combinations that go with the outcome, or do not."""
        return tuple(np.flatnonzero(self.rows["is_outcome"].eq(is_outcome).fillna(value=False)))

    @property
    def remainders(self) -> tuple[int, ...]:
        """Numbers of the combinations with too few cases to say."""
        return tuple(np.flatnonzero(self.rows["is_outcome"].isna()))

    def __repr__(self) -> str:
        return (
            f"<TruthTable of {self.outcome}: {len(self.y)} cases, "
            f"{len(self.conditions)} conditions, {len(self.remainders)} combinations without cases>"
        )


def truth_table(
    sets: pd.DataFrame,
    *,
    outcome: str,
    conditions: Sequence[str],
    consistency_cutoff: float = 0.8,
    pri_cutoff: float = 0.0,
    frequency_cutoff: int = 1,
) -> TruthTable:
    r"""Truth table of calibrated sets.

    A combination goes with the outcome where at least `frequency_cutoff` cases are more in than
    out of it and

    .. math:: \sum_i \min(x_i, y_i) / \sum_i x_i \ge \text{consistency cutoff.}

    Parameters
    ----------
    sets : pd.DataFrame
        Memberships in 0–1, one row per case.
    outcome : str
        A set, or with ``~`` before it its absence, which has an explanation of its own.
    conditions : sequence of str
        One to ten.
    consistency_cutoff, pri_cutoff : float
        Least consistency, and least proportional reduction in inconsistency.
    frequency_cutoff : int

    Returns
    -------
    TruthTable

    Raises
    ------
    TableError, EstimationError
        A set is absent or outside 0–1; too many conditions; a cutoff of consistency at or below
        one half, which would call chance a pattern.

    References
    ----------
    Ragin CC (2008). Redesigning Social Inquiry; Schneider CQ, Wagemann C (2012).
    doi:10.1017/CBO9781139004244.
    """
    if not 0.5 < consistency_cutoff <= 1:
        raise EstimationError(
            f"`consistency_cutoff` is {consistency_cutoff}; above 0.5 and at most 1, 0.8 is usual."
        )
    if frequency_cutoff < 1:
        raise EstimationError(f"`frequency_cutoff` is {frequency_cutoff}; at least 1 case.")
    x, y, _, n_incomplete = memberships(sets, conditions, outcome)
    cutoffs = Cutoffs(consistency_cutoff, pri_cutoff, frequency_cutoff)
    return tabulated(x, y, conditions, outcome, cutoffs, n_incomplete)


def tabulated(
    x: np.ndarray,
    y: np.ndarray,
    conditions: Sequence[str],
    outcome: str,
    cutoffs: Cutoffs,
    n_incomplete: int = 0,
) -> TruthTable:
    """Truth table of memberships that are already checked."""
    inside = corner_memberships(x)
    n_cases = (inside > 0.5).sum(axis=0)
    fits = np.array([consistency(column, y) for column in inside.T])
    pri = np.array([proportional_reduction(column, y) for column in inside.T])
    known = n_cases >= cutoffs.frequency
    goes = reaches(fits, cutoffs.consistency) & reaches(pri, cutoffs.pri)
    rows = pd.DataFrame(corner_bits(x.shape[1]).astype(int), columns=list(conditions))
    rows = rows.assign(
        n_cases=n_cases,
        consistency=np.where(known, fits, np.nan),
        pri=np.where(known, pri, np.nan),
        is_outcome=pd.Series(goes, dtype="boolean").where(known),
    )
    return TruthTable(
        rows=rows,
        conditions=tuple(conditions),
        outcome=outcome,
        x=x,
        y=y,
        cutoffs=cutoffs,
        notes=tuple(_notes(inside, n_incomplete)),
    )


def _notes(inside: np.ndarray, n_incomplete: int) -> list[str]:
    """Cases that are in no combination."""
    nowhere = int((inside.max(axis=1) <= 0.5).sum())
    notes = []
    if n_incomplete:
        notes.append(f"Cases left out for a missing membership: {n_incomplete}.")
    if nowhere:
        notes.append(
            f"Cases exactly on a crossover, in no combination: {nowhere}. Move the anchor."
        )
    return notes
