"""Members and their access by every category of race and ethnicity they name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.labels import ACCESS_STAGES, ordered, race_label, race_order
from calaim_eval.report.numbers import SUPPRESSED_MARK, UNDEFINED_MARK, number, percent, unbroken
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.layout import DisplayTable, lay_out
from calaim_eval.schema.overlapping import IN_COMBINATION

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_GROUP = "Race and ethnicity, alone or in combination"
_STAGES = ("identified", "served")


def in_combination_table(released: Released) -> DisplayTable | Absent:
    """Members, those identified and those served, each member in every category named.

    Parameters
    ----------
    released : Released
        Uses `members_in_combination` and, where it is there, `access_in_combination`.

    Returns
    -------
    DisplayTable | Absent
    """
    found = find_item(released, "members_in_combination")
    if isinstance(found, Absent):
        return found
    need_columns(found, (IN_COMBINATION,))
    members = found.frame.set_index(IN_COMBINATION)
    hidden = int(members["is_suppressed"].sum())
    columns = {"Members": members}
    access = find_item(released, "access_in_combination")
    if not isinstance(access, Absent):
        need_columns(access, (IN_COMBINATION, "stage"))
        for stage in _STAGES:
            rows = access.frame[access.frame["stage"] == stage]
            columns[ACCESS_STAGES[stage]] = rows.set_index(IN_COMBINATION)
            hidden += int(rows["is_suppressed"].sum())
    rows = [
        {_GROUP: race_label(group)}
        | {name: _cell(frame, group, name) for name, frame in columns.items()}
        for group in ordered(members.index, order=race_order())
    ]
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Members by every category they name. A member may be in several rows: rows are not "
            "to be added up. Served: share of those identified."
        ),
        row_name=_GROUP,
        n_suppressed=hidden,
    )


def _cell(frame: pd.DataFrame, group: str, name: str) -> str:
    """A count, with its share where the column is one of a part."""
    if group not in frame.index:
        return UNDEFINED_MARK
    row = frame.loc[group]
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    if name == ACCESS_STAGES["identified"] or not row["denominator"] > 0:
        return number(row["numerator"])
    share = percent(row["numerator"] / row["denominator"], decimals=1)
    return unbroken(f"{number(row['numerator'])} ({share})")
