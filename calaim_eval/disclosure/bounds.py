"""Which bounds are hidden: the middle of a set is an estimate, so they go where it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from calaim_eval.disclosure.effects import hide_beside, small_effects, strata
from calaim_eval.disclosure.policy import Policy
from calaim_eval.disclosure.primary import TOTALS, Hidden, Population
from calaim_eval.results import BoundsTable, EffectTable

_NOT_GROUPS = frozenset({"restriction", "bound", "unit"})


def hide_bounds(
    tables: Mapping[str, BoundsTable],
    *,
    effects: Mapping[str, EffectTable],
    hidden: Hidden,
    policy: Policy,
    populations: Sequence[Population] = (),
    already_hidden: Mapping[str, np.ndarray] | None = None,
) -> Hidden:
    """Rows to hide in each table of bounds.

    Half of ``set_low + set_high`` is the estimate under parallel trends, in every row of a group.
    All rows of a group are therefore hidden together:

    1. where few members or events stand behind them, or where one was hidden before;
    2. where an effect of the same outcome and group is hidden in a table that the bounds rest on
       (`BoundsTable.rests_on`; where that is not said, in any table): a month of an event study
       that is hidden would follow from its average and the other months;
    3. where the middles of the other groups and of everybody would give it away, as with effects.

    Parameters
    ----------
    tables : Mapping[str, BoundsTable]
    effects : Mapping[str, EffectTable]
        Estimates of the same release.
    hidden : dict[str, np.ndarray]
        Rows hidden in `effects`, from `hide_effects`.
    policy, populations, already_hidden
        As in `hide_effects`.

    Returns
    -------
    dict[str, np.ndarray]
        Boolean, shape (k,), by table.
    """
    before = already_hidden or {}
    middles = {name: middles_of_sets(table) for name, table in tables.items()}
    found: Hidden = {}
    for name, table in tables.items():
        rows = small_effects(table, policy=policy, populations=populations)
        rows |= _rest_on_hidden(table, effects, hidden, policy)
        if name in before:
            rows |= before[name]
        found[name] = _any_by_group(rows, table.groups)
    everything = {**effects, **middles}
    columns = strata(everything, policy)
    together = {**hidden, **found}
    n_before = -1
    while n_before != (n_before := sum(int(together[name].sum()) for name in middles)):
        for name, middle in middles.items():
            for column in sorted(columns & set(middle.keys.columns)):
                hide_beside(name, column, everything, together, policy)
    return {name: together[name][table.groups] for name, table in tables.items()}


def middles_of_sets(table: BoundsTable) -> EffectTable:
    """What a reader can work out of a table of bounds: one estimate a group, in group order."""
    groups = table.groups
    first = np.unique(groups, return_index=True)[1]
    names = [c for c in table.keys.columns if c not in ("restriction", "bound")]
    with np.errstate(invalid="ignore"):
        of_sets = (table.set_low + table.set_high) / 2
        of_intervals = (table.conf_low + table.conf_high) / 2
    middle = np.where(np.isfinite(of_sets), of_sets, of_intervals)[first]
    return EffectTable(
        keys=table.keys[names].iloc[first].reset_index(drop=True),
        estimate=np.where(np.isfinite(middle), middle, np.nan),
        covariance=np.full((len(first), len(first)), np.nan),
        support=table.support.groupby(groups).min(),
        estimand=table.estimand,
        method=table.method,
    )


def _rest_on_hidden(
    table: BoundsTable, effects: Mapping[str, EffectTable], hidden: Hidden, policy: Policy
) -> np.ndarray:
    """Rows of a group of which some effect is hidden; shape (k,)."""
    keys = table.keys.astype(str).map(str)
    rests = np.zeros(len(table), dtype=bool)
    for name, effect in effects.items():
        is_named = table.rests_on is None or name in table.rests_on
        if not (is_named and _states_the_effect(effect, table)):
            continue
        gone = effect.keys.astype(str).map(str)[hidden[name]]
        shared = [c for c in keys if c in gone and c not in _NOT_GROUPS]
        parts = [c for c in gone if c in policy.keep_readable and c not in keys]
        gone = gone[gone[parts].isin(TOTALS).all(axis=1)]
        if gone.empty:
            continue
        same = _is_among(keys[shared], gone[shared])
        only_total = [c for c in keys if c not in gone and c not in _NOT_GROUPS]
        rests |= same & keys[only_total].isin(TOTALS).all(axis=1).to_numpy()
    return rests


def _states_the_effect(effect: EffectTable, bounds: BoundsTable) -> bool:
    """Differences of the same kind; gaps are hidden for other reasons than their groups."""
    return (
        "reference" not in effect.keys
        and effect.estimand.scale == "difference"
        and effect.estimand.is_causal == bounds.estimand.is_causal
    )


def _is_among(rows: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Which rows stand in the other frame too; all where there is no column to tell them apart."""
    if not len(rows.columns):
        return np.ones(len(rows), dtype=bool)
    known = set(others.itertuples(index=False, name=None))
    return np.array([row in known for row in rows.itertuples(index=False, name=None)], dtype=bool)


def _any_by_group(rows: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Whether any row of each group is true; one value a group."""
    return np.bincount(groups, weights=rows, minlength=int(groups.max(initial=-1)) + 1) > 0
