"""Who stands behind a number made from several groups: the smallest of them."""

from __future__ import annotations

import numpy as np

from calaim_eval.results import SUPPORT_COLUMNS

_EVENTS = SUPPORT_COLUMNS.index("n_events")


def smallest_support(sides: np.ndarray) -> np.ndarray:
    """Smallest support of several groups; of events the smallest that has any.

    No event may be shown and 1 to 10 may not: a group without an event must not hide another's few.

    Parameters
    ----------
    sides : np.ndarray
        Shape (s, ..., 3): groups, then rows, then `SUPPORT_COLUMNS`.

    Returns
    -------
    np.ndarray
        Shape (..., 3). Members not known in one group are not known (and count as none).

    Examples
    --------
    >>> smallest_support(np.array([[40, 0, 300], [50, 5, 200]]))
    array([ 40.,   5., 200.])
    """
    values = np.asarray(sides, dtype=float)
    smallest: np.ndarray = values.min(axis=0)
    events = values[..., _EVENTS]
    fewest = np.where(events > 0, events, np.inf).min(axis=0)
    # With no event in any group the plain minimum stands: 0, or not known.
    smallest[..., _EVENTS] = np.where(np.isfinite(fewest), fewest, smallest[..., _EVENTS])
    return smallest
