"""The rows of a table that belong together: those of one stratum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calaim_eval.results import EffectTable

ROW_KEYS = (
    "event_time",
    "cohort",
    "month",
    "months_earlier",
    "anticipation_months",
    "row",
    "term",
    "outcome",
    "unit",
)
"""Keys that tell the rows of one stratum apart; all others are stratum columns."""


def rows_by_stratum(
    table: EffectTable, *, apart: Sequence[str] = ()
) -> list[tuple[dict[str, object], np.ndarray]]:
    """Labels and rows (bool) of each stratum; keys in `apart` separate strata too."""
    names = [c for c in table.keys.columns if c not in ROW_KEYS or c in apart]
    if not names:
        return [({}, np.ones(len(table), dtype=bool))]
    found = []
    for labels, rows in table.keys.groupby(names, sort=False, dropna=False).indices.items():
        values = labels if isinstance(labels, tuple) else (labels,)
        mask = np.isin(np.arange(len(table)), rows)
        found.append((dict(zip(names, values, strict=True)), mask))
    return found
