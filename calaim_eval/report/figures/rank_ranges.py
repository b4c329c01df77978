"""Ranges of ranks on the composite index: who is clearly ahead, and who cannot be told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.theme import EXPOSED, INK, QUIET, WIDTH, Figure, report_theme
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.numbers import number, plural
from calaim_eval.report.release_items import Absent, find_item, need_columns

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.disclosure import Released

_UNITS = ("county", "plan", "organization_id")


def rank_ranges(released: Released) -> Figure | Absent:
    """Range of ranks of each unit: thick under other weights, thin under chance as well.

    Parameters
    ----------
    released : Released
        Uses `integration_rank` (a unit, `restriction`, `bound`).

    Returns
    -------
    Figure | Absent
        Absent too where every range is withheld. 1 is best. There is no point: a rank alone would
        claim more than the data carry.
    """
    found = find_item(released, "integration_rank")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("set_low", "set_high", "conf_low", "conf_high"))
    unit = next((name for name in _UNITS if name in found.frame), found.frame.columns[0])
    n_withheld = int(found.frame["is_suppressed"].sum())
    if n_withheld == len(found.frame):
        return Absent("integration_rank", "every range rests on too few people to be shown")
    frame = _arranged(found.frame[~found.frame["is_suppressed"]], unit)
    weights = str(found.meta.get("options", {}).get("weights", ""))
    return Figure(
        plot=_draw(frame),
        caption=(
            "Range of ranks on the composite index, 1 is best: thick lines with other weights "
            "around the declared ones, thin lines with chance in the components as well (middle "
            f"95%). Units whose lines overlap cannot be told apart. Weights: {_words(weights)}."
            + withheld_words(n_withheld, "range")
        ),
        alt_text=_alt_text(frame),
        width=WIDTH,
        height=1.0 + 0.2 * len(frame),
    )


def _words(weights: str) -> str:
    return weights.replace("_", " ").replace(";", ",")


def _arranged(frame: pd.DataFrame, unit: str) -> pd.DataFrame:
    """Units by the middle of their range, best on top."""
    middle = (frame["set_low"] + frame["set_high"]) / 2
    order = frame.assign(middle=middle).sort_values(["middle", "conf_high", unit])[unit]
    return frame.assign(
        unit=pd.Categorical(frame[unit], categories=list(reversed(list(order))), ordered=True)
    )


def _draw(frame: pd.DataFrame) -> ggplot:
    import plotnine as p9

    ends = frame.assign(
        left=frame["set_low"] - 0.12, right=frame["set_high"] + 0.12
    )  # a range of one rank stays visible
    return (
        p9.ggplot(ends, p9.aes(y="unit", yend="unit"))
        + p9.geom_segment(p9.aes(x="conf_low", xend="conf_high"), colour=QUIET, size=0.8)
        + p9.geom_segment(p9.aes(x="left", xend="right"), colour=EXPOSED, size=2.6)
        + p9.scale_x_continuous(breaks=_breaks(int(frame["conf_high"].max())))
        + p9.labs(x="Rank (1 is best)", y="")
        + report_theme()
        + p9.theme(
            panel_grid_major_y=p9.element_blank(), axis_text_y=p9.element_text(size=8.5, colour=INK)
        )
    )


def _breaks(last: int) -> list[int]:
    step = 1 if last <= 12 else 5 if last <= 30 else 10
    return sorted({1, *range(step, last + 1, step)})


def _alt_text(frame: pd.DataFrame) -> str:
    rows = frame.sort_values("unit", ascending=False)
    words = "; ".join(
        f"{row['unit']} {number(row['conf_low'])} to {number(row['conf_high'])}"
        for _, row in rows.iterrows()
    )
    return f"Ranges of ranks of {plural(len(rows), 'unit')}, best first: {words}."
