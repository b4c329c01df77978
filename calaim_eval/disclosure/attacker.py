"""What a careful reader can work out: the range of values left for every hidden count.

The reader has only what is shown: the released numbers, the structure of the tables (sums,
parts of a whole, stages of a funnel) and, where given, numbers released before. Nothing here
reads the restricted results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.disclosure.count_table import CellId, CountTable
from calaim_eval.disclosure.integer_programme import solve_integer
from calaim_eval.disclosure.policy import Policy
from calaim_eval.disclosure.system import System, build_system
from calaim_eval.errors import DisclosureError

if TYPE_CHECKING:
    from scipy import sparse


_SLACK = 1e-6
_SWEEPS = 60
_SWEEP_GAP = 0.1
_END_SECONDS = 5.0


@dataclass(frozen=True, eq=False)
class Certificate:
    """What the audit of a release found.

    Attributes
    ----------
    policy : str
        Name and version.
    cell_ids : tuple[CellId, ...]
        Hidden counts.
    cells : pd.DataFrame
        One row per hidden count: `quantity`, `groups`, `lowest`, `highest` possible value.
    min_interval : float
        Narrowest range among hidden counts that could be too small to show; infinite where there
        is none.
    narrowed_before : tuple[CellId, ...]
        Counts that an earlier release hid, that could be too small to show and have a narrower
        range now than the policy asks for.
    """

    policy: str
    cell_ids: tuple[CellId, ...]
    cells: pd.DataFrame
    min_interval: float
    narrowed_before: tuple[CellId, ...] = ()


def audit(
    tables: Sequence[CountTable],
    *,
    policy: Policy,
    known: Mapping[CellId, float] | None = None,
    enough: Callable[[CellId], float] | None = None,
    earlier: Sequence[CountTable] = (),
) -> Certificate:
    """Attack the tables as released.

    Parameters
    ----------
    tables : Sequence[CountTable]
        With NaN where hidden, as `ReleasedTable.counts` gives them.
    policy : Policy
    known : Mapping[CellId, float], optional
        Numbers a reader has from earlier releases.
    enough : callable, optional
        Width of range beyond which a cell is not followed further; its range is then a lower
        bound. Default: every range is exact, which takes two linear programmes a cell.
    earlier : Sequence[CountTable]
        Tables of earlier releases whose numbers still hold, NaN where hidden.

    Returns
    -------
    Certificate
    """
    system = build_system(tables, earlier=earlier)
    value = with_known(system, known or {})
    stated = {c for row in system.rows for c in row.cells}
    hidden = sorted(c for c in stated if np.isnan(value[c]))
    widths = None if enough is None else np.array([enough(system.cells[c]) for c in hidden])
    lowest, highest = possible_values(system, value, hidden, enough=widths)
    could_be_small = (lowest < policy.min_count) & (highest >= (1 if policy.zeros_shown else 0))
    ranges = (highest - lowest)[could_be_small]
    return Certificate(
        policy=f"{policy.name} version {policy.version}",
        cell_ids=tuple(system.cells[c] for c in hidden),
        cells=pd.DataFrame(
            {
                "quantity": [system.cells[c][0] for c in hidden],
                "groups": [describe_groups(system.cells[c]) for c in hidden],
                "lowest": lowest,
                "highest": highest,
            }
        ),
        min_interval=float(ranges.min()) if len(ranges) else np.inf,
        narrowed_before=_narrowed(system, value, earlier, stated, policy),
    )


def _narrowed(
    system: System,
    value: np.ndarray,
    earlier: Sequence[CountTable],
    stated: set[int],
    policy: Policy,
) -> tuple[CellId, ...]:
    """Small counts that only earlier tables hide, and that all tables together narrow down."""
    cells = {cell for table in earlier for pair in table.cells() for cell in pair}
    asked = [
        i
        for i, cell in enumerate(system.cells)
        if cell in cells and i not in stated and np.isnan(value[i])
    ]
    lowest, highest = possible_values(
        system, value, asked, enough=np.full(len(asked), policy.min_interval)
    )
    return tuple(
        system.cells[i]
        for i, low, high in zip(asked, lowest, highest, strict=True)
        if 0 < high < policy.min_count and high - low < policy.min_interval
    )


def with_known(system: System, known: Mapping[CellId, float]) -> np.ndarray:
    """Values of the cells as shown, filled in with numbers known from elsewhere."""
    value = system.value.copy()
    for position, cell in enumerate(system.cells):
        if np.isnan(value[position]) and cell in known:
            value[position] = known[cell]
    return value


def possible_values(
    system: System,
    value: np.ndarray,
    cells: Sequence[int],
    *,
    enough: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value each cell can have, given every value shown.

    Linear programmes over the cells not shown; where their answer has fractions of a count,
    integer programmes: a range of fractions may hold a single whole number.

    Parameters
    ----------
    system : System
    value : np.ndarray
        Values shown; NaN where hidden; shape (n,).
    cells : Sequence[int]
        Positions of the cells asked about.
    enough : np.ndarray, optional
        Width beyond which a range need not be followed; in the order of `cells`.

    Returns
    -------
    lowest, highest : np.ndarray
        In the order of `cells`; `highest` is infinite where nothing bounds it.

    Raises
    ------
    DisclosureError
        The numbers shown contradict one another.
    """
    lowest, highest = np.zeros(len(cells)), np.full(len(cells), np.inf)
    unknown = np.flatnonzero(np.isnan(value))
    asked: dict[int, list[int]] = {}
    label, blocks = _blocks(system.equations[:, unknown])
    place = {int(cell): i for i, cell in enumerate(unknown)}
    for i, cell in enumerate(cells):
        if cell in place:
            asked.setdefault(int(label[place[cell]]), []).append(i)
        else:
            lowest[i] = highest[i] = value[cell]
    right = -(system.equations @ np.nan_to_num(value))
    for part, wanted in asked.items():
        columns, rows = blocks[part]
        if not len(rows):
            continue
        block = _Block(
            system.equations[rows][:, unknown[columns]],
            right[rows],
            system.is_integer[unknown[columns]],
        )
        at = np.searchsorted(columns, [place[cells[i]] for i in wanted])
        stop = np.full(len(wanted), np.inf) if enough is None else enough[wanted]
        lowest[wanted], highest[wanted] = block.ranges(at, stop)
    return lowest, highest


def _blocks(
    matrix: sparse.csr_array,
) -> tuple[np.ndarray, dict[int, tuple[np.ndarray, np.ndarray]]]:
    """Unknowns that hang together: label of each, and (columns, rows) of each block."""
    from scipy import sparse

    m, n = matrix.shape
    row, column = matrix.nonzero()
    graph = sparse.coo_array((np.ones(len(row)), (column, n + row)), shape=(n + m, n + m))
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    return label[:n], {
        int(part): (np.flatnonzero(label[:n] == part), np.flatnonzero(label[n:] == part))
        for part in np.unique(label[:n])
    }


@dataclass(frozen=True, eq=False)
class _Block:
    """Unknowns that hang together: ``matrix @ x = right``, ``x >= 0``."""

    matrix: sparse.csr_array
    right: np.ndarray
    whole: np.ndarray

    def ranges(self, at: np.ndarray, enough: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest whole number of the unknowns `at`; no further than `enough`."""
        low, high = np.full(len(at), np.inf), np.full(len(at), -np.inf)
        rng = np.random.default_rng(0)
        for _ in range(_SWEEPS if np.isfinite(enough).any() else 0):
            narrow = ~self._is_enough(low, high, at, enough)
            if not narrow.any():
                break
            objective = np.zeros(self.matrix.shape[1])
            objective[at] = np.where(narrow, rng.choice([-1.0, 1.0], len(at)), 0.0)
            found = self._world(objective, ceiling=float(np.abs(self.right).sum()) + 1000.0)
            if found is None:
                break
            low, high = np.minimum(low, found[at]), np.maximum(high, found[at])
        for i in np.flatnonzero(~self._is_enough(low, high, at, enough)):
            low[i], high[i] = self._end(int(at[i]), 1.0), self._end(int(at[i]), -1.0)
        return self._inward(low, high, at)

    def _world(self, objective: np.ndarray, *, ceiling: float) -> np.ndarray | None:
        """Values in whole numbers that make the objective small, not always the smallest."""
        found = self._solve(objective, ceiling=ceiling)
        if found is None or self._is_whole(found):
            return found
        return self._solve_whole(objective, ceiling=ceiling, gap=_SWEEP_GAP, seconds=1.0)

    def _is_enough(
        self, low: np.ndarray, high: np.ndarray, at: np.ndarray, enough: np.ndarray
    ) -> np.ndarray:
        """Whether each range is as wide as asked."""
        bottom, top = self._inward(low, high, at)
        return np.asarray(np.isfinite(enough) & (top - bottom >= enough))

    def _inward(
        self, low: np.ndarray, high: np.ndarray, at: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the ranges, rounded inward for counts."""
        whole = self.whole[at]
        return (
            np.where(whole, np.ceil(low - _SLACK), low),
            np.where(whole, np.floor(high + _SLACK), high),
        )

    def _end(self, at: int, sign: float) -> float:
        """Lowest (sign 1) or highest (sign -1) value of one unknown."""
        objective = np.zeros(self.matrix.shape[1])
        objective[at] = sign
        found = self._solve(objective, ceiling=None)
        if found is None:
            return np.inf
        if not self._is_whole(found):
            whole = self._solve_whole(objective, ceiling=np.inf, gap=0.0, seconds=_END_SECONDS)
            found = found if whole is None else whole
        return float(found[at])

    def _is_whole(self, values: np.ndarray) -> bool:
        """Whether every count is a whole number."""
        counts = values[self.whole]
        return bool(np.all(np.abs(counts - np.round(counts)) < _SLACK))

    def _solve_whole(
        self, objective: np.ndarray, *, ceiling: float, gap: float, seconds: float
    ) -> np.ndarray | None:
        """Values in whole numbers that make the objective smallest; None where none were found."""
        from scipy import optimize

        slack = self._slack()
        solved = solve_integer(
            objective,
            integrality=self.whole.astype(int),
            bounds=optimize.Bounds(0, ceiling),
            constraints=optimize.LinearConstraint(
                self.matrix, self.right - slack, self.right + slack
            ),
            options={"time_limit": seconds, "mip_rel_gap": gap},
        )
        return None if solved.x is None else np.asarray(solved.x)

    def _slack(self) -> np.ndarray:
        """Room in each equation: none between counts; amounts were rounded when added up."""
        if self.whole.all():
            return np.zeros(len(self.right))
        return np.asarray(_SLACK * np.maximum(1.0, np.abs(self.right)))

    def _solve(self, objective: np.ndarray, *, ceiling: float | None) -> np.ndarray | None:
        """Values that make the objective smallest; None where nothing bounds it."""
        from scipy import optimize, sparse

        if self.whole.all():
            exact = {"A_eq": self.matrix, "b_eq": self.right}
        else:  # amounts were rounded when they were added up
            slack = self._slack()
            exact = {
                "A_ub": sparse.vstack([self.matrix, -self.matrix], format="csr"),
                "b_ub": np.concatenate([self.right + slack, slack - self.right]),
            }
        solved = optimize.linprog(objective, bounds=(0, ceiling), method="highs", **exact)
        if solved.status == 2 and ceiling is None:
            raise DisclosureError(
                "the released tables contradict one another: no counts fit every row and sum "
                "shown.\n  Load the release again from an untouched copy."
            )
        return np.asarray(solved.x) if solved.status == 0 else None


def describe_groups(cell: CellId) -> str:
    """Groups of a cell, as words."""
    return ", ".join(f"{column} {value}" for column, value in cell[1]) or "everyone"
