"""How long access takes: what became of members of each group by the horizon, stage by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.report.access_counts import (
    STAGE_HEADINGS,
    StageCounts,
    ending_label,
    last_month,
    stage_counts,
)
from calaim_eval.report.figures.panels import group_rows, rows_height
from calaim_eval.report.figures.theme import INK, QUIET, WIDTH, Figure, percent_ticks, report_theme
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.labels import wrap
from calaim_eval.report.numbers import percent
from calaim_eval.report.release_items import Absent
from calaim_eval.results import ALL

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.disclosure import Released

STAGES = ("identified", "outreached")
# Dark is soon: told apart in grey, endings by their place and label too.
_SOON = ("#084c8d", "#5a96c8", "#a9cbe6", "#d4e4f1")
_ENDED = {"waiting": "#f2e3c6", "coverage_ended": "#8a8a8a", "closed_otherwise": "#bdbdbd"}
_OTHER = "#a3a3a3"
_NARROWEST = 0.07


def access_times(released: Released, *, stages: tuple[str, ...] = STAGES) -> Figure | Absent:
    """Members of each stage of access by whether, and how soon, they got to the next one.

    Parameters
    ----------
    released : Released
        Uses `access_times` (keys `race_ethnicity`, `stage`, `state`, `months`).
    stages : tuple of str
        Stages to draw, a panel each; the table has all.

    Returns
    -------
    Figure | Absent
        A withheld part is left empty. A group whose number of members is withheld has no bar.
    """
    found = stage_counts(released)
    if isinstance(found, Absent):
        return found
    chosen = {stage: found[stage] for stage in stages if stage in found}
    rows = _segments(chosen)
    if (rows["high"] - rows["low"]).isna().all():
        return Absent("access_times", "every number of it could give away a small one")
    each = _first(chosen)
    names = [part_label(when) for when in each.within]
    names += [ending_label(state) for state in reversed(_from_the_right(each.ended))]
    width = (rows["high"] - rows["low"]).groupby([rows["stage"], rows["race_ethnicity"]])
    n_absent = int((~(width.max() > 0)).sum())
    n_parts = sum(each.withheld > 1e-9 for mine in chosen.values() for each in mine.values())
    frame = group_rows(rows, width=30)
    horizon = max(last_month(when) for when in each.within)
    return Figure(
        plot=_draw(frame, names),
        caption=(
            f"What became of members within {horizon} months of the beginning of each stage, as a "
            "share of the members followed. Loss of coverage competes with going on: who lost it "
            "could no longer be reached."
            + (" Empty parts of a bar are not shown (small numbers)." if n_parts else "")
            + withheld_words(n_absent, "bar")
        ),
        alt_text=_alt_text(chosen),
        width=WIDTH,
        height=1.3 + len(chosen) * 0.35 + rows_height(frame) * 1.1,
    )


def _first(found: dict[str, dict[str, StageCounts]]) -> StageCounts:
    """Any group of any stage: all have the same stretches of months."""
    return next(iter(next(iter(found.values())).values()))


def part_label(when: str) -> str:
    """``Within 1 month``, ``In months 2 to 6``."""
    first, _, last = when.partition("-")
    if first == "0":
        end = last or first
        return "In the same month" if end == "0" else f"Within {end} month{'s' * (end != '1')}"
    return f"In months {first} to {last}" if last else f"In month {first}"


def _segments(found: dict[str, dict[str, StageCounts]]) -> pd.DataFrame:
    """One row a part of a bar, with where it begins and ends; a bar that is withheld has a NaN.

    Who went on is drawn from the left, other endings from the right: what is withheld stays empty
    between them. After months that are withheld later ones are not drawn.
    """
    rows = []
    for stage, groups in found.items():
        for group, each in groups.items():
            bar = (stage, group)
            rows.append((*bar, "", np.nan, np.nan))
            at = 0.0
            for when, n in each.within.items():
                end = at + n / each.followed
                rows.append((*bar, part_label(when), at, end))
                at = end
            at = 1.0
            for state in _from_the_right(each.ended):
                start = at - each.ended[state] / each.followed
                rows.append((*bar, ending_label(state), start, at))
                at = start if np.isfinite(start) else at
    frame = pd.DataFrame(rows, columns=["stage", "race_ethnicity", "part", "low", "high"])
    headings = {stage: wrap(STAGE_HEADINGS.get(stage, stage), width=26) for stage in found}
    panel = pd.Categorical(
        frame["stage"].map(headings), categories=list(headings.values()), ordered=True
    )
    return frame.assign(panel=panel)


def _from_the_right(ended: dict[str, float]) -> list[str]:
    """Endings from the right end of a bar; those still waiting stand beside those who went on."""
    return [*(state for state in reversed(list(ended)) if state != "waiting"), "waiting"]


def _colours(parts: list[str]) -> dict[str, str]:
    """Colour of each part, soon to late, then the endings."""
    ended = {ending_label(state): colour for state, colour in _ENDED.items()}
    soon = iter(_SOON)
    is_time = {p: p.startswith(("Within", "In ")) for p in parts}
    return {p: next(soon, _SOON[-1]) if is_time[p] else ended.get(p, _OTHER) for p in parts}


def _draw(frame: pd.DataFrame, parts: list[str]) -> ggplot:
    import plotnine as p9

    colours = _colours(parts)
    frame = frame.assign(y=frame["group"].cat.codes + 1, width=frame["high"] - frame["low"])
    shown = frame[frame["width"] > 0]
    widest = frame.groupby(["panel", "y"], observed=True)["width"].max().reset_index()
    empty = widest[~(widest["width"] > 0)]
    shown = shown.assign(
        part=pd.Categorical(shown["part"], categories=parts, ordered=True),
        middle=(shown["low"] + shown["high"]) / 2,
        words=[percent(w) for w in shown["width"]],
        ink=["white" if colours[p] in (_SOON[0],) else INK for p in shown["part"]],
    )
    written = shown[shown["width"] >= _NARROWEST]
    labels = list(frame["group"].cat.categories)
    return (
        p9.ggplot(shown)
        + p9.geom_rect(
            p9.aes(xmin="low", xmax="high", ymin="y - 0.36", ymax="y + 0.36", fill="part"),
            colour="white",
            size=0.4,
        )
        + p9.geom_text(
            p9.aes(x="middle", y="y", label="words", colour="ink"), data=written, size=7.5
        )
        + p9.geom_text(
            p9.aes(y="y"),
            data=empty,
            x=0.01,
            label="not shown",
            ha="left",
            size=8,
            colour=QUIET,
            fontstyle="italic",
        )
        + p9.scale_fill_manual(values=colours, limits=parts, name="")
        + p9.guides(fill=p9.guide_legend(nrow=2))
        + p9.scale_colour_identity()
        + p9.scale_x_continuous(limits=(0, 1.001), breaks=[0, 0.5, 1], labels=percent_ticks)
        + p9.scale_y_continuous(breaks=list(range(1, len(labels) + 1)), labels=labels)
        + p9.facet_wrap("panel", ncol=2)
        + p9.labs(x="Share of members followed", y="")
        + report_theme()
        + p9.theme(
            legend_position="top",
            legend_title=p9.element_blank(),
            legend_text=p9.element_text(size=8.5, colour=INK),
            legend_key_size=11,
            panel_grid_major_y=p9.element_blank(),
            axis_text_y=p9.element_text(size=9, colour=INK),
            axis_title_x=p9.element_text(colour=QUIET),
        )
    )


def _alt_text(found: dict[str, dict[str, StageCounts]]) -> str:
    """Each stage for all members; the table beside the figure has every group."""
    texts = []
    for stage, groups in found.items():
        heading = STAGE_HEADINGS.get(stage, stage)
        each = groups.get(ALL)
        if each is None or not np.isfinite(each.followed):
            texts.append(f"{heading}: the total is not shown.")
            continue
        parts = {part_label(w): n for w, n in each.within.items()}
        parts |= {ending_label(s): n for s, n in each.ended.items()}
        words = [
            f"{name.lower()} {percent(n / each.followed) if np.isfinite(n) else 'not shown'}"
            for name, n in parts.items()
        ]
        texts.append(f"{heading}, all members: {', '.join(words)}.")
    n_groups = len({g for mine in found.values() for g in mine if g != ALL})
    return f"Bars of {n_groups} groups of race and ethnicity. " + " ".join(texts)
