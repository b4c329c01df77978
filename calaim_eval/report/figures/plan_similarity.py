"""How alike each plan's requirements are to those of the others."""

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
from calaim_eval.report.numbers import percent, plural
from calaim_eval.report.release_items import Absent, find_item, need_columns

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.disclosure import Released
ENDS = 12
"""Plans at either end that a figure of many plans shows."""


def plan_similarity(released: Released) -> Figure | Absent:
    """Each plan's similarity to the plan most unlike it, to all on average, and to the most alike.

    Parameters
    ----------
    released : Released
        Uses `plan_similarity` (keys `plan`, `other_plan`).

    Returns
    -------
    Figure | Absent
        Absent too where fewer than three plans are compared: a dumbbell of one pair says nothing
        that the figure by requirement does not.
    """
    found = find_item(released, "plan_similarity")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("plan", "other_plan"))
    frame = found.frame[found.frame["denominator"] > 0]
    pairs = pd.concat(
        [frame, frame.rename(columns={"plan": "other_plan", "other_plan": "plan"})],
        ignore_index=True,
    )
    if pairs["plan"].nunique() < 3:
        return Absent("plan_similarity", "fewer than three plans' requirements are recorded")
    each = pairs.assign(similarity=pairs["numerator"] / pairs["denominator"])
    wide = each.groupby("plan")["similarity"].agg(["min", "mean", "max"]).reset_index()
    wide = wide.rename(columns={"min": "least", "max": "most"})
    wide = wide.sort_values("mean", kind="stable", ignore_index=True)
    n_plans = len(wide)
    if n_plans > 2 * ENDS:
        wide = pd.concat([wide.head(ENDS), wide.tail(ENDS)], ignore_index=True)
    labels = [str(plan) for plan in wide["plan"]]
    wide["label"] = pd.Categorical(labels, categories=labels, ordered=True)
    day = found.meta.get("options", {}).get("as_of", "")
    return Figure(
        plot=_draw(wide),
        caption=(
            "How alike each plan's requirements are to those of the other plans"
            + (f" on {day}" if day else "")
            + ": the plan most unlike it (open), all others on average (filled), the plan most "
            "like it (open). 100%: an organization could work for both in one way."
            + (
                f" Of {n_plans} plans, the {ENDS} most like the others and the {ENDS} least."
                if n_plans > 2 * ENDS
                else ""
            )
        ),
        alt_text=_alt_text(wide, n_plans=n_plans),
        width=WIDTH,
        height=0.9 + 0.24 * len(wide),
    )


def _draw(frame: pd.DataFrame) -> ggplot:
    import plotnine as p9

    open_point = {"shape": "o", "fill": "white", "colour": INK, "size": 2.6, "stroke": 0.8}
    frame = frame.assign(words=[percent(v) for v in frame["mean"]])
    return (
        p9.ggplot(frame, p9.aes(y="label", yend="label"))
        + p9.geom_segment(p9.aes(x="least", xend="most"), colour=QUIET, size=0.9)
        + p9.geom_point(p9.aes(x="least"), **open_point)
        + p9.geom_point(p9.aes(x="most"), **open_point)
        + p9.geom_point(p9.aes(x="mean"), colour=EXPOSED, size=3)
        + p9.geom_text(
            p9.aes(x="most", label="words"), ha="left", nudge_x=0.025, size=8.5, colour=INK
        )
        + p9.scale_x_continuous(
            limits=(0, 1.1), breaks=[0, 0.25, 0.5, 0.75, 1], labels=percent_ticks
        )
        + p9.labs(x="Similarity of requirements", y="")
        + report_theme()
        + p9.theme(
            panel_grid_major_y=p9.element_blank(), axis_text_y=p9.element_text(size=8.5, colour=INK)
        )
    )


def _alt_text(frame: pd.DataFrame, *, n_plans: int) -> str:
    top, bottom = frame.iloc[-1], frame.iloc[0]
    return (
        f"Similarity of the requirements of {plural(n_plans, 'plan')} to the others': "
        f"highest {top['plan']} {percent(top['mean'])} "
        f"({percent(top['least'])} to {percent(top['most'])}), lowest {bottom['plan']} "
        f"{percent(bottom['mean'])} ({percent(bottom['least'])} to {percent(bottom['most'])})."
    )
