"""How much of what varies between counties, plans and services goes with each factor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.report.figures.theme import (
    EXPOSED,
    INK,
    QUIET,
    WIDTH,
    Figure,
    percent_ticks,
    report_theme,
)
from calaim_eval.report.figures.words import withheld_words
from calaim_eval.report.labels import wrap
from calaim_eval.report.numbers import percent, plural
from calaim_eval.report.release_items import Absent, find_item, need_columns
from calaim_eval.report.tables.success import factor_words

if TYPE_CHECKING:
    from plotnine import ggplot

    from calaim_eval.disclosure import Released


def success_dominance(released: Released) -> Figure | Absent:
    """Share of the variance of closed referrals that goes with each factor, against chance.

    Parameters
    ----------
    released : Released
        Uses `success_dominance` (keys `factor`, `statistic`).

    Returns
    -------
    Figure | Absent
        Absent too where every factor is withheld. A share is never negative: it is compared with
        the upright stroke, what a factor of chance takes, and not with zero.
    """
    found = find_item(released, "success_dominance")
    if isinstance(found, Absent):
        return found
    need_columns(found, ("factor", "statistic"))
    shown = found.frame[~found.frame["is_suppressed"]]
    n_withheld = int(found.frame.loc[found.frame["is_suppressed"], "factor"].nunique())
    if shown.empty:
        return Absent("success_dominance", "every factor rests on too few members to be shown")
    wide = shown.pivot_table(index="factor", columns="statistic", values="estimate", sort=False)
    wide = wide.reset_index().sort_values("share", kind="stable")
    names = [wrap(factor_words(str(name)), width=38) for name in wide["factor"]]
    wide["label"] = pd.Categorical(names, categories=names, ordered=True)
    return Figure(
        plot=_draw(wide),
        caption=(
            "Share of what varies in closed referrals between counties, plans and services that "
            "goes with each factor (general dominance), with 95% intervals over resampled "
            "counties. Upright stroke: what a factor of pure chance takes on average. "
            "Associations, not effects." + withheld_words(n_withheld, "factor")
        ),
        alt_text=_alt_text(wide),
        width=WIDTH,
        height=0.9 + 0.42 * len(wide),
    )


def _draw(frame: pd.DataFrame) -> ggplot:
    import plotnine as p9

    plot: ggplot = (
        p9.ggplot(frame, p9.aes(y="label", yend="label"))
        + p9.geom_segment(p9.aes(x="conf_low", xend="conf_high"), colour=QUIET, size=0.8)
        + p9.geom_point(p9.aes(x="noise"), shape="|", size=6, colour=INK)
        + p9.geom_point(p9.aes(x="share"), size=3, colour=EXPOSED)
        + p9.scale_x_continuous(labels=percent_ticks)
        + p9.expand_limits(x=0)
        + p9.labs(x="Share of the variance between units", y="")
        + report_theme()
        + p9.theme(panel_grid_major_y=p9.element_blank())
    )
    return plot


def _alt_text(frame: pd.DataFrame) -> str:
    words = "; ".join(
        f"{factor_words(str(row['factor']))} {percent(row['share'])} "
        f"({percent(row['conf_low'])} to {percent(row['conf_high'])}, by chance "
        f"{percent(row['noise'])})"
        for _, row in frame.iloc[::-1].iterrows()
    )
    return f"Share of the variance that goes with {plural(len(frame), 'factor')}: {words}."
