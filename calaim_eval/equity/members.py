"""Who is in the panel, by group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.checks import to_month
from calaim_eval.design.index_month import check_strata
from calaim_eval.design.member_month_parts import member_month_parts
from calaim_eval.equity.groups import as_groups, in_group_order, key_list, with_margins
from calaim_eval.equity.overlapping_groups import one_row_a_group, overlap_notes
from calaim_eval.errors import EstimationError
from calaim_eval.panel import MemberMonths
from calaim_eval.panel.grouped import group_notes
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.schema.overlapping import overlapping_columns


def members_by_group(
    panel: MemberMonths,
    *,
    by: str | Sequence[str] = "race_ethnicity",
    month: str | None = None,
) -> RateTable:
    """Members of the panel by group, as numbers and as shares of all members.

    Parameters
    ----------
    panel : MemberMonths
    by : str or sequence of str
        Grouping columns of the panel, as recorded in each member's last covered month; several
        are crossed. `age_band`, `race_ethnicity_in_combination` and `population_of_focus` too,
        where the panel has them; the last two make rows that overlap.
    month : str, optional
        Members covered in this month, such as ``"2024-12"``; default covered in any month.

    Returns
    -------
    RateTable
        Keys `by`, each with an "all" row of everybody, once; numerator members of the group,
        denominator all members. No interval: everybody is counted.

    Raises
    ------
    DesignError
        `by` holds no grouping column of the panel.
    EstimationError
        No member is covered in the month.
    """
    columns = key_list(by)
    check_strata(columns)
    groups = last_groups(panel, by=columns, month=month)
    if groups.empty:
        raise EstimationError(
            f"no member is covered in {month or 'any month'}; the panel holds {panel.first_month} "
            f"to {panel.last_month}."
        )
    counts = pd.concat(
        [part.groupby(columns).size() for part in with_margins(groups, columns)]
    ).reset_index(name="n")
    counts = in_group_order(one_row_a_group(counts, columns), columns)
    n = counts["n"].to_numpy(dtype=float)
    when = "" if month is None else f"_{month}"
    return RateTable(
        measure="Members in the panel",
        keys=counts[columns],
        numerator=n,
        denominator=np.full(
            len(n), float(counts.loc[counts[columns].eq(ALL).all(axis=1), "n"].iloc[0])
        ),
        conf_low=np.full(len(n), np.nan),
        conf_high=np.full(len(n), np.nan),
        n_members=n,
        numerator_name=f"members_in_panel{when}",
        denominator_name=f"all_members_in_panel{when}",
        unit="share of members",
        kind="proportion",
        method=Method("Count of members", {"month": month}),
        margins=tuple(c for c in columns if c not in overlapping_columns(columns)),
        denominator_keys=(),
        notes=(*group_notes(panel, columns), *overlap_notes(columns)),
        overlaps=overlapping_columns(columns),
    )


def last_groups(
    panel: MemberMonths, *, by: str | Sequence[str], month: str | None = None
) -> pd.DataFrame:
    """`member_id` and groups of every member, as recorded in the last covered month."""
    only = None if month is None else to_month(month, name="month")
    columns = key_list(by)
    parts = member_month_parts(panel, columns, first=only, last=only)
    rows = [
        part.sort_values("month_number", kind="stable").drop_duplicates("member_id", keep="last")
        for part in parts
    ]
    return as_groups(pd.concat(rows, ignore_index=True)[["member_id", *columns]], columns)
