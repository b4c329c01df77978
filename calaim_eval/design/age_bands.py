"""Age bands as groups: declared first ages, completed years in the month that is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError

AGE_BAND = "age_band"
FIRST_AGES = (18, 21, 45, 65)
"""First ages of the bands after the lowest, where a study states none."""


def age_band(age_years: pd.Series, first_ages: Sequence[int]) -> pd.Series:
    """Age band of each member as text, ``"unknown"`` without an age.

    Examples
    --------
    >>> age_band(pd.Series([3.0, 18, 70, None]), [18, 65]).tolist()
    ['0-17', '18-64', '65+', 'unknown']
    """
    starts = [0, *first_ages]
    if any(b <= a for a, b in pairwise(starts)):
        raise DesignError(
            "`age_bands` must be rising first ages above 0, such as (18, 21, 45, 65)."
        )
    names = [f"{a}-{b - 1}" for a, b in pairwise(starts)]
    labels = np.array([*names, f"{starts[-1]}+", "unknown"])
    age = age_years.to_numpy(dtype=float, na_value=np.nan)
    band = np.searchsorted(starts, np.where(age >= 0, age, 0), side="right") - 1
    return pd.Series(labels[np.where(age >= 0, band, len(labels) - 1)])
