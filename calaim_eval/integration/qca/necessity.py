"""Conditions without which the outcome hardly happens."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.qca.membership import consistency, memberships, reaches


def necessity(
    sets: pd.DataFrame,
    *,
    outcome: str,
    conditions: Sequence[str],
    unions_of: int = 1,
    consistency_cutoff: float = 0.9,
) -> pd.DataFrame:
    r"""How nearly the outcome is a subset of each condition and of its absence.

    Parameters
    ----------
    sets : pd.DataFrame
        Memberships in 0–1, one row per case.
    outcome : str
        A set, or with ``~`` before it its absence.
    conditions : sequence of str
    unions_of : int
        Above 1: also unions of so many conditions (``A + ~B``: one or the other is needed) that
        reach the cutoff while none of their parts does. Keep those a theory has a name for.
    consistency_cutoff : float
        Of unions.

    Returns
    -------
    pd.DataFrame
        ``condition`` (``~`` is absence), ``consistency`` :math:`\sum\min(x,y)/\sum y` (0.9 is the
        usual least), ``coverage`` :math:`\sum\min(x,y)/\sum x` and ``relevance``
        :math:`\sum(1-x)/\sum(1-\min(x,y))`: near 0 where nearly every case has the condition, so
        that its necessity says nothing.

    Raises
    ------
    TableError, EstimationError
        As in `truth_table`; `unions_of` below 1 or above the number of conditions.

    References
    ----------
    Schneider CQ, Wagemann C (2012). doi:10.1017/CBO9781139004244.
    """
    x, y, _, _ = memberships(sets, conditions, outcome)
    if not 1 <= unions_of <= len(conditions):
        raise EstimationError(
            f"`unions_of` is {unions_of}; unions of 1 to {len(conditions)} conditions can be made."
        )
    parts = {name: x[:, j] for j, name in enumerate(conditions)}
    parts = {
        label: degree
        for name, has in parts.items()
        for label, degree in ((name, has), (f"~{name}", 1 - has))
    }
    rows = [_row(label, degree, y) for label, degree in parts.items()]
    needed = [{row["condition"]} for row in rows if reaches(row["consistency"], consistency_cutoff)]
    for n in range(2, unions_of + 1):
        for labels in combinations(parts, n):
            if len({label.removeprefix("~") for label in labels}) < n:
                continue
            if any(each <= set(labels) for each in needed):
                continue
            joined = np.max([parts[label] for label in labels], axis=0)
            row = _row(" + ".join(labels), joined, y)
            if reaches(row["consistency"], consistency_cutoff):
                needed.append(set(labels))
                rows.append(row)
    return pd.DataFrame(rows)


def _row(label: str, degree: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Fit of one condition or union."""
    left = (1 - np.minimum(degree, y)).sum()
    return {
        "condition": label,
        "consistency": consistency(y, degree),
        "coverage": consistency(degree, y),
        "relevance": float((1 - degree).sum() / left) if left > 0 else float("nan"),
    }
