"""How soon services start after referral, as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.report.access_counts import StageCounts, ending_label
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    percent,
)
from calaim_eval.report.referral_counts import (
    REFERRAL_TIMES,
    Grouping,
    horizon_days,
    referral_counts,
    referral_group_label,
)
from calaim_eval.report.release_items import Absent
from calaim_eval.report.tables.cells import cumulative_cells, known_count_cell
from calaim_eval.report.tables.layout import DisplayTable, lay_out
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_HEADINGS: dict[Grouping, str] = {
    "race_ethnicity": "Race and ethnicity of the member",
    "organization_type": "Type of organization referred to",
}
_NO_USABLE_DAY = (
    "No usable day: ended or began on a day that was not recorded, or before the referral."
)


def referral_times_table(released: Released) -> DisplayTable | Absent:
    """Referrals whose service started by so many days, and what became of the others.

    Parameters
    ----------
    released : Released
        Uses `referral_times`; adds `referral_times_by_organization_type` where released.

    Returns
    -------
    DisplayTable | Absent
        One row a group, all referrals first. Absent also where every row is withheld.
    """
    rows: list[dict[str, str]] = []
    n_suppressed, days = 0, 0
    absent: list[Absent] = []
    for by, item in REFERRAL_TIMES.items():
        found = referral_counts(released, by=by)
        if isinstance(found, Absent):
            absent.append(found)
            continue
        days = horizon_days(found)
        n_suppressed += int(released.tables[item].frame["is_suppressed"].sum())
        for group in [ALL, *(g for g in found if g != ALL)]:
            if group != ALL or not rows:
                rows.append(_row(found[group], _HEADINGS[by], referral_group_label(group, by)))
    if len(absent) == len(REFERRAL_TIMES):
        return absent[0]
    if all(row["Referrals"] == SUPPRESSED_MARK for row in rows):
        return Absent("referral_times", "every number of it could give away a small one")
    frame = pd.DataFrame(rows).fillna(UNDEFINED_MARK)
    started = [c for c in frame if str(c).startswith("By day")]
    ended = [c for c in frame if c not in (*started, "Group", "By", "Referrals")]
    return lay_out(
        frame,
        caption=(
            "How soon services start: matured referrals, the share whose service had started (95% "
            f"interval at day {days}), and what had become of the others by day {days}."
        ),
        row_name="Group",
        row_group="By",
        spanners={"Service started": started, "Not started": ended},
        notes=(
            "Root referrals are counted; a member may have several. Referrals younger than "
            f"{days} days are left out, so that all are followed equally long.",
            *((_NO_USABLE_DAY,) if "No usable day" in frame else ()),
        ),
        n_suppressed=n_suppressed,
    )


def _row(each: StageCounts, heading: str, label: str) -> dict[str, str]:
    """One group as text."""
    row = {"By": heading, "Group": label, "Referrals": known_count_cell(each.followed)}
    row |= cumulative_cells(each, unit="day")
    for state, n in each.ended.items():
        share = n / each.followed
        row[ending_label(state)] = SUPPRESSED_MARK if np.isnan(share) else percent(share)
    return row
