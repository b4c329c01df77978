"""What matches have exactly in common: groups, age band, time of eligibility."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.design.age_bands import AGE_BAND, age_band
from calaim_eval.design.index_month import STRATA, check_no_overlap, group_labels
from calaim_eval.errors import DesignError

SameEligibility = Literal["month", "quarter", "any"]


def check_exact(exact: Sequence[str]) -> None:
    """Raise DesignError unless every column is a grouping column of the panel or the age band."""
    if isinstance(exact, str):
        raise DesignError(f'`exact` is one text; give a list, such as ["{exact}"].')
    if AGE_BAND in exact and len(exact) == 1:
        return
    unknown = [name for name in exact if name not in (*STRATA, AGE_BAND)]
    check_no_overlap(exact)
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


def match_cells(eligible: np.ndarray, groups: pd.DataFrame, same: SameEligibility) -> np.ndarray:
    """Number of each member's exact group and time of eligibility; shape of `eligible`."""
    period = {"month": eligible, "quarter": eligible // 3, "any": 0 * eligible}[same]
    keys = groups.reset_index(drop=True).assign(**{"eligible in": period})
    return np.asarray(keys.groupby(list(keys.columns), sort=True).ngroup())
