"""What was known of the members of a design before their index month, one row per member."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.design import Design
from calaim_eval.design.design_months import design_month_parts
from calaim_eval.design.member_month_parts import month_numbers
from calaim_eval.errors import DesignError
from calaim_eval.panel.measures import MEASURES

AGE = "age_years"


def covariate_frame(
    design: Design,
    *,
    outcomes: Sequence[str] = ("ed_visits", "inpatient_stays"),
    groups: Sequence[str] = ("race_ethnicity",),
) -> pd.DataFrame:
    """Use before the index month, age and groups of each member of a design.

    Use with `entropy_balance` and `propensity_weights`.

    Parameters
    ----------
    design : Design
        From `design_exposure` (index month: eligibility) or `design_matched` (index month of the
        set).
    outcomes : sequence of str
        Measures of the panel, as the mean per known month of the look-back (less anticipation
        months in a matched design).
    groups : sequence of str
        Columns of ``design.members``.

    Returns
    -------
    pd.DataFrame
        Index `member_id` of ``design.members``; `is_exposed`, the outcomes, `age_years` where the
        design has it, and the groups as text. Not for release.

    Raises
    ------
    DesignError
        The county roll-out has no index month of a member's own, or a column is unknown.

    Examples
    --------
    Sides for `entropy_balance`, without `is_exposed` itself::

        sides = covariate_frame(design).groupby("is_exposed")
        entropy_balance(sides.get_group(True), sides.get_group(False))
    """
    check_columns(design, outcomes, groups, where="covariate_frame")
    members = design.members.reset_index(drop=True)
    frame = lookback_means(design, members, outcomes)
    if AGE in members.columns:
        frame[AGE] = members[AGE].to_numpy(dtype=float, na_value=np.nan)
    for name in groups:
        frame[name] = members[name].astype(str)
    frame.insert(0, "is_exposed", members["cohort"].notna())
    return frame.set_index(pd.Index(members["member_id"], name="member_id"))


def check_columns(
    design: Design, outcomes: Sequence[str], groups: Sequence[str], *, where: str
) -> None:
    """Raise DesignError where there is no index month, or a column is unknown."""
    if design.kind == "county_phase":
        raise DesignError(
            f"{where}: in the county roll-out members have no month of eligibility of their own.\n"
            "  Look at the event study's months before phase 1 instead."
        )
    unknown = [c for c in groups if c not in design.members.columns]
    unknown += [c for c in outcomes if c not in MEASURES]
    if unknown:
        raise DesignError(
            f"{where}: {', '.join(f'`{c}`' for c in unknown)} not found. Groups: columns of the "
            f"design's members; outcomes: {', '.join(f'`{c}`' for c in MEASURES)}."
        )


def lookback_means(design: Design, members: pd.DataFrame, outcomes: Sequence[str]) -> pd.DataFrame:
    """Mean of each outcome over the look-back of each member, in the order of `members`."""
    ids = pd.Index(members["member_id"].astype("str"))
    is_matched = design.kind == "matched"
    index = month_numbers(members["index_month" if is_matched else "eligibility_month"])
    gap = design.anticipation_months if is_matched else 0
    total = np.zeros((len(ids), len(outcomes)))
    known = np.zeros((len(ids), len(outcomes)))
    for part in design_month_parts(design, outcomes):
        row = ids.get_indexer(part["member_id"])
        since = part["month_number"].to_numpy() - index[row]
        inside = (since >= -design.lookback_months) & (since < -gap)
        for column, outcome in enumerate(outcomes):
            value = part[outcome].to_numpy(dtype=float, na_value=np.nan)[inside]
            is_known = ~np.isnan(value)
            at = row[inside][is_known]
            total[:, column] += np.bincount(at, weights=value[is_known], minlength=len(ids))
            known[:, column] += np.bincount(at, minlength=len(ids))
    means = np.divide(total, known, out=np.full_like(total, np.nan), where=known > 0)
    return pd.DataFrame(means, columns=list(outcomes))
