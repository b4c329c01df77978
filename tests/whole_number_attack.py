"""An attacker who knows how every number is made up, without any linear programming.

The unknowns are the smallest cells: how many people are in each combination of the groups. Every
number shown is the sum of some of them. What leaves all of these sums as they are is found by
exact elimination (the kernel); a hidden count that no such change moves is solved. Otherwise
changes are tried one after the other, in whole numbers and never below zero, until the count has
moved far enough in all: each step is a world that fits everything shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from math import lcm

import numpy as np

_STEPS = 400


def kernel(sums: Sequence[Sequence[int]], n_cells: int) -> np.ndarray:
    """Changes in whole numbers that leave every sum as it is; one a row."""
    rows = [[Fraction(int(cell in each)) for cell in range(n_cells)] for each in map(set, sums)]
    pivots: list[int] = []
    for column in range(n_cells):
        at = len(pivots)
        pick = next((r for r in range(at, len(rows)) if rows[r][column]), None)
        if pick is None:
            continue
        rows[at], rows[pick] = rows[pick], rows[at]
        rows[at] = [x / rows[at][column] for x in rows[at]]
        for r in range(len(rows)):
            if r != at and rows[r][column]:
                factor = rows[r][column]
                rows[r] = [x - factor * y for x, y in zip(rows[r], rows[at], strict=True)]
        pivots.append(column)
    changes = []
    for free in (c for c in range(n_cells) if c not in pivots):
        vector = [Fraction(0)] * n_cells
        vector[free] = Fraction(1)
        for at, pivot in enumerate(pivots):
            vector[pivot] = -rows[at][free]
        scale = lcm(*(x.denominator for x in vector))
        changes.append([int(x * scale) for x in vector])
    return np.array(changes, dtype=int).reshape(-1, n_cells)


def is_solved(changes: np.ndarray, cells: Sequence[int]) -> bool:
    """Whether no change moves the sum of these cells."""
    return not changes[:, list(cells)].sum(axis=1).any()


def width_found(
    truth: np.ndarray, changes: np.ndarray, cells: Sequence[int], *, enough: int
) -> int:
    """Highest minus lowest sum of the cells in the worlds found, followed to `enough`."""
    pairs = [a + sign * b for a, b in combinations(changes, 2) for sign in (1, -1)]
    moves = np.unique(np.array([*changes, *pairs]), axis=0)
    moves = np.vstack([moves, -moves])
    effect = moves[:, list(cells)].sum(axis=1)
    rng = np.random.default_rng(0)
    reached = [0]
    for direction in (-1, 1):
        world = truth.copy()
        for _ in range(_STEPS):
            moved = int(world[list(cells)].sum() - truth[list(cells)].sum())
            reached.append(moved)
            if max(reached) - min(reached) >= enough:
                return max(reached) - min(reached)
            possible = (world + moves >= 0).all(axis=1)
            better = np.flatnonzero(possible & (effect * direction > 0))
            pick = better if len(better) else np.flatnonzero(possible & (effect == 0))
            if not len(pick):
                break
            world = world + moves[rng.choice(pick)]
    return max(reached) - min(reached)
