"""Rates by group from probabilities of the group, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from calaim_eval.equity.effect_gap import effect_gap
from calaim_eval.equity.group_probabilities import GroupProbabilities
from calaim_eval.equity.groups import as_groups, check_columns
from calaim_eval.equity.rate_gap import SHARED_MEMBERS
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.results import EffectTable, Estimand, Method, RateTable, Scale
from calaim_eval.results.intervals import dobson_interval, log_normal_interval, wilson_interval

CHEN = (
    "Chen J, Kallus N, Mao X, Svacha G, Udell M (2019). Fairness under unawareness. FAT* '19, "
    "339-348. doi:10.1145/3287560.3287594"
)
KNOWN_BIAS = (
    "Probability weighting misses a group's rate by minus the mean covariance, among members of "
    "equal probabilities, of membership and outcome, over the group's share. Where the group goes "
    "with the outcome beyond name and place, gaps come out too small: see "
    "probability_weighting_bias."
)


@dataclass(frozen=True, slots=True)
class _Weighted:
    """Members, their weight in each group, and what each group's rate is made of."""

    events: np.ndarray
    time: np.ndarray
    weights: np.ndarray
    groups: tuple[str, ...]

    @property
    def rate(self) -> np.ndarray:
        """Weighted events over weighted time; shape (G,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((self.weights.T @ self.events) / (self.weights.T @ self.time))

    @property
    def influence(self) -> np.ndarray:
        """Influence of each member on each group's rate; shape (n, G)."""
        away = self.events[:, None] - self.time[:, None] * self.rate
        n = len(self.events)
        total = self.weights.T @ self.time
        return np.asarray(np.sqrt(n / (n - 1)) * self.weights * away / total)


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
    data, notes = _data(members, outcome, time, probabilities, stratum, missing, threshold)
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
    """
    data, notes = _data(members, outcome, time, probabilities, stratum, missing, threshold)
    levels = _levels(data, data.rate, data.influence, stratum=stratum, per=per)
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
        method=_method(probabilities, missing, threshold, reference=reference, scale=scale),
        notes=notes,
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
    weighted, notes = _data(own, outcome, time, probabilities, stratum, None, None)
    recorded, _ = _data(own, outcome, time, probabilities, stratum, (), None)
    groups = [g for g in weighted.groups if g in recorded.groups]
    at = [weighted.groups.index(g) for g in groups]
    true = [recorded.groups.index(g) for g in groups]
    table = _levels(
        replace(weighted, weights=weighted.weights[:, at], groups=tuple(groups)),
        weighted.rate[at] - recorded.rate[true],
        weighted.influence[:, at] - recorded.influence[:, true],
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
        method=_method(probabilities, missing, None),
        notes=notes,
    )


def _data(
    members: pd.DataFrame,
    outcome: str,
    time: str | None,
    probabilities: pd.DataFrame | GroupProbabilities,
    stratum: str,
    missing: Sequence[str] | str | None,
    threshold: float | None,
) -> tuple[_Weighted, tuple[str, ...]]:
    """Members with their weights, and the notes."""
    columns = ["member_id", outcome, *([] if time is None else [time])]
    check_columns(members, [*columns, *([] if missing is None else [stratum])])
    bad = {c: int(members[c].isna().sum()) for c in columns if members[c].isna().any()}
    repeats = int(members["member_id"].duplicated().sum())
    if bad or repeats:
        raise TableError(
            f"the members: {repeats:,} of {len(members):,} rows repeat a `member_id`; missing "
            f"values: {bad or 'none'}. Give one row per member with known values."
        )
    given = (
        probabilities
        if isinstance(probabilities, GroupProbabilities)
        else (GroupProbabilities(probabilities))
    )
    recorded = None if missing is None else as_groups(members, [stratum])[stratum]
    weights, groups = _weights(members, given, recorded, missing)
    notes = (*given.notes, KNOWN_BIAS)
    if threshold is not None:
        weights, left = _cut(weights, threshold)
        notes = (
            *given.notes,
            f"Thresholded: members without a probability of at least {threshold} are left out "
            f"({left:.0%} of members). Who is left differs from who is not.",
        )
    events = members[outcome].to_numpy(dtype=float)
    if time is None and not np.isin(events, (0.0, 1.0)).all():
        raise EstimationError(f"`{outcome}` is not yes/no; name its denominator with `time`.")
    period = np.ones(len(members)) if time is None else members[time].to_numpy(dtype=float)
    if (period < 0).any() or (events < 0).any():
        raise EstimationError(f"`{outcome}` or its denominator is below 0 for some members.")
    data = _Weighted(events, period, weights, groups)
    empty = [g for g, total in zip(groups, weights.T @ period, strict=True) if not total > 0]
    if empty:
        raise EstimationError(f"no member has any weight in {', '.join(empty)}; drop the column.")
    return data, notes


def _weights(
    members: pd.DataFrame,
    given: GroupProbabilities,
    recorded: pd.Series | None,
    missing: Sequence[str] | str | None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Weight of each member in each group: 1 in a recorded group, else the probabilities."""
    groups = [str(c) for c in given.values.columns]
    needs = np.ones(len(members), dtype=bool)
    if recorded is not None:
        gone = [missing] if isinstance(missing, str) else list(missing or ())
        needs = recorded.isin(gone).to_numpy()
        groups += [g for g in dict.fromkeys(recorded[~needs]) if g not in groups]
    weights = np.zeros((len(members), len(groups)))
    row = given.values.index.get_indexer(members.loc[needs, "member_id"])
    if (row < 0).any():
        raise EstimationError(
            f"{int((row < 0).sum()):,} of {int(needs.sum()):,} members have no probabilities. "
            "Leave them out on purpose, or give theirs."
        )
    k = given.values.shape[1]
    weights[np.flatnonzero(needs), :k] = given.values.to_numpy(dtype=float)[row]
    if recorded is not None:
        at = recorded[~needs].map({g: i for i, g in enumerate(groups)}).to_numpy(dtype=int)
        weights[np.flatnonzero(~needs), at] = 1.0
    used = weights.sum(axis=0) > 0
    used[:k] |= recorded is None
    return weights[:, used], tuple(g for g, use in zip(groups, used, strict=True) if use)


def _cut(weights: np.ndarray, threshold: float) -> tuple[np.ndarray, float]:
    """Weights of 1 where a probability reaches the threshold; share of members without any."""
    if not 0.5 < threshold <= 1:
        raise EstimationError(
            f"`threshold` is {threshold}; it must lie above 0.5 and be at most 1."
        )
    hard = (weights >= threshold).astype(float)
    return hard, float(1 - hard.sum(axis=1).mean())


def _interval(
    events: np.ndarray,
    total: np.ndarray,
    variance: np.ndarray,
    data: _Weighted,
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
    data: _Weighted, values: np.ndarray, influence: np.ndarray, *, stratum: str, per: float
) -> EffectTable:
    """One row a group with the joint covariance over members."""
    return EffectTable(
        keys=pd.DataFrame({stratum: list(data.groups)}),
        estimate=per * values,
        covariance=per**2 * influence.T @ influence,
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
