"""Effects month by month around the first exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.panels import choose_outcomes, outcome_panels, unit_words
from calaim_eval.report.figures.theme import EXPOSED, QUIET, WIDTH, Figure, report_theme
from calaim_eval.report.figures.words import NOT_CAUSAL_WORDS, range_words, withheld_words
from calaim_eval.report.labels import outcome_label
from calaim_eval.report.release_items import Absent, find_item, need_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plotnine import ggplot

    from calaim_eval.disclosure import Released


_SINCE = {
    "effect_event_study": "the first service",
    "matched_event_study": "the first service",
    "county_phase": "the program started in the county",
}
_AGAINST = {"matched_event_study": ", compared with members alike before,"}


def event_study(
    released: Released,
    *,
    outcomes: Sequence[str] | None = None,
    item: str = "effect_event_study",
) -> Figure | Absent:
    """Effect in each month from the first exposure, one panel an outcome.

    Parameters
    ----------
    released : Released
    outcomes : sequence of str, optional
        Outcomes to draw. Default: the headline outcomes the release holds.
    item : {"effect_event_study", "matched_event_study", "county_phase"}
        Released table with keys `outcome`, `unit`, `event_time`. Rows whose `event_time` is not
        a number (an overall row) are left to the tables.

    Returns
    -------
    Figure | Absent
        Points with 95% intervals; left of the dashed line is before exposure, where an effect
        of zero supports the comparison. Withheld points are absent and counted in the caption.
    """
    found = find_item(released, item)
    if isinstance(found, Absent):
        return found
    need_columns(found, ("event_time",))
    frame = outcome_panels(found)
    frame["event_time"] = pd.to_numeric(frame["event_time"], errors="coerce")
    frame = frame[frame["event_time"].notna()]
    frame = choose_outcomes(frame, outcomes)
    if frame.empty:
        return Absent(item)
    n_panels = frame["panel"].nunique()
    since = _SINCE.get(item, "first exposure")
    caption = (
        f"Effect in each month since {since}{_AGAINST.get(item, '')} (0 = that month) with 95% "
        "intervals. Left of the "
        "dashed line is before it: values near zero there support the comparison."
    )
    if not found.meta.get("is_causal", True):
        caption = f"{NOT_CAUSAL_WORDS} {caption}"
    return Figure(
        plot=_draw(frame, since=since),
        caption=caption + withheld_words(int(frame["is_suppressed"].sum()), "month-point"),
        alt_text=_alt_text(frame, since=since),
        width=WIDTH,
        height=0.7 + 1.75 * ((n_panels + 1) // 2),
    )


def _draw(frame: pd.DataFrame, *, since: str) -> ggplot:
    import plotnine as p9

    shown = frame[~frame["is_suppressed"]]
    return (
        p9.ggplot(shown, p9.aes("event_time", "estimate", ymin="conf_low", ymax="conf_high"))
        + p9.geom_blank(data=frame.assign(estimate=0.0, conf_low=0.0, conf_high=0.0))
        + p9.geom_hline(yintercept=0, colour=QUIET, size=0.6)
        + p9.geom_vline(xintercept=-0.5, linetype="dashed", colour=QUIET, size=0.6)
        + p9.geom_linerange(colour=EXPOSED, size=0.8)
        + p9.geom_point(colour=EXPOSED, size=1.8)
        + p9.facet_wrap("panel", ncol=2, scales="free_y")
        + p9.labs(x=f"Months since {since}", y="Effect (difference)")
        + report_theme()
    )


def _alt_text(frame: pd.DataFrame, *, since: str) -> str:
    parts = []
    for outcome, rows in frame.groupby("outcome", sort=False, observed=True):
        before = range_words(rows.loc[rows["event_time"] < 0, "estimate"], is_signed=True)
        after = range_words(rows.loc[rows["event_time"] >= 0, "estimate"], is_signed=True)
        unit = unit_words(str(rows["unit"].iloc[0]))
        parts.append(f"{outcome_label(str(outcome))}, {unit}: before {before}, after {after}.")
    return f"Effects by month since {since}. " + " ".join(parts)
