"""Nearest neighbours within cells, with or without replacement, ties broken by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

TIE = 1e-5
"""Width of the random coordinate that breaks ties, in units of the distance."""


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Members as points; only those of the same cell can be matched.

    Attributes
    ----------
    place : np.ndarray
        Coordinates whose Euclidean distance is the distance of two members; shape (n, d).
    cell : np.ndarray
        Whole numbers; shape (n,).
    tie : np.ndarray
        Uniform between 0 and 1, one draw a member; shape (n,).
    """

    place: np.ndarray
    cell: np.ndarray
    tie: np.ndarray

    def take(self, rows: np.ndarray) -> Points:
        """The points at `rows`."""
        return Points(self.place[rows], self.cell[rows], self.tie[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Pairs of an exposed point and a point of the pool, and how far apart they are."""

    exposed: np.ndarray
    pool: np.ndarray
    distance: np.ndarray


def nearest_with_replacement(
    exposed: Points, pool: Points, *, ratio: int, caliper: float | None
) -> Matches:
    """The `ratio` nearest points of the pool of each exposed point, used as often as they come.

    Parameters
    ----------
    exposed, pool : Points
    ratio : int
        Matches wanted for each; fewer where the cell or the caliper holds fewer.
    caliper : float, optional
        Largest distance allowed, included.
    """
    if not len(exposed.cell) or not len(pool.cell):
        return _none()
    apart = _apart(exposed, pool)
    tree = _tree(pool, apart)
    _, found = tree.query(
        _raised(exposed, apart),
        k=np.arange(1, min(ratio, len(pool.cell)) + 1),
        distance_upper_bound=apart / 2,
    )
    of, rank = np.nonzero(found < len(pool.cell))
    return _within(exposed, pool, of, found[of, rank], caliper)


def nearest_without_replacement(
    exposed: Points, pool: Points, *, ratio: int, caliper: float | None
) -> Matches:
    """Closest pairs first, each point of the pool used once; one match each before a second.

    Notes
    -----
    Taking the closest pair of all, then the closest of what is left, and so on is the same as
    taking, again and again, every pair whose two points are each other's nearest. That needs a
    few rounds of nearest-neighbour queries instead of all distances, and no order of the exposed.
    """
    free = np.arange(len(pool.cell))
    rounds = []
    for _ in range(ratio):
        pairs = _one_each(exposed, pool, free, caliper)
        rounds.append(pairs)
        free = np.setdiff1d(free, pairs.pool)
    return Matches(
        np.concatenate([each.exposed for each in rounds]),
        np.concatenate([each.pool for each in rounds]),
        np.concatenate([each.distance for each in rounds]),
    )


def _one_each(exposed: Points, pool: Points, free: np.ndarray, caliper: float | None) -> Matches:
    """At most one free point of the pool for each exposed point, closest pairs first."""
    apart = _apart(exposed, pool)
    wanting = np.flatnonzero(np.isin(exposed.cell, pool.cell[free]))
    taken = []
    while wanting.size and free.size:
        tree = _tree(pool.take(free), apart)
        reach, near = tree.query(
            _raised(exposed.take(wanting), apart), distance_upper_bound=apart / 2
        )
        has = np.isfinite(reach)
        wanting, reach, near = wanting[has], reach[has], free[near[has]]
        pairs = _within(exposed, pool, wanting, near, caliper)
        is_near = np.isin(wanting, pairs.exposed)
        wanting, reach, near = wanting[is_near], reach[is_near], near[is_near]
        if not wanting.size:
            break
        mutual = _is_mutual(exposed, pool, wanting, near, reach, apart)
        taken.append((wanting[mutual], near[mutual]))
        free = free[~np.isin(free, near[mutual])]
        wanting = wanting[~mutual]
    if not taken:
        return _none()
    of, match = (np.concatenate(side) for side in zip(*taken, strict=True))
    return _within(exposed, pool, of, match, None)


def _is_mutual(
    exposed: Points,
    pool: Points,
    wanting: np.ndarray,
    near: np.ndarray,
    reach: np.ndarray,
    apart: float,
) -> np.ndarray:
    """Whether an exposed point is also the nearest one wanting of the point it is nearest to."""
    tree = _tree(exposed.take(wanting), apart)
    _, back = tree.query(_raised(pool.take(near), apart))
    mutual: np.ndarray = back == np.arange(len(wanting))
    if not mutual.any():  # an exact tie in spite of the random coordinate
        mutual[np.argmin(reach)] = True
    return mutual


def _within(
    exposed: Points, pool: Points, of: np.ndarray, match: np.ndarray, caliper: float | None
) -> Matches:
    """Pairs of the same cell whose distance, without the random coordinate, is in the caliper."""
    distance = np.linalg.norm(exposed.place[of] - pool.place[match], axis=1)
    limit = np.inf if caliper is None else caliper * (1 + 1e-9)
    kept = distance <= limit
    return Matches(of[kept], match[kept], distance[kept])


def _apart(exposed: Points, pool: Points) -> float:
    """A length no two points of one cell are apart."""
    both = np.vstack([exposed.place, pool.place])
    return float(4.0 * (1.0 + np.linalg.norm(np.ptp(both, axis=0)))) if len(both) else 4.0


def _raised(points: Points, apart: float) -> np.ndarray:
    """Coordinates with one that keeps cells apart and one that breaks ties; shape (n, d + 2)."""
    return np.column_stack([points.place, points.cell * apart, points.tie * TIE])


def _tree(points: Points, apart: float) -> Any:
    """KD-tree of the points, cells kept apart."""
    from scipy.spatial import cKDTree

    return cKDTree(_raised(points, apart), balanced_tree=False, compact_nodes=False)


def _none() -> Matches:
    """No pair."""
    nothing = np.empty(0, dtype=np.int64)
    return Matches(nothing, nothing, np.empty(0))
