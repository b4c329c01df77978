"""Which further rows to hide, so that no hidden count follows from what is shown.

Cell suppression as in Fischetti and Salazar (2001) [1]_: the fewest rows, weighted by cost, such
that every sensitive cell keeps a wide enough range of possible values. A quick repair gives a safe
pattern; an integer programme then looks for a cheaper one, adding a condition for every cell a
reader could still narrow down, and says how far from the best the answer can be.

References
----------
.. [1] Fischetti M, Salazar JJ (2001). Solving the cell suppression problem on tabular data with
   linear constraints. Management Science 47(7):1008-1027. doi:10.1287/mnsc.47.7.1008.9805
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calaim_eval.disclosure.integer_programme import solve_integer
from calaim_eval.disclosure.primary import Target
from calaim_eval.disclosure.system import System
from calaim_eval.disclosure.worlds import (
    Part,
    Ranges,
    find_ranges,
    is_whole,
    largest,
    make_part,
    widen_together,
)

if TYPE_CHECKING:
    from scipy import sparse


_ROUNDS = 60
_PROVED = 1e-3
_WIDEN_EVERY = 20


@dataclass(frozen=True, eq=False)
class Pattern:
    """Rows to hide, and how good the choice is.

    Attributes
    ----------
    hidden_rows : np.ndarray
        Boolean, in the order of ``System.rows``.
    open_cells : tuple[int, ...]
        Sensitive cells that stay recoverable whatever is hidden now: an earlier release shows
        too much.
    cost : float
        Cost of the rows hidden beside the small ones.
    bound : float
        No safe pattern costs less.
    seconds : float
        Time the search took.
    """

    hidden_rows: np.ndarray
    open_cells: tuple[int, ...]
    cost: float
    bound: float
    seconds: float = 0.0

    @property
    def gap(self) -> float:
        """Share of the cost that might be saved; 0 means none."""
        return 0.0 if self.cost <= 0 else max(0.0, (self.cost - self.bound) / self.cost)

    def record(self) -> dict[str, object]:
        """How good the choice is, for the certificate: shares, never how many rows protect."""
        return {
            "search": "fewest rows proved"
            if self.gap < _PROVED
            else f"within {self.gap:.0%} of the fewest rows",
            "search_bound": 1.0 if self.gap < _PROVED else round(1.0 - self.gap, 2),
            "search_gap": 0.0 if self.gap < _PROVED else round(self.gap, 2),
            "search_seconds_at_most": int(np.ceil(self.seconds)),
        }


def protect(
    system: System,
    targets: Sequence[Target],
    *,
    hidden_rows: np.ndarray,
    cost: np.ndarray,
    known: np.ndarray | None = None,
    time_limit_seconds: float = 20.0,
) -> Pattern:
    """Choose rows to hide beside `hidden_rows` so that every target is protected.

    Parameters
    ----------
    system : System
        With the true values.
    targets : Sequence[Target]
        Sensitive cells and the range each needs.
    hidden_rows : np.ndarray
        Rows hidden already; boolean, shape (n_rows,).
    cost : np.ndarray
        Cost of hiding each row; positive, shape (n_rows,).
    known : np.ndarray, optional
        Cells a reader knows from elsewhere, hidden here or not; boolean, shape (n_cells,).
    time_limit_seconds : float
        For the search for a cheaper pattern; a safe one is found first, whatever it takes.

    Returns
    -------
    Pattern
    """
    known = np.zeros(len(system.cells), dtype=bool) if known is None else known
    hidden = hidden_rows.copy()
    begun = time.monotonic()
    stop = begun + time_limit_seconds
    searches = [
        _Search.of(system, cells, rows, targets, known, cost, hidden_rows)
        for cells, rows in _components(system)
    ]
    searches = [search for search in searches if search.targets]
    open_cells: list[int] = []
    total_cost = total_bound = 0.0
    for search in searches:
        search.repair_start()
        open_cells += [int(search.cells[t.cell]) for t in search.unprotectable]
    for search in sorted(searches, key=lambda s: s.best_cost):
        search.improve(stop)
        hidden[search.rows] = search.best
        total_cost += search.best_cost
        total_bound += search.bound
    seconds = time.monotonic() - begun
    return Pattern(hidden, tuple(sorted(open_cells)), total_cost, total_bound, seconds)


def _components(system: System) -> list[tuple[np.ndarray, np.ndarray]]:
    """Cells and rows of each part of the system that shares nothing with the rest."""
    from scipy import sparse

    n, m, r = len(system.cells), system.equations.shape[0], len(system.rows)
    equation, cell = system.equations.nonzero()
    row_of = np.repeat(np.arange(r), [len(row.cells) for row in system.rows])
    shown = np.array([c for row in system.rows for c in row.cells], dtype=int)
    left = np.concatenate([cell, shown])
    right = np.concatenate([n + equation, n + m + row_of])
    graph = sparse.coo_array((np.ones(len(left)), (left, right)), shape=(n + m + r,) * 2)
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    return [
        (np.flatnonzero(label[:n] == part), np.flatnonzero(label[n + m :] == part))
        for part in np.unique(label[:n])
    ]


@dataclass(eq=False)
class _Search:
    """The search for a pattern within one part of the system."""

    cells: np.ndarray
    rows: np.ndarray
    part: Part
    targets: tuple[Target, ...]
    shows: sparse.csr_array
    cost: np.ndarray
    start: np.ndarray
    best: np.ndarray
    unprotectable: tuple[Target, ...] = ()
    bound: float = 0.0

    @classmethod
    def of(
        cls,
        system: System,
        cells: np.ndarray,
        rows: np.ndarray,
        targets: Sequence[Target],
        known: np.ndarray,
        cost: np.ndarray,
        hidden_rows: np.ndarray,
    ) -> _Search:
        """Cut the part out of the system."""
        from scipy import sparse

        at = {int(cell): position for position, cell in enumerate(cells)}
        mine = tuple(Target(at[t.cell], t.width, t.up, t.down) for t in targets if t.cell in at)
        equations = system.equations[:, cells]
        equations = equations[np.flatnonzero(np.diff(equations.indptr))]
        part = make_part(
            equations,
            system.value[cells],
            system.is_integer[cells],
            known=known[cells],
            targets=mine,
        )
        pairs = [(i, at[c]) for i, row in enumerate(rows) for c in system.rows[row].cells]
        at_row, at_cell = np.array(pairs, dtype=int).reshape(-1, 2).T
        shows = sparse.csr_array(
            (np.ones(len(pairs)), (at_row, at_cell)), shape=(len(rows), len(cells))
        )
        start = hidden_rows[rows].copy()
        for target in mine:  # a row that shows a sensitive cell is hidden
            start |= shows[:, [target.cell]].toarray().ravel() > 0
        return cls(cells, rows, part, mine, shows, cost[rows], start, start.copy())

    @property
    def best_cost(self) -> float:
        """Cost of the rows hidden beside those hidden at the start."""
        return self._cost(self.best)

    def _cost(self, hidden: np.ndarray) -> float:
        """Cost of a pattern over the start."""
        return float(self.cost[hidden & ~self.start].sum())

    def hidden_cells(self, hidden: np.ndarray) -> np.ndarray:
        """Cells that no row shows."""
        return np.asarray((self.shows.T @ (~hidden).astype(float)) == 0)

    def find_open(self, hidden: np.ndarray, *, stop: float = np.inf) -> Ranges:
        """Ranges of the targets under a pattern; those not proved by `stop` are open."""
        return find_ranges(self.part, self.hidden_cells(hidden), self.targets, stop=stop)

    def repair_start(self) -> None:
        """Find a safe pattern, and the targets that none protects."""
        self.best = self.repair(self.start)
        ranges = self.find_open(self.best)
        lost = ranges.open()
        if len(lost):
            ranges = self.find_open(np.ones_like(self.best))
            lost = ranges.open()
            self.unprotectable = tuple(self.targets[p] for p in lost)
            self.targets = tuple(t for t in self.targets if t not in self.unprotectable)
            if len(self.find_open(self.best).open()):
                self.best = np.ones_like(self.best)

    def repair(self, hidden: np.ndarray, *, stop: float = np.inf) -> np.ndarray:
        """Hide cheap rows until every target that can be protected is, or time is up."""
        hidden = hidden.copy()
        ranges = Ranges.of(self.targets)
        widen_together(self.part, self.hidden_cells(hidden), ranges)
        tried: set[int] = set()
        while time.monotonic() < stop:
            left = [int(p) for p in ranges.open() if p not in tried]
            if not left:
                break
            position = max(left, key=lambda p: self.targets[p].width)
            tried.add(position)
            for world in self._cheapest_worlds(hidden, self.targets[position]):
                moved = np.abs(world) > 1e-9
                hidden |= np.asarray((self.shows @ moved.astype(float)) > 0)
                if is_whole(self.part, world):
                    ranges.add(world)
            if len(tried) % _WIDEN_EVERY == 0:
                widen_together(self.part, self.hidden_cells(hidden), ranges)
            if len(left) == 1:
                ranges = self.find_open(hidden, stop=stop)
        return hidden

    def _cheapest_worlds(self, hidden: np.ndarray, target: Target) -> list[np.ndarray]:
        """Worlds that give a target its range and move cells that are cheap to hide."""
        moves = [target.up, -target.down]
        if target.up + target.down < target.width:
            moves = [max(target.up, target.width - target.down), -target.down]
        worlds = [self._cheapest_world(hidden, target.cell, move) for move in moves if move]
        return [world for world in worlds if world is not None]

    def _cheapest_world(self, hidden: np.ndarray, cell: int, move: float) -> np.ndarray | None:
        """World with the target moved, the cheapest in rows newly hidden (linear relaxation)."""
        from scipy import optimize, sparse

        columns = np.flatnonzero(self.part.can_move)
        if cell not in columns:
            return None
        price = np.asarray(self.shows.T @ np.where(hidden, 0.0, self.cost)) + 1e-4
        matrix = self.part.equations[:, columns]
        below, above = self.part.below[columns], self.part.above[columns]
        at = int(np.flatnonzero(columns == cell)[0])
        up_low, up_high = np.zeros(len(columns)), above.copy()
        down_low, down_high = np.zeros(len(columns)), below.copy()
        if move > 0:
            up_low[at], up_high[at], down_high[at] = move, move, 0.0
        else:
            down_low[at], down_high[at], up_high[at] = -move, -move, 0.0
        if (down_low > below + 1e-9).any():
            return None
        solved = optimize.linprog(
            np.tile(price[columns], 2),
            A_eq=sparse.hstack([matrix, -matrix], format="csr"),
            b_eq=np.zeros(matrix.shape[0]),
            bounds=np.column_stack(
                [np.concatenate([up_low, down_low]), np.concatenate([up_high, down_high])]
            ),
            method="highs",
        )
        if solved.status != 0:
            return None
        world = np.zeros(len(self.part.below))
        moved = solved.x[: len(columns)] - solved.x[len(columns) :]
        world[columns] = np.where(np.abs(moved - np.round(moved)) < 1e-6, np.round(moved), moved)
        return world

    def improve(self, stop: float) -> None:
        """Look for a cheaper safe pattern until none is left or time is up."""
        if self.best_cost <= 0:
            return
        cuts = self._first_cuts()
        for _ in range(_ROUNDS):
            left = stop - time.monotonic()
            if left <= 0 or self.bound >= self.best_cost - 1e-6:
                break
            hidden, bound = self._solve(cuts, left)
            self.bound = max(self.bound, min(bound, self.best_cost))
            if hidden is None:
                break
            found = self.find_open(hidden, stop=stop).open()
            if not len(found):
                self._take(hidden)
                break
            new = [
                cut
                for p in found
                if time.monotonic() < stop
                for cut in self._cuts(hidden, self.targets[p])
            ]
            repaired = self.repair(hidden, stop=stop)
            is_cheaper = self._cost(repaired) < self.best_cost
            if is_cheaper and not len(self.find_open(repaired, stop=stop).open()):
                self._take(repaired)
            if not new:
                break
            cuts += new
        self._show_again(stop)

    def _take(self, hidden: np.ndarray) -> None:
        """Keep a safe pattern that is cheaper than the best so far."""
        if self._cost(hidden) < self.best_cost:
            self.best = hidden

    def _first_cuts(self) -> list[tuple[np.ndarray, float]]:
        """Wherever a target stands in an equation, something else in it must move too."""
        cuts = []
        range_of = self.part.below + self.part.above
        equations = self.part.equations
        by_cell = equations.tocsc()
        for target in self.targets:
            for equation in by_cell.indices[
                by_cell.indptr[target.cell] : by_cell.indptr[target.cell + 1]
            ]:
                row = slice(equations.indptr[equation], equations.indptr[equation + 1])
                others, weights = equations.indices[row], np.abs(equations.data[row])
                coefficient = np.zeros(len(self.part.below))
                coefficient[others] = weights * range_of[others]
                own = weights[others == target.cell][0]
                coefficient[target.cell] = 0.0
                cuts.append((np.minimum(coefficient / own, target.width), target.width))
        return cuts

    def _cuts(self, hidden: np.ndarray, target: Target) -> list[tuple[np.ndarray, float]]:
        """Conditions on the hidden cells that a target's narrow range breaks."""
        cells = self.hidden_cells(hidden)
        sides = {}
        for sign in (1.0, -1.0):
            objective = np.zeros(len(cells))
            objective[target.cell] = sign
            found = largest(self.part, cells, objective)
            reduced = -objective - self.part.equations.T @ found.prices
            limit = (
                np.maximum(reduced, 0) * self.part.below + np.maximum(-reduced, 0) * self.part.above
            )
            sides[sign] = (limit, sign * found.world[target.cell])
        (up, most), (down, least) = sides[1.0], sides[-1.0]
        wanted = [
            (up, most, target.up),
            (down, least, target.down),
            (up + down, most + least, target.width),
        ]
        return [
            (np.minimum(limit, need), need)
            for limit, reached, need in wanted
            if need > 0 and reached < need - 1e-6
        ]

    def _solve(
        self, cuts: list[tuple[np.ndarray, float]], seconds: float
    ) -> tuple[np.ndarray | None, float]:
        """Cheapest rows that meet every condition so far, and the bound proved."""
        from scipy import optimize, sparse

        n_rows, n_cells = len(self.rows), len(self.cells)
        never_shown = np.diff(self.shows.tocsc().indptr) == 0
        matrix = np.array([coefficient for coefficient, _ in cuts])
        need = np.array([need for _, need in cuts])
        i, j = self.shows.nonzero()
        links = sparse.hstack(
            [
                sparse.csr_array(
                    (-np.ones(len(i)), (np.arange(len(i)), i)), shape=(len(i), n_rows)
                ),
                sparse.csr_array(
                    (np.ones(len(j)), (np.arange(len(j)), j)), shape=(len(j), n_cells)
                ),
            ],
            format="csr",
        )
        conditions = sparse.hstack(
            [sparse.csr_array((len(cuts), n_rows)), sparse.csr_array(matrix)], format="csr"
        )
        lower = np.concatenate([self.start.astype(float), never_shown.astype(float)])
        solved = solve_integer(
            np.concatenate([np.where(self.start, 0.0, self.cost), np.zeros(n_cells)]),
            integrality=np.concatenate([np.ones(n_rows), np.zeros(n_cells)]),
            bounds=optimize.Bounds(lower, np.ones(n_rows + n_cells)),
            constraints=[
                optimize.LinearConstraint(links, -np.inf, 0.0),
                optimize.LinearConstraint(conditions, need - 1e-7, np.inf),
            ],
            options={"time_limit": max(seconds, 0.1), "mip_rel_gap": 1e-4},
        )
        bound = float(solved.mip_dual_bound) if solved.mip_dual_bound is not None else 0.0
        if solved.x is None:
            return None, bound
        return np.asarray(solved.x[:n_rows] > 0.5), bound

    def _show_again(self, stop: float) -> None:
        """Show again every row the protection does not need, the dearest first."""
        extra = np.flatnonzero(self.best & ~self.start)
        for row in sorted(extra, key=lambda r: -self.cost[r]):
            if time.monotonic() > stop or self.bound >= self.best_cost - 1e-6:
                return
            trial = self.best.copy()
            trial[row] = False
            if not len(self.find_open(trial, stop=stop).open()):
                self.best = trial
