"""Averages of effects by cohort and month: overall, by event time, by cohort, by month."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.estimate.cohort_month.cohort_month_effects import (
    CohortMonthEffects,
    EffectsOfStratum,
)
from calaim_eval.estimate.support import error_notes, has_single_member, support_frame
from calaim_eval.moments.periods import index_frequency, period_labels
from calaim_eval.results import EffectTable, Method
from calaim_eval.results.effect_table import with_undefined

By = Literal["overall", "event_time", "cohort", "month"]
AverageOver = Literal["cohort_month", "event_time", "cohort", "month"]


@dataclass(frozen=True, slots=True, eq=False)
class Average:
    """m averages of the effects of one stratum.

    Attributes
    ----------
    values : list
        What each is about: event time, cohort ordinal or month ordinal; m of them.
    estimate : np.ndarray
        Shape (m,).
    weights : np.ndarray
        On the k effects; shape (m, k).
    share : np.ndarray
        Loads per member of a cohort, from its estimated share; shape (m, C).
    """

    values: list[int]
    estimate: np.ndarray
    weights: np.ndarray
    share: np.ndarray

    def mixed(self, matrix: np.ndarray) -> Average:
        """Fixed linear combinations of the averages; `matrix` has shape (q, m)."""
        return Average(
            [0] * len(matrix),
            matrix @ self.estimate,
            matrix @ self.weights,
            matrix @ self.share,
        )


def aggregate(
    att_gt: CohortMonthEffects[Any],
    *,
    by: By = "overall",
    average_over: AverageOver = "cohort_month",
    min_event_time: int | None = None,
    max_event_time: int | None = None,
    balance_event_time: int | None = None,
) -> EffectTable:
    r"""Average effects by cohort and month into the effects a report states.

    Cohorts are weighted by their members; the error of these estimated shares is included.

    Parameters
    ----------
    att_gt : GroupTimeEffects or AdjustedGroupTimeEffects
        From `group_time_att` or `adjusted_group_time_att`.
    by : {"overall", "event_time", "cohort", "month"}
        One effect per stratum; an event study (months since exposure, negative before); one per
        cohort, the plain mean of its months from exposure on; one per calendar month.
    average_over : {"cohort_month", "event_time", "cohort", "month"}
        With ``by="overall"``: what the single effect averages. Cohort-months weighted by cohort
        size (R `did` "simple"); event times from 0 on, equally ("dynamic"); cohorts by size
        ("group"); calendar months equally ("calendar").
    min_event_time, max_event_time : int, optional
        Only effects at these months since exposure, both included.
    balance_event_time : int, optional
        Only cohorts observed at least this many months after exposure, and event times up to it,
        so that the mix of cohorts does not change along an event study.

    Returns
    -------
    EffectTable
        Keys: stratum columns (if any) and `by` (none for ``"overall"``). Jointly estimated over
        strata.

    Raises
    ------
    EstimationError
        An unknown option, or no effect within the event times asked for.

    Notes
    -----
    For weights :math:`w_k = p_{g_k} / \sum_j p_{g_j}` with cohort shares p, the influence is
    :math:`\sum_k w_k \psi_k + \sum_k ATT_k [1\{G=g_k\} - w_k \sum_j 1\{G=g_j\}] / \sum_j p_{g_j}`
    [1]_. Effects before exposure enter event studies only.

    References
    ----------
    .. [1] Callaway B, Sant'Anna PHC (2021). J Econometrics 225(2):200-230.
       doi:10.1016/j.jeconom.2020.12.001
    """
    require_choice("by", by, ("overall", "event_time", "cohort", "month"), of="aggregate")
    ways = ("cohort_month", "event_time", "cohort", "month")
    require_choice("average_over", average_over, ways, of="aggregate")
    if average_over != "cohort_month" and by != "overall":
        raise EstimationError(
            f"aggregate: average_over={average_over!r} goes with by='overall'; by={by!r} has one "
            "meaning only."
        )
    window = (min_event_time, max_event_time, balance_event_time)
    averages = []
    for _, effects in att_gt.strata:
        chosen = effects.take(_within(effects, window))
        averages.append((chosen, _averages(chosen, by, average_over)))
    averages = [(e, a) for e, a in averages if a.values]
    if not averages:
        raise EstimationError(
            f"aggregate(by={by!r}): no effect lies within the event times asked for "
            f"(min {min_event_time}, max {max_event_time}, balance {balance_event_time}); the "
            f"table has event times {_range(att_gt.event_time)}."
        )
    return _table(att_gt, averages, by, dict(zip(_WINDOW, window, strict=True)), average_over)


_WINDOW = ("min_event_time", "max_event_time", "balance_event_time")


def _within(effects: EffectsOfStratum, window: tuple[int | None, int | None, int | None]) -> Any:
    """Effects in the window of event times."""
    low, high, balance = window
    event_time = effects.event_time
    chosen = np.ones(len(effects), dtype=bool)
    if low is not None:
        chosen &= event_time >= low
    if high is not None:
        chosen &= event_time <= high
    if balance is not None:
        axis = effects.axis
        follow_up = axis[-1] - effects.cohorts[effects.pairs.cohort]
        chosen &= (follow_up >= balance) & (event_time <= balance)
        chosen &= event_time >= balance - (axis[-1] - axis[0])
    return np.flatnonzero(chosen)


def _averages(effects: EffectsOfStratum, by: str, average_over: str) -> Average:
    """The averages asked for, in one stratum."""
    after = effects.event_time >= 0
    axis, cohorts = effects.axis, effects.cohorts
    whole = np.ones(len(effects), dtype=bool)
    kinds: dict[str, Callable[[], Average]] = {
        "event_time": lambda: _by_value(effects, effects.event_time, whole),
        "month": lambda: _by_value(effects, axis[effects.pairs.month], after),
        "cohort": lambda: _cohort_means(effects, cohorts[effects.pairs.cohort], after),
    }
    if by != "overall":
        return kinds[by]()
    if not after.any():
        return Average([], np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0)))
    if average_over == "cohort_month":
        return _by_value(effects, np.zeros(len(effects), dtype=np.int64), after)
    parts = kinds[average_over]()
    if average_over == "cohort":
        return _by_cohort_size(effects, parts)
    used = np.array([average_over != "event_time" or value >= 0 for value in parts.values])
    return parts.mixed((used / used.sum())[None, :])


def _by_value(effects: EffectsOfStratum, label: np.ndarray, chosen: np.ndarray) -> Average:
    """Averages within `label`, cohorts weighted by size."""
    values = np.unique(label[chosen])
    k, n_cohorts = len(effects), len(effects.cohorts)
    estimate = np.zeros(len(values))
    weights, share = np.zeros((len(values), k)), np.zeros((len(values), n_cohorts))
    size = effects.cohort_sizes()
    for row, value in enumerate(values):
        own = np.flatnonzero(chosen & (label == value))
        cohort = effects.pairs.cohort[own]
        total = size[cohort].sum()
        weights[row, own] = size[cohort] / total
        estimate[row] = weights[row, own] @ effects.estimate[own]
        np.add.at(share[row], cohort, (effects.estimate[own] - estimate[row]) / total)
    return Average([int(v) for v in values], estimate, weights, share)


def _cohort_means(effects: EffectsOfStratum, label: np.ndarray, chosen: np.ndarray) -> Average:
    """Plain means over the months of each cohort: no share is estimated."""
    values = np.unique(label[chosen])
    weights = np.array([chosen & (label == value) for value in values], dtype=float)
    weights = weights.reshape(len(values), len(effects))
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1)
    share = np.zeros((len(values), len(effects.cohorts)))
    return Average([int(v) for v in values], weights @ effects.estimate, weights, share)


def _by_cohort_size(effects: EffectsOfStratum, parts: Average) -> Average:
    """Average of cohort effects, weighted by cohort size."""
    cohort = np.searchsorted(effects.cohorts, parts.values)
    size = effects.cohort_sizes()[cohort]
    weight = (size / size.sum())[None, :]
    mixed = parts.mixed(weight)
    share = mixed.share.copy()
    np.add.at(share[0], cohort, (parts.estimate - mixed.estimate[0]) / size.sum())
    return replace(mixed, share=share)


def _table(
    att_gt: CohortMonthEffects[Any],
    averages: list[tuple[EffectsOfStratum, Average]],
    by: str,
    window: dict[str, int | None],
    average_over: str,
) -> EffectTable:
    """Averages of all strata with their joint covariance."""
    sides = np.concatenate(
        [att_gt.supports_behind(effects, average.weights) for effects, average in averages]
    )
    estimate = np.concatenate([average.estimate for _, average in averages])
    covariance, influence = att_gt.combined_error(
        [(effects, average.weights, average.share) for effects, average in averages]
    )
    covariance, influence = with_undefined(covariance, influence, has_single_member(sides))
    support = support_frame(sides)
    of_errors = error_notes(estimate, np.diag(covariance), support)
    options = {**att_gt.method.options, "by": by, **window}
    if by == "overall":
        options["average_over"] = average_over
    return EffectTable(
        keys=pd.concat([_keys(att_gt, e, a, by) for e, a in averages], ignore_index=True),
        estimate=estimate,
        covariance=covariance,
        support=support,
        estimand=att_gt.estimand,
        method=Method(att_gt.method.estimator, MappingProxyType(options), att_gt.method.reference),
        cluster_influence=influence,
        notes=tuple(dict.fromkeys([*att_gt.notes, *of_errors])),
    )


def _keys(
    att_gt: CohortMonthEffects[Any], effects: EffectsOfStratum, average: Average, by: str
) -> pd.DataFrame:
    """Stratum columns and what each average is about."""
    n_terms = len(average.values)
    keys = effects.stratum.iloc[np.zeros(n_terms, dtype=int)].reset_index(drop=True)
    if by == "event_time":
        keys[by] = np.array(average.values, dtype=np.int64)
    elif by in ("cohort", "month"):
        frequency = index_frequency(att_gt.months)
        keys[by] = period_labels(np.array(average.values), frequency)
    return keys


def _range(event_time: np.ndarray) -> str:
    """Event times from the first to the last."""
    return f"{event_time.min()} to {event_time.max()}" if event_time.size else "none"
