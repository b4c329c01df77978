"""How much stands behind an estimate: members, events and member-months of the smaller side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects
from calaim_eval.results import SUPPORT_COLUMNS

ROUNDING = 1e-6
"""Sums of shares of members are this near to whole numbers they should be."""


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
        month: the moments hold no ids, and fewer is the cautious side. In a matched design, where
        some are in several sets, different members and events are counted.
    """
    at_risk = np.where(used, grid.at_risk, 0.0)
    events = np.where(used, grid.events, 0.0)
    if grid.different_at_risk is None or grid.different_events is None:
        members = np.floor(at_risk.max(axis=2, initial=0.0) + 0.5)
        return np.array([members.sum(), events.sum(), at_risk.sum()])
    members = np.minimum(at_risk, grid.different_at_risk).max(axis=2, initial=0.0)
    events = np.minimum(events, grid.different_events)
    return _whole(np.array([members.sum(), events.sum(), at_risk.sum()]))


def _whole(support: np.ndarray) -> np.ndarray:
    """Sums of shares of members and events as counts: members down, events up; (..., 3)."""
    whole = support.copy()
    whole[..., 0] = np.floor(support[..., 0] + ROUNDING)
    whole[..., 1] = np.ceil(support[..., 1] - ROUNDING)
    return whole


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
        measures = _measures(grid, distinct)
        cohorts = pairs.comparison[rows].astype(float)
        for column, measure in enumerate(measures):
            exposed = measure[pairs.cohort[rows]]
            found[rows, 0, column] = (exposed * effects.kept[rows]).sum(axis=1)
            found[rows, 1, column] = ((cohorts @ measure) * effects.kept[rows]).sum(axis=1)
    return found if grid.different_at_risk is None else _whole(found)


def _measures(grid: CellGrid, months: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Members, events and member-months of each cell in some months; shape (C, X) each."""
    at_risk, events = grid.at_risk[:, :, months], grid.events[:, :, months]
    if grid.different_at_risk is None or grid.different_events is None:
        members = np.floor(at_risk.max(axis=2) + 0.5)
    else:
        members = np.minimum(at_risk, grid.different_at_risk[:, :, months]).max(axis=2)
        events = np.minimum(events, grid.different_events[:, :, months])
    return members, events.sum(axis=2), at_risk.sum(axis=2)


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
