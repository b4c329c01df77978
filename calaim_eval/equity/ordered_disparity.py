"""How a rate rises or falls over groups with an order, such as Healthy Places Index quartiles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar, get_args

import numpy as np
import pandas as pd

from calaim_eval.design.checks import check_option
from calaim_eval.design.ledger import part_words
from calaim_eval.equity.disparity_estimates import MeasuredGroups
from calaim_eval.equity.disparity_formulas import Reference
from calaim_eval.equity.disparity_rows import measured_rows, stacked
from calaim_eval.equity.disparity_table import DisparityTable
from calaim_eval.equity.equal_groups import DRAWS
from calaim_eval.equity.group_rate_sources import Source, group_rates
from calaim_eval.equity.group_rates import GroupRates
from calaim_eval.equity.groups import UNKNOWN
from calaim_eval.equity.ordered_formulas import Model, end_rates, ordered_formulas
from calaim_eval.equity.rates_of import rates_option
from calaim_eval.errors import EstimationError
from calaim_eval.schema import race_ethnicity_groups

UNORDERED = frozenset(
    {"race_ethnicity", "race", "ethnicity", "language", "sex", "gender", "plan", "county"}
)
M = TypeVar("M")
NOT_RANKED = frozenset({UNKNOWN, "declined"})
SCHLOTHEUBER = (
    "Schlotheuber A, Hosseinpoor AR (2022). IJERPH 19(6):3697. doi:10.3390/ijerph19063697"
)


def ordered_disparity(
    rates: Source,
    *,
    order: Sequence[str],
    stratum: str,
    favourable: bool,
    model: Model,
    measures: Sequence[str] | None = None,
    limits: tuple[float, float] | None = None,
    population: pd.Series | None = None,
    per: float | None = None,
    unit: str | None = None,
    draws: int = DRAWS,
    rng: np.random.Generator | None = None,
) -> DisparityTable:
    r"""Slope and concentration indices of a rate over ordered groups.

    Use where groups have an order of advantage (Healthy Places Index quartiles, income bands) and
    the question is about the whole distribution, not its two ends. Race, ethnicity and language
    have no order and are refused.

    Parameters
    ----------
    rates : RateTable, EffectTable or pd.DataFrame
        As in `disparity_measures`.
    order : sequence of str
        Groups from the most disadvantaged to the most advantaged: all of them, except "unknown"
        and "declined", which have no rank and are left out and counted in the notes.
    stratum : str
        Column with the groups.
    favourable : bool
        True where a higher rate is better. It does not change a number; it says how to read one.
    model : {"linear", "logit", "log"}
        How the rate depends on the rank in the slope and relative indices: a line; a logistic
        curve (shares only); an exponential one (rates of events). A line may predict rates below 0.
    measures : sequence of str, optional
        Default all: `slope_index`, `relative_index`, `absolute_concentration`,
        `relative_concentration`, and with `limits` `wagstaff_concentration` and
        `erreygers_concentration`.
    limits : (float, float), optional
        Lowest and highest value a bounded rate can have, in its unit: (0, 100) for percent. The
        logit model needs them; they are never guessed from the numbers.
    population, per, unit, draws, rng
        As in `disparity_measures`.

    Returns
    -------
    DisparityTable
        Positive (a ratio above 1): the rate is higher among the advantaged, which for a
        favourable rate is to the loss of the disadvantaged, and for an adverse one to theirs.

    Raises
    ------
    EstimationError
        The stratum has no order, `order` is not the groups there are, or a rate lies outside
        `limits`.

    Notes
    -----
    Group :math:`j` stands at the middle :math:`x_j` of its part of the ranked population. The
    slope index is the rate predicted at rank 1 minus at rank 0, the relative index their ratio;
    the absolute concentration index is :math:`\sum_j p_j (2x_j - 1) r_j`, the relative one that
    over the mean. Errors come from the covariance of the rates, not from how far a few points lie
    from a line. Each group counts once, by its population.

    References
    ----------
    .. [1] Schlotheuber A, Hosseinpoor AR (2022). IJERPH 19(6):3697. doi:10.3390/ijerph19063697
    .. [2] Wagstaff A, Paci P, van Doorslaer E (1991). Soc Sci Med 33:545-557.
       doi:10.1016/0277-9536(91)90212-U
    .. [3] Erreygers G (2009). J Health Econ 28:504-515. doi:10.1016/j.jhealeco.2008.02.003

    Examples
    --------
    >>> rates = pd.DataFrame({"hpi": ["q1", "q2", "q3", "q4"], "events": [320, 195, 110, 40],
    ...                       "member_months": [4000, 3000, 2000, 1000]})
    >>> found = ordered_disparity(rates, order=["q1", "q2", "q3", "q4"], stratum="hpi", per=1000,
    ...                           favourable=False, model="linear",
    ...                           unit="ED visits per 1,000 member-months")
    >>> round(found.value("slope_index"), 1)
    -47.0
    """
    check_option("model", model, get_args(Model))
    check_order(order, stratum)
    tables = []
    parts = group_rates(rates, stratum=stratum, population=population, per=per, unit=unit)
    for values, groups in parts:
        ranked = _ranked(groups, list(order), stratum)
        top = check_limits(ranked.rate, limits, model)
        case = MeasuredGroups(
            groups=ranked,
            share=ranked.share,
            weights=ranked.share,
            reference=Reference("mean", -1, 1 if favourable else -1),
            words={
                "reference": "rank",
                "order": ", ".join(order),
                "favourable": favourable,
                "weights": "population",
                "model": model,
                "limits": limits,
                "draws": draws,
                **rates_option(rates),
            },
            stratum=stratum,
            reference_doi=SCHLOTHEUBER,
        )
        fitted_ends(ranked.rate, ranked.share, top=top, model=model)
        chosen = chosen_measures(measures, ordered_formulas(model=model, top=top, limits=limits))
        tables.append(measured_rows(case, chosen, keys=values, draws=draws, rng=rng))
    return stacked(tables)


def refuse_unordered(names: Iterable[str], stratum: str) -> None:
    """Refuse strata without an order, by their name or those of their groups."""
    race = set(race_ethnicity_groups()) - NOT_RANKED
    ranked = [g for g in names if g in race]
    if stratum in UNORDERED or ranked:
        raise EstimationError(
            f"`{stratum}` has no order: a slope or concentration index would rank groups of "
            "people.\n  Use disparity_measures(...), which ranks nobody."
        )


def check_order(order: Sequence[str], stratum: str) -> None:
    """Refuse strata without an order, and an order that is none."""
    refuse_unordered(order, stratum)
    repeats = len(order) - len(set(order))
    if repeats or len(order) < 3:
        raise EstimationError(
            f"`order` has {len(order)} groups, {repeats} of them repeated; it needs three or more "
            "different ones, from the most disadvantaged to the most advantaged."
        )


def _ranked(groups: GroupRates, order: list[str], stratum: str) -> GroupRates:
    """The groups in their order, those without a rank left out and counted."""
    left = [n for n in groups.names if n not in order]
    lost = [n for n in order if n not in groups.names]
    odd = [n for n in left if n not in NOT_RANKED]
    if odd or lost:
        raise EstimationError(
            f"`order` and the groups of `{stratum}` differ: {len(odd)} groups have no place in it "
            f"({', '.join(odd) or 'none'}), {len(lost)} of it are not there "
            f"({', '.join(lost) or 'none'})."
        )
    if not np.isfinite(groups.population).all():
        raise EstimationError(
            "the groups' population is not known, and ranks are made of it.\n"
            "  Give `population`, a series by group."
        )
    ranked = groups.select([groups.names.index(n) for n in order])
    if not left:
        return ranked
    share = 1 - ranked.population.sum() / groups.population.sum()
    # In tenths: a finer share of a population that is known is a count.
    words = f"about {share:.0%}" if (share := round(share, 1)) else "less than 5%"
    note = f"{', '.join(left)}: no rank, left out ({words} of the population)."
    return replace(ranked, notes=(*ranked.notes, note))


def check_limits(
    rate: np.ndarray,
    limits: tuple[float, float] | None,
    model: Model,
    *,
    of_members: bool = False,
) -> float:
    """Highest possible rate; refuses rates outside the limits and a logit without them."""
    if limits is None:
        if model == "logit":
            raise EstimationError(
                "the logit model needs `limits`, the lowest and highest value of the rate in its "
                "unit, such as (0, 100) for percent; it is not guessed from the numbers."
            )
        return 1.0
    low, high = limits
    outside = int(((rate < low) | (rate > high)).sum())
    if outside or not low < high or (model == "logit" and low != 0):
        words = f"{outside} of {len(rate)} rates"
        if of_members:
            words = part_words(outside, len(rate), "members")
        raise EstimationError(
            f"`limits` are ({low}, {high}) and {words} lie outside; "
            "the first must be below the second, and 0 for the logit model."
        )
    return float(high) if model == "logit" else 1.0


def fitted_ends(rate: np.ndarray, share: np.ndarray, *, top: float, model: Model) -> np.ndarray:
    """Rates at ranks 0 and 1; refuses rates that the model does not fit."""
    ends = end_rates(rate, share, model=model, top=top)
    if not np.isfinite(ends).all():
        raise EstimationError(
            f"the {model} model of {len(rate)} rates on rank does not settle: too few "
            'groups have an event.\n  Use model="linear", or wider groups.'
        )
    return ends


def chosen_measures(measures: Sequence[str] | None, known: dict[str, M]) -> dict[str, M]:
    """Measures asked for; EstimationError for one that is not there."""
    if measures is None:
        return known
    unknown = [m for m in measures if m not in known]
    if unknown or not measures:
        raise EstimationError(
            f"{len(unknown)} of {len(measures)} measures are not known or need `limits`: "
            f"{', '.join(f'`{m}`' for m in unknown)}. Known here: {', '.join(known)}."
        )
    return {n: known[n] for n in dict.fromkeys(measures)}
