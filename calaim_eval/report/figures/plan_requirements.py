"""How alike plans' requirements are, element by element: a year before and now."""

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
from calaim_eval.report.labels import readable
from calaim_eval.report.numbers import percent
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.disclosure import Released


def requirement_similarity(released: Released) -> Figure | Absent:
    """Dumbbell of the similarity of two plans in each requirement, the least alike first.

    Parameters
    ----------
    released : Released
        Uses `requirement_standardization` (keys `requirement`, `as_of`).

    Returns
    -------
    Figure | Absent
        An open point is the earlier date, a filled one the later; 100 %: every plan asks the
        same.
    """
    found = find_item(released, "requirement_standardization")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("requirement", "as_of"))
    frame = found.frame[found.frame["denominator"] > 0]
    frame = frame.assign(similarity=frame["numerator"] / frame["denominator"])
    days = sorted(frame["as_of"].unique())
    frame = _arranged(frame, last=days[-1])
    return Figure(
        plot=_draw(frame, days),
        caption=(
            "How alike two plans are in what they require of organizations, from 0% (nothing in "
            "common) to 100% (the same), averaged over all pairs of plans: "
            + (f"open points {days[0]}, filled points {days[-1]}." if len(days) > 1 else days[-1])
        ),
        alt_text=_alt_text(frame, days),
        width=WIDTH,
        height=0.9 + 0.28 * frame["element"].nunique(),
    )


def _arranged(frame: pd.DataFrame, *, last: str) -> pd.DataFrame:
    """Elements as an ordered factor, all elements together on top, then the least alike."""
    now = frame[frame["as_of"] == last].set_index("requirement")["similarity"]
    names = list(now.drop(ALL, errors="ignore").sort_values(kind="stable").index)
    order = [*([ALL] if ALL in now.index else []), *names]
    labels = {r: "All requirements" if r == ALL else readable(r) for r in order}
    kept = frame[frame["requirement"].isin(order)]
    return kept.assign(
        element=pd.Categorical(
            kept["requirement"].map(labels),
            categories=[labels[r] for r in reversed(order)],
            ordered=True,
        )
    )


def _draw(frame: pd.DataFrame, days: list[str]) -> ggplot:
    import plotnine as p9

    wide = frame.pivot_table(
        index="element", columns="as_of", values="similarity", observed=True
    ).reset_index()
    wide = wide.assign(first=wide[days[0]], last=wide[days[-1]])
    wide["words"] = [percent(v) for v in wide["last"]]
    wide["edge"] = wide[["first", "last"]].max(axis=1)
    plot = p9.ggplot(wide, p9.aes(y="element"))
    if len(days) > 1:
        plot += p9.geom_segment(
            p9.aes(x="first", xend="last", yend="element"), colour=QUIET, size=1
        )
        plot += p9.geom_point(
            p9.aes(x="first"), shape="o", fill="white", colour=INK, size=3, stroke=0.8
        )
    return (
        plot
        + p9.geom_point(p9.aes(x="last"), colour=EXPOSED, size=3)
        + p9.geom_text(
            p9.aes(x="edge", label="words"), ha="left", nudge_x=0.02, size=8.5, colour=INK
        )
        + p9.scale_x_continuous(
            limits=(0, 1.08), breaks=[0, 0.25, 0.5, 0.75, 1], labels=percent_ticks
        )
        + p9.labs(x="Similarity of two plans", y="")
        + report_theme()
        + p9.theme(panel_grid_major_y=p9.element_blank())
    )


def _alt_text(frame: pd.DataFrame, days: list[str]) -> str:
    parts = []
    for element, rows in frame.groupby("element", observed=True, sort=True):
        by_day = rows.set_index("as_of")["similarity"]
        words = " to ".join(percent(by_day[day]) for day in days if day in by_day)
        parts.append(f"{element} {words}")
    dates = f"from {days[0]} to {days[-1]}" if len(days) > 1 else f"on {days[-1]}"
    return f"Similarity of two plans' requirements {dates}: {'; '.join(reversed(parts))}."
