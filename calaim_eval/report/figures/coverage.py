"""Where services can be had: active organizations by county and service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.theme import INK, RULE, SHADES, WIDTH, Figure, report_theme
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.labels import ordered, service_label, service_order
from calaim_eval.report.numbers import plural
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.disclosure import Released

COUNTIES_A_PAGE = 30
STATES = (
    "No organization contracted",
    "Contracted, none active",
    "1 active",
    "2 or more active",
)


def coverage_maps(released: Released) -> tuple[Figure | Absent, ...]:
    """Heat map of counties by services, in figures of about 30 counties each.

    Parameters
    ----------
    released : Released
        Uses `coverage` (keys `county`, `service`; numerator: active organizations, denominator:
        contracted organizations).

    Returns
    -------
    tuple of Figure, or one Absent
        Counties in alphabetical order. The number in a cell is the number of active
        organizations, those with at least one member served in the quarter.
    """
    found = find_item(released, "coverage")
    if isinstance(found, Absent):
        return (found,)
    need_columns(found, ("county", "service"))
    frame = found.frame
    frame = frame[(frame["county"] != ALL) & (frame["service"] != ALL)]
    frame = frame.assign(state=_states(frame))
    counties = sorted(frame["county"].unique())
    n_parts = max(1, -(-len(counties) // COUNTIES_A_PAGE))
    size = -(-len(counties) // n_parts)
    parts = [counties[i : i + size] for i in range(0, len(counties), size)]
    return tuple(_part(frame[frame["county"].isin(part)]) for part in parts)


def _states(frame: pd.DataFrame) -> pd.Categorical:
    """What can be said of each cell, from nothing to two or more active organizations."""
    active, contracted = frame["numerator"].fillna(0), frame["denominator"].fillna(0)
    code = (contracted > 0).astype(int) + (active >= 1).astype(int) + (active >= 2).astype(int)
    names = pd.Series([STATES[c] for c in code], index=frame.index)
    names[frame["is_suppressed"]] = None
    return pd.Categorical(names, categories=list(STATES), ordered=True)


def _part(frame: pd.DataFrame) -> Figure:
    counties = sorted(frame["county"].unique())
    services = ordered(frame["service"], order=service_order())
    frame = frame.assign(
        county=pd.Categorical(frame["county"], categories=list(reversed(counties)), ordered=True),
        service_name=pd.Categorical(
            frame["service"].map(service_label),
            categories=[service_label(s) for s in services],
            ordered=True,
        ),
    )
    return Figure(
        plot=_draw(frame),
        caption=(
            f"Active organizations by county and service, {counties[0]} to {counties[-1]}. The "
            "number is how many organizations served at least one member in the quarter; 0: "
            "organizations are contracted but none was active; blank: none is contracted."
            + withheld_words(int(frame["is_suppressed"].sum()), "cell")
        ),
        alt_text=_alt_text(frame, counties=counties),
        width=WIDTH,
        height=2.0 + 0.215 * len(counties),
    )


def _draw(frame: pd.DataFrame) -> ggplot:
    import plotnine as p9

    shown = frame[frame["state"].notna()]
    counts = shown[shown["denominator"] >= 1].assign(
        n=lambda f: f["numerator"].astype(int).astype(str),
        is_dark=lambda f: f["state"].eq(STATES[3]),
    )
    return (
        p9.ggplot(shown, p9.aes("service_name", "county"))
        + p9.geom_tile(p9.aes(fill="state"), colour=RULE, size=0.4)
        + p9.geom_text(p9.aes(label="n", colour="is_dark"), data=counts, size=8)
        + p9.scale_fill_manual(values=dict(zip(STATES, SHADES, strict=True)), drop=False)
        + p9.scale_colour_manual(values={True: "white", False: INK}, guide=None)
        + p9.guides(fill=p9.guide_legend(nrow=2))
        + p9.labs(x="", y="", fill="")
        + report_theme()
        + p9.theme(
            panel_grid_major=p9.element_blank(),
            axis_text_x=p9.element_text(rotation=45, ha="right", size=8.5),
            axis_text_y=p9.element_text(size=8.5),
            legend_position="top",
            legend_text=p9.element_text(size=9),
            legend_key=p9.element_rect(colour=RULE),
        )
    )


def _alt_text(frame: pd.DataFrame, *, counties: list[str]) -> str:
    counts = frame["state"].value_counts()
    without = frame[frame["state"].isin(STATES[:2])].groupby("service", observed=True).size()
    words = "; ".join(f"{name.lower()} in {plural(int(counts[name]), 'cell')}" for name in STATES)
    text = (
        f"Heat map of {plural(len(counties), 'county', 'counties')}, {counties[0]} to "
        f"{counties[-1]}, by service: {words}."
    )
    if len(without):
        worst = str(without.idxmax())
        text += (
            f" The service missing in most counties is {service_label(worst)}, without an active "
            f"organization in {int(without.max())}."
        )
    return text
