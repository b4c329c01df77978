"""Utilization over time: members served and comparison members, with the program's dates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.panels import choose_outcomes, outcome_panels
from calaim_eval.report.figures.theme import (
    COMPARISON,
    EXPOSED,
    QUIET,
    WIDTH,
    Figure,
    report_theme,
)
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.labels import SIDES, outcome_label, quarter_label
from calaim_eval.report.numbers import decimals_for, number
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.schema.codes import load_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plotnine import ggplot

    from calaim_eval.disclosure import Released


_COLOURS = {"exposed": EXPOSED, "comparison": COMPARISON, "all_members": EXPOSED}
_LINES = {"exposed": "solid", "comparison": "dashed", "all_members": "solid"}


def utilization_trend(
    released: Released, *, outcomes: Sequence[str] | None = None
) -> Figure | Absent:
    """Rate by calendar quarter for the two sides, with the dates the program started.

    Parameters
    ----------
    released : Released
        Uses `utilization_trend` (keys `outcome`, `side`, `quarter`).
    outcomes : sequence of str, optional
        Default: the headline outcomes the release holds.

    Returns
    -------
    Figure | Absent
        A line breaks where a quarter is withheld. The two sides differ in level and change over
        time together with everything else: the figure describes, it does not show an effect.
    """
    found = find_item(released, "utilization_trend")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("side", "quarter"))
    frame = choose_outcomes(outcome_panels(found), outcomes)
    quarters = sorted(frame["quarter"].unique())
    frame = frame.assign(
        position=frame["quarter"].map({q: i for i, q in enumerate(quarters)}),
        rate=frame["rate"].where(~frame["is_suppressed"]),
    ).sort_values(["panel", "side", "position"], kind="stable")
    n_rows = (frame["panel"].nunique() + 1) // 2
    starts = program_starts()
    dates = "; ".join(f"{label} in {quarter_label(quarter)}" for quarter, label in starts.items())
    return Figure(
        plot=_draw(frame, quarters=quarters, starts=starts),
        caption=(
            f"Rate by calendar quarter{_sides_words(frame)}. Vertical lines: Enhanced Care "
            f"Management ({dates}). A description, not an effect."
            + withheld_words(int(frame["is_suppressed"].sum()), "quarter")
        ),
        alt_text=_alt_text(frame),
        width=WIDTH,
        height=0.7 + 1.75 * n_rows,
    )


def _sides_words(frame: pd.DataFrame) -> str:
    """Which line is which, where there are two."""
    if set(frame["side"]) != {"exposed", "comparison"}:
        return ""
    return ". Solid line: members served at any time in the window; dashed line: comparison members"


def program_starts() -> dict[str, str]:
    """Calendar quarter in which Enhanced Care Management started, and in how many counties."""
    counties = load_codes("county")
    months = pd.to_datetime(counties["ecm_go_live"])
    quarters = months.dt.to_period("Q").astype(str)
    return {str(q): f"{n} counties start" for q, n in quarters.value_counts().sort_index().items()}


def _draw(frame: pd.DataFrame, *, quarters: list[str], starts: dict[str, str]) -> ggplot:
    import plotnine as p9

    marks = pd.DataFrame(
        {
            "position": [quarters.index(q) for q in starts if q in quarters],
            "label": [label for q, label in starts.items() if q in quarters],
        }
    )
    every = max(1, len(quarters) // 4)
    ticks = list(range(0, len(quarters), every))
    plot = (
        p9.ggplot(frame, p9.aes("position", "rate"))
        + p9.geom_vline(
            p9.aes(xintercept="position"), data=marks, colour=QUIET, linetype="dotted", size=0.6
        )
        + p9.geom_line(p9.aes(colour="side", linetype="side"), size=1.0, na_rm=True)
        + p9.geom_point(p9.aes(colour="side"), size=1.2, na_rm=True)
        + p9.geom_text(
            p9.aes(label="name", colour="side", va="va"),
            data=_line_labels(frame),
            ha="right",
            size=9,
            fontweight="bold",
        )
        + p9.geom_blank(data=frame.assign(rate=0.0))
        + p9.geom_blank(data=_tops(frame))
        + p9.scale_colour_manual(values=_COLOURS)
        + p9.scale_linetype_manual(values=_LINES)
        + p9.scale_x_continuous(
            breaks=ticks,
            labels=[quarter_label(quarters[i]) for i in ticks],
            expand=(0.07, 0),
        )
        + p9.scale_y_continuous(expand=(0.04, 0, 0.16, 0))
        + p9.facet_wrap("panel", ncol=2, scales="free_y")
        + p9.labs(x="Calendar quarter", y="Rate")
        + report_theme()
    )
    if len(marks):
        plot += p9.geom_text(
            p9.aes("position", "height", label="label"),
            data=_date_labels(frame, marks),
            ha="left",
            va="bottom",
            size=8,
            colour=QUIET,
        )
    return plot


def _tops(frame: pd.DataFrame) -> pd.DataFrame:
    """Invisible points that give a panel without any event an axis from zero to one."""
    highest = frame.groupby("panel", observed=True)["rate"].transform("max")
    return frame.assign(rate=highest.fillna(0.0).where(highest > 0, 1.0))


def _date_labels(frame: pd.DataFrame, marks: pd.DataFrame) -> pd.DataFrame:
    """Words right of each date in the first panel, the earlier date's one line higher."""
    panels = frame["panel"].cat.categories
    line = 0.11 * (float(frame.loc[frame["panel"] == panels[0], "rate"].max()) or 1.0)
    return marks.assign(
        panel=pd.Categorical([panels[0]] * len(marks), categories=panels, ordered=True),
        position=marks["position"] + 0.2,
        height=[line * step for step in reversed(range(len(marks)))],
    )


def _line_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """Names of the lines at their right end: one above both lines, one below both."""
    shown = frame[frame["rate"].notna()]
    late = shown[shown["position"] >= shown["position"].max() - 7]
    lines = late.groupby(["panel", "side"], observed=True, as_index=False).agg(
        position=("position", "max"), mean=("rate", "mean")
    )
    by_panel = late.groupby("panel", observed=True)["rate"]
    highest, lowest = lines["panel"].map(by_panel.max()), lines["panel"].map(by_panel.min())
    highest, lowest = highest.astype(float), lowest.astype(float)
    is_top = lines["mean"].eq(lines.groupby("panel", observed=True)["mean"].transform("max"))
    return lines.assign(
        position=frame["position"].max(),
        name=lines["side"].map(SIDES).fillna(lines["side"]),
        va=["bottom" if top else "top" for top in is_top],
        rate=(1.05 * highest).where(is_top, lowest - 0.05 * highest),
    )


def _alt_text(frame: pd.DataFrame) -> str:
    parts = []
    for outcome, rows in frame.groupby("outcome", sort=False, observed=True):
        sides = []
        for side, line in rows[rows["rate"].notna()].groupby("side"):
            d = decimals_for(line["rate"])
            start, end = line.iloc[0], line.iloc[-1]
            name = SIDES.get(str(side), str(side)).lower()
            ends = [
                f"{number(end['rate'], decimals=d)} in {quarter_label(end['quarter'])}"
                for end in (start, end)
            ]
            sides.append(f"{name} from {' to '.join(ends)}")
        words = "; ".join(sides) if sides else "no quarter is shown"
        parts.append(f"{outcome_label(str(outcome))}, {rows['unit'].iloc[0]}: {words}.")
    return "Rates by calendar quarter. " + " ".join(parts)
