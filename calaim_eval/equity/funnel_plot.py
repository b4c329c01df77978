"""Rates of many groups or organizations against their size, with limits of what chance does."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.equity.group_figure import (
    INK,
    QUIET,
    GroupFigure,
    absent_words,
    number,
    points,
    require_points,
    theme,
)
from calaim_eval.equity.groups import check_columns
from calaim_eval.equity.rate_gap import rate_std_error
from calaim_eval.errors import EstimationError
from calaim_eval.results import ALL, RateTable

LEVELS = (0.95, 0.998)


def funnel_limits(
    denominator: np.ndarray, rate: float, *, level: float, overdispersion: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    r"""Limits that a group with the common rate crosses by chance with probability 1 - level.

    Parameters
    ----------
    denominator : np.ndarray
        Member-months; shape (k,), above 0.
    rate : float
        Common rate per member-month, above 0.
    level : float
        0.95 and 0.998 by convention.
    overdispersion : float
        Variance over that of independent events; limits widen by its square root.

    Returns
    -------
    (low, high) : np.ndarray
        Per member-month; shape (k,).

    Notes
    -----
    Quantiles of a Poisson count, interpolated so that the limits are smooth [1]_:
    :math:`(r_p - \alpha)/n` with :math:`\alpha = (F(r_p) - p)/(F(r_p) - F(r_p - 1))`.

    References
    ----------
    .. [1] Spiegelhalter DJ (2005). Funnel plots for comparing institutional performance. Stat Med
       24(8):1185-1202. doi:10.1002/sim.1970
    """
    from scipy import stats

    n = np.asarray(denominator, dtype=float)
    tail = (1 - level) / 2
    limits = []
    for share in (tail, 1 - tail):
        quantile = stats.poisson.ppf(share, rate * n)
        below, upto = (stats.poisson.cdf(quantile - d, rate * n) for d in (1, 0))
        smooth = (quantile - (upto - share) / (upto - below)) / n
        limits.append(np.maximum(0.0, rate + (smooth - rate) * np.sqrt(overdispersion)))
    return limits[0], limits[1]


def funnel_plot(rates: RateTable, *, stratum: str = "race_ethnicity") -> GroupFigure:
    """Rates by group over their member-months, with 95 % and 99.8 % limits about the common rate.

    Use for many groups, organizations or counties, to see which are beyond what chance does; never
    to rank those within the limits.

    Parameters
    ----------
    rates : RateTable
        Of `kind` "rate", one row per group; the "all" row is left out.
    stratum : str
        Key column with the groups.

    Returns
    -------
    GroupFigure
        The common rate is that of the groups shown; those outside the 99.8 % limits are named.
        Limits widen where repeat events of members
        widened the rates' own intervals. Groups of 1 to 10 events or members are absent.

    Raises
    ------
    TableError
        The key is missing.
    EstimationError
        The table holds no rates, other keys than the group, or nothing to show.
    """
    import plotnine as p9

    check_columns(rates.keys, [stratum])
    if rates.kind != "rate" or isinstance(rates.per, np.ndarray) or len(rates.keys.columns) > 1:
        raise EstimationError(
            f"funnel_plot: `{rates.measure}` is of kind '{rates.kind}' by "
            f"{', '.join(f'`{c}`' for c in rates.keys.columns)}; it needs rates by `{stratum}` "
            "alone."
        )
    per = float(rates.per)
    groups = rates.select((rates.keys[stratum].astype(str) != ALL).to_numpy())
    frame = points(groups).assign(months=groups.denominator)
    shown = frame[frame["shown"]]
    require_points(shown, "funnel_plot")
    # Of the groups shown alone: a rate of all would tell of the one that is hidden.
    common, spread = _common(groups.select(frame["shown"]))
    n_absent = len(frame) - len(shown)
    lines = _lines(shown["months"], common, spread, per)
    outer = funnel_limits(
        shown["months"].to_numpy(), common, level=LEVELS[1], overdispersion=spread
    )
    beyond = shown[(shown["value"] < per * outer[0]) | (shown["value"] > per * outer[1])]
    plot = (
        p9.ggplot(shown, p9.aes("months", "value"))
        + p9.geom_line(
            p9.aes("months", "limit", group="name", linetype="level"), data=lines, colour=QUIET
        )
        + p9.geom_hline(yintercept=per * common, colour=QUIET)
        + p9.geom_point(colour="#0072B2", size=2.5)
        + p9.geom_text(p9.aes(label=stratum), data=beyond, colour=INK, size=9, va="bottom")
        + p9.scale_linetype_manual(values={"95 %": "dashed", "99.8 %": "solid"})
        + p9.labs(
            x="Member-months",
            y=rates.unit,
            caption="\n".join(
                part
                for part in (
                    "Dashed: 95 % limits, solid: 99.8 %, of chance about the common rate.",
                    absent_words(n_absent),
                )
                if part
            ),
        )
        + theme(6)
    )
    pairs = zip(beyond[stratum], beyond["value"], strict=True)
    named = ", ".join(f"{group} ({number(value)})" for group, value in pairs)
    text = (
        f"{len(shown)} groups about a common rate of {number(per * common)} ({rates.unit}). "
        f"Outside the 99.8 % limits: {named or 'none'}. {absent_words(n_absent)}"
    )
    return GroupFigure(plot, text.strip(), n_absent)


def _common(groups: RateTable) -> tuple[float, float]:
    """Common rate of groups per member-month, and the variance of theirs over a Poisson one."""
    n, events = groups.denominator, groups.numerator
    if not events.sum() > 0:
        raise EstimationError(f"funnel_plot: `{groups.measure}` has no event in any group.")
    common = float(events.sum() / n.sum())
    variance = np.nan_to_num(rate_std_error(groups) / groups.per) ** 2
    spread = float(np.sum(n * n * variance) / n.sum()) / common
    return common, max(1.0, spread)


def _lines(months: pd.Series, common: float, spread: float, per: float) -> pd.DataFrame:
    """Limits along the range of sizes shown."""
    grid = np.geomspace(0.8 * months.min(), 1.1 * months.max(), 120)
    parts = []
    for level in LEVELS:
        both = funnel_limits(grid, common, level=level, overdispersion=spread)
        for side, limit in zip(("low", "high"), both, strict=True):
            words = f"{100 * level:g} %"
            parts.append(
                pd.DataFrame(
                    {
                        "months": grid,
                        "limit": per * limit,
                        "level": words,
                        "name": f"{words} {side}",
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)
