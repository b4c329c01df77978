"""Which counts of a release are hidden, given what earlier releases show."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from calaim_eval.disclosure.complementary import Pattern, protect
from calaim_eval.disclosure.count_table import CellId, CountTable
from calaim_eval.disclosure.ledger import History
from calaim_eval.disclosure.linked_tables import link_tables
from calaim_eval.disclosure.policy import Policy
from calaim_eval.disclosure.primary import Hidden, Population, Target, find_targets, small_rows
from calaim_eval.disclosure.system import System, build_system
from calaim_eval.disclosure.worlds import find_ranges, make_part
from calaim_eval.errors import DisclosureError
from calaim_eval.results import ALL, RateTable

_LOG = logging.getLogger(__name__)
_BLUR_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """The pattern chosen, with the system and the targets it protects."""

    system: System
    targets: tuple[Target, ...]
    pattern: Pattern
    known: np.ndarray
    earlier: tuple[CountTable, ...] = ()


def hide_counts(
    rates: Mapping[str, RateTable],
    counts: list[CountTable],
    policy: Policy,
    history: History,
    populations: tuple[Population, ...],
) -> tuple[Hidden, Choice]:
    """Rows to hide in every rate table, those needed to protect others included."""
    about_members = {table.name: rates[table.name] for table in counts}
    earlier = tuple(link_tables(still_true(history.tables, counts), beside=counts))
    system = build_system(counts, earlier=earlier)
    known, restated = _compare(system, history, policy)
    restated |= _given_away(system, history)
    start = np.concatenate(
        [np.zeros(0, dtype=bool)]
        + [
            small_rows(table, policy=policy, populations=populations)
            | hidden_before(name, table.keys, history)
            for name, table in about_members.items()
        ]
    )
    stays = {i for i, cell in enumerate(system.cells) if cell in history.hidden_cells} | restated
    start |= np.array([bool(stays & set(row.cells)) for row in system.rows], dtype=bool)
    targets = find_targets(system, about_members, policy=policy, populations=populations)
    protected = {t.cell for t in targets}
    targets += tuple(
        Target(cell, policy.interval_needed(0.0)) for cell in sorted(restated - protected)
    )
    fixed = known.copy()
    if policy.zeros_shown:  # a reader may guess which counts are zero
        shown = system.shown(np.zeros(len(system.rows), dtype=bool))
        fixed |= shown & (system.value == 0)
    choice = _choose(system, targets, start, _costs(about_members, counts, policy), fixed, policy)
    choice = replace(choice, earlier=earlier)
    _refuse_open_cells(choice, history)
    _LOG.info(
        "%d of %d rows about members are hidden, %d of them to protect the others",
        int(choice.pattern.hidden_rows.sum()),
        len(system.rows),
        int((choice.pattern.hidden_rows & ~start).sum()),
    )
    hidden = {name: np.zeros(len(table), dtype=bool) for name, table in rates.items()}
    for row, is_hidden in zip(system.rows, choice.pattern.hidden_rows, strict=True):
        hidden[row.table][row.position] = is_hidden
    return hidden, choice


def _choose(
    system: System,
    targets: tuple[Target, ...],
    start: np.ndarray,
    cost: np.ndarray,
    known: np.ndarray,
    policy: Policy,
) -> Choice:
    """Protect the targets; then anything hidden beside them that would follow exactly."""
    wanted = targets
    begun = time.monotonic()
    bound = 0.0
    for _ in range(_BLUR_ROUNDS):
        pattern = protect(
            system,
            wanted,
            hidden_rows=start,
            cost=cost,
            known=known,
            time_limit_seconds=policy.time_limit_seconds - (time.monotonic() - begun),
        )
        bound = max(bound, pattern.bound)  # protecting more costs no less
        exact = _exact_cells(system, pattern.hidden_rows, known, {t.cell for t in wanted})
        if not exact:
            break
        wanted += tuple(Target(cell, policy.interval_needed(0.0)) for cell in exact)
    required = {t.cell for t in targets}
    lost = tuple(cell for cell in pattern.open_cells if cell in required)
    return Choice(
        system,
        targets,
        replace(pattern, open_cells=lost, bound=bound, seconds=time.monotonic() - begun),
        known,
    )


def _exact_cells(
    system: System, hidden_rows: np.ndarray, known: np.ndarray, done: set[int]
) -> list[int]:
    """Cells hidden only to protect others that the rest would still give exactly."""
    hidden = ~system.shown(hidden_rows)
    displayed = {cell for row in system.rows for cell in row.cells}
    asked = tuple(
        Target(cell, 1.0)
        for cell in sorted(displayed - done)
        if hidden[cell] and not known[cell] and system.value[cell] > 0
    )
    part = make_part(system.equations, system.value, system.is_integer, known=known, targets=asked)
    return [asked[p].cell for p in find_ranges(part, hidden, asked).open()]


def _refuse_open_cells(choice: Choice, history: History) -> None:
    """Refuse a release in which a hidden count could be worked out."""
    if not choice.pattern.open_cells:
        return
    open_cells = set(choice.pattern.open_cells)
    rows = [r for r in choice.system.rows if open_cells & {*r.cells, r.complement}]
    tables = ", ".join(f"`{name}`" for name in dict.fromkeys(r.table for r in rows))
    cause = "what earlier releases show" if history.known else "the other rows shown"
    step = (
        "Keep the layout of the earlier release, or withdraw it"
        if history.known
        else "Merge the stratum, or release the table without totals"
    )
    raise DisclosureError(
        f"{tables or 'the release'}: {len(open_cells)} suppressed cells can be recovered from "
        f"{cause}, whatever else is hidden. Nothing was released.\n"
        f"  {step}; or pool more months, so that fewer groups are small."
    )


def _compare(system: System, history: History, policy: Policy) -> tuple[np.ndarray, set[int]]:
    """Cells a reader knows from earlier releases, and cells restated since by a few."""
    known = np.zeros(len(system.cells), dtype=bool)
    restated: set[int] = set()
    for i, cell in enumerate(system.cells):
        if cell not in history.known:
            continue
        change = abs(system.value[i] - history.known[cell])
        if change <= 1e-6 or np.isnan(change):
            known[i] = True
        elif change < policy.min_count and (policy.protect_changes or cell in history.same):
            restated.add(i)
    return known, restated


def _given_away(system: System, history: History) -> set[int]:
    """Counts hidden before that follow from sums of this release, though no row states them."""
    displayed = {cell for row in system.rows for cell in row.cells}
    return {
        i
        for i, cell in enumerate(system.cells)
        if cell in history.hidden_cells and i not in displayed and system.value[i] > 0
    }


def still_true(earlier: Sequence[CountTable], now: Sequence[CountTable]) -> list[CountTable]:
    """Earlier tables none of whose numbers was restated, so that their sums still hold.

    The latest of those that contradict each other is kept.
    """
    current = _shown_numbers(now)
    kept: list[CountTable] = []
    for table in reversed(earlier):
        seen = _shown_numbers([table])
        if all(abs(current.get(cell, value) - value) <= 1e-6 for cell, value in seen.items()):
            kept.append(table)
            current = {**seen, **current}
    return kept[::-1]


def _shown_numbers(tables: Sequence[CountTable]) -> dict[CellId, float]:
    """Every number shown, by what is counted."""
    numbers: dict[CellId, float] = {}
    for table in tables:
        for row, (top, bottom) in enumerate(table.cells()):
            pairs = ((top, table.numerator[row]), (bottom, table.denominator[row]))
            numbers |= {cell: float(value) for cell, value in pairs if np.isfinite(value)}
    return numbers


def hidden_before(name: str, keys: pd.DataFrame, history: History) -> np.ndarray:
    """Rows an earlier release of the quarter hid."""
    rows = keys.astype(str).map(str).to_numpy()  # a missing value is a word too
    return np.array([(name, tuple(row)) in history.hidden_rows for row in rows], dtype=bool)


def _costs(rates: Mapping[str, RateTable], counts: list[CountTable], policy: Policy) -> np.ndarray:
    """Cost of hiding each row: totals and groups to keep readable are dear, small rows cheap.

    Tables to hide first are cheaper than any other.
    """
    costs = [np.zeros(0)]
    for table in counts:
        keys = table.keys
        cost = 1.0 + 0.05 * np.log1p(rates[table.name].numerator.astype(float))
        for column, groups in policy.keep_readable.items():
            if column in keys:
                cost = np.where(keys[column].isin(groups), cost * policy.cost_readable, cost)
        cost = np.where((keys == ALL).any(axis=1), cost * policy.cost_margin, cost)
        costs.append(cost * (policy.cost_hide_first if table.name in policy.hide_first else 1.0))
    return np.concatenate(costs)
