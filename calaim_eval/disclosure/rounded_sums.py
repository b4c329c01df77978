"""Rounded counts that their sums narrow down: what else is hidden where small counts are shown.

Six counts shown as 3 (each 1 to 6) with a total shown as 3 are six times 1. Rounding alone does
not see that; every small count is therefore given the range that all rounded counts leave it.
"""

from __future__ import annotations

import numpy as np

from calaim_eval.disclosure.policy import Policy
from calaim_eval.disclosure.round_counts import range_of_rounded, round_counts
from calaim_eval.disclosure.system import System
from calaim_eval.errors import DisclosureError


def hide_narrowed(
    system: System, hidden_rows: np.ndarray, *, policy: Policy, known: np.ndarray | None = None
) -> np.ndarray:
    """Hide further rows until every small count keeps its range.

    Parameters
    ----------
    system : System
        All counts of the release and the equations between them.
    hidden_rows : np.ndarray
        Rows hidden for other reasons; shape (n_rows,).
    policy : Policy
        One that rounds and shows small counts; any other has nothing hidden here.
    known : np.ndarray, optional
        Cells whose exact number earlier releases show; shape (n_cells,).

    Returns
    -------
    np.ndarray
        Shape (n_rows,).

    Raises
    ------
    DisclosureError
        A small count is narrowed down whatever is hidden.

    Notes
    -----
    The range of a count is found by two linear programmes: the lowest and highest value it can
    have, every other count anywhere in the range of its rounded value, all sums holding. Whole
    numbers only would narrow it further by less than 1 at each end, which is taken off.
    """
    hidden = hidden_rows.copy()
    known = np.zeros(len(system.cells), dtype=bool) if known is None else known
    if policy.rounding == "none" or policy.min_count > policy.rounding_base:
        return hidden
    small = _small_cells(system, policy)
    small = small[~known[small]]
    while narrowed := _narrowed(system, hidden, small, policy, known):
        rows = {_row_to_hide(system, hidden, cell) for cell in narrowed}
        if None in rows:
            raise DisclosureError(
                "a count of 1 to "
                f"{policy.rounding_base} can be narrowed down from rounded counts, whatever else "
                "is hidden. Nothing was released.\n  Merge the stratum, or pool more months."
            )
        hidden[[row for row in rows if row is not None]] = True
    return hidden


def ranges_from_rounded(
    system: System,
    hidden_rows: np.ndarray,
    cells: np.ndarray,
    *,
    policy: Policy,
    known: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest value of some cells that all shown, rounded or `known`, leaves."""
    from scipy import optimize

    shown = system.shown(hidden_rows)
    rounded = round_counts(np.where(shown, system.value, 0.0), policy=policy)
    low, high = range_of_rounded(rounded, policy=policy)
    exact = (~system.is_integer & shown) | known
    low = np.where(exact, system.value, np.where(shown, low, 0.0))
    high = np.where(exact, system.value, np.where(shown, high, np.inf))
    lowest, highest = low[cells].copy(), high[cells].copy()
    bounds = list(zip(low, high, strict=True))
    n_equations = system.equations.shape[0]
    for at, cell in enumerate(cells) if n_equations else ():
        cost = np.zeros(len(system.cells))
        for sign, ends in ((1.0, lowest), (-1.0, highest)):
            cost[cell] = sign
            found = optimize.linprog(
                cost,
                A_eq=system.equations,
                b_eq=np.zeros(n_equations),
                bounds=bounds,
                method="highs",
            )
            if found.status == 0:
                # Only whole numbers are possible.
                ends[at] = (np.ceil if sign > 0 else np.floor)(sign * found.fun - sign * 1e-6)
    return lowest, highest


def _small_cells(system: System, policy: Policy) -> np.ndarray:
    """Cells that a table states and whose count is from 1 to the base."""
    stated = np.zeros(len(system.cells), dtype=bool)
    for row in system.rows:
        stated[list(row.cells)] = True
        if row.complement is not None:
            stated[row.complement] = True
    is_small = (system.value > 0) & (system.value <= policy.rounding_base) & system.is_integer
    return np.flatnonzero(stated & is_small)


def _narrowed(
    system: System, hidden: np.ndarray, small: np.ndarray, policy: Policy, known: np.ndarray
) -> list[int]:
    """Small cells whose range is narrower than the policy asks, the narrowest first."""
    # Alone, a rounded count keeps the range of its step; only equations narrow it.
    tied = np.asarray(abs(system.equations).sum(axis=0)).ravel() > 0
    asked = small[tied[small]]
    lowest, highest = ranges_from_rounded(system, hidden, asked, policy=policy, known=known)
    width = highest - lowest
    order = np.argsort(width, kind="stable")
    return [int(asked[i]) for i in order if width[i] < policy.min_interval - 1e-6]


def _row_to_hide(system: System, hidden: np.ndarray, cell: int) -> int | None:
    """A shown row that hangs together with the cell: the total it is part of, if there is one."""
    weights_of_cell = system.equations[:, [cell]].toarray().ravel()
    near = system.equations[np.flatnonzero(weights_of_cell)].toarray()
    candidates: list[tuple[int, float, int]] = []
    for at, row in enumerate(system.rows):
        if hidden[at]:
            continue
        for other in row.cells:
            weights = near[:, other]
            if not np.any(weights):
                continue
            is_total = bool(np.any(weights * near[:, cell] < 0))
            candidates.append((int(other != cell and not is_total), -system.value[other], at))
    return min(candidates)[2] if candidates else None
