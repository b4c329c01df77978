"""Pictures of balance and overlap in which no single member can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import FEW
from calaim_eval.design.weights import SIDES, MemberWeights
from calaim_eval.errors import DesignError

if TYPE_CHECKING:
    from plotnine import ggplot

BEFORE, AFTER = "before", "after"
COLOURS = {BEFORE: "#d1700a", AFTER: "#084c8d", "comparison": "#d1700a", "exposed": "#084c8d"}
"""Orange and blue, told apart by those who see no red or green, and light and dark in grey."""
QUIET = "#5c5c5c"
LIMIT = 0.1


def love_plot(table: pd.DataFrame) -> ggplot:
    """Standardized differences before and after matching or weighting, a line per variable.

    Parameters
    ----------
    table : pd.DataFrame
        From `balance`; with `by`, one panel a group.

    Returns
    -------
    ggplot
        Before is a hollow circle, after a filled one; both are named at the topmost line. Rows
        with fewer than 11 members on either side are absent, and the picture says how many.

    Raises
    ------
    DesignError
        The table is not one of `balance`, or no row has 11 members on both sides.
    """
    import plotnine as p9

    shown, n_absent = _love_rows(table)
    by = next((str(c) for c in table.columns if c not in _LOVE_COLUMNS), None)
    parts = [
        shown.assign(when=when, difference=shown[column])
        for when, column in (
            (BEFORE, "standardized_difference_before"),
            (AFTER, "standardized_difference"),
        )
    ]
    points = pd.concat(parts, ignore_index=True).dropna(subset="difference")
    names = _named_points(points)
    plot: ggplot = (
        p9.ggplot(points, p9.aes("difference", "row"))
        + p9.geom_vline(xintercept=[-LIMIT, LIMIT], linetype="dashed", colour=QUIET)
        + p9.geom_vline(xintercept=0, colour=QUIET)
        + p9.geom_point(p9.aes(shape="when", colour="when"), size=3, stroke=0.8)
        + p9.geom_text(
            p9.aes(label="when", colour="when"),
            data=names[names["when"] == BEFORE],
            nudge_y=0.2,
            size=9,
            va="bottom",
        )
        + p9.geom_text(
            p9.aes(label="when", colour="when"),
            data=names[names["when"] == AFTER],
            nudge_y=-0.2,
            size=9,
            va="top",
        )
        + p9.scale_shape_manual(values={BEFORE: "$\u25cb$", AFTER: "o"}, guide=None)
        + p9.scale_colour_manual(values=COLOURS, guide=None)
        + p9.labs(
            x="Exposed minus comparison, in standard deviations of the exposed",
            y="",
            caption=_absent_words(n_absent, "row"),
        )
        + _theme()
    )
    return plot + p9.facet_wrap(by) if by else plot


_LOVE_COLUMNS = (
    "variable",
    "level",
    "n_exposed",
    "n_comparison",
    "mean_exposed",
    "mean_comparison",
    "mean_comparison_in_cells",
    "standardized_difference",
    "variance_ratio",
    "standardized_difference_before",
    "variance_ratio_before",
)


def _named_points(points: pd.DataFrame) -> pd.DataFrame:
    """The points of the topmost line that has both, to write their names at."""
    both = points.groupby("row", observed=True)["when"].nunique() == len((BEFORE, AFTER))
    lines = both.index[both] if both.any() else both.index
    return points[points["row"] == lines[-1]]


def _love_rows(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Rows that may be shown, named and in order, and how many may not."""
    missing = [c for c in _LOVE_COLUMNS if c not in table.columns]
    if missing:
        raise DesignError(f"love_plot: the table lacks `{missing[0]}`; give one of balance(...).")
    enough = (table["n_exposed"] >= FEW) & (table["n_comparison"] >= FEW)
    shown = table[enough].copy()
    if shown.empty:
        raise DesignError(
            f"love_plot: no row of the table has {FEW} members on both sides, so nothing can be "
            "shown."
        )
    row = shown["variable"].where(shown["level"] == "", shown["variable"] + ": " + shown["level"])
    shown["row"] = pd.Categorical(row, categories=list(dict.fromkeys(row))[::-1], ordered=True)
    return shown, int((~enough).sum())


def overlap_plot(weights: MemberWeights, *, n_bins: int = 20) -> ggplot:
    """Propensity scores of the exposed (up) and of comparison members (down).

    Parameters
    ----------
    weights : MemberWeights
        From `propensity_weights`.
    n_bins : int
        Bins of equal width from 0 to 1.

    Returns
    -------
    ggplot
        Share of each side's members shown, unweighted. Bins with fewer than 11 members of a side
        are absent, and the picture says how many.

    Raises
    ------
    DesignError
        The weights have no scores, or no bin holds 11 members of a side.
    """
    import plotnine as p9

    bars, n_absent = _overlap_bars(weights, n_bins)
    top = bars.loc[bars.groupby("side")["height"].idxmax().to_numpy()]
    names = (
        bars.groupby("side", as_index=False)
        .agg(score=("score", "median"))
        .merge(pd.DataFrame({"side": SIDES, "height": [top["height"].max() * 1.12] * 2}))
    )
    names["height"] = np.where(names["side"] == "exposed", names["height"], -names["height"])
    plot: ggplot = (
        p9.ggplot(bars, p9.aes("score", "signed"))
        + p9.geom_col(p9.aes(fill="side"), width=0.9 / n_bins, colour="white", size=0.2)
        + p9.geom_hline(yintercept=0, colour=QUIET)
        + p9.geom_text(p9.aes("score", "height", label="side", colour="side"), data=names, size=10)
        + p9.scale_fill_manual(values=COLOURS, guide=None)
        + p9.scale_colour_manual(values=COLOURS, guide=None)
        + p9.scale_x_continuous(limits=(0, 1))
        + p9.scale_y_continuous(labels=_shares)
        + p9.labs(
            x="Propensity score",
            y="Share of the members shown",
            caption=_absent_words(n_absent, "bin"),
        )
        + _theme()
    )
    return plot


def _overlap_bars(weights: MemberWeights, n_bins: int) -> tuple[pd.DataFrame, int]:
    """Share of each side's members by bin, small bins left out, and how many those are.

    Shares are of the members shown, so that what is left out does not follow from them.
    """
    if "score" not in weights.weights:
        raise DesignError(
            "overlap_plot: these weights have no propensity score. Use propensity_weights(...)."
        )
    if n_bins < 2:
        raise DesignError(f"`n_bins` is {n_bins}; it must be 2 or more.")
    frame = weights.weights
    bin_of = np.minimum((frame["score"].to_numpy() * n_bins).astype(int), n_bins - 1)
    rows, n_absent = [], 0
    for side, members in zip(SIDES, (frame["is_exposed"], ~frame["is_exposed"]), strict=True):
        counts = np.bincount(bin_of[members.to_numpy()], minlength=n_bins)
        shown = counts >= FEW
        n_absent += int(((counts > 0) & ~shown).sum())
        share = counts[shown] / max(counts[shown].sum(), 1)
        score = (np.flatnonzero(shown) + 0.5) / n_bins
        rows.append(pd.DataFrame({"side": side, "score": score, "height": share}))
    bars = pd.concat(rows, ignore_index=True)
    if bars.empty:
        raise DesignError(
            f"overlap_plot: no bin holds {FEW} members of a side, so nothing can be shown. Use "
            "fewer bins."
        )
    return bars.assign(signed=np.where(bars["side"] == "exposed", 1, -1) * bars["height"]), n_absent


def _shares(ticks: Sequence[float] | Sequence[str]) -> list[str]:
    """Labels of an axis that counts in both directions."""
    return [f"{abs(float(tick)):.0%}" for tick in ticks]


def _absent_words(n_absent: int, what: str) -> str:
    """How much is left out, for the foot of a picture."""
    if not n_absent:
        return ""
    return f"Not shown: {n_absent} {what}{'s' if n_absent > 1 else ''} of fewer than {FEW} members."


def _theme() -> Any:
    """White ground, few lines, letters large enough for a report."""
    import plotnine as p9

    return p9.theme_minimal(base_size=11) + p9.theme(
        figure_size=(7.2, 4.2),
        panel_grid_minor=p9.element_blank(),
        panel_grid_major_y=p9.element_line(colour="#ececec", size=0.5),
        plot_background=p9.element_rect(fill="white", colour="white"),
        plot_caption=p9.element_text(size=9, colour=QUIET, ha="left"),
    )
