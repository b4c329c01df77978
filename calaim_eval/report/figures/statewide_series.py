"""Use of care of all members by month, and where the line before a declared month leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.panels import choose_outcomes, outcome_panels
from calaim_eval.report.figures.theme import EXPOSED, INK, QUIET, WIDTH, Figure, report_theme
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.labels import outcome_label
from calaim_eval.report.numbers import decimals_for, number
from calaim_eval.report.release_items import Absent, find_item, need_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plotnine import ggplot

    from calaim_eval.disclosure import Released
    from calaim_eval.disclosure.released import ReleasedTable

_DRAWN = ("fitted", "earlier_line")
_LINES = {"fitted": "solid", "earlier_line": "dashed"}


def statewide_series(
    released: Released, *, outcomes: Sequence[str] | None = None
) -> Figure | Absent:
    """Monthly rates with the lines before and after the break; describes, no effect.

    Parameters
    ----------
    released : Released
        Uses `statewide_series_lines` (keys `outcome`, `month`, `line`).
    outcomes : sequence of str, optional
        Default: the headline outcomes the release holds.

    Returns
    -------
    Figure | Absent
        Points: observed. Solid: fitted, in two pieces. Dashed: the line before the break carried
        on. An outcome with a month too small to be shown is not in it.
    """
    found = find_item(released, "statewide_series_lines")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("month", "line"))
    frame = choose_outcomes(outcome_panels(found), outcomes)
    frame = frame.assign(
        date=pd.PeriodIndex(frame["month"], freq="M").to_timestamp(),
        rate=frame["estimate"].where(~frame["is_suppressed"]),
    )
    n_hidden = int(frame.groupby("outcome", observed=True)["is_suppressed"].all().sum())
    frame = frame[~frame["is_suppressed"]]
    if frame.empty:
        return Absent("statewide_series_lines", "small numbers")
    frame = frame.assign(panel=frame["panel"].cat.remove_unused_categories())
    begins = _break(found)
    points = frame[frame["line"] == "observed"]
    return Figure(
        plot=_draw(frame, begins),
        caption=(
            "Rate of all members by month. Solid: fitted before and after the dotted line "
            f"({begins:%B %Y}); dashed: the line of the {_months_before(points, begins)} months "
            "before it carried on, the farther the less sure. A description of everything that "
            "changed, for members served or not: not an effect."
            + withheld_words(n_hidden, "outcome")
        ),
        alt_text=_alt_text(frame),
        width=WIDTH,
        height=0.7 + 1.75 * ((frame["panel"].nunique() + 1) // 2),
    )


def _break(found: ReleasedTable) -> pd.Timestamp:
    """First month under the new regime."""
    return pd.Period(str(found.meta["options"]["break_month"]), freq="M").to_timestamp()


def _months_before(points: pd.DataFrame, begins: pd.Timestamp) -> int:
    """Months that the earlier line rests on."""
    return int(points.loc[points["date"] < begins, "date"].nunique())


def _draw(frame: pd.DataFrame, begins: pd.Timestamp) -> ggplot:
    import plotnine as p9

    lines = frame[frame["line"].isin(_DRAWN)]
    lines = lines.assign(piece=lines["line"] + (lines["date"] >= begins).astype(str))
    return (
        p9.ggplot(frame, p9.aes("date", "rate"))
        + p9.geom_vline(xintercept=begins, colour=QUIET, linetype="dotted", size=0.6)
        + p9.geom_point(data=frame[frame["line"] == "observed"], colour=INK, size=0.9, na_rm=True)
        + p9.geom_line(
            p9.aes(group="piece", linetype="line"),
            data=lines,
            colour=EXPOSED,
            size=0.9,
            na_rm=True,
        )
        + p9.geom_blank(data=frame.assign(rate=0.0))
        + p9.scale_linetype_manual(values=_LINES)
        + p9.scale_x_datetime(date_breaks="1 year", date_labels="%Y")
        + p9.scale_y_continuous(expand=(0.04, 0, 0.1, 0))
        + p9.facet_wrap("panel", ncol=2, scales="free_y")
        + p9.labs(x="Month", y="Rate")
        + report_theme()
        + p9.theme(legend_position="none")
    )


def _alt_text(frame: pd.DataFrame) -> str:
    parts = []
    for outcome, rows in frame.groupby("outcome", sort=False, observed=True):
        last = rows[rows["rate"].notna()].sort_values("date").groupby("line").last()
        if not {"fitted", "earlier_line"} <= set(last.index):
            parts.append(f"{outcome_label(str(outcome))}: not shown.")
            continue
        fitted, earlier = last.loc["fitted", "rate"], last.loc["earlier_line", "rate"]
        d = decimals_for(pd.Series([fitted, earlier]))
        parts.append(
            f"{outcome_label(str(outcome))}, {rows['unit'].iloc[0]}: in the last month the fitted "
            f"line is at {number(fitted, decimals=d)}, the earlier line at "
            f"{number(earlier, decimals=d)}."
        )
    return "Rate of all members by month, with lines before and after a month. " + " ".join(parts)
