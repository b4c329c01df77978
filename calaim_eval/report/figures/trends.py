"""Effects if trends differ: intervals that widen with the bound, and where the sign is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.report.figures.panels import choose_outcomes, outcome_panels, unit_words
from calaim_eval.report.figures.theme import EXPOSED, INK, QUIET, WIDTH, Figure, report_theme
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.labels import outcome_label
from calaim_eval.report.numbers import decimals_for, interval
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.trend_words import first_months_words, step_words, times_words
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plotnine import ggplot

    from calaim_eval.disclosure import Released


def trend_bounds(released: Released, *, outcomes: Sequence[str] | None = None) -> Figure | Absent:
    """Effect of all members by how far trends may differ, one panel an outcome.

    Parameters
    ----------
    released : Released
        Uses the rows of all members in `effect_bounds`.
    outcomes : sequence of str, optional
        Default: the headline outcomes the release holds.

    Returns
    -------
    Figure | Absent
        Thick: what fits the estimates taken as exact (a point where trends are parallel); thin:
        95% intervals. The dashed line is the bound from which on the interval includes zero.
    """
    found = find_item(released, "effect_bounds")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity", "bound", "breakdown"))
    frame = outcome_panels(found)
    frame = frame[frame["race_ethnicity"] == ALL]
    frame = choose_outcomes(frame.assign(bound=frame["bound"].astype(float)), outcomes)
    shown = frame[
        ~frame["is_suppressed"] & np.isfinite(frame[["conf_low", "conf_high"]]).all(axis=1)
    ]
    if shown.empty:
        return Absent("effect_bounds", "small numbers")
    n_bounds = shown["bound"].nunique()
    shown = shown[shown["bound"] <= _last_bound(shown)]
    n_withheld = int(frame.groupby("outcome", observed=True)["is_suppressed"].any().sum())
    caption = (
        f"Effect over {first_months_words(found.meta)} if trends differ. Thin: 95% intervals; "
        "thick: values that fit if the estimates had no error; the point is the estimate if trends "
        "are parallel. Dashed: up to here the sign holds, from here on the interval includes zero; "
        "without it, it does so from the start, or nowhere in the figure."
    )
    if shown["bound"].nunique() < n_bounds:
        caption += " The table has larger bounds too."
    return Figure(
        plot=_draw(shown),
        caption=caption + withheld_words(n_withheld, "outcome"),
        alt_text=_alt_text(frame, step=step_words(found.meta)),
        width=WIDTH,
        height=0.7 + 1.9 * ((shown["panel"].nunique() + 1) // 2),
    )


def _draw(shown: pd.DataFrame) -> ggplot:
    import plotnine as p9

    shown = shown.assign(panel=shown["panel"].cat.remove_unused_categories())
    points = shown[shown["set_low"] == shown["set_high"]]
    lost = _lost(shown)
    bounds = sorted(set(shown["bound"]))
    plot = (
        p9.ggplot(shown, p9.aes("bound", ymin="conf_low", ymax="conf_high"))
        + p9.geom_hline(yintercept=0, colour=QUIET, size=0.6)
        + p9.geom_linerange(p9.aes(ymin="set_low", ymax="set_high"), colour=EXPOSED, size=3)
        + p9.geom_linerange(colour=INK, size=0.7)
        + p9.geom_point(p9.aes(y="set_low"), data=points, colour=EXPOSED, size=2)
    )
    if len(lost):
        plot += p9.geom_vline(
            p9.aes(xintercept="breakdown"), data=lost, linetype="dashed", colour=QUIET, size=0.6
        )
        for side, away in (("left", 1), ("right", -1)):
            plot += p9.geom_text(
                p9.aes("breakdown", "top", label="words"),
                data=lost[lost["side"] == side],
                inherit_aes=False,
                ha=side,
                va="top",
                nudge_x=away * 0.02 * max(bounds),
                size=8.5,
                colour=INK,
            )
    return (
        plot
        + p9.facet_wrap("panel", ncol=2, scales="free_y")
        + p9.scale_x_continuous(breaks=bounds, labels=[f"{b:g}" for b in bounds])
        + p9.labs(
            x="Trends differ up to … times their largest difference before (0: parallel)",
            y="Effect (difference)",
        )
        + report_theme()
    )


def _lost(shown: pd.DataFrame) -> pd.DataFrame:
    """Where the sign is lost inside the figure, its words and their side; one row an outcome."""
    tops = shown.groupby("outcome", observed=True)["conf_high"].max()
    lost = shown.drop_duplicates("outcome")
    lost = lost[lost["breakdown"] <= shown["bound"].max()]
    return lost.assign(
        top=lost["outcome"].map(tops).astype(float),
        words=[times_words(value) for value in lost["breakdown"]],
        side=np.where(lost["breakdown"] < shown["bound"].max() / 2, "left", "right"),
    )[["panel", "breakdown", "top", "words", "side"]]


def _last_bound(shown: pd.DataFrame) -> float:
    """The bound the figure ends at: 1, or the first by which the last sign is lost.

    Intervals of larger bounds would be so long that nothing could be seen of the others.
    """
    bounds = np.sort(shown["bound"].unique())
    values = shown["breakdown"].to_numpy()
    reach = max(1.0, float(values[np.isfinite(values)].max(initial=0.0)))
    beyond = bounds[bounds >= reach]
    return float(beyond[0] if len(beyond) else bounds[-1])


def _alt_text(frame: pd.DataFrame, *, step: str) -> str:
    """Intervals under each bound, and the bound that is survived."""
    parts = []
    for outcome, rows in frame.groupby("outcome", sort=False, observed=True):
        name = f"{outcome_label(str(outcome))}, {unit_words(str(rows['unit'].iloc[0]))}"
        if rows["is_suppressed"].all():
            parts.append(f"{name}: not shown.")
            continue
        decimals = decimals_for(rows.loc[rows["bound"] == rows["bound"].min(), "conf_low"])
        words = [
            f"{row['bound']:g} times: "
            f"{interval(row['conf_low'], row['conf_high'], decimals=decimals, is_signed=True)}"
            for _, row in rows.sort_values("bound").iterrows()
        ]
        value = rows["breakdown"].iloc[0]
        if pd.isna(value):
            words.append("no clear effect even if trends are parallel")
        elif np.isinf(value):
            words.append("the sign is never lost")
        else:
            words.append(f"the sign holds up to {times_words(value)}")
        parts.append(f"{name}: {'; '.join(words)}.")
    return (
        f"95% intervals of effects by how far trends may differ {step}, in multiples of their "
        "largest such difference before. " + " ".join(parts)
    )
