"""Names of plans and counties that are too many to be any.

A column that was mapped wrongly holds an identifier or an address. Findings by plan or county would
then carry it to the page, and take a day: such names go no further than here.
"""

from __future__ import annotations

import pandas as pd

from calaim_eval.quality.counts import Counts, as_counts

MOST_NAMES = 500
"""More plans, or counties, than a state has."""

TOO_MANY = "(too many names)"
CHECK_OF = {"plan": "plans_too_many", "county": "counties_too_many"}


def without_crowded_names(counts: Counts) -> Counts:
    """Counts in which names that are too many are one, with what was found of each table.

    Parameters
    ----------
    counts : Counts
        Added up over all buckets.

    Returns
    -------
    Counts
        With the checks `plans_too_many` and `counties_too_many`.
    """
    told = dict(counts)
    found = []
    for dimension, check in CHECK_OF.items():
        every = counts["counts"]
        named = every[every[dimension] != ""]
        n_names = named.groupby("table")[dimension].nunique()
        crowded = n_names.index[n_names > MOST_NAMES]
        rows = pd.DataFrame({"of": n_names, "n": n_names.where(n_names > MOST_NAMES, 0)})
        found += [as_counts(rows.loc[[each]], check=check, table=str(each)) for each in rows.index]
        is_crowded = told["counts"]["table"].isin(crowded) & (told["counts"][dimension] != "")
        told["counts"] = _as_one(told["counts"], dimension, is_crowded)
    for name in ("lines", "member_months"):
        frame = told[name]
        if frame["plan"].nunique() > MOST_NAMES:
            told[name] = _as_one(frame, "plan", frame["plan"].notna())
    told["counts"] = pd.concat([told["counts"], *found], ignore_index=True)
    return told


def _as_one(frame: pd.DataFrame, column: str, is_crowded: pd.Series) -> pd.DataFrame:
    """The frame with one name for those that are too many, rows that are then alike added up."""
    if not is_crowded.any():
        return frame
    renamed = frame.assign(**{column: frame[column].where(~is_crowded, TOO_MANY)})
    sums = [name for name in ("n", "of", "n_lines", "n_member_months") if name in frame]
    keys = [name for name in frame.columns if name not in sums]
    return renamed.groupby(keys, sort=False, dropna=False)[sums].sum().reset_index()
