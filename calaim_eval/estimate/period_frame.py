"""A frame with one row per period of a county, a stratum or a series, checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.moments.panel_rows import BEYOND, is_usable
from calaim_eval.moments.periods import (
    MISSING,
    period_frequency,
    period_ordinals,
    refuse_year_month_codes,
)


def require_frame(data: object, columns: Sequence[str], *, call: str) -> None:
    """Refuse what is no frame, has no rows or lacks a named column."""
    if not isinstance(data, pd.DataFrame):
        raise TableError(
            f"{call} can't read a {type(data).__name__}. Give CellMoments from reduce_panel, or a "
            "pandas data frame."
        )
    missing = [c for c in columns if c not in data.columns]
    if missing:
        raise TableError(
            f"the data frame lacks {', '.join(f'`{c}`' for c in missing)}. It has "
            f"{', '.join(f'`{c}`' for c in data.columns)}. Name the columns in {call}(...)."
        )
    if data.empty:
        raise TableError("the data frame has no rows.")


def refuse_frame_columns(call: str, member_months: str | None, stratum: tuple[str, ...]) -> None:
    """Refuse column names beside moments, which know their own."""
    if member_months is not None or stratum:
        raise EstimationError(
            f"{call}(moments): leave out `member_months` and `stratum`; the moments bring theirs. "
            "Use moments.pooled(...) or moments.select(...) for other strata."
        )


def frame_periods(values: pd.Series, column: str) -> tuple[np.ndarray, str]:
    """Ordinals of the periods, none missing, and their frequency."""
    frequency = period_frequency(values)
    ordinals = period_ordinals(values, column=column, frequency=frequency)
    missing = int((ordinals == MISSING).sum())
    if missing:
        raise TableError(
            f"`{column}` is missing in {missing:,} of {len(values):,} rows. "
            "Drop them or give them a month."
        )
    refuse_year_month_codes(np.unique(ordinals), frequency)
    return ordinals, frequency


def refuse_repeated(place: np.ndarray, what: str, row: str) -> None:
    """Refuse two rows in one place; `what` is repeated, and there is to be one row per `row`."""
    repeated = len(place) - len(np.unique(place))
    if repeated:
        raise TableError(
            f"the data frame: {repeated:,} of {len(place):,} rows repeat {what}. "
            f"Add them up first; one row per {row}."
        )


def finite_numbers(values: pd.Series, column: str) -> np.ndarray:
    """A column as floats; refused where missing, infinite or no number."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    unusable = int((~is_usable(numbers)).sum())
    if unusable:
        raise TableError(
            f"`{column}` is missing, infinite or no number in {unusable:,} of {len(numbers):,} "
            f"rows ({BEYOND}). Drop the rows that were not observed, or give their value."
        )
    return np.asarray(numbers)


def are_counts(values: np.ndarray) -> bool:
    """Whether all are whole numbers, none negative."""
    return bool((values >= 0).all() and (values == np.rint(values)).all())
