"""The default picture of a table of effects or of bounds."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.results.bounds_table import BoundsTable
    from calaim_eval.results.effect_table import EffectTable

WIDTH = 48
"""Letters of a line of an axis title."""


def plot_effects(table: EffectTable) -> ggplot:
    """Points with 95 % intervals: over event time where there is one, else one line per row."""
    import plotnine as p9

    frame = table.to_frame()
    null = 1.0 if table.estimand.scale == "ratio" else 0.0
    if "event_time" in frame:
        groups = [c for c in table.keys.columns if c not in ("event_time",)]
        plot = (
            p9.ggplot(frame, p9.aes("event_time", "estimate", ymin="conf_low", ymax="conf_high"))
            + p9.geom_hline(yintercept=null, colour="#6b6b6b")
            + p9.geom_vline(xintercept=-0.5, linetype="dashed", colour="#6b6b6b")
            + p9.geom_pointrange()
            + p9.labs(x="Months since first exposure", y=table.estimand.unit)
        )
        return plot + p9.facet_wrap(groups, scales="free_y") if groups else plot
    rows = table.keys.astype(str).agg(", ".join, axis=1)
    # From top to bottom in the order of the table.
    frame["row"] = pd.Categorical(rows, list(dict.fromkeys(rows))[::-1])
    return (
        p9.ggplot(frame, p9.aes("row", "estimate", ymin="conf_low", ymax="conf_high"))
        + p9.geom_hline(yintercept=null, colour="#6b6b6b")
        + p9.geom_pointrange()
        + p9.coord_flip()
        + p9.labs(x=", ".join(map(str, table.keys.columns)), y=table.estimand.unit)
    )


def plot_bounds(table: BoundsTable) -> ggplot:
    """Intervals over the bound, with the null; one panel a stratum."""
    import plotnine as p9

    frame = table.to_frame()
    others = [c for c in table.keys if c != "bound"]
    groups = [c for c in others if len(table.keys[c].drop_duplicates()) > 1]
    plot = (
        p9.ggplot(frame, p9.aes("bound", ymin="conf_low", ymax="conf_high"))
        + p9.geom_hline(yintercept=0.0, colour="#6b6b6b")
        + p9.geom_linerange()
        + p9.geom_linerange(p9.aes(ymin="set_low", ymax="set_high"), size=2, na_rm=True)
        + p9.labs(x=fill(f"Bound: {table.bound_words}", WIDTH), y=table.estimand.unit)
    )
    return plot + p9.facet_wrap(groups, scales="free_x") if groups else plot
