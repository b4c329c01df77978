"""What is known of a member at the index month: coverage before it, age, place, strata."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.design.age_bands import AGE_BAND
from calaim_eval.design.member_month_parts import member_month_parts
from calaim_eval.errors import DesignError
from calaim_eval.schema.overlapping import OVERLAPPING, overlapping_columns, why_no_stratum

if TYPE_CHECKING:
    from calaim_eval.panel import MemberMonths

STRATA = ("race_ethnicity", "language", "sex", "county", "plan", "aid_code", "is_dual")


def check_strata(strata: Sequence[str]) -> None:
    """Raise DesignError unless every stratum is a grouping column of the panel.

    Columns of groups that overlap are; `check_no_overlap` refuses them where they cannot be.
    """
    allowed = (*STRATA, AGE_BAND, *OVERLAPPING)
    unknown = [s for s in strata if s not in allowed]
    if unknown:
        raise DesignError(
            f"`strata` names {', '.join(f'`{s}`' for s in unknown)}, not a grouping column of "
            f"`member_month`.\n  Allowed: {', '.join(f'`{s}`' for s in allowed)}."
        )


def check_no_overlap(strata: Sequence[str]) -> None:
    """Raise DesignError where the groups of a stratum share members."""
    for column in overlapping_columns(strata):
        raise DesignError(why_no_stratum(column))


def at_index_month(
    panel: MemberMonths,
    index_months: pd.Series,
    *,
    lookback_months: int,
    columns: Sequence[str],
) -> pd.DataFrame:
    """Coverage and attributes of members at their index month.

    Parameters
    ----------
    index_months : pd.Series
        Month number by member_id (unique); NaN = no index month.
    lookback_months : int
        Months before the index month to count coverage in.
    columns : sequence of str
        Attributes to read in the index month.

    Returns
    -------
    pd.DataFrame
        Indexed as `index_months`: `is_in_panel` (any covered month), `is_covered` (index month
        covered), `n_lookback_covered` (covered months of the look-back), and `columns` (missing
        when the index month is not covered).
    """
    index = index_months.to_numpy(dtype=float)
    ids = pd.Index(index_months.index)
    is_in_panel = np.zeros(len(ids), dtype=bool)
    is_covered = np.zeros(len(ids), dtype=bool)
    n_lookback = np.zeros(len(ids), dtype=np.int64)
    attributes = []
    for part in member_month_parts(panel, columns, member_ids=ids):
        row = ids.get_indexer(part["member_id"])
        since = part["month_number"].to_numpy() - index[row]
        is_in_panel[row] = True
        before = (since >= -lookback_months) & (since < 0)
        n_lookback += np.bincount(row[before], minlength=len(ids))
        is_covered[row[since == 0]] = True
        attributes.append(part.loc[since == 0, ["member_id", *columns]])
    found = pd.concat(attributes).set_index("member_id").reindex(ids)
    return found.assign(
        is_in_panel=is_in_panel, is_covered=is_covered, n_lookback_covered=n_lookback
    )


def group_labels(values: pd.Series) -> pd.Series:
    """Group names as text; a missing value is the group "unknown", never dropped."""
    return values.astype("string").fillna("unknown").astype("str").reset_index(drop=True)


def is_outside_age(age_years: pd.Series, *, min_age: int | None, max_age: int | None) -> np.ndarray:
    """Whether an age (years) lies outside the limits; a missing age does when a limit is set."""
    if min_age is None and max_age is None:
        return np.zeros(len(age_years), dtype=bool)
    age = age_years.to_numpy(dtype=float, na_value=np.nan)
    low = -np.inf if min_age is None else min_age
    high = np.inf if max_age is None else max_age
    is_inside: np.ndarray = (age >= low) & (age <= high)
    return ~is_inside
