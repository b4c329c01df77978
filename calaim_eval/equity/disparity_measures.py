"""How unequal a rate is over groups, absolute and relative, beside what chance alone gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.equity.disparity_estimates import MeasuredGroups
from calaim_eval.equity.disparity_formulas import DISPARITY_FORMULAS, Measure, Reference, best_rate
from calaim_eval.equity.disparity_rows import measured_rows, stacked
from calaim_eval.equity.disparity_table import DisparityTable
from calaim_eval.equity.equal_groups import DRAWS
from calaim_eval.equity.group_rate_sources import Source, group_rates
from calaim_eval.equity.group_rates import GroupRates, by_group
from calaim_eval.equity.rates_of import rates_option
from calaim_eval.errors import EstimationError

Selection = Literal["in_interval", "ignored"]
Shares = Literal["known", "sampled"]
REFERENCE_WORDS = ("best", "mean", "rest")
WEIGHT_WORDS = ("population", "equal")


def disparity_measures(
    rates: Source,
    *,
    reference: str,
    favourable: bool,
    weights: str | pd.Series,
    measures: Sequence[str] | None = None,
    stratum: str = "race_ethnicity",
    population: pd.Series | None = None,
    per: float | None = None,
    unit: str | None = None,
    selection: Selection = "in_interval",
    shares: Shares = "known",
    draws: int = DRAWS,
    rng: np.random.Generator | None = None,
) -> DisparityTable:
    r"""Disparity of a rate over groups without an order: absolute and relative measures together.

    Parameters
    ----------
    rates : RateTable, EffectTable or pd.DataFrame
        Rates by `stratum`. A frame has `stratum` and `events`, `member_months` (optionally
        `variance` of the events, `n_members`), or `count`, `members`, or `rate`, `std_error`,
        `population`. An EffectTable brings its joint covariance.
    reference : str
        A group by name; or ``"best"`` (the most favourable rate), ``"mean"`` (all groups
        together), ``"rest"`` (all other groups together). There is no default.
    favourable : bool
        True where a higher rate is better (a vaccination), False where it is worse (an ED visit).
    weights : {"population", "equal"} or pd.Series
        How groups are averaged in measures over all groups. Population weights hide small groups:
        show both. A series has one weight a group and sums to 1.
    measures : sequence of str, optional
        Of `DISPARITY_FORMULAS`; default all that are defined for the reference.
    stratum : str
        Column with the groups. An "all" row holds every group and is left out.
    population : pd.Series, optional
        Population by group in place of the denominators; an EffectTable needs it.
    per, unit : float, str
        Denominator a rate refers to and unit of the rate; needed for a frame, which says neither.
    selection : {"in_interval", "ignored"}
        Whether intervals of measures that pick the best or worst group hold the chance of picking
        another.
    shares : {"known", "sampled"}
        Whether the groups' shares of the population are known, or those of a simple random sample
        as large as the population.
    draws : int
        Draws behind `if_equal`, its p-value, selection, and the bias of measures with a kink.
    rng : np.random.Generator, optional
        Default: the same draws each time.

    Returns
    -------
    DisparityTable
        Keys: other keys of `rates`, `stratum` ("all" for measures over all groups), `reference`,
        `measure`, `kind`, `weights`, `unit`. Differences are group minus reference. Measures of
        risk are positive where the rate of all would improve.

    Raises
    ------
    EstimationError
        The reference is not a group, a denominator is 0, a group has no rate, weights do not sum
        to 1, or a measure is not defined for the reference.

    Notes
    -----
    Variances are :math:`\nabla f' V \nabla f` with the joint covariance :math:`V` of the rates; the
    between-group variance has the exact one for normal rates [1]_,
    :math:`4 r'AVAr + 2\operatorname{tr}(AVAV)`, :math:`A = \operatorname{diag}(w) - ww'`.
    Measures that cannot be negative are too large on average even where all groups share one rate.
    `bias_corrected` takes off :math:`\tfrac12\operatorname{tr}(HV)`, or, for measures with a kink,
    what drawing rates around the estimates adds; the Theil index has neither that nor an error
    where a rate is 0, where its slope has no end. `if_equal` is the average under one common rate.

    References
    ----------
    .. [1] Ahn J, Harper S, Yu M, Feuer EJ, Liu B, Luta G (2018). JCO Clin Cancer Inform 2:1-19.
       doi:10.1200/CCI.18.00031
    .. [2] Schlotheuber A, Hosseinpoor AR (2022). IJERPH 19(6):3697. doi:10.3390/ijerph19063697

    Examples
    --------
    >>> rates = pd.DataFrame({"race_ethnicity": ["black", "white"], "events": [160, 50],
    ...                       "member_months": [2000, 1000]})
    >>> found = disparity_measures(rates, reference="white", favourable=False, weights="equal",
    ...                            per=1000, unit="ED visits per 1,000 member-months",
    ...                            measures=["rate_difference", "rate_ratio"])
    >>> found.to_frame()["estimate"].tolist()
    [30.0, 1.6]
    """
    check_option("selection", selection, get_args(Selection))
    check_option("shares", shares, get_args(Shares))
    if draws < 200:
        raise EstimationError(f"`draws` is {draws}; averages over draws need 200 or more.")
    parts = group_rates(rates, stratum=stratum, population=population, per=per, unit=unit)
    tables = []
    for values, groups in parts:
        chosen = _reference(groups, reference, favourable=favourable, selection=selection)
        case = MeasuredGroups(
            groups=groups,
            share=_shares(groups, weights, reference),
            weights=_weights(groups, weights),
            reference=chosen,
            words={
                "reference": reference,
                "favourable": favourable,
                "weights": weights if isinstance(weights, str) else "given",
                "selection": selection,
                "shares": shares,
                "draws": draws,
                **rates_option(rates),
            },
            stratum=stratum,
            sampled_shares=shares == "sampled",
        )
        names = _names(measures, chosen)
        tables.append(measured_rows(case, names, keys=values, draws=draws, rng=rng))
    return stacked(tables)


def _reference(
    groups: GroupRates, reference: str, *, favourable: bool, selection: Selection
) -> Reference:
    """What rates are compared with."""
    sign = 1 if favourable else -1
    if reference in REFERENCE_WORDS and reference in groups.names:
        raise EstimationError(
            f"`reference` is '{reference}', which is a rule and also a group's name; rename the "
            "group."
        )
    if reference == "best":
        at = int(np.flatnonzero(groups.rate == best_rate(groups.rate, sign))[0])
        return Reference("best", -1 if selection == "in_interval" else at, sign)
    if reference == "mean":
        return Reference("mean", -1, sign)
    if reference == "rest":
        return Reference("rest", -1, sign)
    if reference not in groups.names:
        listed = ", ".join(f"'{g}'" for g in groups.names)
        raise EstimationError(
            f"`reference` is '{reference}'; the groups: {listed}.\n"
            "  Or one of the rules 'best', 'mean', 'rest'."
        )
    return Reference("group", groups.position(reference), sign)


def _shares(groups: GroupRates, weights: str | pd.Series, reference: str) -> np.ndarray:
    """Shares of the population; refuses where a measure needs them and none are known."""
    if np.isfinite(groups.population).all():
        return groups.share
    raise EstimationError(
        "the groups' population is not known: effects carry none.\n  Give `population`, a series "
        f"by group (weights {weights if isinstance(weights, str) else 'given'}, reference "
        f"'{reference}')."
    )


def _weights(groups: GroupRates, weights: str | pd.Series) -> np.ndarray:
    """Averaging weights in the order of the groups; sum to 1."""
    if isinstance(weights, str):
        if weights not in WEIGHT_WORDS:
            raise EstimationError(
                f"`weights` is '{weights}', not one of 'population', 'equal' or a series by group."
            )
        k = len(groups.names)
        return groups.share if weights == "population" else np.full(k, 1 / k)
    given = by_group(weights, groups.names, what="weights")
    extra = len(weights) - len(given)
    if extra or (given < 0).any() or abs(given.sum() - 1) > 1e-9:
        raise EstimationError(
            f"`weights` sum to {given.sum():.6g} over the {len(given)} groups of the rates "
            f"({int((given < 0).sum())} negative, {extra} of other groups); they must be 0 or more "
            "and sum to 1.\n  Divide them by their sum."
        )
    return given


def _names(measures: Sequence[str] | None, reference: Reference) -> dict[str, Measure]:
    """Measures asked for, or all that are defined for the reference."""
    known = {n: m for n, m in DISPARITY_FORMULAS.items() if reference.rule in m.needs_reference}
    if measures is None:
        return known
    unknown = [m for m in measures if m not in DISPARITY_FORMULAS]
    if unknown or not measures:
        raise EstimationError(
            f"{len(unknown)} of {len(measures)} measures are not known: "
            f"{', '.join(f'`{m}`' for m in unknown)}. Known: {', '.join(DISPARITY_FORMULAS)}."
        )
    undefined = [m for m in measures if m not in known]
    if undefined:
        raise EstimationError(
            f"{', '.join(f'`{m}`' for m in undefined)} compare with one rate, which the reference "
            f"'{reference.rule}' is not.\n  Name a group, or use reference=\"best\"."
        )
    return {n: known[n] for n in dict.fromkeys(measures)}
