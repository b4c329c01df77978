"""Where a gap in access arises: from nothing to the whole gap, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.report.figures.theme import (
    COMPARISON,
    EXPOSED,
    INK,
    QUIET,
    WIDTH,
    Figure,
    report_theme,
)
from calaim_eval.report.labels import ACCESS_STAGES, ordered, race_label, race_order, wrap
from calaim_eval.report.numbers import signed
from calaim_eval.report.release_items import Absent, find_item, need_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plotnine import ggplot

    from calaim_eval.disclosure import Released

GAP = "Gap in the share served"
_SERVED = "Served, once reached"
_COLOURS = (EXPOSED, COMPARISON, "#7fb3d8", "#f2c48d")


def access_waterfall(released: Released) -> Figure | Absent:
    """Each group's gap in the share served as a sum of the parts of the stages.

    Parameters
    ----------
    released : Released
        Uses `access_gap` (keys `race_ethnicity`, `reference`, `component`).

    Returns
    -------
    Figure | Absent
        A panel a group. A group of which a part is withheld or not defined has no panel, and is
        named.
    """
    found = find_item(released, "access_gap")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity", "reference", "component"))
    frame = found.frame
    stages = [c for c in ordered(frame["component"], order=tuple(ACCESS_STAGES)) if c != "gap"]
    groups = ordered(frame["race_ethnicity"], order=race_order())
    bars, absent = [], []
    for group in groups:
        mine = frame[frame["race_ethnicity"] == group].set_index("component")["estimate"]
        if mine.reindex(["gap", *stages]).isna().any():
            absent.append(race_label(group))
            continue
        bars.append(_bars(mine * 100, stages).assign(race_ethnicity=group))
    if not bars:
        return Absent("access_gap", "every number of it rests on, or could give away, a small one")
    rows = pd.concat(bars, ignore_index=True)
    reference = race_label(str(frame["reference"].iloc[0]))
    n_panels = rows["race_ethnicity"].nunique()
    columns = min(3, n_panels)
    return Figure(
        plot=_draw(rows, stages, columns=columns),
        caption=(
            f"Gap in the share served among members identified as eligible, each group minus "
            f"{reference}, in percentage points, and the stages it arises at. Each bar begins "
            "where the one above it ends; the last is the whole gap (up to rounding). Left of "
            "zero: fewer are served. Intervals are in the table." + _absent_words(absent)
        ),
        alt_text=_alt_text(rows, stages, reference) + _absent_words(absent),
        width=WIDTH,
        height=0.7 + -(-n_panels // columns) * (0.6 + 0.28 * (len(stages) + 1)),
    )


def stage_label(stage: str) -> str:
    """The part of a stage as it is called where parts add up."""
    return _SERVED if stage == "served" else ACCESS_STAGES.get(stage, stage)


def _absent_words(groups: list[str]) -> str:
    """Who has no panel."""
    if not groups:
        return ""
    return f" Not shown (small numbers, or nobody in a stage): {', '.join(groups)}."


def _bars(parts: pd.Series, stages: list[str]) -> pd.DataFrame:
    """A bar a stage, each from where the last ended, then the gap from zero."""
    ends = parts[stages].cumsum()
    rows = pd.DataFrame(
        {
            "component": [*stages, "gap"],
            "start": [0.0, *ends.to_list()[:-1], 0.0],
            "value": [*parts[stages], parts["gap"]],
        }
    )
    # The gap as released, not as the rounded parts add up to.
    return rows.assign(end=rows["start"] + rows["value"])


def _draw(rows: pd.DataFrame, stages: list[str], *, columns: int) -> ggplot:
    import plotnine as p9

    names = [*(wrap(stage_label(s), width=18) for s in stages), wrap(GAP, width=18)]
    place = {c: len(stages) + 1 - i for i, c in enumerate([*stages, "gap"])}
    colours = dict(zip([*stages, "gap"], (*_COLOURS[: len(stages)], "white"), strict=True))
    panels = {g: wrap(race_label(g), width=20) for g in dict.fromkeys(rows["race_ethnicity"])}
    reach = max(rows[["start", "end"]].abs().max().max(), 1.0)
    low, high = min(0.0, rows[["start", "end"]].min().min()), rows[["start", "end"]].max().max()
    room = 0.5 * reach
    rows = rows.assign(
        y=rows["component"].map(place),
        left=rows[["start", "end"]].min(axis=1),
        right=rows[["start", "end"]].max(axis=1),
        words=[signed(v, decimals=1) for v in rows["value"]],
        side=np.where(rows["value"] < 0, "right", "left"),
        label_at=np.where(
            rows["value"] < 0,
            rows[["start", "end"]].min(axis=1) - 0.04 * reach,
            rows[["start", "end"]].max(axis=1) + 0.04 * reach,
        ),
        panel=pd.Categorical(
            rows["race_ethnicity"].map(panels), categories=list(panels.values()), ordered=True
        ),
    )
    joints = rows[rows["component"] != "gap"]
    # A number beside a bar that ends near zero stands on the other side of it.
    is_left = rows["value"] < 0
    has_left = low < 0 or (rows["label_at"][is_left] < room).any()
    has_right = high > 0 or (rows["label_at"][~is_left] > -room).any()
    return (
        p9.ggplot(rows)
        + p9.geom_vline(xintercept=0, colour=QUIET, size=0.5)
        + p9.geom_rect(
            p9.aes(xmin="left", xmax="right", ymin="y - 0.3", ymax="y + 0.3", fill="component"),
            colour=INK,
            size=0.4,
        )
        + p9.geom_segment(
            p9.aes(x="end", xend="end", y="y - 0.3", yend="y - 0.7"),
            data=joints,
            colour=QUIET,
            size=0.4,
            linetype="dotted",
        )
        + p9.geom_text(p9.aes(x="label_at", y="y", label="words", ha="side"), size=8.5, colour=INK)
        + p9.scale_fill_manual(values=colours)
        + p9.scale_x_continuous(
            limits=(low - room * has_left, max(high, 0.0) + room * has_right), labels=_ticks
        )
        + p9.scale_y_continuous(
            breaks=list(place.values()), labels=names, limits=(0.2, len(names) + 0.5)
        )
        + p9.facet_wrap("panel", ncol=columns)
        + p9.labs(x="Percentage points", y="")
        + report_theme()
        + p9.theme(
            panel_grid_major_y=p9.element_blank(), axis_text_y=p9.element_text(size=8.5, colour=INK)
        )
    )


def _ticks(values: Sequence[float] | Sequence[str]) -> list[str]:
    """Numbers with a true minus sign, and the decimals that all of them need."""
    places = [float(v) for v in values]
    known = [v for v in places if np.isfinite(v)]
    decimals = next((d for d in (0, 1) if np.allclose(known, np.round(known, d))), 2)
    return [signed(v, decimals=decimals) for v in places]


def _alt_text(rows: pd.DataFrame, stages: list[str], reference: str) -> str:
    """Every bar in words."""
    texts = []
    for group, mine in rows.groupby("race_ethnicity", sort=False):
        value = mine.set_index("component")["value"]
        parts = ", ".join(
            f"{stage_label(s).lower()} {signed(value[s], decimals=1)}" for s in stages
        )
        texts.append(f"{race_label(str(group))}: {signed(value['gap'], decimals=1)} ({parts}).")
    return (
        f"Gaps in the share served against {reference}, in percentage points, with their parts by "
        f"stage. {' '.join(texts)}"
    )
