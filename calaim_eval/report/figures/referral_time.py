"""How soon services start after referral, by race and ethnicity or by type of organization."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.report.figures.ending_bars import (
    LEGEND_ROW,
    bar_segments,
    ending_bars,
    legend_rows,
    part_names,
    parts_words,
)
from calaim_eval.report.figures.panels import rows_height
from calaim_eval.report.figures.theme import WIDTH, Figure
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.labels import wrap
from calaim_eval.report.referral_counts import (
    REFERRAL_TIMES,
    Grouping,
    horizon_days,
    referral_counts,
    referral_group_label,
)
from calaim_eval.report.release_items import Absent
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released

_GROUPS: dict[Grouping, str] = {
    "race_ethnicity": "groups of race and ethnicity",
    "organization_type": "types of organization",
}


def referral_times(released: Released, *, by: Grouping = "race_ethnicity") -> Figure | Absent:
    """Matured referrals by whether, and how soon, their service started.

    Parameters
    ----------
    released : Released
        Uses `referral_times` or `referral_times_by_organization_type` (keys `by`, `state`,
        `days`).
    by : {"race_ethnicity", "organization_type"}

    Returns
    -------
    Figure | Absent
        The left parts of a bar are the cumulative incidence of starting, other endings competing.
        A withheld part is left empty; a group whose number of referrals is withheld has no bar.
    """
    found = referral_counts(released, by=by)
    if isinstance(found, Absent):
        return found
    rows = bar_segments(found, unit="day")
    width = (rows["high"] - rows["low"]).groupby(rows["bar"]).max()
    if not (width > 0).any():
        return Absent(REFERRAL_TIMES[by], "every number of it could give away a small one")
    first = next(iter(found.values()))
    names = part_names(first, unit="day")
    frame = _labelled(rows, by).assign(panel=pd.Categorical([" "] * len(rows)))
    n_parts = sum(each.withheld > 1e-9 for each in found.values() if np.isfinite(each.followed))
    return Figure(
        plot=ending_bars(frame, names, x_title="Share of matured root referrals"),
        caption=(
            f"What became of referrals within {horizon_days(found)} days, as a share of those at "
            "least so old. Endings compete: a referral that was declined can no longer start."
            + (" Empty parts of a bar are not shown (small numbers)." if n_parts else "")
            + withheld_words(int((~(width > 0)).sum()), "bar")
        ),
        alt_text=f"Bars of {len(found) - 1} {_GROUPS[by]}. Of "
        + parts_words(found, ALL, unit="day", of="all referrals"),
        width=WIDTH,
        height=1.5 + LEGEND_ROW * (legend_rows(names) - 2) + rows_height(frame) * 1.25,
    )


def _labelled(rows: pd.DataFrame, by: Grouping) -> pd.DataFrame:
    """Adds `group`, ordered so that all referrals come on top."""
    codes = [ALL, *(g for g in dict.fromkeys(rows["bar"]) if g != ALL)]
    labels = {code: wrap(referral_group_label(code, by), width=34) for code in codes}
    group = pd.Categorical(
        rows["bar"].map(labels), categories=list(reversed(labels.values())), ordered=True
    )
    return rows.assign(group=group)
