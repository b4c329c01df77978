"""Other worlds that fit everything shown: the range of values a hidden count could have.

A world is written as its difference ``d`` from the truth: ``A d = 0``, ``d = 0`` where a cell is
shown, ``value + d >= 0``. Two worlds in whole numbers whose values of a cell are far enough apart
prove that no reader, however clever, can narrow the cell down further than that.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from calaim_eval.disclosure.integer_programme import solve_integer
from calaim_eval.disclosure.primary import Target

if TYPE_CHECKING:
    from scipy import sparse


# A cell is never moved further than this many times the widest range asked for: a smaller set of
# worlds can only make a cell look less protected than it is.
_REACH = 10.0
_WHOLE = 1e-6
_BULK_ROUNDS = 30
_BULK_PATIENCE = 3
_BULK_GAP = 0.1
_BULK_SECONDS = 1.0
_INTEGER_SECONDS = 5.0


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the system that shares no cell with the rest.

    Attributes
    ----------
    equations : scipy.sparse.csr_array
        Shape (m, n).
    below, above : np.ndarray
        How far each cell may lie under or over its true value; shape (n,).
    is_integer : np.ndarray
        Shape (n,).
    """

    equations: sparse.csr_array
    below: np.ndarray
    above: np.ndarray
    is_integer: np.ndarray

    @property
    def can_move(self) -> np.ndarray:
        """Cells a reader does not know from elsewhere; shape (n,)."""
        return np.asarray((self.below > 0) | (self.above > 0))


def make_part(
    equations: sparse.csr_array,
    value: np.ndarray,
    is_integer: np.ndarray,
    *,
    known: np.ndarray,
    targets: Sequence[Target],
) -> Part:
    """Bounds of a part: nothing below zero, nothing moved that the reader knows.

    A cell whose true value is not at hand (hidden in an earlier release) may lie higher only.
    """
    reach = _REACH * max((max(t.width, t.up, t.down) for t in targets), default=1.0)
    return Part(
        equations=equations,
        below=np.where(known, 0.0, np.minimum(np.nan_to_num(value), reach)),
        above=np.where(known, 0.0, reach),
        is_integer=is_integer,
    )


@dataclass(eq=False)
class Ranges:
    """Lowest and highest difference from the truth found so far, by target."""

    targets: tuple[Target, ...]
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, targets: Sequence[Target]) -> Ranges:
        """No other world found yet."""
        return cls(tuple(targets), np.zeros(len(targets)), np.zeros(len(targets)))

    def add(self, world: np.ndarray) -> None:
        """Widen the ranges by a world."""
        values = world[[t.cell for t in self.targets]]
        self.low = np.minimum(self.low, values)
        self.high = np.maximum(self.high, values)

    def open(self) -> np.ndarray:
        """Targets whose range is still too narrow; positions."""
        slack = 1e-6
        width = np.array([t.width for t in self.targets])
        up = np.array([t.up for t in self.targets])
        down = np.array([t.down for t in self.targets])
        enough = (
            (self.high - self.low >= width - slack)
            & (self.high >= up - slack)
            & (-self.low >= down - slack)
        )
        return np.flatnonzero(~enough)


@dataclass(frozen=True, eq=False)
class Extreme:
    """World where a weighted sum of cells is largest, with the prices that prove it."""

    world: np.ndarray
    prices: np.ndarray


def find_ranges(
    part: Part, hidden: np.ndarray, targets: Sequence[Target], *, stop: float = np.inf
) -> Ranges:
    """Ranges of the targets given the hidden cells, in whole numbers.

    Parameters
    ----------
    part : Part
    hidden : np.ndarray
        Cells no table shows; shape (n,), boolean.
    targets : Sequence[Target]
    stop : float
        Time (`time.monotonic`) after which a range found too narrow so far is left so.

    Returns
    -------
    Ranges
        A range is widened until it is enough, then left; a target in ``open()`` has its full
        range, unless time was up.
    """
    ranges = Ranges.of(targets)
    widen_together(part, hidden, ranges)
    for position in ranges.open():
        if time.monotonic() > stop:
            break
        _move_alone(part, hidden, ranges, int(position))
    return ranges


def widen_together(part: Part, hidden: np.ndarray, ranges: Ranges) -> None:
    """Widen many ranges at once, by worlds in which all of them move."""
    rng = np.random.default_rng(0)
    without_gain = 0
    for _ in range(_BULK_ROUNDS):
        left = ranges.open()
        if not len(left) or without_gain == _BULK_PATIENCE:
            break
        _move_together(part, hidden, ranges, left, rng)
        without_gain = without_gain + 1 if len(ranges.open()) == len(left) else 0


def _move_together(
    part: Part, hidden: np.ndarray, ranges: Ranges, left: np.ndarray, rng: np.random.Generator
) -> None:
    """Move many targets at once, each in a random direction and no further than needed."""
    objective = np.zeros(len(part.below))
    below, above = part.below.copy(), part.above.copy()
    for position in left:
        target = ranges.targets[position]
        need = max(target.width, target.up, target.down)
        below[target.cell] = min(below[target.cell], need)
        above[target.cell] = min(above[target.cell], need)
        objective[target.cell] = 1.0 if rng.random() < 0.7 else -1.0
    near = replace(part, below=below, above=above)
    world = largest(near, hidden, objective).world
    if not is_whole(part, world):
        world = _largest_whole(near, hidden, objective, gap=_BULK_GAP, seconds=_BULK_SECONDS)
    ranges.add(world)


def _move_alone(part: Part, hidden: np.ndarray, ranges: Ranges, position: int) -> None:
    """Range of one target in whole numbers, where fractions leave it wide enough."""
    if position not in ranges.open():
        return
    target = ranges.targets[position]
    asked = np.zeros(len(part.below))
    asked[target.cell] = 1.0
    ends = [(sign * asked, largest(part, hidden, sign * asked).world) for sign in (1.0, -1.0)]
    possible = Ranges.of([target])
    for _, world in ends:
        possible.add(world)
    is_lost = len(possible.open()) > 0  # whole numbers cannot be wider than fractions
    for objective, world in ends:
        if is_whole(part, world):
            ranges.add(world)
        elif not is_lost:
            ranges.add(_largest_whole(part, hidden, objective))


def largest(
    part: Part,
    hidden: np.ndarray,
    objective: np.ndarray,
) -> Extreme:
    """World in which ``objective @ d`` is largest, among fractional worlds too."""
    from scipy import optimize

    columns = np.flatnonzero(hidden & part.can_move)
    world = np.zeros(len(part.below))
    prices = np.zeros(part.equations.shape[0])
    if not len(columns) or not objective[columns].any():
        return Extreme(world, prices)
    matrix = part.equations[:, columns]
    used = np.flatnonzero(np.diff(matrix.indptr))
    solved = optimize.linprog(
        -objective[columns],
        A_eq=matrix[used] if len(used) else None,
        b_eq=np.zeros(len(used)) if len(used) else None,
        bounds=np.column_stack([-part.below[columns], part.above[columns]]),
        method="highs",
    )
    if solved.status != 0:
        return Extreme(world, prices)
    world[columns] = _tidy(solved.x)
    if len(used):
        prices[used] = solved.eqlin.marginals
    return Extreme(world, prices)


def _largest_whole(
    part: Part,
    hidden: np.ndarray,
    objective: np.ndarray,
    *,
    gap: float = 0.0,
    seconds: float = _INTEGER_SECONDS,
) -> np.ndarray:
    """World in whole numbers in which ``objective @ d`` is largest; no move if none is found."""
    from scipy import optimize

    columns = np.flatnonzero(hidden & part.can_move)
    world = np.zeros(len(part.below))
    matrix = part.equations[:, columns]
    solved = solve_integer(
        -objective[columns],
        integrality=part.is_integer[columns].astype(int),
        bounds=optimize.Bounds(-part.below[columns], part.above[columns]),
        constraints=optimize.LinearConstraint(matrix, 0.0, 0.0),
        options={"time_limit": seconds, "mip_rel_gap": gap},
    )
    if solved.x is not None:
        world[columns] = _tidy(solved.x)
    return world if is_whole(part, world) else np.zeros(len(part.below))


def is_whole(part: Part, world: np.ndarray) -> bool:
    """Whether every count of a world is a whole number, as counts are."""
    moved = world[part.is_integer]
    return bool(np.all(np.abs(moved - np.round(moved)) < _WHOLE))


def _tidy(values: np.ndarray) -> np.ndarray:
    """Solver noise taken off whole numbers."""
    near = np.round(values)
    return np.where(np.abs(values - near) < _WHOLE, near, values)
