"""Estimates of one outcome that hang together by the months before exposure they start from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from calaim_eval.disclosure.primary import TOTALS, Hidden
from calaim_eval.results import EffectTable

ANTICIPATION = "anticipation_months"
LABEL_COLUMNS = frozenset({"unit", "reference"})
_FALSE_DATE = "months_earlier"
_ROW, _EFFECT, _DIFFERENCE = "row", "effect", "difference"
# Options that say who is compared with whom.
_COMPARED = ("comparison", "cluster", "covariate_cells")


def hide_before_exposure(tables: Mapping[str, EffectTable], hidden: Hidden) -> None:
    """Hide estimates that are sums of months before exposure of which an event study hides one.

    Estimates at false dates are averages of such months. In a scan of anticipation the difference
    between the effect with a months and with none is what the outcome did from month -1 - a to
    month -1.
    """
    studies = {name: t for name, t in tables.items() if "event_time" in t.keys}
    for name, table in tables.items():
        own = [column for column in (_FALSE_DATE, ANTICIPATION) if column in table.keys]
        if not own:
            continue
        keys = table.keys.astype(str).map(str)
        reach = _reach(table, own[0])
        for study, events in studies.items():
            if compares_otherwise(table, events):
                continue
            time = pd.to_numeric(events.keys["event_time"], errors="coerce").to_numpy(dtype=float)
            of_study = events.keys.astype(str).map(str)
            shared = [c for c in of_study if c in keys and c not in LABEL_COLUMNS]
            apart = [c for c in keys if c not in (*of_study, *LABEL_COLUMNS, own[0], _ROW)]
            everybody = keys[apart].isin(TOTALS).all(axis=1).to_numpy()
            for row in np.flatnonzero(hidden[study] & (time < 0)):
                same = (keys[shared] == of_study[shared].iloc[row]).all(axis=1).to_numpy()
                hidden[name] |= same & everybody & (reach <= time[row])


def _reach(table: EffectTable, column: str) -> np.ndarray:
    """Earliest month before exposure in each row, by event time; infinity: none."""
    if column == _FALSE_DATE:
        return np.full(len(table.keys), -np.inf)
    months = pd.to_numeric(table.keys[column], errors="coerce").to_numpy(dtype=float)
    is_difference = (_rows(table) == _DIFFERENCE).to_numpy()
    return np.where(is_difference, -1 - months, np.inf)


def hide_in_scans(table: EffectTable, hidden: np.ndarray) -> None:
    """Hide a second of three rows of a scan of anticipation of which one alone is hidden.

    The effect with a months, the effect with none, and their difference: two give the third.
    """
    if not is_scan(table):
        return
    kind = _rows(table).to_numpy()
    months = pd.to_numeric(table.keys[ANTICIPATION], errors="coerce").to_numpy(dtype=float)
    for rows in _same_group(table):
        effects = {months[r]: r for r in rows if kind[r] == _EFFECT}
        if not effects:
            continue
        first = effects[min(effects)]
        for row in (r for r in rows if kind[r] == _DIFFERENCE and months[r] in effects):
            three = [row, effects[months[row]], first]
            if hidden[three].sum() == 1:
                hidden[next(r for r in three if not hidden[r])] = True


def _same_group(table: EffectTable) -> list[np.ndarray]:
    """Rows of one scan each."""
    others = [c for c in table.keys.columns if c not in (ANTICIPATION, _ROW, "unit")]
    if not others:
        return [np.arange(len(table.keys))]
    keys = table.keys[others].astype(str).map(str).reset_index(drop=True)
    return list(keys.groupby(others, sort=False).indices.values())


def is_scan(table: EffectTable) -> bool:
    """Whether the rows are effects by months of anticipation, and differences from the first."""
    return {ANTICIPATION, _ROW} <= set(table.keys.columns)


def _rows(table: EffectTable) -> pd.Series:
    """Whether each row is an effect or a difference, as text."""
    if _ROW not in table.keys:
        return pd.Series(_EFFECT, index=range(len(table.keys)))
    return table.keys[_ROW].astype(str).reset_index(drop=True)


def compares_otherwise(table: EffectTable, other: EffectTable) -> bool:
    """Whether the options say that two tables compare other people; unsaid is the same."""
    mine, theirs = table.method.options, other.method.options
    return any(
        name in mine and name in theirs and str(mine[name]) != str(theirs[name])
        for name in _COMPARED
    )
