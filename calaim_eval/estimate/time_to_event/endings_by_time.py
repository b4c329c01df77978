"""What became of everybody by the horizon, and when: counts that can be released for curves."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from calaim_eval.estimate.time_to_event.incidence_table import WAITING
from calaim_eval.results import ALL


def endings_by_time(
    duration: np.ndarray, cause: np.ndarray, *, times: Sequence[int], outcomes: Sequence[str]
) -> dict[tuple[str, str], np.ndarray]:
    """Who is in each state by the horizon, where everybody is followed over it.

    Without censoring before the horizon the cumulative incidence of an ending is a share of
    counts, and counts are what disclosure control can protect beside other tables.

    Parameters
    ----------
    duration : np.ndarray
        Whole units of time until something ended the wait, or until the end of follow-up; shape
        (n,).
    cause : np.ndarray
        0 for still waiting, 1 ... as in `outcomes`; shape (n,).
    times : sequence of int
        Rising; the last is the horizon.
    outcomes : sequence of str
        The first is divided by when it came.

    Returns
    -------
    dict[tuple[str, str], np.ndarray]
        By state and stretch of time (``"all"``, or of the first outcome ``"31-60"``), whether each
        is in it; shape (n,), bool. ``("all", "all")`` comes first, then `outcomes`,
        ``"waiting"``, then the stretches.

    Examples
    --------
    >>> marks = endings_by_time(
    ...     np.array([5, 40, 10, 90]),
    ...     np.array([1, 1, 2, 0]),
    ...     times=(30, 60),
    ...     outcomes=("in", "out"),
    ... )
    >>> {f"{state} {when}": int(is_in.sum()) for (state, when), is_in in marks.items()}
    {'all all': 4, 'in all': 2, 'out all': 1, 'waiting all': 1, 'in 0-30': 1, 'in 31-60': 1}
    """
    within = np.where((duration <= times[-1]) & (cause > 0), cause, 0)
    marks = {(ALL, ALL): np.ones(len(duration), dtype=bool)}
    marks |= {(name, ALL): within == k + 1 for k, name in enumerate(outcomes)}
    marks[WAITING, ALL] = within == 0
    for first, last in time_bins(times):
        inside = (duration >= first) & (duration <= last)
        marks[outcomes[0], bin_label(first, last)] = (within == 1) & inside
    return marks


def time_bins(times: Sequence[int]) -> list[tuple[int, int]]:
    """First and last unit of each stretch between the times to report.

    Examples
    --------
    >>> time_bins((1, 3, 6))
    [(0, 1), (2, 3), (4, 6)]
    """
    return [(before + 1, last) for before, last in pairwise((-1, *times))]


def bin_label(first: int, last: int) -> str:
    """``"2-3"``, or ``"0"`` of one unit."""
    return str(first) if first == last else f"{first}-{last}"
