"""Rate tables about organizations: every organization is counted, and none is a person."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from calaim_eval.results import Method, RateTable
from calaim_eval.results.rate_table import RateKind


def two_columns(pairs: Iterable[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Numerators and denominators of pairs of both; (k,) each, also of no pair."""
    table = np.array(list(pairs), dtype=float).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def about_organizations(
    measure: str,
    keys: pd.DataFrame,
    numerator: np.ndarray,
    denominator: np.ndarray,
    *,
    names: tuple[str, str],
    unit: str,
    kind: RateKind,
    method: Method,
    margins: tuple[str, ...] = (),
) -> RateTable:
    """Rate table about organizations; no bounds, for every organization was counted."""
    empty = np.full(len(keys), np.nan)
    return RateTable(
        measure=measure,
        keys=keys,
        numerator=np.asarray(numerator, dtype=float),
        denominator=np.asarray(denominator, dtype=float),
        conf_low=empty,
        conf_high=empty,
        n_members=empty,
        numerator_name=names[0],
        denominator_name=names[1],
        unit=unit,
        kind=kind,
        method=method,
        about="organizations",
        margins=margins,
    )
