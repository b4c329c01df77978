"""Rates by group from probabilities of the group, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from calaim_eval.equity.effect_gap import effect_gap
from calaim_eval.equity.group_probabilities import GroupProbabilities
from calaim_eval.equity.groups import as_groups, check_columns
from calaim_eval.equity.rate_gap import SHARED_MEMBERS
from calaim_eval.equity.weighted_members import WeightedMembers, weighted_members
from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable, Estimand, Method, RateTable, Scale
from calaim_eval.results.effect_table import with_undefined
from calaim_eval.results.estimand import RATES_OF
from calaim_eval.results.intervals import dobson_interval, log_normal_interval, wilson_interval

CHEN = (
    "Chen J, Kallus N, Mao X, Svacha G, Udell M (2019). Fairness under unawareness. FAT* '19, "
    "339-348. doi:10.1145/3287560.3287594"
)


def weighted_by_group_probability(
    members: pd.DataFrame,
    *,
    outcome: str,
    probabilities: pd.DataFrame | GroupProbabilities,
    unit: str,
    time: str | None = None,
    stratum: str = "race_ethnicity",
    missing: Sequence[str] | str | None = None,
    per: float = 1.0,
    threshold: float | None = None,
) -> RateTable:
    r"""Rates by group where a member counts in each group by the probability of being in it.

    Parameters
    ----------
    members : pd.DataFrame
        One row per member: `member_id`, `outcome`, `time`, and `stratum` where `missing` is given.
    outcome : str
        Events of the member, or yes/no.
    probabilities : pd.DataFrame or GroupProbabilities
        Index member_id, one column a group, rows that sum to 1.
    unit : str
        Unit of the rate in words; it goes with `per`.
    time : str, optional
        Denominator of the member, such as covered months. Without it `outcome` is yes/no and the
        result a proportion of members.
    stratum : str
        Key of the result, and column with the recorded group.
    missing : str or sequence of str, optional
        Values of `stratum` that stand for "no group recorded": members with a recorded group then
        count in it alone. None: probabilities for everybody.
    per : float
        1 for shares, 1,000 for rates per 1,000 units of `time`.
    threshold : float, optional
        Put each member into the group whose probability is at least this (above 0.5) and leave out
        the others. Off by default, and labelled: it changes who is looked at.

    Returns
    -------
    RateTable
        Numerators and denominators are sums of probabilities; `n_members` the expected members
        with an event. `rate_gap` refuses it, because a member is in several groups: use
        `probability_weighted_gap`.

    Raises
    ------
    TableError
        A column is absent or missing values, or a member repeats.
    EstimationError
        Probabilities that are none, members without probabilities, groups without weight.

    Notes
    -----
    :math:`\hat\mu_g = \sum_i p_{ig} y_i / \sum_i p_{ig} r_i`. Its bias is
    :math:`-E[\operatorname{Cov}(1\{G = g\}, Y \mid Z)] / P(G = g)` with Z what the probabilities
    are made of [1]_: with a true gap of .099, weighting gave .031 in one simulation and a cut at
    .8 gave .076.

    References
    ----------
    .. [1] Chen J, Kallus N, Mao X, Svacha G, Udell M (2019). doi:10.1145/3287560.3287594

    Examples
    --------
    >>> members = pd.DataFrame({"member_id": [1, 2, 3], "is_served": [True, False, True]})
    >>> p = pd.DataFrame({"black": [1.0, 0.5, 0.0], "white": [0.0, 0.5, 1.0]}, index=[1, 2, 3])
    >>> weighted_by_group_probability(members, outcome="is_served", probabilities=p,
    ...                               unit="share of members").rate.round(3)
    array([0.667, 0.667])
    """
    data, notes = weighted_members(
        members, outcome, time, probabilities, stratum, missing, threshold
    )
    total = data.weights.T @ data.time
    events = data.weights.T @ data.events
    variance = (data.influence**2).sum(axis=0)
    low, high = _interval(events, total, variance, data, is_share=time is None)
    return RateTable(
        measure=f"{outcome} by {stratum}, weighted by probability of the group",
        keys=pd.DataFrame({stratum: list(data.groups)}),
        numerator=events,
        denominator=total,
        conf_low=per * low,
        conf_high=per * high,
        n_members=data.weights.T @ (data.events != 0),
        numerator_name=f"{outcome}_weighted_by_group_probability",
        denominator_name=f"{time or 'members'}_weighted_by_group_probability",
        unit=unit,
        kind="proportion" if time is None else "rate",
        method=_method(probabilities, missing, threshold),
        per=per,
        notes=notes,
    )


def probability_weighted_gap(
    members: pd.DataFrame,
    *,
    outcome: str,
    probabilities: pd.DataFrame | GroupProbabilities,
    unit: str,
    reference: str,
    scale: Scale = "difference",
    time: str | None = None,
    stratum: str = "race_ethnicity",
    missing: Sequence[str] | str | None = None,
    per: float = 1.0,
    threshold: float | None = None,
) -> EffectTable:
    """Gaps between groups in rates weighted by probability, members shared by groups included.

    Parameters
    ----------
    members, outcome, probabilities, unit, time, stratum, missing, per, threshold
        As in `weighted_by_group_probability`.
    reference : str
        Group the others are compared with, by name.
    scale : {"difference", "ratio"}

    Returns
    -------
    EffectTable
        Descriptive. Its bias is in the notes in words; `probability_weighting_bias` measures it.
        A gap whose group has no event, or an event for everybody, has no standard error.
    """
    data, notes = weighted_members(
        members, outcome, time, probabilities, stratum, missing, threshold
    )
    levels = _levels(
        data, data.rate, data.influence, has_spread=data.has_spread, stratum=stratum, per=per
    )
    gap = effect_gap(levels, reference=reference, stratum=stratum, scale=scale)
    minus = "minus" if scale == "difference" else "over"
    return replace(
        gap,
        estimand=Estimand(
            f"{outcome}: gap, weighted by probability of the group",
            f"rate in the group {minus} rate in '{reference}'",
            unit if scale == "difference" else "rate ratio",
            scale=scale,
            is_causal=False,
        ),
        method=_method(
            probabilities,
            missing,
            threshold,
            reference=reference,
            scale=scale,
            **{RATES_OF: (outcome,)},
        ),
        notes=(*notes, *gap.notes),
    )


def probability_weighting_bias(
    members: pd.DataFrame,
    *,
    outcome: str,
    probabilities: pd.DataFrame | GroupProbabilities,
    unit: str,
    missing: Sequence[str] | str,
    time: str | None = None,
    stratum: str = "race_ethnicity",
    per: float = 1.0,
) -> EffectTable:
    r"""What probability weighting gets wrong where the group is known.

    Among members *with* a recorded group (and probabilities): the rate weighted by probability
    minus the rate of the recorded group. The same error among members without a record is an
    assumption. ``effect_gap(bias, reference=...)`` gives the bias of a gap.

    Parameters
    ----------
    members, outcome, probabilities, unit, time, stratum, per
        As in `weighted_by_group_probability`.
    missing : str or sequence of str
        Values of `stratum` that stand for "no group recorded".

    Returns
    -------
    EffectTable
        Keys `stratum`; positive: weighting gives too high a rate. Errors clustered by member.

    Notes
    -----
    With probabilities that are right on average the difference tends to
    :math:`-E[\operatorname{Cov}(1\{G = g\}, Y \mid Z)] / P(G = g)` (Chen et al. 2019); with others
    it holds their miscalibration too.
    """
    check_columns(members, ["member_id", stratum])
    text = as_groups(members, [stratum])[stratum]
    known = ~text.isin([missing] if isinstance(missing, str) else list(missing)).to_numpy()
    if not known.any():
        raise EstimationError(f"no member has a recorded `{stratum}` to judge the weights by.")
    own = members[known]
    weighted, notes = weighted_members(own, outcome, time, probabilities, stratum, None, None)
    recorded, _ = weighted_members(own, outcome, time, probabilities, stratum, (), None)
    groups = [g for g in weighted.groups if g in recorded.groups]
    at = [weighted.groups.index(g) for g in groups]
    true = [recorded.groups.index(g) for g in groups]
    table = _levels(
        replace(weighted, weights=weighted.weights[:, at], groups=tuple(groups)),
        weighted.rate[at] - recorded.rate[true],
        weighted.influence[:, at] - recorded.influence[:, true],
        has_spread=weighted.has_spread[at] & recorded.has_spread[true],
        stratum=stratum,
        per=per,
    )
    return replace(
        table,
        estimand=Estimand(
            f"{outcome}: bias of probability weighting",
            "rate weighted by probability minus rate of the recorded group, members with a "
            "recorded group",
            unit,
            is_causal=False,
        ),
        method=_method(probabilities, missing, None, **{RATES_OF: (outcome,)}),
        notes=notes,
    )


def _interval(
    events: np.ndarray,
    total: np.ndarray,
    variance: np.ndarray,
    data: WeightedMembers,
    *,
    is_share: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Interval of each rate from its variance clustered by member."""
    rate = events / total
    if is_share:
        inside = (rate > 0) & (rate < 1) & (variance > 0)
        n = np.where(inside, rate * (1 - rate) / np.where(inside, variance, 1.0), total)
        return wilson_interval(np.minimum(rate, 1.0) * n, n)
    if (data.events % 1 != 0).any():
        return log_normal_interval(rate, np.sqrt(variance))
    low, high = dobson_interval(events, variance=variance * total**2, count=events)
    return low / total, high / total


def _levels(
    data: WeightedMembers,
    values: np.ndarray,
    influence: np.ndarray,
    *,
    has_spread: np.ndarray,
    stratum: str,
    per: float,
) -> EffectTable:
    """One row a group with the joint covariance over members; none where no spread tells it."""
    return EffectTable(
        keys=pd.DataFrame({stratum: list(data.groups)}),
        estimate=per * values,
        covariance=with_undefined(per**2 * influence.T @ influence, None, ~has_spread)[0],
        support=pd.DataFrame(
            {
                "n_members": data.weights.T @ (data.events != 0),
                "n_events": data.weights.T @ data.events,
                "member_months": data.weights.T @ data.time,
            }
        ),
        estimand=Estimand("rate", "rate in the group", "", scale="ratio", is_causal=False),
        method=Method("Weighted by probability of the group"),
    )


def _method(
    probabilities: pd.DataFrame | GroupProbabilities,
    missing: Sequence[str] | str | None,
    threshold: float | None,
    **options: object,
) -> Method:
    """The weights and where they come from."""
    source = (
        probabilities.method.estimator
        if isinstance(probabilities, GroupProbabilities)
        else "given probabilities"
    )
    name = (
        "Weighted by probability of the group"
        if threshold is None
        else (f"Assigned to groups of probability {threshold} and above")
    )
    return Method(
        f"{name} ({source})",
        {"missing": missing, "threshold": threshold, SHARED_MEMBERS: True, **options},
        CHEN,
    )
