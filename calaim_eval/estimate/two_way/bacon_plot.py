"""The picture of a Goodman-Bacon decomposition, and its numbers in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.estimate.two_way.bacon import BaconDecomposition

WORDS = {
    "exposed_vs_never": "Exposed and never exposed",
    "exposed_vs_always": "Exposed and always exposed",
    "earlier_vs_later": "Earlier and later exposed",
    "later_vs_earlier": "Later and already exposed",
}
COLOURS = ("#084c8d", "#7a3b00", "#009e73", "#d1700a")
"""Told apart with colour-blindness and, with the shapes, in grey."""
SHAPES = ("o", "D", "^", "s")


def plot_bacon(decomposition: BaconDecomposition) -> ggplot:
    """Estimates of the comparisons against their weights; the line is the coefficient."""
    import plotnine as p9

    kinds = list(WORDS)
    frame = decomposition.to_frame()
    frame["kind"] = frame["comparison"].map(WORDS)
    plot = (
        p9.ggplot(frame, p9.aes("weight", "estimate", colour="kind", shape="kind"))
        + p9.geom_hline(yintercept=0, colour="#c9c9c9")
        + p9.geom_hline(
            p9.aes(yintercept="estimate"), data=decomposition.two_way(), linetype="dashed"
        )
        + p9.geom_point(size=3)
        + p9.scale_colour_manual(values=dict(zip((WORDS[k] for k in kinds), COLOURS, strict=True)))
        + p9.scale_shape_manual(values=dict(zip((WORDS[k] for k in kinds), SHAPES, strict=True)))
        + p9.labs(
            x="Weight in the two-way fixed effects coefficient",
            y=decomposition.comparisons.estimand.unit,
            colour="",
            shape="",
        )
        + p9.guides(colour=p9.guide_legend(ncol=2), shape=p9.guide_legend(ncol=2))
        + p9.theme(legend_position="bottom")
    )
    return plot + p9.facet_wrap(list(decomposition.stratum)) if decomposition.stratum else plot


def bacon_alt_text(decomposition: BaconDecomposition) -> str:
    """Weight and mean estimate of each kind of comparison, and the coefficient, in words."""
    stratum = list(decomposition.stratum)
    whole = decomposition.two_way()
    kinds = decomposition.by_comparison()
    sentences = [
        "2x2 comparisons by weight (across) and estimate (up), in "
        f"{decomposition.comparisons.estimand.unit}."
    ]
    for _, row in whole.iterrows():
        own = kinds
        for name in stratum:
            own = own[own[name].astype(str) == str(row[name])]
        where = f"{', '.join(str(row[name]) for name in stratum)}: " if stratum else ""
        parts = "; ".join(
            f"{WORDS[kind['comparison']].lower()} {kind['weight']:.0%} of the weight, "
            f"mean {kind['estimate']:.3g}"
            for _, kind in own.iterrows()
        )
        sentences.append(f"{where}coefficient {row['estimate']:.3g}; {parts}.")
    return " ".join(sentences)
