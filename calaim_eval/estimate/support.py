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
    grid, pairs = effects.grid, effects.pairs.take(rows)
    kept = effects.kept[rows]
    exposed = np.zeros(grid.at_risk.shape, dtype=bool)
    comparison = np.zeros(grid.at_risk.shape, dtype=bool)
    for month in (pairs.month, pairs.base):
        place = (pairs.cohort, slice(None), month)
        np.logical_or.at(exposed, place, kept)  # type: ignore[arg-type]
    for month in np.unique([pairs.month, pairs.base]):
        used = (pairs.month == month) | (pairs.base == month)
        together = pairs.comparison[used].T.astype(float) @ kept[used].astype(float)
        comparison[:, :, month] = together > 0
    return np.stack([side_support(grid, exposed), side_support(grid, comparison)])


def pair_supports(effects: StratumEffects) -> np.ndarray:
    """Support of exposed and comparison behind each effect alone; shape (k, 2, 3)."""
    grid, pairs = effects.grid, effects.pairs
    found = np.zeros((len(effects), 2, len(SUPPORT_COLUMNS)))
    months = np.stack([pairs.month, pairs.base], axis=1)
    for both in np.unique(months, axis=0):
        rows = np.flatnonzero((months == both).all(axis=1))
        distinct = np.unique(both)
        at_risk = grid.at_risk[:, :, distinct]
        measures = (
            np.floor(at_risk.max(axis=2) + 0.5),
            grid.events[:, :, distinct].sum(axis=2),
            at_risk.sum(axis=2),
        )
        cohorts = pairs.comparison[rows].astype(float)
        for column, measure in enumerate(measures):
            exposed = measure[pairs.cohort[rows]]
            found[rows, 0, column] = (exposed * effects.kept[rows]).sum(axis=1)
            found[rows, 1, column] = ((cohorts @ measure) * effects.kept[rows]).sum(axis=1)
    return found


def support_frame(sides: Sequence[np.ndarray]) -> pd.DataFrame:
    """The smaller side of each estimate; `sides` holds arrays of shape (2, 3).

    Of events the smaller side that has any: with none on one side, an estimate tells how many
    there are on the other.
    """
    smaller = np.array([both.min(axis=0) for both in sides]).reshape(-1, len(SUPPORT_COLUMNS))
    frame = pd.DataFrame(smaller, columns=list(SUPPORT_COLUMNS))
    events = np.array([both[:, SUPPORT_COLUMNS.index("n_events")] for both in sides]).reshape(-1, 2)
    frame["n_events"] = np.where(events.min(axis=1) > 0, events.min(axis=1), events.max(axis=1))
    frame["n_members"] = frame["n_members"].astype(np.int64)
    frame["n_events"] = np.rint(frame["n_events"]).astype(np.int64)
    return frame


def has_single_member(sides: Sequence[np.ndarray]) -> np.ndarray:
    """Estimates with fewer than two members on a side: their error can't be estimated; (m,)."""
    return np.array([both[:, 0].min() < 2 for both in sides], dtype=bool)
