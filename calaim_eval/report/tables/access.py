"""How long access takes by group, and what of its gaps goes with age and sex."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.report.access_counts import (
    STAGE_HEADINGS,
    StageCounts,
    ending_label,
    last_month,
    stage_counts,
)
from calaim_eval.report.labels import ACCESS_STAGES, ordered, race_label, race_order
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    interval,
    percent,
    unbroken,
)
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.cells import cumulative_cells, effect_cell, known_count_cell
from calaim_eval.report.tables.layout import DisplayTable, lay_out
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released
    from calaim_eval.disclosure.released import ReleasedTable

_GROUP = "Race and ethnicity"
_MEAN = (
    "Mean months waiting: of the months followed, those before anything ended the wait (95% "
    "interval). It is shown where no single month has a small number of members."
)
_SHARES = {"outreached": "Reached by outreach", "served": "Served"}


def access_times_table(released: Released) -> DisplayTable | Absent:
    """How many get from each stage of access to the next, how soon, and what else ended it.

    Parameters
    ----------
    released : Released
        Uses `access_times`; adds the mean of `access_waiting` where released.

    Returns
    -------
    DisplayTable | Absent
        A stage a block, a group a row. Absent also where every row is withheld.
    """
    found = stage_counts(released)
    if isinstance(found, Absent):
        return found
    if not any(np.isfinite(e.followed) for groups in found.values() for e in groups.values()):
        return Absent("access_times", "every number of it could give away a small one")
    waiting = _mean_waiting(released)
    rows = []
    for stage, groups in found.items():
        for group in [ALL, *(g for g in groups if g != ALL)]:
            if group in groups:
                mean = None if waiting is None else waiting.get((stage, group), "")
                rows.append(_row(stage, group, groups[group], mean=mean))
    frame = pd.DataFrame(rows)
    horizon = max(
        last_month(when)
        for groups in found.values()
        for each in groups.values()
        for when in each.within
    )
    soon = [c for c in frame if str(c).startswith("By month")]
    ended = [ending_label(s) for s in next(iter(next(iter(found.values())).values())).ended]
    return lay_out(
        frame,
        caption=(
            f"How long access takes: members followed for {horizon} months from the beginning of "
            "each stage, the share who got to the next one (95% interval at the last month), and "
            "what became of the others, as shares of the members followed."
        ),
        row_name=_GROUP,
        row_group="Stage",
        spanners={"Got to the next stage": soon, "Did not": ended},
        notes=(
            "The month the stage began is month 0. Members who lose coverage can no longer get to "
            "the next stage: they compete, and are not taken for people who might still get there.",
            "Members whose stage began before the data, or too late to be followed, are left out.",
            *(() if waiting is None else (_MEAN,)),
        ),
        n_suppressed=int(released.tables["access_times"].frame["is_suppressed"].sum()),
    )


def _mean_waiting(released: Released) -> dict[tuple[str, str], str] | None:
    """Mean months waiting by stage and group, ready written; None where none is shown."""
    found = find_item(released, "access_waiting")
    if isinstance(found, Absent):
        return None
    need_columns(found, ("race_ethnicity", "stage", "component"))
    frame = found.frame[found.frame["component"] == "waiting"]
    if frame["is_suppressed"].all():
        return None
    return {
        (str(row["stage"]), str(row["race_ethnicity"])): effect_cell(
            row, decimals=1, is_signed=False
        )
        for _, row in frame.iterrows()
    }


def _row(stage: str, group: str, each: StageCounts, *, mean: str | None) -> dict[str, str]:
    """One group of one stage as text."""
    row = {
        "Stage": STAGE_HEADINGS.get(stage, stage),
        _GROUP: race_label(group),
        "Members": known_count_cell(each.followed),
    }
    row |= cumulative_cells(each, unit="month")
    for state, n in each.ended.items():
        row[ending_label(state)] = (
            SUPPRESSED_MARK
            if np.isnan(n) or np.isnan(each.followed)
            else percent(n / each.followed)
        )
    if mean is not None:
        row["Mean months waiting"] = mean or UNDEFINED_MARK
    return row


def access_standardized_table(released: Released) -> DisplayTable | Absent:
    """Shares reached and served as they are, and had every group the ages and sexes of all.

    Parameters
    ----------
    released : Released
        Uses `access_standardized` and, for the shares as they are, `access_funnel`.

    Returns
    -------
    DisplayTable | Absent
        A group a row. Absent also where every standardized share is withheld.
    """
    found = find_item(released, "access_standardized")
    crude = find_item(released, "access_funnel")
    if isinstance(found, Absent):
        return found
    if isinstance(crude, Absent):
        return crude
    need_columns(found, ("race_ethnicity", "component", "share_of"))
    frame = found.frame[found.frame["share_of"] == "identified"]
    if frame["is_suppressed"].all():
        return Absent(
            "access_standardized",
            "in every group a band of age and sex has a small number of members",
        )
    stages = ordered(frame["component"], order=tuple(ACCESS_STAGES))
    cells = frame.set_index(["race_ethnicity", "component"])
    shares = _crude_shares(crude)
    rows = []
    for group in ordered(frame["race_ethnicity"], order=race_order()):
        row = {_GROUP: race_label(group)}
        for stage in stages:
            row[f"{stage} crude"] = shares.get((group, stage), UNDEFINED_MARK)
            row[f"{stage} standardized"] = _share_cell(cells.loc[(group, stage)])
        rows.append(row)
    labels = {"crude": "As it is", "standardized": "Standardized (95% interval)"}
    return lay_out(
        pd.DataFrame(rows),
        caption=(
            "Share of members identified as eligible who were reached and served: as it is, and "
            "had each group the ages and sexes of all members identified."
        ),
        row_name=_GROUP,
        spanners={
            _SHARES.get(stage, stage): [f"{stage} {version}" for version in labels]
            for stage in stages
        },
        labels={f"{stage} {v}": words for stage in stages for v, words in labels.items()},
        notes=(
            "A gap that goes away when standardized is one of who is in the groups. That does not "
            "make it fair: a group may be younger because fewer of it live long.",
            "A standardized share is shown where no band of age and sex has a small number.",
        ),
        n_suppressed=int(frame["is_suppressed"].sum()),
    )


def _crude_shares(crude: ReleasedTable) -> dict[tuple[str, str], str]:
    """Shares of the funnel by group and stage, ready written."""
    found = {}
    for _, row in crude.frame.iterrows():
        hidden = bool(row["is_suppressed"])
        text = SUPPRESSED_MARK if hidden else percent(row["numerator"] / row["denominator"])
        found[str(row["race_ethnicity"]), str(row["stage"])] = text
    return found


def _share_cell(row: pd.Series) -> str:
    """``53% (48 to 58)``; a share does not reach below 0 or above 100%."""
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    text = percent(row["estimate"])
    low, high = np.clip([100 * row["conf_low"], 100 * row["conf_high"]], 0, 100)
    bounds = interval(low, high, decimals=0, is_signed=False)
    return text if bounds == UNDEFINED_MARK else f"{text} ({unbroken(bounds)})"
