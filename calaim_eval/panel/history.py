"""What a member's earlier months in the panel say of a month: plan moves, a year looked back on.

Months are a grid: a member's months of the window follow one another, and so do members. A month's
place in it is its cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOOKBACK_MONTHS = 12
"""Calendar months before a month that `lookback_covered_months` and `is_continuously_enrolled` look
at."""


def plan_moves(
    cells: NDArray[np.int64], plans: NDArray[np.int32], n_months: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the plan is another than in the member's previous month of the panel.

    Parameters
    ----------
    cells : (n,) array
        Places of the months of the panel, in order.
    plans : (n,) array
        A number for each plan, -1 where it is missing.
    n_months : int
        Months of the window.

    Returns
    -------
    tuple of (n,) arrays
        Whether it is another, however long ago that month was; and whether that is known: not in
        the first month, nor where either plan is missing.

    Examples
    --------
    >>> moved, is_known = plan_moves(np.array([0, 2, 3, 6]), np.array([7, 7, 8, 8]), 4)
    >>> moved[is_known].tolist(), is_known.tolist()
    ([False, True], [False, True, True, False])
    """
    moved, is_known = np.zeros(len(cells), bool), np.zeros(len(cells), bool)
    before, now = plans[:-1], plans[1:]
    members = cells // n_months
    moved[1:] = before != now
    is_known[1:] = (members[:-1] == members[1:]) & (before >= 0) & (now >= 0)
    return moved, is_known


def covered_before(
    cells: NDArray[np.int64], n_months: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Months of the panel among the `LOOKBACK_MONTHS` calendar months before each.

    Parameters
    ----------
    cells : (n,) array
        Places of the months of the panel, in order.
    n_months : int
        Months of the window.

    Returns
    -------
    tuple of (n,) arrays
        The count; and whether it is known: not in the first `LOOKBACK_MONTHS` of the window.

    Examples
    --------
    >>> counts, is_known = covered_before(np.array([0, 3, 12, 13]), 24)
    >>> counts[is_known].tolist(), is_known.tolist()
    ([2, 2], [False, False, True, True])
    """
    is_known = cells % n_months >= LOOKBACK_MONTHS
    first = np.searchsorted(cells, cells - LOOKBACK_MONTHS)
    return np.where(is_known, np.arange(len(cells)) - first, 0), is_known


def continuous_before(
    cells: NDArray[np.int64], n_months: int, max_gap_months: int
) -> NDArray[np.bool_]:
    """Whether no gap of the `LOOKBACK_MONTHS` calendar months before each month is too long.

    Parameters
    ----------
    cells : (n,) array
        Places of the months of the panel, in order.
    n_months : int
        Months of the window.
    max_gap_months : int
        Longest gap that is tolerated. Months before the first one in the panel are a gap too.

    Returns
    -------
    (n,) array
        False where it is not known: in the first `LOOKBACK_MONTHS` of the window.

    Examples
    --------
    >>> cells = np.array([*range(11), 13, 14])
    >>> continuous_before(cells, 24, 1)[-2:].tolist(), continuous_before(cells, 24, 2)[-2:].tolist()
    ([False, False], [True, True])
    """
    is_known = cells % n_months >= LOOKBACK_MONTHS
    begins = cells - LOOKBACK_MONTHS
    first = np.searchsorted(cells, begins)
    # A gap between two members ends before the first month looked back on of either.
    n_long_gaps = np.cumsum(np.diff(cells, prepend=cells[:1]) - 1 > max_gap_months)
    has_no_inner: NDArray[np.bool_] = n_long_gaps == n_long_gaps[first]
    return is_known & has_no_inner & (cells[first] - begins <= max_gap_months)
