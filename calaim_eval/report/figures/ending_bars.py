"""Bars of what became of members or referrals by a horizon, and how soon: shared by figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.report.access_counts import StageCounts, ending_label
from calaim_eval.report.figures.theme import INK, QUIET, WIDTH, percent_ticks, report_theme
from calaim_eval.report.numbers import percent

if TYPE_CHECKING:
    from plotnine import ggplot

# Dark is soon: told apart in grey, endings by their place and label too.
_SOON = ("#084c8d", "#5a96c8", "#a9cbe6", "#d4e4f1")
_ENDED = {
    "waiting": "#f2e3c6",
    "coverage_ended": "#8a8a8a",
    "closed_otherwise": "#bdbdbd",
    "ended_without_service": "#8a8a8a",
    "no_usable_day": "#d9d9d9",
}
_OTHER = "#a3a3a3"
_NARROWEST = 0.07
_DARK = 0.45
_KEY, _LETTER = 0.35, 0.075  # inches of a key and of a letter of the legend
LEGEND_ROW = 0.2  # inches


def part_label(when: str, *, unit: str = "month") -> str:
    """``Within 1 month``, ``In months 2 to 6``."""
    first, _, last = when.partition("-")
    if first == "0":
        end = last or first
        if end == "0":
            return f"In the same {unit}" if unit == "month" else f"On the same {unit}"
        return f"Within {end} {unit}{'s' * (end != '1')}"
    return f"In {unit}s {first} to {last}" if last else f"In {unit} {first}"


def part_names(each: StageCounts, *, unit: str = "month") -> list[str]:
    """Parts of a bar from the left: soon to late, then those waiting, then the endings."""
    names = [part_label(when, unit=unit) for when in each.within]
    return names + [ending_label(state) for state in reversed(_from_the_right(each.ended))]


def bar_segments(bars: Mapping[str, StageCounts], *, unit: str = "month") -> pd.DataFrame:
    """One row a part of a bar, with where it begins and ends; a bar that is withheld has a NaN.

    Who went on is drawn from the left, other endings from the right: what is withheld stays empty
    between them. After months that are withheld later ones are not drawn.
    """
    rows = []
    for group, each in bars.items():
        rows.append((group, "", np.nan, np.nan))
        at = 0.0
        for when, n in each.within.items():
            end = at + n / each.followed
            rows.append((group, part_label(when, unit=unit), at, end))
            at = end
        at = 1.0
        for state in _from_the_right(each.ended):
            start = at - each.ended[state] / each.followed
            rows.append((group, ending_label(state), start, at))
            at = start if np.isfinite(start) else at
    return pd.DataFrame(rows, columns=["bar", "part", "low", "high"])


def parts_words(
    groups: Mapping[str, StageCounts], total: str, *, unit: str, of: str = "all members"
) -> str:
    """The parts of the bar of everybody as a sentence; the table beside a figure has every group.

    Examples
    --------
    >>> counts = StageCounts(100.0, {"0-30": 40.0}, 40.0, 0.3, 0.5, {"waiting": 60.0})
    >>> parts_words({"all": counts}, "all", unit="day", of="all referrals")
    'all referrals: within 30 days 40%, still waiting 60%.'
    """
    each = groups.get(total)
    if each is None or not np.isfinite(each.followed):
        return "the total is not shown."
    parts = {part_label(w, unit=unit): n for w, n in each.within.items()}
    parts |= {ending_label(s): n for s, n in each.ended.items()}
    words = [
        f"{name.lower()} {percent(n / each.followed) if np.isfinite(n) else 'not shown'}"
        for name, n in parts.items()
    ]
    return f"{of}: {', '.join(words)}."


def _from_the_right(ended: dict[str, float]) -> list[str]:
    """Endings from the right end of a bar; those still waiting stand beside those who went on."""
    return [*(state for state in reversed(list(ended)) if state != "waiting"), "waiting"]


def _colours(parts: list[str]) -> dict[str, str]:
    """Colour of each part, soon to late, then the endings; no two parts share one."""
    ended = {ending_label(state): colour for state, colour in _ENDED.items()}
    times = [p for p in parts if p.startswith(("Within", "In ", "On "))]
    others = [p for p in parts if p not in times and p not in ended]
    soon = _SOON if len(times) <= len(_SOON) else _between(_SOON[0], _SOON[-1], len(times))
    grey = [_OTHER] if len(others) == 1 else _between("#5e5e5e", "#cccccc", len(others))
    found = {**dict(zip(times, soon, strict=False)), **dict(zip(others, grey, strict=False))}
    return {p: found.get(p) or ended[p] for p in parts}


def _between(first: str, last: str, n: int) -> list[str]:
    """Colours in even steps from one to another."""
    ends = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in (first, last)]
    steps = np.linspace(ends[0], ends[1], max(n, 1)).round().astype(int)
    return ["#" + "".join(f"{part:02x}" for part in step) for step in steps]


def _ink(colour: str) -> str:
    """White on dark, else ink."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < _DARK else INK


def legend_rows(parts: list[str]) -> int:
    """Rows the legend needs so that none of its words leaves the page."""
    widest = _KEY + _LETTER * max(map(len, parts))
    return max(2, -(-len(parts) // max(1, int((WIDTH - 0.4) / widest))))


def ending_bars(frame: pd.DataFrame, parts: list[str], *, x_title: str) -> ggplot:
    """A bar a row of `group`, a panel a value of `panel`."""
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
        ink=[_ink(colours[p]) for p in shown["part"]],
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
        + p9.guides(fill=p9.guide_legend(nrow=legend_rows(parts)))
        + p9.scale_colour_identity()
        + p9.scale_x_continuous(limits=(0, 1.001), breaks=[0, 0.5, 1], labels=percent_ticks)
        + p9.scale_y_continuous(breaks=list(range(1, len(labels) + 1)), labels=labels)
        + p9.facet_wrap("panel", ncol=2)
        + p9.labs(x=x_title, y="")
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
