"""Effects and gaps by race and ethnicity: one row a group, one panel an outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.panels import (
    choose_outcomes,
    group_rows,
    outcome_panels,
    rows_height,
)
from calaim_eval.report.figures.theme import EXPOSED, INK, QUIET, WIDTH, Figure, report_theme
from calaim_eval.report.figures.words import NOT_CAUSAL_WORDS, effect_words, withheld_words
from calaim_eval.report.labels import outcome_label, race_label
from calaim_eval.report.numbers import decimals_for, plural, signed
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plotnine import geom_segment, ggplot

    from calaim_eval.disclosure import Released


_WIDE = 2.0
_ROOM = 0.04


def effects_by_race(
    released: Released, *, outcomes: Sequence[str] | None = None
) -> Figure | Absent:
    """Effect in each race and ethnicity group beside the overall effect.

    Parameters
    ----------
    released : Released
        Uses `effect_by_race`, and `effect_overall` for the overall line.
    outcomes : sequence of str, optional
        Default: the headline outcomes the release holds.

    Returns
    -------
    Figure | Absent
        The vertical line in the colour of the points is the effect for all members, the grey
        one is no effect. A withheld group keeps its row, without a point.
    """
    found = find_item(released, "effect_by_race")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity",))
    frame = outcome_panels(found)
    if not frame["race_ethnicity"].eq(ALL).any():
        frame = _with_overall_rows(frame, released)
    caption = (
        "Effect in each group with 95% intervals; the dotted line is the effect for all members. "
        "Groups whose intervals overlap may still differ, and a group whose interval includes "
        "zero is not thereby different from one whose interval does not: the gaps test that."
    )
    return _forest(frame, outcomes, caption=caption, is_causal=_is_causal(found))


def gaps_by_race(released: Released, *, outcomes: Sequence[str] | None = None) -> Figure | Absent:
    """Each group's effect minus the reference group's effect, tested as a difference.

    Parameters
    ----------
    released : Released
        Uses `effect_gap`.
    outcomes : sequence of str, optional
        Default: the headline outcomes the release holds.

    Returns
    -------
    Figure | Absent
    """
    found = find_item(released, "effect_gap")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity", "reference"))
    frame = outcome_panels(found)
    frame = frame[frame["race_ethnicity"] != frame["reference"]]
    names = " and ".join(race_label(r) for r in dict.fromkeys(frame["reference"]))
    caption = (
        f"Gap: the group's effect minus the effect for {names}, with 95% intervals. Zero means "
        "no difference in effect; it says nothing about differences in level."
    )
    return _forest(frame, outcomes, caption=caption, is_causal=_is_causal(found))


def pre_post_by_race(
    released: Released, *, outcomes: Sequence[str] | None = None
) -> Figure | Absent:
    """Change before to after among members served, labelled as not causal.

    Parameters
    ----------
    released : Released
        Uses `pre_post`.
    outcomes : sequence of str, optional
        Default: the headline outcomes the release holds.

    Returns
    -------
    Figure | Absent
    """
    found = find_item(released, "pre_post")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("race_ethnicity",))
    caption = (
        "Change from before to after the first service among members served, with 95% intervals. "
        "Members are chosen when their use is high and part of it falls back by itself, so this "
        "is not the effect of the program."
    )
    frame = outcome_panels(found)
    if "side" in frame:
        frame = frame[frame["side"] == "exposed"]
    return _forest(frame, outcomes, caption=caption, is_causal=False)


def _is_causal(item: object) -> bool:
    return bool(item.meta.get("is_causal", True))  # type: ignore[attr-defined]


def _with_overall_rows(frame: pd.DataFrame, released: Released) -> pd.DataFrame:
    """Rows for all members taken from `effect_overall` (as treated), where it is released."""
    overall = find_item(released, "effect_overall")
    if isinstance(overall, Absent) or "anchor" not in overall.frame:
        return frame
    rows = outcome_panels(overall)
    rows = rows[(rows["anchor"] == "first_service") & rows["outcome"].isin(frame["outcome"])]
    rows = rows.assign(race_ethnicity=ALL)[
        frame.columns.intersection([*rows.columns, "race_ethnicity"])
    ]
    panels, outcomes = frame["panel"].cat.categories, frame["outcome"].cat.categories
    both = pd.concat(
        [frame.astype({"panel": str, "outcome": str}), rows.astype({"panel": str, "outcome": str})],
        ignore_index=True,
    )
    both["outcome"] = pd.Categorical(both["outcome"], categories=outcomes, ordered=True)
    both["panel"] = pd.Categorical(both["panel"], categories=panels, ordered=True)
    return both


def _forest(
    frame: pd.DataFrame, outcomes: Sequence[str] | None, *, caption: str, is_causal: bool
) -> Figure:
    frame = group_rows(choose_outcomes(frame, outcomes), width=36)
    frame = with_axis_ends(frame)
    if frame[["runs_on_left", "runs_on_right"]].to_numpy().any():
        caption += " An arrow: the interval runs on beyond the axis; the table has its ends."
    n_withheld = int(frame["is_suppressed"].sum())
    n_panel_rows = (frame["panel"].nunique() + 1) // 2
    label = "" if is_causal else f"{NOT_CAUSAL_WORDS} "
    return Figure(
        plot=_draw(frame, is_causal=is_causal),
        caption=label + caption + withheld_words(n_withheld, "estimate"),
        alt_text=label + _alt_text(frame),
        width=WIDTH,
        height=0.8 + n_panel_rows * (0.62 + rows_height(frame)),
    )


def _draw(frame: pd.DataFrame, *, is_causal: bool) -> ggplot:
    import plotnine as p9

    shown = frame[~frame["is_suppressed"] & frame["estimate"].notna()]
    withheld = frame[frame["is_suppressed"]].assign(start=_left_edges(frame))
    overall = shown[shown["is_all"]]
    plot = (
        p9.ggplot(shown, p9.aes("estimate", "group"))
        + p9.geom_blank(data=frame.assign(estimate=0.0))
        + p9.geom_vline(xintercept=0, colour=QUIET, size=0.6)
    )
    if len(overall):
        plot += p9.geom_vline(
            p9.aes(xintercept="estimate"),
            data=overall,
            colour=EXPOSED,
            linetype="dotted",
            size=0.8,
        )
    if len(withheld):
        plot += p9.geom_label(
            p9.aes("start", "group"),
            data=withheld,
            label="not shown",
            ha="left",
            colour=QUIET,
            fill="white",
            label_size=0,
            label_padding=0.1,
            size=8,
            fontstyle="italic",
        )
    for arrows in _arrows(shown):
        plot += arrows
    return (
        plot
        + p9.geom_segment(
            p9.aes(x="drawn_low", xend="drawn_high", yend="group"), colour=EXPOSED, size=0.9
        )
        + p9.geom_point(p9.aes(shape="is_all", size="is_all"), colour=EXPOSED, fill=EXPOSED)
        + p9.scale_shape_manual(values={False: "o", True: "D"})
        + p9.scale_size_manual(values={False: 2.0, True: 2.8})
        + p9.scale_x_continuous(expand=(0.06, 0))
        + p9.facet_wrap("panel", ncol=2, scales="free_x")
        + p9.labs(
            x="Difference in the unit of each panel (left of zero: fewer)",
            y="",
            subtitle=None if is_causal else NOT_CAUSAL_WORDS,
        )
        + report_theme()
        + p9.theme(axis_text_y=p9.element_text(size=9, colour=INK))
    )


def with_axis_ends(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with the ends of the intervals as drawn.

    An interval more than twice as wide as its panel's median would push all others into a
    corner. A panel's axis spans every point estimate and the intervals that are not that wide;
    the others are cut there and marked in `runs_on_left` and `runs_on_right`.
    """
    width = frame["conf_high"] - frame["conf_low"]
    median = width.groupby(frame["panel"], observed=True).transform("median")
    usual = frame[~(width > _WIDE * median)]
    by_panel = usual.groupby("panel", observed=True)
    points = frame.groupby("panel", observed=True)["estimate"]
    first = pd.concat([by_panel["conf_low"].min(), points.min()], axis=1).min(axis=1)
    last = pd.concat([by_panel["conf_high"].max(), points.max()], axis=1).max(axis=1)
    room = _ROOM * (last - first)
    low = frame["panel"].map(first - room).astype(float)
    high = frame["panel"].map(last + room).astype(float)
    return frame.assign(
        drawn_low=frame["conf_low"].clip(lower=low),
        drawn_high=frame["conf_high"].clip(upper=high),
        runs_on_left=frame["conf_low"] < low,
        runs_on_right=frame["conf_high"] > high,
    )


def _arrows(shown: pd.DataFrame) -> list[geom_segment]:
    """Heads on the intervals that run on beyond the axis."""
    import plotnine as p9

    return [
        p9.geom_segment(
            p9.aes(x="estimate", xend=end, yend="group"),
            data=shown[shown[flag]],
            arrow=p9.arrow(length=0.07, type="closed"),
            colour=EXPOSED,
            size=0.9,
        )
        for flag, end in (("runs_on_left", "drawn_low"), ("runs_on_right", "drawn_high"))
        if shown[flag].any()
    ]


def _left_edges(frame: pd.DataFrame) -> pd.Series:
    """Leftmost value of each row's panel: where the words for a withheld row stand."""
    lowest = frame.groupby("panel", observed=True)["drawn_low"].transform("min")
    return lowest.fillna(0.0).clip(upper=0.0)


def _alt_text(frame: pd.DataFrame) -> str:
    """Each panel's overall effect and the range of its groups; the table beside it has them all."""
    parts = []
    for outcome, rows in frame.groupby("outcome", sort=False, observed=True):
        decimals = decimals_for(rows["estimate"])
        groups = rows[~rows["is_all"] & rows["estimate"].notna()].sort_values("estimate")
        words = [
            f"all members {effect_words(row, decimals=decimals)}"
            for _, row in rows[rows["is_all"]].iterrows()
        ]
        if len(groups):
            ends = [
                f"{signed(end['estimate'], decimals=decimals)} "
                f"({race_label(end['race_ethnicity'])})"
                for end in (groups.iloc[0], groups.iloc[-1])
            ]
            words.append(f"groups from {ends[0]} to {ends[1]}")
        if hidden := int(rows["is_suppressed"].sum()):
            words.append(f"{plural(hidden, 'group')} not shown")
        name = outcome_label(str(outcome))
        parts.append(f"{name}, {rows['unit'].iloc[0]}: {'; '.join(words) or 'nothing is shown'}.")
    return "Estimates by race and ethnicity with 95% intervals. " + " ".join(parts)
