"""What matches have exactly in common: groups, age band, time of eligibility."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.design.index_month import STRATA, check_strata, group_labels
from calaim_eval.errors import DesignError

SameEligibility = Literal["month", "quarter", "any"]
AGE_BAND = "age_band"


def check_exact(exact: Sequence[str]) -> None:
    """Raise DesignError unless every column is a grouping column of the panel or the age band."""
    if isinstance(exact, str):
        raise DesignError(f'`exact` is one text; give a list, such as ["{exact}"].')
    if AGE_BAND in exact and len(exact) == 1:
        return
    unknown = [name for name in exact if name not in (*STRATA, AGE_BAND)]
    check_strata([name for name in exact if name == "population_of_focus"])
    if unknown:
        allowed = ", ".join(f"`{name}`" for name in (*STRATA, AGE_BAND))
        raise DesignError(
            f"`exact` names {', '.join(f'`{name}`' for name in unknown)}, not a grouping column.\n"
            f"  Allowed: {allowed}."
        )


def exact_groups(
    found: pd.DataFrame, exact: Sequence[str], *, age_bands: Sequence[int]
) -> pd.DataFrame:
    """County and the exact columns of each member as text; one row per row of `found`."""
    columns = {
        name: age_band(found["age_years"], age_bands)
        if name == AGE_BAND
        else group_labels(found[name])
        for name in dict.fromkeys(("county", *exact))
    }
    return pd.DataFrame(columns)


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


def match_cells(eligible: np.ndarray, groups: pd.DataFrame, same: SameEligibility) -> np.ndarray:
    """Number of each member's exact group and time of eligibility; shape of `eligible`."""
    period = {"month": eligible, "quarter": eligible // 3, "any": 0 * eligible}[same]
    keys = groups.reset_index(drop=True).assign(**{"eligible in": period})
    return np.asarray(keys.groupby(list(keys.columns), sort=True).ngroup())
