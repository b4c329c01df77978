"""A place's published figures between the events of the policy calendar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.schema.codes import load_codes

if TYPE_CHECKING:
    from plotnine import ggplot

_WIDTH = 46


def timeline_plot(published: pd.DataFrame, *, first: str, last: str) -> tuple[ggplot, str]:
    """Events of the policy calendar and dated figures of a place, in order, with their words.

    Parameters
    ----------
    published : pd.DataFrame
        From `read_published`; figures without a date are left out.
    first, last : str
        Days (YYYY-MM-DD) between which events are shown.

    Returns
    -------
    tuple[ggplot, str]
        The picture and its alt text. Unconfirmed facts are marked so.

    Raises
    ------
    EstimationError
        Nothing lies between the two days.
    """
    import plotnine as p9

    start, end = pd.Timestamp(first), pd.Timestamp(last)
    rows = _events(published, start, end)
    if rows.empty:
        raise EstimationError(f"no event and no figure between {first} and {last}.")
    rows = rows.assign(place=range(len(rows), 0, -1))
    years = list(pd.date_range(start, end, freq="YS"))
    room = end + 0.8 * (end - start)
    n_lines = rows["words"].str.count("\n").add(1).sum()
    plot = (
        p9.ggplot(rows, p9.aes("date", "place"))
        + p9.geom_segment(p9.aes(xend="date", yend=0.3), colour="#c8c8c8", size=0.3)
        + p9.geom_point(p9.aes(shape="kind", fill="kind"), size=3)
        + p9.geom_text(p9.aes(label="words"), ha="left", nudge_x=18, size=7.5, va="center")
        + p9.scale_fill_manual({"policy": "#ffffff", "place": "#0072B2"})
        + p9.scale_shape_manual({"policy": "o", "place": "s"})
        + p9.scale_y_continuous(breaks=[], limits=(0.3, len(rows) + 0.6))
        + p9.scale_x_datetime(date_labels="%b %Y", breaks=years, limits=(start, room))
        + p9.labs(
            x="",
            y="",
            title="Events and published figures",
            caption="Squares: figures and events of the place. Circles: policy calendar.\n"
            "(?) not confirmed by a public source.",
        )
        + p9.theme_minimal()
        + p9.theme(
            legend_position="none",
            panel_grid_major_y=p9.element_blank(),
            panel_grid_minor=p9.element_blank(),
            plot_caption=p9.element_text(ha="left"),
            figure_size=(8, 0.22 * n_lines + 1.6),
        )
    )
    alt = "; ".join(
        f"{row.date:%Y-%m-%d} {row.words}".replace("\n", " ") for row in rows.itertuples()
    )
    return plot, f"Timeline: {alt}."


def _events(published: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
    """Policy events and figures between two days, in time order."""
    calendar = load_codes("calaim_timeline")
    policy = pd.DataFrame(
        {
            "date": pd.to_datetime(calendar["date"]),
            "words": calendar["event"],
            "confirmed": calendar["confirmed"],
            "kind": "policy",
        }
    )
    dated = published[published["period_start"].notna()]
    place = pd.DataFrame(
        {
            "date": dated["period_start"],
            "words": [
                f"{row.measure}: {row.value} {row.unit}" if row.value else row.measure
                for row in dated.itertuples()
            ],
            "confirmed": dated["confirmed"],
            "kind": "place",
        }
    )
    rows = pd.concat([policy, place], ignore_index=True)
    rows = rows[(rows["date"] >= first) & (rows["date"] <= last)].sort_values(
        ["date", "kind"], kind="stable"
    )
    rows["words"] = [
        _wrapped(f"{row.words}{'' if row.confirmed == 'yes' else ' (?)'}")
        for row in rows.itertuples()
    ]
    return rows.reset_index(drop=True)


def _wrapped(text: str) -> str:
    """Text in lines that fit beside the points."""
    import textwrap

    return "\n".join(textwrap.wrap(text, _WIDTH))
