"""Who is in the panel, by group."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.design.checks import to_month
from calaim_eval.design.index_month import check_strata
from calaim_eval.design.member_month_parts import member_month_parts
from calaim_eval.equity.groups import as_groups, in_group_order, with_margins
from calaim_eval.panel import MemberMonths
from calaim_eval.results import ALL, Method, RateTable


def members_by_group(
    panel: MemberMonths, *, by: str = "race_ethnicity", month: str | None = None
) -> RateTable:
    """Members of the panel by group, as numbers and as shares of all members.

    Parameters
    ----------
    panel : MemberMonths
    by : str
        Grouping column of the panel, as recorded in each member's last covered month.
    month : str, optional
        Members covered in this month, such as ``"2024-12"``; default covered in any month.

    Returns
    -------
    RateTable
        Keys `by`, with an "all" row; numerator members of the group, denominator all members.
        No interval: everybody is counted.

    Raises
    ------
    DesignError
        `by` is not a grouping column of the panel.
    """
    check_strata((by,))
    groups = last_groups(panel, by=by, month=month)
    counts = pd.concat(
        [part.groupby(by).size() for part in with_margins(groups, (by,))]
    ).reset_index(name="n")
    counts = in_group_order(counts, [by])
    n = counts["n"].to_numpy(dtype=float)
    when = "" if month is None else f"_{month}"
    return RateTable(
        measure="Members in the panel",
        keys=counts[[by]],
        numerator=n,
        denominator=np.full(len(n), float(counts.loc[counts[by] == ALL, "n"].iloc[0])),
        conf_low=np.full(len(n), np.nan),
        conf_high=np.full(len(n), np.nan),
        n_members=n,
        numerator_name=f"members_in_panel{when}",
        denominator_name=f"all_members_in_panel{when}",
        unit="share of members",
        kind="proportion",
        method=Method("Count of members", {"month": month}),
        margins=(by,),
        denominator_keys=(),
    )


def last_groups(panel: MemberMonths, *, by: str, month: str | None = None) -> pd.DataFrame:
    """`member_id` and group of every member, as recorded in the last covered month."""
    only = None if month is None else to_month(month, name="month")
    parts = member_month_parts(panel, [by], first=only, last=only)
    rows = [
        part.sort_values("month_number", kind="stable").drop_duplicates("member_id", keep="last")
        for part in parts
    ]
    return as_groups(pd.concat(rows, ignore_index=True)[["member_id", by]], [by])
