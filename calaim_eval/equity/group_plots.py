"""Pictures of groups: equiplot, raw and shrunken, a gap over time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from calaim_eval.equity.group_figure import (
    INK,
    QUIET,
    GroupFigure,
    absent_words,
    is_shown,
    looks,
    number,
    points,
    require_points,
    theme,
)
from calaim_eval.equity.groups import check_columns
from calaim_eval.equity.shrunken_table import ShrunkenTable
from calaim_eval.results import ALL, EffectTable, RateTable

HEIGHTS = (0.2, 0.34, 0.48)
"""How far above their line the names of neighbours stand, in turn."""


def equiplot(
    table: RateTable | EffectTable, *, rows: str, stratum: str = "race_ethnicity"
) -> GroupFigure:
    """A line per outcome (or period), a dot per group: how far apart groups are.

    Parameters
    ----------
    table : RateTable or EffectTable
        Rates or effects by `stratum` and `rows`. "all" rows are left out.
    rows : str
        Key column with a line each.
    stratum : str
        Key column with the groups.

    Returns
    -------
    GroupFigure
        Groups differ in colour and shape; each is named at the topmost line it is on. Points of
        fewer than 11 members or of 1 to 10 events are absent, and no line reaches to them.

    Raises
    ------
    TableError
        A key is missing.
    EstimationError
        Nothing can be shown.
    """
    import plotnine as p9

    frame = points(table)
    check_columns(frame, [rows, stratum])
    frame = frame[frame[stratum].astype(str) != ALL].astype({rows: str, stratum: str})
    shown = frame[frame["shown"]].copy()
    require_points(shown, "equiplot")
    lines = list(dict.fromkeys(shown[rows]))
    shown = shown.sort_values(rows, key=lambda line: line.map(lines.index), kind="stable")
    groups = list(dict.fromkeys(shown[stratum]))
    shown["line"] = pd.Categorical(shown[rows], lines[::-1])
    reach = shown.groupby("line", observed=True)["value"].agg(["min", "max"]).reset_index()
    colours, shapes = looks(groups)
    unit = table.unit if isinstance(table, RateTable) else table.estimand.unit
    n_absent = int((~frame["shown"]).sum())
    plot = (
        p9.ggplot(shown, p9.aes("value", "line"))
        + p9.geom_segment(
            p9.aes(x="min", xend="max", y="line", yend="line"), data=reach, colour="#c9c9c9", size=2
        )
        + p9.geom_point(p9.aes(colour=stratum, shape=stratum), size=3.5)
        + p9.scale_colour_manual(values=colours)
        + p9.scale_shape_manual(values=shapes)
        + p9.labs(x=unit, y="", caption=absent_words(n_absent))
        + theme(len(lines) + 1)
    )
    named = shown.drop_duplicates(stratum).sort_values("value")
    for _, own in named.groupby(rows, sort=False):
        places = zip(own[stratum], own["value"], own[rows], strict=True)
        for turn, (name, value, line) in enumerate(places):
            height = len(lines) - lines.index(line) + HEIGHTS[turn % 3]
            plot += p9.annotate("text", x=value, y=height, label=name, colour=INK, size=9)
    words = [
        f"{line}: "
        + ", ".join(f"{g} {number(v)}" for g, v in own[[stratum, "value"]].itertuples(index=False))
        for line, own in ((x, shown[shown[rows] == x].sort_values("value")) for x in lines)
    ]
    text = f"Dots by group ({unit}). " + "; ".join(words) + ". " + absent_words(n_absent)
    return GroupFigure(plot, text.strip(), n_absent)


def shrinkage_plot(table: ShrunkenTable) -> GroupFigure:
    """Arrows from raw to shrunken estimates, a line per group.

    Parameters
    ----------
    table : ShrunkenTable
        From `shrink_estimates`.

    Returns
    -------
    GroupFigure
        Hollow circle: raw; filled: shrunken; upright tick: what the group is pulled toward. The
        weight of the group's own data stands beside its name. Groups of fewer than 11 members or
        of 1 to 10 events are absent.

    Raises
    ------
    EstimationError
        Nothing can be shown.
    """
    import plotnine as p9

    frame = table.to_frame()
    has = frame[["raw", "shrunken"]].notna().all(axis=1).to_numpy()
    shown = frame[is_shown(table.raw.support) & has].copy()
    require_points(shown, "shrinkage_plot")
    n_absent = len(frame) - len(shown)
    names = table.raw.keys.loc[shown.index].astype(str).agg(", ".join, axis=1)
    shown["row"] = [f"{n}  ({w:.2f})" for n, w in zip(names, shown["weight"], strict=True)]
    shown["row"] = pd.Categorical(shown["row"], list(shown["row"])[::-1])
    unit = table.raw.estimand.unit
    plot = (
        p9.ggplot(shown, p9.aes(y="row"))
        + p9.geom_segment(
            p9.aes(x="raw", xend="shrunken", yend="row"),
            arrow=p9.arrow(length=0.08, type="closed"),
            colour=QUIET,
        )
        + p9.geom_point(p9.aes(x="mean"), shape="|", size=5, colour=QUIET)
        + p9.geom_point(p9.aes(x="raw"), shape="o", fill="white", colour="#D55E00", size=3)
        + p9.geom_point(p9.aes(x="shrunken"), shape="o", colour="#0072B2", fill="#0072B2", size=3)
        + p9.labs(x=unit, y="Group (weight of its own data)", caption=absent_words(n_absent))
        + theme(len(shown) + 1)
    )
    first = shown.iloc[0]
    to_right = first["shrunken"] >= first["raw"]
    for name, colour, side in (("raw", "#A84A00", not to_right), ("shrunken", "#0072B2", to_right)):
        plot += p9.annotate(
            "text",
            x=first[name],
            y=len(shown) + 0.32,
            label=name,
            colour=colour,
            size=9,
            ha="left" if side else "right",
        )
    words = [
        f"{name}: raw {number(r)}, shrunken {number(s)}, weight {w:.2f}"
        for name, r, s, w in zip(
            names, shown["raw"], shown["shrunken"], shown["weight"], strict=True
        )
    ]
    text = f"Raw and shrunken estimates ({unit}). " + "; ".join(words) + ". "
    return GroupFigure(plot, (text + absent_words(n_absent)).strip(), n_absent)


def gap_over_time_plot(
    gaps: EffectTable, *, time: str, stratum: str = "race_ethnicity", conf_level: float = 0.95
) -> GroupFigure:
    """A gap over time with its interval, a panel per group.

    Parameters
    ----------
    gaps : EffectTable
        From `effect_gap` or `rate_gap` of rates by time and group.
    time : str
        Key column with numbers (months since exposure), or labels that sort (quarters).
    stratum : str
        Key column with the groups.
    conf_level : float
        Of the pointwise intervals.

    Returns
    -------
    GroupFigure
        The line breaks where a point is absent for few members or events.

    Raises
    ------
    TableError
        A key is missing.
    EstimationError
        Nothing can be shown.
    """
    import plotnine as p9

    check_columns(gaps.keys, [time, stratum])
    gaps = replace(gaps, keys=gaps.keys.reset_index(drop=True))
    frame = gaps.to_frame(conf_level)
    shown = is_shown(gaps.support) & frame["estimate"].notna().to_numpy()
    require_points(frame[shown], "gap_over_time_plot")
    n_absent = int((~shown).sum())
    for column in ("estimate", "conf_low", "conf_high"):
        frame[column] = np.where(shown, frame[column], np.nan)
    is_number = pd.api.types.is_numeric_dtype(frame[time])
    if not is_number:
        frame[time] = pd.Categorical(frame[time].astype(str), sorted(set(frame[time].astype(str))))
    null = 1.0 if gaps.estimand.scale == "ratio" else 0.0
    plot = (
        p9.ggplot(frame, p9.aes(time, "estimate", group=stratum))
        + p9.geom_hline(yintercept=null, colour=QUIET, linetype="dashed")
        + p9.geom_linerange(
            p9.aes(ymin="conf_low", ymax="conf_high"), colour="#0072B2", alpha=0.5, na_rm=True
        )
        + p9.geom_line(colour="#0072B2", na_rm=True)
        + p9.geom_point(colour="#0072B2", size=1.8, na_rm=True)
        + p9.facet_wrap(stratum)
        + p9.labs(x=time.replace("_", " "), y=gaps.estimand.unit, caption=absent_words(n_absent))
        + theme(6)
        + p9.theme(strip_text=p9.element_text(weight="bold", ha="left", colour=INK))
    )
    words = []
    for group, own in frame[shown].groupby(stratum, sort=False):
        ends = own.sort_values(time).iloc[[0, -1]]
        told = " to ".join(
            f"{number(v)} at {t}" for t, v in ends[[time, "estimate"]].itertuples(index=False)
        )
        words.append(f"{group}: {told}")
    text = f"Gap over time ({gaps.estimand.unit}; no gap is {null:g}). " + "; ".join(words) + ". "
    return GroupFigure(plot, (text + absent_words(n_absent)).strip(), n_absent)
