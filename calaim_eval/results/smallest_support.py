"""Who stands behind a number made from several others: the smallest of them."""

from __future__ import annotations

import numpy as np

SUPPORT_COLUMNS = ("n_members", "n_events", "member_months")


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
    events = SUPPORT_COLUMNS.index("n_events")
    smallest[..., events] = fewest_events(values[..., events])
    return smallest


def fewest_events(events: np.ndarray) -> np.ndarray:
    """Smallest count above 0 along the first axis.

    With no event anywhere the plain minimum stands: 0, or not known.
    """
    fewest = np.where(events > 0, events, np.inf).min(axis=0)
    return np.asarray(np.where(np.isfinite(fewest), fewest, events.min(axis=0)))
