"""Who delivers: organizations, contracts and members served, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.theme import (
    EXPOSED,
    INK,
    QUIET,
    WIDTH,
    Figure,
    percent_ticks,
    report_theme,
)
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.labels import ORGANIZATION_TYPES, ordered, wrap
from calaim_eval.report.numbers import number, percent
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.disclosure import Released

PANELS = {
    "delivery_organizations": "Organizations",
    "delivery_contracts": "Contracts",
    "delivery_members": "Members served",
}


def delivery_shares(released: Released) -> Figure | Absent:
    """Share of organizations, of contracts and of members served, by type of organization.

    Parameters
    ----------
    released : Released
        Uses `delivery_organizations`, `delivery_contracts`, `delivery_members` (key
        `organization_type`); draws those the release holds.

    Returns
    -------
    Figure | Absent
        Members served by two types count in both, so their shares may add to more than 100%.
    """
    frames = []
    for name, panel in PANELS.items():
        found = find_item(released, name)
        if isinstance(found, Absent):
            continue
        need_columns(found, ("organization_type",))
        frames.append(found.frame.assign(panel=panel))
    if not frames:
        return Absent("delivery_organizations")
    frame = pd.concat(frames, ignore_index=True)
    frame = _arranged(frame[frame["organization_type"] != ALL])
    return Figure(
        plot=_draw(frame),
        caption=(
            "Share of contracted organizations, of contracts, and of members served, by type of "
            "organization, with the number behind each bar. A member served by two types counts "
            "in both." + withheld_words(int(frame["is_suppressed"].sum()), "share")
        ),
        alt_text=_alt_text(frame),
        width=WIDTH,
        height=0.9 + 0.46 * frame["type"].nunique(),
    )


def _arranged(frame: pd.DataFrame) -> pd.DataFrame:
    types = ordered(frame["organization_type"], order=tuple(ORGANIZATION_TYPES))
    names = {t: wrap(ORGANIZATION_TYPES.get(t, t), width=22) for t in types}
    share = frame["numerator"] / frame["denominator"].where(frame["denominator"] > 0)
    panels = [p for p in PANELS.values() if p in set(frame["panel"])]
    return frame.assign(
        type=pd.Categorical(
            frame["organization_type"].map(names),
            categories=list(reversed(names.values())),
            ordered=True,
        ),
        panel=pd.Categorical(frame["panel"], categories=panels, ordered=True),
        share=share.where(~frame["is_suppressed"]),
    )


def _bar_words(row: pd.Series) -> str:
    if row["is_suppressed"]:
        return "not shown"
    return f"{percent(row['share'])} ({number(row['numerator'])})"


def _draw(frame: pd.DataFrame) -> ggplot:
    import plotnine as p9

    bars = frame.assign(
        height=frame["share"].fillna(0.0),
        words=frame.apply(_bar_words, axis=1),
        is_cbo=frame["organization_type"].isin(["cbo"]),
    )
    top = max(0.1, float(bars["height"].max()))
    return (
        p9.ggplot(bars, p9.aes("type", "height"))
        + p9.geom_col(p9.aes(fill="is_cbo"), width=0.66)
        + p9.geom_text(p9.aes(label="words"), ha="left", nudge_y=0.02 * top, size=8.5, colour=INK)
        + p9.scale_fill_manual(values={True: EXPOSED, False: QUIET})
        + p9.scale_y_continuous(
            limits=(0, 1.75 * top),
            breaks=[0, 0.2, 0.4, 0.6, 0.8],
            labels=percent_ticks,
        )
        + p9.coord_flip()
        + p9.facet_wrap("panel", ncol=3)
        + p9.labs(x="", y="Share")
        + report_theme()
        + p9.theme(panel_grid_major_y=p9.element_blank())
    )


def _alt_text(frame: pd.DataFrame) -> str:
    parts = []
    for panel, rows in frame.groupby("panel", sort=False, observed=True):
        words = "; ".join(
            f"{' '.join(str(row['type']).split())} {_bar_words(row)}"
            for _, row in rows.sort_values("type", ascending=False).iterrows()
        )
        parts.append(f"{panel}: {words}.")
    return "Shares by type of organization. " + " ".join(parts)
