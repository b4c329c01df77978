"""Why rows were hidden, counted for the custodian who signs; never part of a release.

How many rows are small and how many only protect them would narrow the small ones down, so these
counts stay in the restricted folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from calaim_eval.disclosure.effects import small_effects
from calaim_eval.disclosure.hide_counts import hidden_before
from calaim_eval.disclosure.ledger import History
from calaim_eval.disclosure.policy import Policy
from calaim_eval.disclosure.primary import Hidden, Population, small_rows
from calaim_eval.disclosure.system import System
from calaim_eval.results import RateTable, Result

OWN = "few members, events or referrals, or few left out"
GROUP = "about a group of few members"
BEFORE = "hidden before, or changed by few since"
RATE = "would give a hidden rate away"
PROTECTS = "protects another row"

REASONS = (OWN, GROUP, BEFORE, RATE, PROTECTS)


def count_reasons(
    results: Mapping[str, Result],
    hidden: Hidden,
    *,
    policy: Policy,
    populations: Sequence[Population],
    history: History,
    system: System,
    given_away: Hidden,
    changed: Hidden,
) -> pd.DataFrame:
    """Hidden rows by table and reason.

    A row with several reasons counts under the first of `REASONS`.

    Parameters
    ----------
    results : Mapping[str, Result]
    hidden : dict[str, np.ndarray]
        Rows hidden in each, for whatever reason.
    policy, populations, history, system
        What they were chosen with.
    given_away : dict[str, np.ndarray]
        Rows of estimates and bounds hidden with a rate.
    changed : dict[str, np.ndarray]
        Rows of estimates and bounds of a few members more or fewer than one shown before.

    Returns
    -------
    pd.DataFrame
        `table`, `reason`, `n_rows`; only combinations that occur.
    """
    restated = _rows_restated(system, history, policy)
    found = []
    for name, result in results.items():
        reasons = np.full(len(result), PROTECTS, dtype=object)
        masks = {
            RATE: given_away.get(name),
            BEFORE: hidden_before(name, result.keys, history)
            | restated.get(name, changed.get(name, False)),
            GROUP: _small(result, policy, populations),
            OWN: _small(result, policy, ()),
        }
        for reason, mask in masks.items():
            if mask is not None:
                reasons[mask] = reason
        counts = pd.Series(reasons[hidden[name]], dtype=object).value_counts()
        found += [(name, reason, int(counts[reason])) for reason in REASONS if reason in counts]
    return pd.DataFrame(found, columns=["table", "reason", "n_rows"])


def _small(result: Result, policy: Policy, populations: Sequence[Population]) -> np.ndarray:
    """Rows hidden for their own sake."""
    if isinstance(result, RateTable):
        return small_rows(result, policy=policy, populations=populations)
    return small_effects(result, policy=policy, populations=populations)


def _rows_restated(system: System, history: History, policy: Policy) -> Hidden:
    """Rows of counts that an earlier release hid, or showed a little otherwise."""
    cells = set()
    for at, cell in enumerate(system.cells):
        change = abs(system.value[at] - history.known.get(cell, np.nan))
        if cell in history.hidden_cells or 1e-6 < change < policy.min_count:
            cells.add(at)
    rows: dict[str, dict[int, bool]] = {}
    for row in system.rows:
        rows.setdefault(row.table, {})[row.position] = bool(cells & set(row.cells))
    return {
        name: np.array([of[at] for at in range(len(of))], dtype=bool) for name, of in rows.items()
    }
