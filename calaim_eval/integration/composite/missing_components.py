"""Ranks that units without a component could have, had it been measured."""

from __future__ import annotations

import numpy as np


def ranks_whatever_is_missing(
    normalized: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r"""Best and worst rank of each unit over all values the missing components could have.

    A missing component may lie anywhere between the worst and the best that was measured. With
    :math:`I^-_u` and :math:`I^+_u` the index at those ends, a unit's rank is from
    :math:`1 + \#\{v \ne u: I^-_v > I^+_u\}` to :math:`1 + \#\{v \ne u: I^+_v > I^-_u\}`, and it
    can have both.

    Parameters
    ----------
    normalized : np.ndarray
        High is good, NaN where missing; shape (n, k).
    weights : np.ndarray
        Shape (k,), together 1.

    Returns
    -------
    tuple of np.ndarray
        Shape (n,) each; equal where nothing is missing.
    """
    is_missing = np.isnan(normalized)
    worst, best = (
        np.where(is_missing, end(normalized, axis=0), normalized) @ weights
        for end in (np.nanmin, np.nanmax)
    )
    worst, best = np.round(worst, 12), np.round(best, 12)
    n = len(normalized)
    others = ~np.eye(n, dtype=bool)
    low = 1 + ((worst[None, :] > best[:, None]) & others).sum(axis=1)
    high = 1 + ((best[None, :] > worst[:, None]) & others).sum(axis=1)
    return low, high
