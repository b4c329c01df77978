"""What a careful reader can work out: the range of values left for every hidden count.

The reader has only what is shown: the released numbers, the structure of the tables (sums,
parts of a whole, stages of a funnel) and, where given, numbers released before. Nothing here
reads the restricted results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, sparse

from calaim_eval.disclosure.count_table import CellId, CountTable
from calaim_eval.disclosure.policy import Policy
from calaim_eval.disclosure.system import System, build_system
from calaim_eval.errors import DisclosureError

_SLACK = 1e-6


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
    """

    policy: str
    cell_ids: tuple[CellId, ...]
    cells: pd.DataFrame
    min_interval: float


def audit(
    tables: Sequence[CountTable],
    *,
    policy: Policy,
    known: Mapping[CellId, float] | None = None,
) -> Certificate:
    """Attack the tables as released.

    Parameters
    ----------
    tables : Sequence[CountTable]
        With NaN where hidden, as `ReleasedTable.counts` gives them.
    policy : Policy
    known : Mapping[CellId, float], optional
        Numbers a reader has from earlier releases.

    Returns
    -------
    Certificate
    """
    system = build_system(tables)
    value = with_known(system, known or {})
    hidden = sorted({c for row in system.rows for c in row.cells if np.isnan(value[c])})
    lowest, highest = possible_values(system, value, hidden)
    could_be_small = (lowest < policy.min_count) & (highest >= (1 if policy.zeros_shown else 0))
    widths = (highest - lowest)[could_be_small]
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
        min_interval=float(widths.min()) if len(widths) else np.inf,
    )


def with_known(system: System, known: Mapping[CellId, float]) -> np.ndarray:
    """Values of the cells as shown, filled in with numbers known from elsewhere."""
    value = system.value.copy()
    for position, cell in enumerate(system.cells):
        if np.isnan(value[position]) and cell in known:
            value[position] = known[cell]
    return value


def possible_values(
    system: System, value: np.ndarray, cells: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value each cell can have, given every value shown.

    Linear programmes over the cells not shown; ends of the range are rounded inward for counts.

    Parameters
    ----------
    system : System
    value : np.ndarray
        Values shown; NaN where hidden; shape (n,).
    cells : Sequence[int]
        Positions of the cells asked about.

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
    place = {int(cell): i for i, cell in enumerate(unknown)}
    label, blocks = _blocks(system.equations[:, unknown])
    right = -(system.equations @ np.nan_to_num(value))
    for i, cell in enumerate(cells):
        if cell not in place:
            lowest[i] = highest[i] = value[cell]
            continue
        columns, rows = blocks[label[place[cell]]]
        if not len(rows):
            continue
        matrix = system.equations[rows][:, unknown[columns]]
        at = int(np.flatnonzero(columns == place[cell])[0])
        whole = system.is_integer[unknown[columns]]
        for sign in (1.0, -1.0):
            end = _end(matrix, right[rows], whole, at, sign)
            if sign > 0:
                lowest[i] = np.ceil(end - _SLACK) if whole[at] else end
            else:
                highest[i] = np.floor(end + _SLACK) if whole[at] else end
    return lowest, highest


def _blocks(
    matrix: sparse.csr_array,
) -> tuple[np.ndarray, dict[int, tuple[np.ndarray, np.ndarray]]]:
    """Unknowns that hang together: label of each, and (columns, rows) of each block."""
    m, n = matrix.shape
    row, column = matrix.nonzero()
    graph = sparse.coo_array((np.ones(len(row)), (column, n + row)), shape=(n + m, n + m))
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    return label[:n], {
        int(part): (np.flatnonzero(label[:n] == part), np.flatnonzero(label[n:] == part))
        for part in np.unique(label[:n])
    }


def _end(
    matrix: sparse.csr_array, right: np.ndarray, whole: np.ndarray, at: int, sign: float
) -> float:
    """Lowest (sign 1) or highest (sign -1) value of one unknown."""
    objective = np.zeros(matrix.shape[1])
    objective[at] = sign
    if whole.all():
        exact = {"A_eq": matrix, "b_eq": right}
    else:  # amounts were rounded when they were added up
        slack = _SLACK * np.maximum(1.0, np.abs(right))
        exact = {
            "A_ub": sparse.vstack([matrix, -matrix], format="csr"),
            "b_ub": np.concatenate([right + slack, slack - right]),
        }
    solved = optimize.linprog(objective, bounds=(0, None), method="highs", **exact)
    if solved.status == 2:
        raise DisclosureError(
            "the released tables contradict one another: no counts fit every row and sum shown.\n"
            "  Load the release again from an untouched copy."
        )
    if solved.status != 0:
        return 0.0 if sign > 0 else np.inf
    return float(solved.x[at])


def describe_groups(cell: CellId) -> str:
    """Groups of a cell, as words."""
    return ", ".join(f"{column} {value}" for column, value in cell[1]) or "everyone"
