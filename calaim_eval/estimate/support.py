"""How much stands behind an estimate: members, events and member-months of the smaller side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.stratum_effects import StratumEffects
from calaim_eval.results import SUPPORT_COLUMNS


def side_support(grid: CellGrid, used: np.ndarray) -> np.ndarray:
    """Members, events and member-months in the cells and months used.

    Parameters
    ----------
    used : np.ndarray
        Which (cohort, covariate cell, month) enter; shape (C, X, T), bool.

    Returns
    -------
    np.ndarray
        ``n_members, n_events, member_months``. Members of a cell are counted by its fullest used
        month: the moments hold no ids, and fewer is the cautious side.
    """
    at_risk = np.where(used, grid.at_risk, 0.0)
    members = np.floor(at_risk.max(axis=2, initial=0.0) + 0.5).sum()
    events = np.where(used, grid.events, 0.0).sum()
    return np.array([members, events, at_risk.sum()])


def effect_support(effects: StratumEffects, rows: np.ndarray) -> np.ndarray:
    """Support of exposed and comparison behind some effects together; shape (2, 3)."""
    grid, pairs = effects.grid, effects.pairs
    exposed = np.zeros(grid.at_risk.shape, dtype=bool)
    comparison = np.zeros(grid.at_risk.shape, dtype=bool)
    for row in rows:
        kept = np.flatnonzero(effects.kept[row])
        months = np.array([pairs.month[row], pairs.base[row]])
        exposed[np.ix_(pairs.cohort[[row]], kept, months)] = True
        cohorts = np.flatnonzero(pairs.comparison[row])
        comparison[np.ix_(cohorts, kept, months)] = True
    return np.stack([side_support(grid, exposed), side_support(grid, comparison)])


def support_frame(sides: Sequence[np.ndarray]) -> pd.DataFrame:
    """The smaller side of each estimate; `sides` holds arrays of shape (2, 3)."""
    smaller = np.array([both.min(axis=0) for both in sides]).reshape(-1, len(SUPPORT_COLUMNS))
    frame = pd.DataFrame(smaller, columns=list(SUPPORT_COLUMNS))
    frame["n_members"] = frame["n_members"].astype(np.int64)
    frame["n_events"] = np.rint(frame["n_events"]).astype(np.int64)
    return frame


def has_single_member(sides: Sequence[np.ndarray]) -> np.ndarray:
    """Estimates with fewer than two members on a side: their error can't be estimated; (m,)."""
    return np.array([both[:, 0].min() < 2 for both in sides], dtype=bool)
