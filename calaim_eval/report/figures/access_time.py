"""How long access takes: what became of members of each group by the horizon, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.access_counts import (
    STAGE_HEADINGS,
    StageCounts,
    last_month,
    stage_counts,
)
from calaim_eval.report.figures.ending_bars import (
    LEGEND_ROW,
    bar_segments,
    ending_bars,
    legend_rows,
    part_names,
    parts_words,
)
from calaim_eval.report.figures.panels import group_rows, rows_height
from calaim_eval.report.figures.theme import WIDTH, Figure
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.labels import wrap
from calaim_eval.report.release_items import Absent
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from calaim_eval.disclosure import Released


STAGES = ("identified", "outreached")


def access_times(released: Released, *, stages: tuple[str, ...] = STAGES) -> Figure | Absent:
    """Members of each stage of access by whether, and how soon, they got to the next one.

    Parameters
    ----------
    released : Released
        Uses `access_times` (keys `race_ethnicity`, `stage`, `state`, `months`).
    stages : tuple of str
        Stages to draw, a panel each; the table has all.

    Returns
    -------
    Figure | Absent
        A withheld part is left empty. A group whose number of members is withheld has no bar.
    """
    found = stage_counts(released)
    if isinstance(found, Absent):
        return found
    chosen = {stage: found[stage] for stage in stages if stage in found}
    rows = _segments(chosen)
    if (rows["high"] - rows["low"]).isna().all():
        return Absent("access_times", "every number of it could give away a small one")
    names = part_names(_first(chosen))
    width = (rows["high"] - rows["low"]).groupby([rows["stage"], rows["race_ethnicity"]])
    n_absent = int((~(width.max() > 0)).sum())
    n_parts = sum(each.withheld > 1e-9 for mine in chosen.values() for each in mine.values())
    frame = group_rows(rows, width=30)
    horizon = max(last_month(when) for when in _first(chosen).within)
    return Figure(
        plot=ending_bars(frame, names, x_title="Share of members followed"),
        caption=(
            f"What became of members within {horizon} months of the beginning of each stage, as a "
            "share of the members followed. Loss of coverage competes with going on: who lost it "
            "could no longer be reached."
            + (" Empty parts of a bar are not shown (small numbers)." if n_parts else "")
            + withheld_words(n_absent, "bar")
        ),
        alt_text=_alt_text(chosen),
        width=WIDTH,
        height=1.3
        + LEGEND_ROW * (legend_rows(names) - 2)
        + len(chosen) * 0.35
        + rows_height(frame) * 1.1,
    )


def _first(found: dict[str, dict[str, StageCounts]]) -> StageCounts:
    """Any group of any stage: all have the same stretches of months."""
    return next(iter(next(iter(found.values())).values()))


def _segments(found: dict[str, dict[str, StageCounts]]) -> pd.DataFrame:
    """Parts of all bars, a panel a stage."""
    headings = {stage: wrap(STAGE_HEADINGS.get(stage, stage), width=26) for stage in found}
    rows = [bar_segments(groups).assign(stage=stage) for stage, groups in found.items()]
    frame = pd.concat(rows, ignore_index=True).rename(columns={"bar": "race_ethnicity"})
    panel = pd.Categorical(
        frame["stage"].map(headings), categories=list(headings.values()), ordered=True
    )
    return frame.assign(panel=panel)


def _alt_text(found: dict[str, dict[str, StageCounts]]) -> str:
    """Each stage for all members; the table beside the figure has every group."""
    texts = [
        f"{STAGE_HEADINGS.get(stage, stage)}, {parts_words(groups, ALL, unit='month')}"
        for stage, groups in found.items()
    ]
    n_groups = len({g for mine in found.values() for g in mine if g != ALL})
    return f"Bars of {n_groups} groups of race and ethnicity. " + " ".join(texts)
