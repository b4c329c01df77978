"""Shares of explained variance as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.integration.success.dominance import DominanceTable


def dominance_plot(table: DominanceTable) -> ggplot:
    """Shares with 95 % intervals; the tick says what a factor of chance would take."""
    import plotnine as p9

    frame = table.shares.assign(
        factor=pd.Categorical(table.shares["factor"], categories=table.shares["factor"][::-1]),
        **{name: 100 * table.shares[name] for name in ("share", "conf_low", "conf_high", "noise")},
    )
    return (
        p9.ggplot(frame, p9.aes(y="factor", yend="factor"))
        + p9.geom_segment(p9.aes(x="conf_low", xend="conf_high"), color="#5c5c5c")
        + p9.geom_point(p9.aes(x="share"), size=2.5, color="#0072B2")
        + p9.geom_point(p9.aes(x="noise"), shape="|", size=5, color="#1a1a1a")
        + p9.labs(
            x="Share of the variance between units, %",
            y="",
            title="What goes with the outcome",
            caption=f"{table.n_units} units; all factors together "
            f"{100 * table.r_squared:.0f} %.\nUpright stroke: what a factor of chance takes on "
            "average.\nAssociations, not effects.",
        )
        + p9.theme_minimal()
        + p9.theme(plot_caption=p9.element_text(ha="left"), figure_size=(7, 0.45 * len(frame) + 2))
    )
