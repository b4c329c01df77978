"""How many members are behind the totals of a panel."""

from __future__ import annotations

import pandas as pd

from calaim_eval.engine import engine_failures, open_engine
from calaim_eval.engine.paths import exactly
from calaim_eval.panel.member_months import MemberMonths
from calaim_eval.panel.summary import MEMBER_MONTHS


def members_behind(panel: MemberMonths) -> pd.DataFrame:
    """Members with an event, by measure and month: whether a total speaks of enough people.

    Parameters
    ----------
    panel : MemberMonths

    Returns
    -------
    pd.DataFrame
        One row per month and measure: `month` (first day), `measure`, `n_members`. For
        ``"member_months"`` the members covered in the month; for a measure those whose value is
        neither 0 nor missing. Holds counts of any size: keep it restricted.

    Examples
    --------
    >>> months = pd.DataFrame({"member_id": ["a", "b"], "month": "2024-01-01",
    ...                        "covered_days": 31, "ed_visits": [2, 0]})
    >>> behind = members_behind(MemberMonths.from_frames(months)).set_index("measure")
    >>> behind.loc[["member_months", "ed_visits"], "n_members"].tolist()
    [2, 1]
    """
    backend = open_engine()
    try:
        with engine_failures(doing="counting the members behind the panel's totals"):
            rows = backend.read_parquet(f"{exactly(panel.folder)}/member_month/part-*.parquet")
            measures = [measure for measure in panel.measures if measure in rows.columns]
            counts = {
                measure: (rows[measure] != 0).fill_null(False).cast("int64").sum()
                for measure in measures
            }
            wide = backend.execute(
                rows.group_by("month").agg(**{MEMBER_MONTHS: rows.count()}, **counts)
            )
    finally:
        backend.disconnect()
    wide["month"] = pd.to_datetime(wide["month"]).astype("datetime64[s]")
    long = wide.melt(id_vars="month", var_name="measure", value_name="n_members")
    return long.astype({"measure": "str", "n_members": "int64"})
