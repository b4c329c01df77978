"""The referral network as a map, with its coordinator and without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.network_labels import place_labels
from calaim_eval.report.figures.network_layout import drawn_ties, network_positions
from calaim_eval.report.figures.theme import INK, QUIET, WIDTH, Figure, report_theme
from calaim_eval.report.labels import ORGANIZATION_TYPES, ordered
from calaim_eval.report.numbers import percent, plural
from calaim_eval.report.release_items import Absent, find_item, need_columns

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.disclosure import Released

TYPES = {**ORGANIZATION_TYPES, "cbo": "Community-based organization", "plan": "Health plan"}
_SHAPES = {
    "cbo": "o",
    "clinic": "s",
    "hospital": "D",
    "county_agency": "^",
    "tribal": "p",
    "for_profit": "v",
    "plan": "h",
    "unknown": "X",
}
_FILLS = {
    "cbo": "#084c8d",
    "clinic": "#ffffff",
    "hospital": "#8fa9bf",
    "county_agency": "#d9c7a3",
    "tribal": "#d1700a",
    "for_profit": "#3d3d3d",
    "plan": "#f2e3c6",
    "unknown": "#ffffff",
}
_WIDTHS = (0.35, 0.9, 1.7)
_LABELLED = 4
_HEIGHT = 4.6
_SPAN = (2.65, 2.95)  # inches of a panel without its margins


def network_map(released: Released, *, earlier: Sequence[Released] = ()) -> Figure | Absent:
    """Map of the referral network, and beside it the same map without the coordinator.

    Parameters
    ----------
    released : Released
        Uses `referral_network_ties`, `referral_network_organizations`, `referral_network`.
    earlier : sequence of Released
        Releases of earlier quarters, oldest first: organizations keep their places
        (`network_positions`).

    Returns
    -------
    Figure | Absent
        Organizations that most shortest paths go through are named. Lines have no direction and
        are thicker the more members; those of ties that may not be shown are not there.
    """
    ties = drawn_ties(released)
    organizations = find_item(released, "referral_network_organizations")
    whole = find_item(released, "referral_network")
    if isinstance(organizations, Absent):
        return organizations
    if isinstance(whole, Absent):
        return whole
    if ties is None:
        return Absent("referral_network_ties")
    need_columns(organizations, ("organization", "organization_type", "measure"))
    need_columns(whole, ("network", "measure", "taken_out"))
    points = _points(network_positions(released, earlier=earlier), organizations.frame)
    center = str(
        whole.frame.loc[whole.frame["network"] == "without_coordinator", "taken_out"].iloc[0]
    )
    n_all = organizations.frame["organization"].nunique()
    return Figure(
        plot=_draw(ties, points, center),
        caption=(
            "Referrals between organizations in the year to the end of the quarter, with "
            f"{center} (left) and without (right). A line is a tie of "
            f"{_smallest(ties)} members or more, thicker the more members; smaller ties are not "
            "drawn and enter no number. Named are the organizations that most shortest paths go "
            "through."
            + _labels(points, center)[1]
            + (
                f" Drawn are the {len(points)} of {n_all} organizations with most partners."
                if n_all > len(points)
                else ""
            )
        ),
        alt_text=_alt_text(points, ties, whole.frame, center),
        width=WIDTH,
        height=_HEIGHT,
    )


def _smallest(ties: pd.DataFrame) -> str:
    """Smallest number of members a line may stand for, from the bands."""
    return str(min(int(str(b).split(maxsplit=1)[0]) for b in ties["members_in_band"]))


def _points(places: pd.DataFrame, organizations: pd.DataFrame) -> pd.DataFrame:
    """Place, type and betweenness of each organization drawn."""
    between = organizations[organizations["measure"] == "between"]
    between = between.set_index("organization")[["organization_type", "rate"]]
    return places.join(between, on="organization").rename(columns={"rate": "between"})


def _draw(ties: pd.DataFrame, points: pd.DataFrame, center: str) -> ggplot:
    import plotnine as p9

    panels = ("With the coordinator", "Without")
    lines, marks = _two_panels(ties, points, center, panels)
    types = ordered(points["organization_type"], order=tuple(TYPES))
    named, _ = _labels(points, center)
    named["panel"] = pd.Categorical([panels[0]] * len(named), categories=list(panels))
    return (
        p9.ggplot()
        + p9.geom_segment(
            p9.aes("x", "y", xend="x_to", yend="y_to", size="band"), data=lines, colour="#9a9a9a"
        )
        + p9.geom_point(
            p9.aes("x", "y", shape="type", fill="type"),
            data=marks,
            colour=INK,
            size=2.6,
            stroke=0.5,
        )
        + p9.geom_label(
            p9.aes("x", "y", label="words"),
            data=named,
            size=7.5,
            colour=INK,
            fill="white",
            alpha=0.8,
            label_size=0,
            label_padding=0.08,
        )
        + p9.scale_shape_manual(values=[_SHAPES.get(t, "X") for t in types])
        + p9.scale_fill_manual(values=[_FILLS.get(t, "#ffffff") for t in types])
        + p9.scale_size_manual(values=list(_WIDTHS), guide=None, drop=False)
        + p9.scale_x_continuous(expand=(0.12, 0))
        + p9.scale_y_continuous(expand=(0.1, 0))
        + p9.facet_wrap("panel", ncol=2)
        + p9.guides(shape=p9.guide_legend(nrow=2), fill=p9.guide_legend(nrow=2))
        + p9.labs(x="", y="", shape="", fill="")
        + report_theme()
        + p9.theme(
            panel_grid_major=p9.element_blank(),
            axis_text=p9.element_blank(),
            axis_ticks=p9.element_blank(),
            panel_border=p9.element_rect(colour="#d5d5d5", fill=None),
            legend_position="bottom",
            legend_text=p9.element_text(size=8.5, colour=QUIET),
        )
    )


def _two_panels(
    ties: pd.DataFrame, points: pd.DataFrame, center: str, panels: tuple[str, str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Lines and marks of both panels, all bands and types in their order."""
    place = points.set_index("organization")
    order = sorted(set(ties["members_in_band"]), key=lambda b: int(str(b).split(maxsplit=1)[0]))
    lines = pd.DataFrame(
        {
            "x": place["x"].reindex(ties["from_organization"]).to_numpy(),
            "y": place["y"].reindex(ties["from_organization"]).to_numpy(),
            "x_to": place["x"].reindex(ties["to_organization"]).to_numpy(),
            "y_to": place["y"].reindex(ties["to_organization"]).to_numpy(),
            "band": pd.Categorical(ties["members_in_band"], categories=order, ordered=True),
        }
    )
    is_center = ties["from_organization"].eq(center) | ties["to_organization"].eq(center)
    types = ordered(points["organization_type"], order=tuple(TYPES))
    marks = points.assign(
        type=pd.Categorical(
            points["organization_type"].map(TYPES), categories=[TYPES.get(t, t) for t in types]
        )
    )
    rest = marks[marks["organization"] != center]
    both = [
        pd.concat([a.assign(panel=panels[0]), b.assign(panel=panels[1])], ignore_index=True)
        for a, b in ((lines, lines[~is_center.to_numpy()]), (marks, rest))
    ]
    for frame in both:
        frame["panel"] = pd.Categorical(frame["panel"], categories=list(panels), ordered=True)
    return both[0], both[1]


def _labels(points: pd.DataFrame, center: str) -> tuple[pd.DataFrame, str]:
    """Names on the map; where there is no room for all, numbers, and their key in words."""
    brokers = _brokers(points, center)
    span = {"width": _SPAN[0], "height": _SPAN[1]}
    names = place_labels({name: name for name in brokers}, points, **span)
    if len(names) == len(brokers):
        return names, ""
    numbers = {name: str(k) for k, name in enumerate(brokers, start=1)}
    key = "; ".join(f"{k}: {name}" for name, k in numbers.items())
    return place_labels(numbers, points, **span), f" Numbers on the map: {key}."


def _brokers(points: pd.DataFrame, center: str) -> list[str]:
    """The coordinator, then the organizations that most shortest paths go through."""
    top = points[points["between"] > 0].nlargest(_LABELLED, "between")["organization"]
    drawn = [center] if center in set(points["organization"]) else []
    return list(dict.fromkeys([*drawn, *map(str, top)]))


def _alt_text(points: pd.DataFrame, ties: pd.DataFrame, whole: pd.DataFrame, center: str) -> str:
    """What the map shows, in words."""
    cells = whole.set_index(["network", "measure"])
    here, gone = (
        cells.loc[(name, "others_connected")]
        for name in ("with_coordinator", "without_coordinator")
    )
    parts = {
        name: int(cells.loc[(name, "components"), "numerator"])
        for name in ("with_coordinator", "without_coordinator")
    }
    top = _brokers(points, center)
    return (
        f"Network map of {plural(len(points), 'organization')} joined by "
        f"{plural(len(ties), 'tie')}. With {center} the network is in "
        f"{plural(parts['with_coordinator'], 'piece')} and {percent(here['rate'])} of pairs of the "
        f"other organizations are joined; without it in "
        f"{plural(parts['without_coordinator'], 'piece')} and {percent(gone['rate'])}. Named "
        f"on the map: {', '.join(top) or 'no organization'}."
    )
