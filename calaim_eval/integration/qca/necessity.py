"""Conditions without which the outcome hardly happens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.integration.qca.membership import consistency, memberships


def necessity(sets: pd.DataFrame, *, outcome: str, conditions: Sequence[str]) -> pd.DataFrame:
    r"""How nearly the outcome is a subset of each condition and of its absence.

    Parameters
    ----------
    sets : pd.DataFrame
        Memberships in 0–1, one row per case.
    outcome : str
    conditions : sequence of str

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
        As in `truth_table`.

    References
    ----------
    Schneider CQ, Wagemann C (2012). doi:10.1017/CBO9781139004244.
    """
    x, y, _, _ = memberships(sets, conditions, outcome)
    rows = []
    for j, name in enumerate(conditions):
        for label, degree in ((name, x[:, j]), (f"~{name}", 1 - x[:, j])):
            left = (1 - np.minimum(degree, y)).sum()
            rows.append(
                {
                    "condition": label,
                    "consistency": consistency(y, degree),
                    "coverage": consistency(degree, y),
                    "relevance": float((1 - degree).sum() / left) if left > 0 else float("nan"),
                }
            )
    return pd.DataFrame(rows)
