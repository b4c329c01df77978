"""Variances of many cohort-month effects, without the covariances between them."""

from __future__ import annotations

import numpy as np

from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects
from calaim_eval.estimate.influence import ROUNDING
from calaim_eval.moments import CellMoments


def pair_variances(moments: CellMoments, outcome: str, effects: StratumEffects) -> np.ndarray:
    """The diagonal of `member_covariance` of every effect; shape (k,).

    An effect loads on four numbers of a cell only (outcome and coverage, month and base month), so
    the 4 × 4 blocks of the moments are enough.
    """
    grid, pairs = effects.grid, effects.pairs
    size = len(grid.axis)
    places = np.stack([pairs.month, size + pairs.month, pairs.base, size + pairs.base], axis=1)
    variance, gross = np.zeros(len(effects)), np.zeros(len(effects))
    for cohort, cells in enumerate(grid.cell):
        covered = np.flatnonzero(cells >= 0)
        matrices = moments.matrices(outcome, cells[covered])
        for side, is_own in (
            ("exposed", pairs.cohort == cohort),
            ("comparison", pairs.comparison[:, cohort]),
        ):
            rows = np.flatnonzero(is_own)
            if not rows.size:
                continue
            loads = np.stack(
                [
                    getattr(effects.loads, f"{side}_{name}")[rows][:, covered]
                    for name in ("y", "r", "base_y", "base_r")
                ],
                axis=-1,
            )
            place = places[rows]
            for x, matrix in enumerate(matrices):
                block = matrix[place[:, :, None], place[:, None, :]]
                own = loads[:, x]
                variance[rows] += np.einsum("ki,kij,kj->k", own, block, own)
                gross[rows] += np.einsum("ki,kii->k", own**2, block)
    return np.where(variance > ROUNDING * gross, variance, 0.0)
