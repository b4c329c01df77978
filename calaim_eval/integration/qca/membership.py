"""Degrees of membership of cases, checked, and what fits what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError, quoted

MOST_CONDITIONS = 10
"""2^10 rows of a truth table, far more than there are counties."""


def memberships(
    data: pd.DataFrame, conditions: Sequence[str], outcome: str
) -> tuple[np.ndarray, np.ndarray, pd.Index, int]:
    """Conditions (n, k), outcome (n,), the cases, and how many were incomplete.

    An outcome that begins with ``~`` is the absence of the set behind it.

    Raises
    ------
    TableError
        A column is absent, no number or outside 0–1.
    EstimationError
        No condition or too many; a set named twice; no complete case.
    """
    if not 1 <= len(conditions) <= MOST_CONDITIONS:
        raise EstimationError(
            f"{len(conditions)} conditions; a truth table takes 1 to {MOST_CONDITIONS}. With k "
            "conditions it has 2^k rows, most of them without a case."
        )
    is_absence = outcome.startswith("~") and outcome not in data.columns
    named = [*conditions, outcome.removeprefix("~") if is_absence else outcome]
    if len(set(named)) < len(named):
        raise EstimationError(
            "a set is named twice among the conditions and the outcome: it would go with itself."
        )
    absent = [name for name in named if name not in data.columns]
    if absent:
        raise TableError(f"the table of sets lacks {quoted(absent)}.")
    read = {name: pd.to_numeric(data[name], errors="coerce") for name in named}
    text = [name for name in named if (read[name].isna() & data[name].notna()).any()]
    if text:
        raise TableError(f"the sets {quoted(text)} hold no numbers. Calibrate them (`calibrate`).")
    values = np.column_stack([read[n].to_numpy(dtype=float, na_value=np.nan) for n in named])
    outside = int(((values < 0) | (values > 1)).any(axis=1).sum())
    if outside:
        raise TableError(
            f"{outside} of {len(values)} cases have a membership outside 0 to 1. Calibrate the "
            "values first (`calibrate`)."
        )
    complete = np.isfinite(values).all(axis=1)
    if not complete.any():
        raise EstimationError("no case has a membership in every set.")
    values = values[complete]
    y = 1 - values[:, -1] if is_absence else values[:, -1]
    return values[:, :-1], y, data.index[complete], int((~complete).sum())


def corner_memberships(x: np.ndarray) -> np.ndarray:
    """Membership of each case in each combination of all conditions; shape (n, 2^k).

    Combination r has condition j where bit j, counted from the first condition as the highest, is
    set.
    """
    k = x.shape[1]
    corners = corner_bits(k)
    inside = np.where(corners[None], x[:, None, :], 1 - x[:, None, :])
    return np.asarray(inside.min(axis=2))


def corner_bits(k: int) -> np.ndarray:
    """Conditions of each combination; shape (2^k, k), bool."""
    numbers = np.arange(2**k)
    return np.asarray((numbers[:, None] >> np.arange(k)[::-1]) & 1, dtype=bool)


def consistency(x: np.ndarray, y: np.ndarray) -> float:
    r"""How nearly x is a subset of y: :math:`\sum\min(x,y)/\sum x`; NaN where x is empty."""
    total = x.sum()
    return float(np.minimum(x, y).sum() / total) if total > 0 else float("nan")


def proportional_reduction(x: np.ndarray, y: np.ndarray) -> float:
    r"""PRI: consistency once what x shares with both y and its opposite is taken out."""
    both = np.minimum(np.minimum(x, y), 1 - y).sum()
    total = x.sum() - both
    return float((np.minimum(x, y).sum() - both) / total) if total > 1e-12 else float("nan")


def reaches(fit: np.ndarray | float, cutoff: float) -> np.ndarray:
    """Whether a fit is at a cutoff or above it; 12 of 15 is at 0.8, whatever its last digit."""
    return np.asarray(np.asarray(fit) >= cutoff - 1e-12)
