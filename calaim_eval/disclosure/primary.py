"""Which counts are too small to show, whatever else is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.disclosure.count_table import CellId, CountTable, are_counts, cell_keys
from calaim_eval.disclosure.policy import Policy
from calaim_eval.disclosure.system import System
from calaim_eval.results import ALL, RateTable

Population = frozenset[tuple[str, str]]
Hidden = dict[str, np.ndarray]
"""Rows to hide in each table, boolean."""
TOTALS = (ALL, "overall")
"""Key values of a row that averages over the others."""


@dataclass(frozen=True, slots=True)
class Target:
    """A cell to protect, and the range of values that must stay possible for it.

    Attributes
    ----------
    cell : int
        Position in the system.
    width : float
        Highest minus lowest possible value, at least.
    up, down : float
        How far above and below the true value the range must reach, at least.
    """

    cell: int
    width: float
    up: float = 0.0
    down: float = 0.0


def small_rows(
    table: RateTable, *, policy: Policy, populations: Sequence[Population] = ()
) -> np.ndarray:
    """Rows of a rate table that must be hidden for their own sake.

    A row is hidden, with its rate and interval, where any of these is from 1 to
    ``policy.min_count - 1``: the numerator, the members behind it, the denominator, or the
    members of the denominator who are not in the numerator (proportions). So is every row about
    a group of so few members, and in a table of amounts every row of fewer than
    ``policy.support_needed`` members. Tables about organizations are shown.

    Parameters
    ----------
    table : RateTable
    policy : Policy
    populations : Sequence[Population]
        Groups of so few members; see `small_populations`.

    Returns
    -------
    np.ndarray
        Shape (k,), boolean.
    """
    if table.about == "organizations":
        return np.zeros(len(table), dtype=bool)
    small = policy.is_small(table.numerator) | _of_few(table, policy)
    if table.kind != "count":
        small |= policy.is_small(table.denominator)
    if table.kind == "proportion":
        rest = np.asarray(table.denominator, dtype=float) - table.numerator
        small |= policy.is_small(np.where(rest > 0, rest, np.nan))
    return np.asarray(small | in_population(table.keys, populations))


def _of_few(table: RateTable, policy: Policy) -> np.ndarray:
    """Rows of few members; of amounts, which no rounding blurs, fewer than an estimate needs."""
    members = np.asarray(table.n_members, dtype=float)
    few = policy.is_small(members)
    if not are_counts(table.numerator_name, np.asarray(table.numerator, dtype=float)):
        few |= (members > 0) & (members < policy.support_needed)
    return few


def small_populations(tables: Sequence[CountTable], *, policy: Policy) -> tuple[Population, ...]:
    """Groups of 1 to ``policy.min_count - 1`` members.

    Read from tables that split everyone: proportions whose rows add up to the one denominator.
    Whatever another table says of such a group, it says of those few members.
    """
    found = []
    for table in tables:
        columns = [c for c in table.keys.columns if c != "unit"]
        splits_everyone = (
            table.is_proportion
            and bool(columns)
            and all((c, ALL) in table.whole and c in table.margins for c in columns)
            and not set(columns) & set(table.denominator_keys)
        )
        if not splits_everyone:
            continue
        found += [
            frozenset(cell_keys(table.keys, row, tuple(columns), dict(table.crossed)))
            for row in map(int, np.flatnonzero(policy.is_small(table.numerator)))
        ]
    return tuple(dict.fromkeys(found))


def in_population(keys: pd.DataFrame, populations: Sequence[Population]) -> np.ndarray:
    """Rows about one of the groups, or a part of it; shape (k,)."""
    texts = keys.astype(str).map(str)  # a missing value is a word too
    inside = np.zeros(len(keys), dtype=bool)
    for population in populations:
        if population and all(column in texts for column, _ in population):
            inside |= np.logical_and.reduce(
                [(texts[column] == value).to_numpy() for column, value in population]
            )
    return inside


def find_targets(
    system: System,
    tables: Mapping[str, RateTable],
    *,
    policy: Policy,
    populations: Sequence[Population] = (),
) -> tuple[Target, ...]:
    """Cells whose value no reader may narrow down, from every table of a release.

    Small numerators and denominators; numerators of any size from few members; all counts of a
    group of few members; and what is left over between a part and its whole (members not served,
    members lost between two stages of a funnel).
    """
    cells: set[int] = set()
    of_few = {name: _of_few(table, policy) for name, table in tables.items()}
    for row in system.rows:
        if of_few[row.table][row.position]:
            cells.add(row.cells[0])
        cells |= {cell for cell in row.cells if _is_within(system.cells[cell], populations)}
    cells = {cell for cell in cells if system.value[cell] > 0}
    small = map(int, np.flatnonzero(policy.is_small(system.value)))
    cells |= {cell for cell in small if system.value[cell] > 0 or not _is_left_over(system, cell)}
    return tuple(_target(system, cell, policy) for cell in sorted(cells))


def _is_within(cell: CellId, populations: Sequence[Population]) -> bool:
    """Whether the cell counts one of the groups, or a part of it."""
    return any(population <= set(cell[1]) for population in populations if population)


def _target(system: System, cell: int, policy: Policy) -> Target:
    """The range a cell needs; an amount too large to be a small count needs it on both sides."""
    value = float(system.value[cell])
    width = policy.interval_needed(value)
    side = policy.min_interval_share * value / 2 if value >= policy.min_count else 0.0
    if system.is_integer[cell]:
        width, side = float(np.ceil(width)), float(np.ceil(side))
    return Target(cell, width=width, up=side, down=side)


def _is_left_over(system: System, cell: int) -> bool:
    """Whether no table could show the cell."""
    return not any(cell in row.cells for row in system.rows)
