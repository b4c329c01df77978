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
NO_ERROR = (
    "Rows without a standard error: fewer than two members on a side, or nothing that varies "
    "between members; it is not 0, it can't be estimated."
)
MOST_ENTRIES = 4_000_000
"""Entries of cells that are worked on at once (32 MB a measure)."""


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


def effect_supports(effects: StratumEffects, weights: np.ndarray) -> np.ndarray:
    """Support of exposed and comparison behind combinations of effects; shape (m, 2, 3).

    `weights` is of shape (m, k); effects of weight 0 do not enter.
    """
    grid = effects.grid
    n_cells = grid.at_risk.size
    step = max(1, MOST_ENTRIES // max(n_cells, 1))
    pieces = [
        _supports_together(effects, weights[start : start + step])
        for start in range(0, len(weights), step)
    ]
    return np.concatenate([np.zeros((0, 2, len(SUPPORT_COLUMNS))), *pieces])


def _supports_together(effects: StratumEffects, weights: np.ndarray) -> np.ndarray:
    """Support of some combinations at once; shape (m, 2, 3)."""
    grid = effects.grid
    at_risk, events, different = _by_month(grid)
    term, effect = np.nonzero(weights)
    pairs, kept = effects.pairs.take(effect), effects.kept[effect]
    found = np.zeros((len(weights), 2, len(SUPPORT_COLUMNS)))
    own = pairs.cohort[:, None] == np.arange(len(grid.cohorts))
    for side, cohorts in enumerate((own, pairs.comparison)):
        used = np.zeros((len(weights), *at_risk.shape), dtype=bool)
        for month in (pairs.month, pairs.base):
            _enter(used, term, month, cohorts, kept)
        fullest = np.where(used, different, 0.0).max(axis=1, initial=0.0)
        if grid.different_at_risk is None:
            fullest = np.floor(fullest + 0.5)
        found[:, side, 0] = fullest.sum(axis=(1, 2))
        found[:, side, 1] = np.where(used, events, 0.0).sum(axis=(1, 2, 3))
        found[:, side, 2] = np.where(used, at_risk, 0.0).sum(axis=(1, 2, 3))
    return found if grid.different_at_risk is None else _whole(found)


def _enter(
    used: np.ndarray, term: np.ndarray, month: np.ndarray, cohorts: np.ndarray, kept: np.ndarray
) -> None:
    """Mark what enters each term: the kept cells of its cohorts in a month.

    Parameters
    ----------
    used : np.ndarray
        Shape (m, T, C, X), changed.
    term, month : np.ndarray
        Of each effect that enters a term; shape (n,).
    cohorts, kept : np.ndarray
        Shape (n, C) and (n, X), bool.
    """
    order = np.lexsort((month, term))
    step = max(1, MOST_ENTRIES // max(used[0, 0].size, 1))
    for start in range(0, len(order), step):
        rows = order[start : start + step]
        place = term[rows], month[rows]
        is_first = np.ones(len(rows), dtype=bool)
        is_first[1:] = np.logical_or.reduce([np.diff(part) != 0 for part in place])
        first = np.flatnonzero(is_first)
        entering = cohorts[rows][:, :, None] & kept[rows][:, None, :]
        at = tuple(part[first] for part in place)
        used[at] |= np.logical_or.reduceat(entering, first, axis=0)


def _by_month(grid: CellGrid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Member-months, events, and members at risk of each cell and month; shape (T, C, X) each."""
    at_risk, events = (np.moveaxis(values, 2, 0) for values in (grid.at_risk, grid.events))
    if grid.different_at_risk is None or grid.different_events is None:
        return at_risk, events, at_risk
    different = np.minimum(at_risk, np.moveaxis(grid.different_at_risk, 2, 0))
    return at_risk, np.minimum(events, np.moveaxis(grid.different_events, 2, 0)), different


def pair_supports(effects: StratumEffects) -> np.ndarray:
    """Support of exposed and comparison behind each effect alone; shape (k, 2, 3)."""
    grid, pairs = effects.grid, effects.pairs
    by_month = _by_month(grid)
    found = np.zeros((len(effects), 2, len(SUPPORT_COLUMNS)))
    step = max(1, MOST_ENTRIES // max(grid.cell.size, 1))
    for start in range(0, len(effects), step):
        rows = np.arange(start, min(start + step, len(effects)))
        kept = effects.kept[rows]
        cohorts = pairs.comparison[rows].astype(float)[:, None, :]
        measures = _measures(grid, by_month, pairs.month[rows], pairs.base[rows])
        for column, measure in enumerate(measures):
            exposed = measure[np.arange(len(rows)), pairs.cohort[rows]]
            found[rows, 0, column] = (exposed * kept).sum(axis=1)
            found[rows, 1, column] = ((cohorts @ measure)[:, 0] * kept).sum(axis=1)
    return found if grid.different_at_risk is None else _whole(found)


def _measures(
    grid: CellGrid, by_month: tuple[np.ndarray, ...], month: np.ndarray, base: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Members, events and member-months of each cell in two months; shape (n, C, X) each."""
    at_risk, events, different = by_month
    members = np.maximum(different[month], different[base])
    if grid.different_at_risk is None:
        members = np.floor(members + 0.5)
    # The reference is one month, not two.
    is_other = (month != base)[:, None, None]
    return (
        members,
        events[month] + is_other * events[base],
        at_risk[month] + is_other * at_risk[base],
    )


def support_frame(sides: Sequence[np.ndarray] | np.ndarray) -> pd.DataFrame:
    """The smaller side of each estimate; `sides` is of shape (m, 2, 3).

    Of events the smaller side that has any: with none on one side, an estimate tells how many
    there are on the other.
    """
    both = np.asarray(sides).reshape(-1, 2, len(SUPPORT_COLUMNS))
    frame = pd.DataFrame(both.min(axis=1), columns=list(SUPPORT_COLUMNS))
    events = both[:, :, SUPPORT_COLUMNS.index("n_events")]
    frame["n_events"] = np.where(events.min(axis=1) > 0, events.min(axis=1), events.max(axis=1))
    frame["n_members"] = frame["n_members"].astype(np.int64)
    frame["n_events"] = np.rint(frame["n_events"]).astype(np.int64)
    return frame


def error_notes(
    estimate: np.ndarray,
    variance: np.ndarray,
    support: pd.DataFrame,
    *,
    reference: float | None = 0.0,
) -> tuple[str, ...]:
    """Why some rows have no standard error; nothing where all have one.

    Parameters
    ----------
    estimate, variance : np.ndarray
        Shape (k,); a variance of 0 or NaN is none.
    support : pd.DataFrame
        Of the rows.
    reference : float, optional
        Estimate of a row that others are compared with: such a row has events, members and no
        error by construction, and says nothing if others have one.
    """
    has_none = ~(variance > 0) & ~np.isnan(estimate)
    is_empty = (support["n_members"] < 2) | (support["n_events"] == 0)
    is_told = has_none & ((estimate != reference) | is_empty.to_numpy())
    return (NO_ERROR,) if is_told.any() or (has_none.any() and has_none.all()) else ()


def has_single_member(sides: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Estimates with fewer than two members on a side: their error can't be estimated; (m,)."""
    both = np.asarray(sides).reshape(-1, 2, len(SUPPORT_COLUMNS))
    return np.asarray(both[:, :, 0].min(axis=1) < 2)
