"""Which estimates are hidden: those of few members, and those that would give them away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from calaim_eval.disclosure.before_exposure import (
    ANTICIPATION,
    LABEL_COLUMNS,
    compares_otherwise,
    hide_before_exposure,
    hide_in_scans,
    is_scan,
)
from calaim_eval.disclosure.policy import Policy
from calaim_eval.disclosure.primary import TOTALS, Hidden, Population, in_population
from calaim_eval.results import BoundsTable, EffectTable

# Key values of a row that is one row of its group minus another: exposed minus comparison, or
# counties of higher integration minus those of lower.
DIFFERENCES = ("difference", "higher minus lower")


def small_effects(
    table: EffectTable | BoundsTable, *, policy: Policy, populations: Sequence[Population] = ()
) -> np.ndarray:
    """Rows of a table of effects or bounds hidden for their own sake; shape (k,).

    A row is hidden where fewer than ``policy.support_needed`` members stand on the smaller side of
    the comparison (none known counts as none), where 1 to ``policy.min_count - 1`` events do, or
    where the row is about a group of so few members.
    """
    n_members = table.support["n_members"].to_numpy(dtype=float)
    n_events = table.support["n_events"].to_numpy(dtype=float)
    few = ~(n_members >= policy.support_needed) | policy.is_small(
        np.where(n_events > 0, n_events, np.nan)
    )
    return np.asarray(few | in_population(table.keys, populations))


def hide_effects(
    tables: Mapping[str, EffectTable],
    *,
    policy: Policy,
    populations: Sequence[Population] = (),
    already_hidden: Mapping[str, np.ndarray] | None = None,
) -> Hidden:
    """Rows to hide in each effect table.

    1. Rows of few members or events (`small_effects`) and rows hidden before.
    2. A gap is hidden where the effect of its group or of its reference is; and where a gap is
       hidden for its own sake, so is the effect of its group, which would give it away.
    3. Where a group has rows for two sides and their difference, one hidden row would follow
       from the other two: a second is hidden. So with the effects by months of anticipation.
    4. Where one row of a stratum is hidden and the average over the stratum is shown, the hidden
       effect follows by subtraction. Rows are hidden until at least two are, with together at
       least ``policy.support_needed`` members; groups to keep readable come last.
    5. Estimates at false dates are averages of months before exposure, differences by months of
       anticipation sums of them: hidden where such a month is of an event study of the same
       outcome, group and comparison.
    6. An effect and its checks (key `check`), which state it once more, are hidden together; so
       are an effect and the row of a scan of anticipation that states it.
    7. A ratio is hidden where the effect of the same group is, which follows from it and the rate
       of the exposed; and further ratios of a stratum (as in 4) until those hidden are of no event
       or of ``policy.min_count``, as a ratio and an effect tell that rate.

    Returns
    -------
    dict[str, np.ndarray]
        Boolean, shape (k,), by table.
    """
    before = already_hidden or {}
    hidden = {
        name: small_effects(table, policy=policy, populations=populations)
        for name, table in tables.items()
    }
    _hide_groups_of_hidden_gaps(tables, hidden)
    for name, rows in before.items():
        hidden[name] |= rows
    columns = strata(tables, policy)
    n_before = -1
    while n_before != (n_before := sum(int(rows.sum()) for rows in hidden.values())):
        hide_before_exposure(tables, hidden)
        _hide_same_estimates(tables, hidden)
        _hide_ratios_of_hidden_effects(tables, hidden)
        for name, table in tables.items():
            _hide_checks_together(table, hidden[name])
            _hide_beside_differences(table, hidden[name])
            hide_in_scans(table, hidden[name])
            if "reference" not in table.keys:
                for column in sorted(columns & set(table.keys.columns)):
                    hide_beside(name, column, tables, hidden, policy)
    _hide_gaps_of_hidden_effects(tables, hidden)
    return hidden


def _pairs(
    tables: Mapping[str, EffectTable],
) -> list[tuple[str, str, np.ndarray, np.ndarray]]:
    """(gap table, effect table, row of the group, row of the reference) by gap; -1: no such row."""
    found = []
    for gap_name, gap in tables.items():
        if "reference" not in gap.keys:
            continue
        for name, table in tables.items():
            columns = [c for c in table.keys.columns if c not in LABEL_COLUMNS]
            if "reference" in table.keys or not set(columns) <= set(gap.keys.columns):
                continue
            keys = table.keys[columns].astype(str).map(str).itertuples(index=False, name=None)
            at = {key: row for row, key in enumerate(keys)}
            wanted = gap.keys[columns].astype(str).map(str)
            group = np.array([at.get(tuple(key), -1) for key in wanted.to_numpy()])
            for column in columns:
                other = wanted.assign(**{column: gap.keys["reference"].astype(str).map(str)})
                reference = np.array([at.get(tuple(key), -1) for key in other.to_numpy()])
                if (reference >= 0).any():
                    found.append((gap_name, name, group, reference))
    return found


def _hide_groups_of_hidden_gaps(tables: Mapping[str, EffectTable], hidden: Hidden) -> None:
    """Hide the effect of a group whose gap is hidden for its own sake."""
    for gap, name, group, _ in _pairs(tables):
        hidden[name][group[hidden[gap] & (group >= 0)]] = True


def _hide_gaps_of_hidden_effects(tables: Mapping[str, EffectTable], hidden: Hidden) -> None:
    """Hide gaps whose group or reference is hidden."""
    for gap, name, group, reference in _pairs(tables):
        for end in (group, reference):
            hidden[gap] |= (end >= 0) & hidden[name][end]


def _hide_same_estimates(tables: Mapping[str, EffectTable], hidden: Hidden) -> None:
    """Hide what states a hidden estimate once more: an effect, and the checks it is held against.

    The same number to ten digits in a table with the key `check` or `anticipation_months` and in
    one without, and no key of both says that it is of something else.
    """
    gone: dict[float, list[tuple[str, dict[str, str]]]] = {}
    for name, table in tables.items():
        for row in map(int, np.flatnonzero(hidden[name] & np.isfinite(table.estimate))):
            if table.estimate[row] != 0:
                said = (name, _about(table, row))
                gone.setdefault(_as_told(table.estimate[row]), []).append(said)
    for name, table in tables.items():
        for row in map(int, np.flatnonzero(~hidden[name])):
            others = [
                about
                for other, about in gone.get(_as_told(table.estimate[row]), ())
                if _restates(table) != _restates(tables[other])
            ]
            mine = _about(table, row) if others else {}
            hidden[name][row] = any(
                all(mine.get(column, value) == value for column, value in about.items())
                for about in others
            )


def _restates(table: EffectTable) -> bool:
    """Whether a table states effects that stand in another one."""
    return bool({"check", ANTICIPATION} & set(table.keys.columns))


def _hide_ratios_of_hidden_effects(tables: Mapping[str, EffectTable], hidden: Hidden) -> None:
    """Hide the ratio of a group whose effect is hidden in a table by the same keys."""
    causal = {name: t for name, t in tables.items() if t.estimand.is_causal}
    for name, table in causal.items():
        if table.estimand.scale != "ratio":
            continue
        mine = _told_of(table.keys)
        for other, effects in causal.items():
            theirs = _told_of(effects.keys)
            if (
                effects.estimand.scale == "ratio"
                or set(mine.columns) != set(theirs.columns)
                or compares_otherwise(table, effects)
            ):
                continue
            gone = set(theirs[mine.columns][hidden[other]].itertuples(index=False, name=None))
            same = [row in gone for row in mine.itertuples(index=False, name=None)]
            hidden[name] |= np.array(same, dtype=bool)


def _told_of(keys: pd.DataFrame) -> pd.DataFrame:
    """Keys as text, without the unit."""
    return keys.drop(columns="unit", errors="ignore").astype(str).map(str)


def _as_told(estimate: float) -> float:
    """The estimate to the digits that two ways of adding up agree on."""
    return float(f"{estimate:.9e}")


def _about(table: EffectTable, row: int) -> dict[str, str]:
    """What a row is of; a total is of everybody and tells nothing apart."""
    pairs = {c: str(table.keys[c].iloc[row]) for c in table.keys.columns if c != "unit"}
    return {column: value for column, value in pairs.items() if value not in TOTALS}


def _hide_checks_together(table: EffectTable, hidden: np.ndarray) -> None:
    """Hide all checks of an effect where one of them is hidden: they are all about its size."""
    if "check" not in table.keys:
        return
    for rows in _groups(table.keys.astype(str).map(str), "check"):
        hidden[rows] |= bool(hidden[rows].any())


def _hide_beside_differences(table: EffectTable, hidden: np.ndarray) -> None:
    """Hide a second row where one of two sides and their difference is hidden."""
    keys = table.keys.astype(str).map(str)
    for column in keys.columns:
        is_difference = keys[column].isin(DIFFERENCES).to_numpy()
        if not is_difference.any() or is_scan(table):
            continue
        for rows in _groups(keys, column):
            if hidden[rows].sum() != 1 or not is_difference[rows].any():
                continue
            shown = rows[~hidden[rows]]
            hidden[min(shown, key=lambda r: (not is_difference[r], -r))] = True


def _groups(keys: pd.DataFrame, column: str) -> list[np.ndarray]:
    """Rows that agree on every key but one."""
    others = [c for c in keys.columns if c not in (column, "unit")]
    if not others:
        return [np.arange(len(keys))]
    return list(keys.groupby(others, sort=False).indices.values())


def strata(tables: Mapping[str, EffectTable], policy: Policy) -> set[str]:
    """Key columns whose rows are averaged somewhere: declared groups, or a row of totals."""
    found = set(policy.keep_readable)
    for table in tables.values():
        for column in table.keys.columns:
            if table.keys[column].astype(str).map(str).isin(TOTALS).any():
                found.add(str(column))
    return found


def hide_beside(
    name: str,
    column: str,
    tables: Mapping[str, EffectTable],
    hidden: Hidden,
    policy: Policy,
) -> None:
    """Hide further rows of a stratum until the hidden ones do not follow from the average."""
    table = tables[name]
    keys = table.keys.astype(str).map(str)
    n_members, n_events = (
        np.nan_to_num(table.support[column].to_numpy(dtype=float))
        for column in ("n_members", "n_events")
    )
    if table.estimand.scale != "ratio":
        n_events = np.zeros(len(keys))
    is_total = keys[column].isin(TOTALS).to_numpy()
    for rows in _groups(keys, column):
        parts = rows[~is_total[rows] & np.isfinite(table.estimate[rows])]
        totals = rows[is_total[rows]]
        if not _average_is_shown(name, column, keys.iloc[rows[0]], totals, tables, hidden):
            continue
        while (gone := parts[hidden[name][parts]]).size and not _blurred(
            n_members[gone], n_events[gone], policy
        ):
            shown = parts[~hidden[name][parts]]
            if not len(shown):
                hidden[name][totals] = True
                break
            keep = keys[column].isin(policy.keep_readable.get(column, ())).to_numpy()
            hidden[name][min(shown, key=lambda r: (keep[r], n_members[r], r))] = True


def _blurred(n_members: np.ndarray, n_events: np.ndarray, policy: Policy) -> bool:
    """At least two parts hidden, with together enough members and no small count of events."""
    is_small = n_events.sum() > 0 and bool(policy.is_small(n_events.sum()))
    enough = float(n_members.sum()) >= policy.support_needed
    return len(n_members) > 1 and enough and not is_small


def _average_is_shown(
    name: str,
    column: str,
    group: pd.Series,
    totals: np.ndarray,
    tables: Mapping[str, EffectTable],
    hidden: Hidden,
) -> bool:
    """Whether the average over the stratum stands in this table or in another one."""
    if (~hidden[name][totals]).any():
        return True
    for other, table in tables.items():
        columns = [c for c in table.keys.columns if c in group.index and c not in LABEL_COLUMNS]
        if other == name or column in table.keys or "reference" in table.keys or not columns:
            continue
        same = (table.keys[columns].astype(str).map(str) == group[columns]).all(axis=1).to_numpy()
        if (same & ~hidden[other]).any():
            return True
    return False
