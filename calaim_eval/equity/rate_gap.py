"""Absolute and relative gaps between groups in a rate or a proportion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import special

from calaim_eval.equity.effect_gap import effect_gap
from calaim_eval.equity.rates_of import rates_option
from calaim_eval.errors import EstimationError
from calaim_eval.results import ALL, EffectTable, Estimand, Method, RateTable, Scale
from calaim_eval.results.intervals import byar_interval

REFERENCE = "Rothman KJ, Greenland S, Lash TL (2008). Modern Epidemiology, 3rd ed., chapter 14"
SHARED_MEMBERS = "members_in_several_groups"
"""Option of a RateTable whose groups share members (imputed or weighted): no gap from it alone."""


def rate_gap(
    rates: RateTable,
    *,
    reference: str,
    stratum: str = "race_ethnicity",
    scale: Scale = "difference",
) -> EffectTable:
    r"""Gap between each group's rate and the reference group's.

    Report both scales: 80 against 50 and 60 against 33 narrow the absolute gap (30 to 27) while
    the relative one grows (1.60 to 1.82).

    Parameters
    ----------
    rates : RateTable
        From `rate_by_group`, `proportion_by_group` or `access_funnel`; groups without members in
        common.
    reference : str
        Group the others are compared with, by name.
    stratum : str
        Key column with the groups. The "all" row holds every group and is left out.
    scale : {"difference", "ratio"}
        Group minus reference (in the unit of the rate; positive: higher in the group), or group
        over reference.

    Returns
    -------
    EffectTable
        Descriptive (`is_causal` False). Keys: the other keys, `stratum`, `reference`. A gap whose
        group has no event has no standard error; a ratio to a rate of 0 is NaN.

    Raises
    ------
    EstimationError
        The reference is not among the groups, or the table holds counts without a denominator.

    Notes
    -----
    Standard errors come from the table: :math:`\sqrt{p(1-p)/n}` for proportions; for rates the
    width of the interval over the width of Byar's interval of the count, times
    :math:`\sqrt{O}`, which gives back the clustered standard error behind a Dobson interval.
    Groups are independent. Ratios have an interval on the log scale.
    """
    if rates.kind == "count":
        raise EstimationError(
            f"rate_gap: `{rates.measure}` holds counts without a denominator; a gap needs rates."
        )
    if isinstance(rates.per, np.ndarray):
        raise EstimationError(
            f"rate_gap: `{rates.measure}` stacks several measures, whose intervals may be of "
            "several kinds.\n  Take the gap of each measure, then put the gaps under one another "
            "with stack(...)."
        )
    table = rates.select(rates.keys[stratum].astype(str) != ALL) if stratum in rates.keys else rates
    rate, error = table.rate, rate_std_error(table)
    levels = EffectTable(
        keys=table.keys,
        estimate=rate,
        covariance=np.diag(error**2),
        support=rate_support(table),
        estimand=Estimand(
            rates.measure, "rate in the group", rates.unit, scale="ratio", is_causal=False
        ),
        method=Method(rates.method.estimator, rates.method.options),
        notes=rates.notes,
    )
    gap = effect_gap(levels, reference=reference, stratum=stratum, scale=scale)
    return _as_rate_gap(gap, rates, reference=reference, scale=scale)


def _as_rate_gap(
    gap: EffectTable, rates: RateTable, *, reference: str, scale: Scale
) -> EffectTable:
    """The gap with the words of a gap in rates."""
    minus = "minus" if scale == "difference" else "over"
    return replace(
        gap,
        estimand=Estimand(
            f"{rates.measure}: gap",
            f"rate in the group {minus} rate in '{reference}'",
            rates.unit if scale == "difference" else "rate ratio",
            scale=scale,
            is_causal=False,
        ),
        method=replace(
            gap.method,
            estimator=f"{scale} of rates; {rates.method.estimator}",
            options={**gap.method.options, **rates_option(rates)},
            reference=REFERENCE,
        ),
    )


def rate_std_error(table: RateTable) -> np.ndarray:
    """Standard error of each rate, in its unit; NaN where there is no event to judge by."""
    if table.method.options.get(SHARED_MEMBERS):
        raise EstimationError(
            f"`{table.measure}`: a member may count in several groups here, so the groups' errors "
            "depend on each other.\n  Imputed groups: rubin_pool([rate_gap(...) for each]); "
            "probabilities: probability_weighted_gap(...)."
        )
    refuse_overlap(table)
    interval = table.method.options.get("interval")
    with np.errstate(divide="ignore", invalid="ignore"):
        if table.kind == "proportion":
            share = table.rate / table.per
            error = table.per * np.sqrt(share * (1 - share) / table.denominator)
        elif interval == "log_normal":
            log_width = np.log(table.conf_high / table.conf_low)
            error = table.rate * log_width / (2 * special.ndtri(0.975))
        elif interval in ("byar", "exact_poisson"):
            error = table.per * np.sqrt(table.numerator) / table.denominator
        else:
            low, high = byar_interval(table.numerator)
            error = np.sqrt(table.numerator) * (table.conf_high - table.conf_low) / (high - low)
    result: np.ndarray = np.where(error > 0, error, np.nan)
    return result


def refuse_overlap(table: RateTable) -> None:
    """Raise EstimationError where groups share members: no gap and no sum from such a table."""
    if table.overlaps:
        raise EstimationError(
            f"`{table.measure}`: a member may be in several groups of "
            f"{', '.join(f'`{c}`' for c in table.overlaps)}, so the groups' errors depend on each "
            "other and their rates make no sum.\n  Compare groups of an exclusive display, or one "
            "category with everybody else: with_race_ethnicity(panel, categories, "
            "display='in_combination', only='aian')."
        )


def half_event_error(
    numerator: np.ndarray, denominator: np.ndarray, *, per: float, is_share: bool
) -> np.ndarray:
    """Standard error with half an event (and none) added; for rates of 0 or of everybody."""
    half = (numerator + 0.5) / (denominator + is_share)
    spread = half * (1 - half) if is_share else half
    return np.asarray(per * np.sqrt(np.abs(spread) / denominator))


def rate_support(table: RateTable) -> pd.DataFrame:
    """Members and events behind each rate, in the columns disclosure control reads."""
    is_rate = table.kind == "rate"
    return pd.DataFrame(
        {
            "n_members": table.n_members,
            "n_events": table.numerator,
            "member_months": table.denominator if is_rate else np.nan,
        }
    )
