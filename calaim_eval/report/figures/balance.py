"""How alike members served and their matches were, before and after matching."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.theme import (
    COMPARISON,
    EXPOSED,
    QUIET,
    WIDTH,
    Figure,
    report_theme,
)
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.matched_words import wide
from calaim_eval.report.numbers import signed
from calaim_eval.report.release_items import Absent, find_item, need_columns

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.disclosure import Released

BEFORE, AFTER = "before matching", "after matching"
_COLUMNS = {BEFORE: "difference_before", AFTER: "difference_after"}
_LIMIT = 0.1


def love_plot(released: Released) -> Figure | Absent:
    """Standardized difference of every measure and group, before and after matching.

    Parameters
    ----------
    released : Released
        Uses `matched_balance`.

    Returns
    -------
    Figure | Absent
        Hollow circles before, filled ones after. Groups of few members are absent and counted in
        the caption.
    """
    found = find_item(released, "matched_balance")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("variable", "level", "what"))
    rows = wide(found.frame)
    shown = rows[~rows["is_suppressed"]]
    if shown.empty:
        return Absent(found.name, "small numbers")
    return Figure(
        plot=_draw(_points(shown)),
        caption=(
            "Members served minus those they are compared with, before the first service, in "
            "standard deviations of members served. Dashed lines: 0.1, beyond which sides are "
            "usually called unlike."
        )
        + withheld_words(int(rows["is_suppressed"].sum()), "row"),
        alt_text=_alt_text(shown),
        width=WIDTH,
        height=1.1 + 0.27 * len(shown),
    )


def _points(shown: pd.DataFrame) -> pd.DataFrame:
    """One row a point, lines in the order of the table."""
    parts = [
        shown.assign(when=when, difference=shown[column])
        for when, column in _COLUMNS.items()
        if column in shown
    ]
    points = pd.concat(parts, ignore_index=True).dropna(subset="difference")
    order = list(dict.fromkeys(shown["label"]))[::-1]
    return points.assign(label=pd.Categorical(points["label"], categories=order, ordered=True))


def _draw(points: pd.DataFrame) -> ggplot:
    import plotnine as p9

    return (
        p9.ggplot(points, p9.aes("difference", "label"))
        + p9.geom_vline(xintercept=[-_LIMIT, _LIMIT], linetype="dashed", colour=QUIET, size=0.6)
        + p9.geom_vline(xintercept=0, colour=QUIET, size=0.6)
        + p9.geom_point(p9.aes(shape="when", colour="when"), size=2.6, stroke=0.8)
        + p9.scale_shape_manual(values={BEFORE: "$\u25cb$", AFTER: "o"})
        + p9.scale_colour_manual(values={BEFORE: COMPARISON, AFTER: EXPOSED})
        + p9.labs(x="Difference in standard deviations", y="", shape="", colour="")
        + report_theme()
        + p9.theme(legend_position="top")
    )


def _alt_text(shown: pd.DataFrame) -> str:
    """The farthest rows of each side in words."""
    parts = []
    for when, column in _COLUMNS.items():
        if column not in shown:
            continue
        values = shown.dropna(subset=column)
        if values.empty:
            continue
        order = values[column].abs().sort_values(ascending=False).index[:3]
        words = "; ".join(
            f"{values.loc[at, 'label']} {signed(values.loc[at, column], decimals=2)}"
            for at in order
        )
        n_far = int((values[column].abs() > _LIMIT).sum())
        parts.append(f"{when}: {n_far} of {len(values)} beyond 0.1, the farthest {words}.")
    return "Standardized differences before the first service. " + " ".join(
        part[0].upper() + part[1:] for part in parts
    )
