"""Comparisons of rates that were released before the rates themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.disclosure.from_rates import (
    Names,
    hidden_and_shown_rates,
    hide_comparisons_of_rates,
)
from calaim_eval.disclosure.ledger import History, ShownComparison
from calaim_eval.disclosure.system import System
from calaim_eval.errors import DisclosureError
from calaim_eval.results import EffectTable, Estimand, Method


def refuse_given_away_before(
    history: History, system: System, hidden_rows: np.ndarray, *, of: Names
) -> None:
    """Refuse rates of which a comparison was released when they were not yet known to be hidden.

    A gap that is out and the reference's rate are the group's rate. So a rate may not be hidden
    while others of its kind are shown, where a release of the same numbers shows a comparison of
    it and never showed the rate.

    Parameters
    ----------
    history : History
    system : System
        Counts of this release.
    hidden_rows : np.ndarray
        Its rows that are hidden; shape (n_rows,).
    of : Mapping[str, tuple[str, ...]]
        As in `hide_comparisons_of_rates`.

    Raises
    ------
    DisclosureError
        Naming the comparison, the table of rates, and how to release without it.
    """
    hidden_rates, shown = hidden_and_shown_rates(system, hidden_rows, history)
    stated = {cell for row in system.rows for cell in row.cells}
    here = {system.cells[cell] for cell in stated}
    of_shown = {quantity for quantity, _ in shown}
    unknown = [
        cell
        for cell in hidden_rates
        if cell in here and cell not in history.known and cell[0] in of_shown
    ]
    for each in history.comparisons if unknown else ():
        table = _as_table(each)
        rows = hide_comparisons_of_rates(
            {each.name: table}, hidden_rates=unknown, shown=shown, stated=system.cells, of=of
        )[each.name]
        if rows.any():
            _refuse(each, int(rows.sum()), unknown, system)


def _refuse(
    each: ShownComparison,
    n_rows: int,
    unknown: list[tuple[str, tuple[tuple[str, str], ...]]],
    system: System,
) -> None:
    """Say which comparison tells of which table of rates."""
    cells = {system.position(cell) for cell in unknown}
    tables = dict.fromkeys(row.table for row in system.rows if cells & set(row.cells))
    named = ", ".join(f"`{name}`" for name in tables)
    first = next(iter(tables))
    raise DisclosureError(
        f"`{each.name}`, released for {each.quarter or 'no quarter'}, shows {n_rows} comparisons "
        f"of rates of which some must be hidden now ({named}); with the rates that are shown they "
        "give the hidden ones away. Nothing was released.\n"
        f"  Release without these rates: `--leave-out {first}`, or `--without {first}:COLUMN`. "
        "Next time release rates and their comparisons together."
    )


def _as_table(each: ShownComparison) -> EffectTable:
    """The rows as a table without numbers, for the rule that asks for keys and options only."""
    k = len(each.keys)
    return EffectTable(
        keys=each.keys,
        estimate=np.full(k, np.nan),
        covariance=np.full((k, k), np.nan),
        support=pd.DataFrame(
            0.0, index=range(k), columns=["n_members", "n_events", "member_months"]
        ),
        estimand=Estimand("", "", "", is_causal=each.is_causal),
        method=Method("", dict(each.options)),
    )
