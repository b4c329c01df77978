"""Where referrals stop: the share of all referrals that got to each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.theme import (
    EXPOSED,
    INK,
    WIDTH,
    Figure,
    percent_ticks,
    report_theme,
)
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.labels import REFERRAL_STEPS, ordered
from calaim_eval.report.numbers import number, percent
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.disclosure import Released


def referral_funnel(released: Released) -> Figure | Absent:
    """Share and number of all referrals that got to each step.

    Parameters
    ----------
    released : Released
        Uses the ``"all"`` rows of `referral_funnel` (keys `race_ethnicity`, `step`).

    Returns
    -------
    Figure | Absent
        One bar a step; a withheld step has no bar.
    """
    found = find_item(released, "referral_funnel")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity", "step"))
    frame = found.frame
    frame = frame[frame["race_ethnicity"] == ALL]
    if frame.empty:
        return Absent("referral_funnel")
    steps = ordered(frame["step"], order=tuple(REFERRAL_STEPS))
    names = [REFERRAL_STEPS.get(step, step) for step in steps]
    share = frame["numerator"] / frame["denominator"].where(frame["denominator"] > 0)
    frame = frame.assign(
        name=pd.Categorical(
            frame["step"].map(dict(zip(steps, names, strict=True))),
            categories=list(reversed(names)),
            ordered=True,
        ),
        share=share.where(~frame["is_suppressed"]),
    ).sort_values("name", ascending=False)
    return Figure(
        plot=_draw(frame),
        caption=(
            "Referrals that got to each step, as a share of all referrals made. A referral is not "
            "a person: one member may have several."
            + withheld_words(int(frame["is_suppressed"].sum()), "step")
        ),
        alt_text="Referrals by step reached: "
        + "; ".join(f"{row['name']} {_bar_words(row)}" for _, row in frame.iterrows())
        + ".",
        width=WIDTH,
        height=0.6 + 0.42 * len(names),
    )


def _bar_words(row: pd.Series) -> str:
    if row["is_suppressed"]:
        return "not shown"
    return f"{percent(row['share'])} ({number(row['numerator'])})"


def _draw(frame: pd.DataFrame) -> ggplot:
    import plotnine as p9

    bars = frame.assign(height=frame["share"].fillna(0.0), words=frame.apply(_bar_words, axis=1))
    return (
        p9.ggplot(bars, p9.aes("name", "height"))
        + p9.geom_col(fill=EXPOSED, width=0.62)
        + p9.geom_text(p9.aes(label="words"), ha="left", nudge_y=0.01, size=10, colour=INK)
        + p9.scale_y_continuous(
            limits=(0, 1.22),
            breaks=[0, 0.25, 0.5, 0.75, 1],
            labels=percent_ticks,
        )
        + p9.coord_flip()
        + p9.labs(x="", y="Share of all referrals")
        + report_theme()
        + p9.theme(panel_grid_major_y=p9.element_blank(), axis_text_y=p9.element_text(size=10.5))
    )
