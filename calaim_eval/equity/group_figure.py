"""What the pictures of groups share: a plot with its words, one look, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import FEW
from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable, RateTable

if TYPE_CHECKING:
    from pathlib import Path

    from plotnine import ggplot

INK, QUIET = "#1a1a1a", "#5c5c5c"
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#000000",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#5c5c5c",
    "#7a3b00",
    "#332288",
)
"""Okabe and Ito's colours first; shapes tell the groups apart where colours do not."""
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
DPI = 150


@dataclass(frozen=True, slots=True)
class GroupFigure:
    """A picture of groups with its words.

    Attributes
    ----------
    plot : ggplot
        Style it further with ``+``.
    alt_text : str
        What the picture shows, in words and numbers; nothing that is not drawn.
    n_absent : int
        Points left out for few members or events; the picture says so.
    """

    plot: ggplot
    alt_text: str
    n_absent: int

    def save(self, path: Path) -> Path:
        """Write the picture as PNG."""
        self.plot.save(path, dpi=DPI, verbose=False)
        return path

    def _repr_png_(self) -> bytes:
        stream = BytesIO()
        self.plot.save(stream, format="png", dpi=DPI, verbose=False)
        return stream.getvalue()


def is_shown(support: pd.DataFrame) -> np.ndarray:
    """Rows of at least 11 members and of no event or at least 11; shape (k,)."""
    members = support["n_members"].to_numpy(dtype=float)
    events = support["n_events"].to_numpy(dtype=float)
    return np.asarray((members >= FEW) & ~((events > 0) & (events < FEW)))


def points(table: RateTable | EffectTable) -> pd.DataFrame:
    """Keys, `value` and whether each row may be drawn (`shown`)."""
    if isinstance(table, RateTable):
        shown, value = _is_rate_shown(table), table.rate
    else:
        shown, value = is_shown(table.support), table.estimate
    keys = table.keys.reset_index(drop=True)
    return keys.assign(value=value, shown=shown & np.isfinite(value))


def _is_rate_shown(table: RateTable) -> np.ndarray:
    """Rows of a rate table that disclosure control would show for themselves; shape (k,).

    None of 1 to 10: events, members with one, the denominator, or members without an event.
    """
    if table.about == "organizations":
        return np.ones(len(table), dtype=bool)
    counts = [table.numerator, table.n_members]
    if table.kind != "count":
        counts.append(table.denominator)
    if table.kind == "proportion":
        counts.append(table.denominator - table.numerator)
    found = np.stack([np.asarray(each, dtype=float) for each in counts])
    return np.asarray(~((found > 0) & (found < FEW)).any(axis=0))


def require_points(frame: pd.DataFrame, what: str) -> None:
    """Refuse a picture with nothing in it."""
    if frame.empty:
        raise EstimationError(
            f"{what}: no row has {FEW} members and events behind it, so nothing can be shown. Put "
            "periods together, or show it as a table with its suppressed cells."
        )


def absent_words(n_absent: int) -> str:
    """What the foot of the picture says of points left out."""
    if not n_absent:
        return ""
    return f"Not shown: {n_absent} of fewer than {FEW} members or events, or without an estimate."


def looks(groups: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """A colour and a shape for each group."""
    pairs = [(g, COLOURS[i % 10], SHAPES[i % 10]) for i, g in enumerate(groups)]
    return {g: c for g, c, _ in pairs}, {g: s for g, _, s in pairs}


def number(value: float) -> str:
    """Three digits, as a reader would say them."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def theme(n_rows: int) -> Any:
    """White ground, few lines, letters large enough for a report."""
    import plotnine as p9

    return p9.theme_minimal(base_size=11) + p9.theme(
        figure_size=(7.2, max(2.4, 0.9 + 0.55 * n_rows)),
        text=p9.element_text(colour=INK),
        panel_grid_minor=p9.element_blank(),
        panel_grid_major=p9.element_line(colour="#ececec", size=0.5),
        plot_background=p9.element_rect(fill="white", colour="white"),
        plot_caption=p9.element_text(size=9, colour=QUIET, ha="left"),
        legend_position="none",
    )
