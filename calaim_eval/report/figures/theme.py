"""One look for every figure: large letters, few lines, colours that survive grey printing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calaim_eval.report.numbers import percent

if TYPE_CHECKING:
    from pathlib import Path

    from plotnine import ggplot, theme

INK = "#1a1a1a"
QUIET = "#5c5c5c"
RULE = "#c9c9c9"
EXPOSED = "#084c8d"
COMPARISON = "#d1700a"
NOT_CAUSAL = "#7a3b00"
SHADES = ("#ffffff", "#f2e3c6", "#9cc4e4", "#1f6fb2")
"""From nothing to much, told apart in grey: white, sand, light blue, blue."""
WIDTH = 7.2
DPI = 200


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with the words that go with it.

    Attributes
    ----------
    plot : ggplot
        Style it further with ``+``.
    caption : str
        What is shown, in which unit, and how many points are withheld.
    alt_text : str
        The figure's numbers in words, computed from the released numbers.
    width, height : float
        Inches.
    """

    plot: ggplot
    caption: str
    alt_text: str
    width: float
    height: float

    def save(self, path: Path) -> Path:
        """Write the figure as PNG at 200 dots per inch."""
        sized = self.plot + figure_size(self.width, self.height)
        sized.save(path, width=self.width, height=self.height, dpi=DPI, verbose=False)
        return path

    def _repr_png_(self) -> bytes:
        """The picture a notebook shows."""
        import io

        stream = io.BytesIO()
        sized = self.plot + figure_size(self.width, self.height)
        sized.save(
            stream, format="png", width=self.width, height=self.height, dpi=DPI, verbose=False
        )
        return stream.getvalue()


def figure_size(width: float, height: float) -> theme:
    """Size and resolution, in the theme because a page's own options do not resize plotnine."""
    import plotnine as p9

    return p9.theme(figure_size=(width, height), dpi=DPI)


def report_theme() -> theme:
    """White ground, 11-point letters, horizontal or vertical guides only where they help."""
    import plotnine as p9

    return p9.theme_minimal(base_size=11) + p9.theme(
        text=p9.element_text(colour=INK),
        plot_title=p9.element_text(size=12, weight="bold", ha="left"),
        plot_subtitle=p9.element_text(
            size=10, colour=NOT_CAUSAL, ha="left", margin={"b": 8, "unit": "pt"}
        ),
        axis_text=p9.element_text(size=9.5, colour=INK),
        axis_title=p9.element_text(size=10.5),
        strip_text=p9.element_text(size=10, weight="bold", ha="left"),
        panel_grid_minor=p9.element_blank(),
        panel_grid_major=p9.element_line(colour="#ececec", size=0.5),
        panel_spacing_x=0.045,
        panel_spacing_y=0.03,
        plot_margin=0.015,
        plot_background=p9.element_rect(fill="white", colour="white"),
        legend_position="none",
    )


def percent_ticks(shares: Sequence[float] | Sequence[str]) -> list[str]:
    """Labels of an axis of shares."""
    return [percent(float(share)) for share in shares]
