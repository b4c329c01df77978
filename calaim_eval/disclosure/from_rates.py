"""Which comparisons of rates are hidden: those that would give a hidden rate away."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd

from calaim_eval.disclosure.count_table import CellId
from calaim_eval.disclosure.ledger import History
from calaim_eval.disclosure.primary import TOTALS, Hidden
from calaim_eval.disclosure.system import System
from calaim_eval.results import BoundsTable, EffectTable, Method, RateTable
from calaim_eval.results.estimand import JOIN, RATES_WHERE, crossed_columns, rates_of

_OUTCOME = "outcome"
_REFERENCE = "reference"
# Say what is compared or how it is written, not of whom it is.
_NOT_GROUPS = frozenset({"unit", _OUTCOME, _REFERENCE})
# Parts of a gap tell of rates within the groups it is made from.
_PARTS = frozenset({"component", "part"})

Names = Mapping[str, tuple[str, ...]]
Crossed = Mapping[str, tuple[str, ...]]


def hide_comparisons_of_rates(
    tables: Mapping[str, EffectTable | BoundsTable],
    *,
    hidden_rates: Sequence[CellId],
    shown: Collection[CellId],
    stated: Collection[CellId],
    of: Names | None = None,
) -> Hidden:
    """Rows of estimates and bounds that would give a hidden rate away.

    A gap and the reference's rate are the group's rate. A row is hidden where a hidden rate is

    1. of what the table counts: the names its maker gave (`rates_of`), with or without an ending
       ("ed_visits", "ed_visits_before_eligibility"), or the row's `outcome`; of anything where
       nothing is said and the table has a `reference`;
    2. of the row's group or of its reference. A row over all groups ("all", or a reference that is
       no group, such as "mean") goes with the rate of any of them: two such measures and the
       shown rates are enough to solve for two hidden ones.

    Columns that only one of the two has do not keep them apart, save where the rate that adds up
    over them is shown: then the comparison tells of that one (parts of a gap tell of the finer
    ones too). Causal effects are no comparisons of rates.

    Parameters
    ----------
    tables : Mapping[str, EffectTable | BoundsTable]
    hidden_rates : sequence of CellId
        Quantity and groups of every count that no table shows; see `hidden_and_shown_rates`.
    shown : collection of CellId
        Counts that some table shows.
    stated : collection of CellId
        Counts that stand in a table, hidden or not: their groups tell a reference that is a group
        from one that is a rule.
    of : Mapping[str, tuple[str, ...]], optional
        By quantity: what rates stacked under one name count, each by its own name.

    Returns
    -------
    dict[str, np.ndarray]
        Boolean, shape (k,), by table.
    """
    groups = {pair for _, pairs in (*stated, *hidden_rates) for pair in pairs}
    return {
        name: _rows_to_hide(table, hidden_rates, shown, groups, of or {})
        for name, table in tables.items()
    }


def hidden_and_shown_rates(
    system: System, hidden_rows: np.ndarray, history: History
) -> tuple[list[CellId], set[CellId]]:
    """Counts hidden in every table, earlier releases of the same numbers included; those shown."""
    is_shown = system.shown(hidden_rows)
    shown = {cell for cell, known in zip(system.cells, is_shown, strict=True) if known}
    numerators = {system.cells[row.cells[0]] for row in system.rows}
    return sorted((numerators | history.held_back) - shown), shown | history.same


def names_of_stacked_rates(rates: Mapping[str, RateTable]) -> Names:
    """What rates stacked under one quantity name count, by that name."""
    found: dict[str, tuple[str, ...]] = {}
    vague = set()
    for table in rates.values():
        names = rates_of(table.method)
        if names is None:
            vague.add(table.numerator_name)
        found[table.numerator_name] = (*found.get(table.numerator_name, ()), *(names or ()))
    return {quantity: names for quantity, names in found.items() if quantity not in vague}


def _rows_to_hide(
    table: EffectTable | BoundsTable,
    hidden_rates: Sequence[CellId],
    shown: Collection[CellId],
    groups: Collection[tuple[str, str]],
    of: Names,
) -> np.ndarray:
    """Rows of one table that overlap a hidden rate of the same quantity; shape (k,)."""
    rows = np.zeros(len(table), dtype=bool)
    names = rates_of(table.method)
    if table.estimand.is_causal or (names is None and _REFERENCE not in table.keys):
        return rows
    keys = table.keys.astype(str).map(str)
    columns = [c for c in keys if c not in _NOT_GROUPS]
    crossed = {n: held for n, held in crossed_columns(table.method).items() if n in columns}
    told_apart = {*columns, *(column for held in crossed.values() for column in held)}
    by_rule = _compares_with_a_rule(keys, columns, groups, crossed)
    for cell in hidden_rates:
        quantity, pairs = cell
        whole = tuple((c, v) for c, v in pairs if c in told_apart or c == _OUTCOME)
        if whole != pairs and (quantity, whole) in shown and not _PARTS & set(keys):
            continue
        restricted = dict(pairs)
        outcome = restricted.pop(_OUTCOME, None)
        if _is_elsewhere(restricted, table.method):
            continue
        same = _count_the_same(keys, names, (quantity, outcome), of)
        rows |= same & _overlap(keys, columns, restricted, by_rule, crossed)
    return rows


def _is_elsewhere(restricted: Mapping[str, str], method: Method) -> bool:
    """Whether the table was not made from the rates at these values of a key."""
    where = method.options.get(RATES_WHERE)
    if not isinstance(where, Mapping):
        return False
    return any(c in restricted and restricted[c] not in values for c, values in where.items())


def _compares_with_a_rule(
    keys: pd.DataFrame,
    columns: Sequence[str],
    groups: Collection[tuple[str, str]],
    crossed: Crossed,
) -> np.ndarray:
    """Rows whose reference is no group of any column: the mean, the rest, the best; shape (k,)."""
    if _REFERENCE not in keys:
        return np.zeros(len(keys), dtype=bool)
    named_by = {*columns, *(column for held in crossed.values() for column in held)}
    named = {value for column, value in groups if column in named_by}
    is_group = keys[_REFERENCE].isin(named).to_numpy()
    known = set(groups)
    for held in crossed.values():
        split = [label.split(JOIN) for label in keys[_REFERENCE]]
        is_group = is_group | np.array(
            [
                len(parts) == len(held) and set(zip(held, parts, strict=True)) <= known
                for parts in split
            ],
            dtype=bool,
        )
    return np.asarray(~is_group)


def _overlap(
    keys: pd.DataFrame,
    columns: Sequence[str],
    of: Mapping[str, str],
    by_rule: np.ndarray,
    crossed: Crossed,
) -> np.ndarray:
    """Rows about the groups of a rate, about everybody, or compared with them; shape (k,)."""
    shared = [c for c in columns if c in of or set(crossed.get(c, ())) & set(of)]
    if not of:
        return np.asarray(by_rule | keys[list(columns)].isin(TOTALS).any(axis=1).to_numpy())
    n_apart = np.zeros(len(keys), dtype=int)
    for column in shared:
        held = crossed.get(column, ()) if column not in of else ()
        same = (
            _is_group(keys[column], of, column, held, keys.get(_REFERENCE))
            | keys[column].isin(TOTALS).to_numpy()
        )
        if _REFERENCE in keys:
            same = same | _is_group(keys[_REFERENCE], of, column, held)
        n_apart += ~same
    # A rule averages over one column, and which one is not said.
    return np.asarray(bool(shared) & (n_apart <= by_rule))


def _is_group(
    labels: pd.Series,
    of: Mapping[str, str],
    column: str,
    held: Sequence[str],
    reference: pd.Series | None = None,
) -> np.ndarray:
    """Labels that name the group of a rate, or part of it where a column holds several; (k,)."""
    if not held:
        return np.asarray(labels == of[column])
    wanted = {at: of[c] for at, c in enumerate(held) if c in of}
    found = []
    # A reference in one of the columns ("white") is compared within the others.
    instead = labels if reference is None else reference
    for label, other in zip(labels, instead, strict=True):
        parts = label.split(JOIN)
        # A group's own name may hold the sign: which part is which is then not known.
        is_unclear = len(parts) > 1 and len(parts) != len(held)
        is_same = len(parts) == len(held) and all(
            v in (parts[at], other) for at, v in wanted.items()
        )
        found.append(is_unclear or is_same)
    return np.array(found, dtype=bool)


def _count_the_same(
    keys: pd.DataFrame, names: tuple[str, ...] | None, rate: tuple[str, str | None], of: Names
) -> np.ndarray:
    """Rows that may compare rates of this quantity and outcome; shape (k,)."""
    if _OUTCOME not in keys:
        return np.full(len(keys), _may_be_same(names, None, rate, of))
    own = keys[_OUTCOME]
    found = {o: _may_be_same(names, o, rate, of) for o in own.unique()}
    return np.array([found[o] for o in own], dtype=bool)


def _may_be_same(
    names: tuple[str, ...] | None, own: str | None, rate: tuple[str, str | None], of: Names
) -> bool:
    """Whether a row of this outcome, in a table of these quantities, may compare that rate."""
    quantity, outcome = rate
    apart = own is not None and outcome is not None and not _alike(own, outcome)
    if names is None or (outcome is not None and quantity in names):
        return not apart
    mine = [name for name in names if own is not None and _alike(own, name)] or names
    theirs = [name for name in of.get(quantity, ()) if outcome is None or _alike(outcome, name)]
    theirs = theirs or [name for name in rate if name is not None]
    return any(_alike(a, b) for a in mine for b in theirs)


def _alike(one: str, other: str) -> bool:
    """One name, or the other with an ending: of other months, of part of the members."""
    return one == other or one.startswith(f"{other}_") or other.startswith(f"{one}_")
