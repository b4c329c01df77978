"""Seasonal columns of a time series: a level for every month of the year, or waves."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.moments.periods import index_frequency, index_ordinals

Seasonality = Literal["none", "months", "harmonic"]


def season_columns(
    months: pd.Index, seasonality: Seasonality, season_length: int | None, harmonics: int
) -> tuple[np.ndarray, list[str]]:
    """Columns and their names; shape (T, k), k = 0 without seasonality.

    ``"months"`` leaves out the first month of the year; ``"harmonic"`` has `harmonics` pairs of
    sine and cosine, fewer where the last sine of an even season is 0 throughout.
    """
    known = ("none", "months", "harmonic")
    require_choice("seasonality", seasonality, known, of="interrupted_time_series")
    if seasonality == "none":
        return np.zeros((len(months), 0)), []
    length = _length(months, season_length)
    axis = index_ordinals(months)
    if seasonality == "months":
        place = axis % length
        columns = np.column_stack([place == each for each in range(1, length)]).astype(float)
        return columns, [f"season_{each + 1}" for each in range(1, length)]
    if not 1 <= harmonics <= length // 2:
        raise EstimationError(
            f"interrupted_time_series: harmonics={harmonics}; give 1 to {length // 2} for a season "
            f"of {length} periods."
        )
    waves, names = [], []
    for each in range(1, harmonics + 1):
        angle = 2 * np.pi * each * axis / length
        if 2 * each < length:
            waves.append(np.sin(angle))
            names.append(f"sine_{each}")
        waves.append(np.cos(angle))
        names.append(f"cosine_{each}")
    return np.column_stack(waves), names


def _length(months: pd.Index, season_length: int | None) -> int:
    """Periods in a year."""
    if season_length is not None:
        if season_length < 2:
            raise EstimationError(
                f"interrupted_time_series: season_length={season_length}; give 2 or more."
            )
        return season_length
    frequency = index_frequency(months)
    known = {"M": 12, "Q": 4}.get(frequency.split("-")[0])
    if known is None:
        raise EstimationError(
            f"seasonality: the length of a season is not known for periods of kind {frequency!r}. "
            "Give season_length, the number of periods in a year."
        )
    return known
