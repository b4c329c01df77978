"""The average effect on the exposed as a ratio: observed rate over the rate without exposure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError, require_choice
from calaim_eval.estimate.cell_grid import LEVEL_ROUNDING
from calaim_eval.estimate.cohort_month.cohort_averages import (
    By,
    average_terms,
    cohort_weights,
    share_loads,
)
from calaim_eval.estimate.cohort_month.group_time_effects import GroupTimeEffects
from calaim_eval.estimate.cohort_month.group_time_rates import rate_support, side_means
from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects
from calaim_eval.estimate.counts.count_effects import require_no_negative
from calaim_eval.estimate.pre_post_windows import EXPOSED
from calaim_eval.estimate.stratum_terms import StratumTerms, identified_strata, terms_table
from calaim_eval.estimate.words import count_words
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.effect_table import with_undefined

NOTHING_LEFT = (
    "Terms left out because the rate without exposure is estimated to be 0 or less, so that no "
    "ratio to it can be taken"
)
NO_EVENTS = (
    "Terms without any event among the exposed (ratio 0), whose standard error can't be estimated"
)
OBSERVED_OVER = "the observed rate of exposed members, divided by the rate without exposure"


@dataclass(frozen=True, slots=True)
class _Window:
    """Which averages are asked for."""

    by: By
    low: int | None
    high: int | None

    def rows(self, effects: StratumEffects) -> np.ndarray:
        """Positions of the effects inside; overall from exposure on."""
        time = effects.event_time
        low = max(self.low or 0, 0) if self.by == "overall" else self.low
        inside = np.ones(len(time), dtype=bool)
        if low is not None:
            inside &= time >= low
        if self.high is not None:
            inside &= time <= self.high
        return np.flatnonzero(inside)


def relative_effect(
    att_gt: GroupTimeEffects,
    *,
    by: By = "overall",
    min_event_time: int | None = None,
    max_event_time: int | None = None,
) -> EffectTable:
    r"""Effect as a rate ratio, from the difference: observed / (observed - effect).

    Use for "a fifth fewer visits" beside "70 fewer visits per 1,000 member-months", about the same
    members and months and under the same assumption: without exposure, rates would have moved by
    the same *number* of visits. Where they would rather have moved by the same percentage use
    `count_effects`.

    Parameters
    ----------
    att_gt : GroupTimeEffects
        From `group_time_att`, with strata where ratios by group are wanted; of an outcome that is
        not negative.
    by : {"overall", "event_time"}
        One ratio over months from exposure on, or one for each number of months since exposure.
    min_event_time, max_event_time : int, optional
        Only effects at these months since exposure, both included.

    Returns
    -------
    EffectTable
        Rate ratios; above 1: the exposed have more of the outcome than they would have had. Keys:
        stratum columns (if any), and ``event_time`` with ``by="event_time"``. Strata jointly in
        the covariance, which is clustered as in `att_gt`. Support of the exposed is that of the
        months of the effect alone: with the effect, a ratio tells their events in these months.

    Raises
    ------
    EstimationError
        An unknown option, no effect within the event times, effects adjusted on member-level data,
        or an outcome below 0.
    DesignError
        The rate without exposure is estimated to be 0 or less everywhere.

    Notes
    -----
    With the weights :math:`w_{gt}` of ``aggregate`` (cohort sizes),
    :math:`\rho = \bar O / (\bar O - \bar A)`, where :math:`\bar O = \sum w_{gt} \bar y_{gt}` is the
    rate the exposed have and :math:`\bar A = \sum w_{gt} \mathrm{ATT}(g, t)` the average effect,
    `aggregate(att_gt, by=by)` to the last digit. The influence of a member is
    :math:`(\bar O\, \psi_A - \bar A\, \psi_O) / (\bar O - \bar A)^2`: linear in months and
    coverage, so that the clustered covariance is exact from the moments. Both averages are sums of
    cell means: however small the cells, nothing is divided cell by cell, and the ratio has only
    the bias of a quotient of two averages over everybody, of the order of its variance [1]_.

    References
    ----------
    .. [1] Callaway B, Sant'Anna PHC (2021). J Econometrics 225(2):200-230.
       doi:10.1016/j.jeconom.2020.12.001

    Examples
    --------
    >>> from calaim_eval.estimate import group_time_att
    >>> from calaim_eval.moments import reduce_panel
    >>> frame = pd.DataFrame({
    ...     "id": np.repeat([1, 2, 3, 4], 2), "year": [2020, 2021] * 4,
    ...     "first_exposed": [2021.0] * 4 + [np.nan] * 4, "visits": [4, 3, 6, 5, 1, 2, 3, 4],
    ... })
    >>> moments = reduce_panel(frame, outcomes=["visits"], member_id="id", month="year",
    ...                        cohort="first_exposed")
    >>> att_gt = group_time_att(moments, outcome="visits")  # 4 visits, and 6 without exposure
    >>> relative_effect(att_gt).estimate.round(3)
    array([0.667])
    """
    _require(att_gt, by)
    window = _Window(by, min_event_time, max_event_time)
    chosen = {}
    for _, effects in att_gt.strata:
        inside = effects.take(window.rows(effects))
        if len(inside):
            chosen[id(effects.grid)] = inside
    if not chosen:
        raise EstimationError(
            f"relative_effect: no effect lies within the event times asked for (min "
            f"{min_event_time}, max {max_event_time}). Widen them."
        )
    per = float(str(att_gt.method.options["per"]))
    strata, losses = identified_strata(
        [effects.grid for effects in chosen.values()],
        lambda grid: _ratios(chosen[id(grid)], by, per),
    )
    table = terms_table(
        att_gt.moments,
        att_gt.outcome,
        att_gt.cluster,
        strata,
        estimand=Estimand(
            name="Rate ratio",
            contrast=f"{OBSERVED_OVER}; the effect: {att_gt.estimand.contrast}",
            unit=f"{att_gt.outcome}: rate with exposure to rate without",
            scale="ratio",
            is_causal=att_gt.estimand.is_causal,
        ),
        method=Method(
            f"Observed / (observed - effect); {att_gt.method.estimator}",
            MappingProxyType(
                {
                    **att_gt.method.options,
                    "by": by,
                    "min_event_time": min_event_time,
                    "max_event_time": max_event_time,
                }
            ),
            att_gt.method.reference,
        ),
        notes=att_gt.notes,
        losses=losses,
    )
    covariance, influence = with_undefined(
        table.covariance, table.cluster_influence, _without_exposed_events(strata)
    )
    return replace(table, covariance=covariance, cluster_influence=influence)


def _require(att_gt: GroupTimeEffects, by: str) -> None:
    """Refuse what has no cells, averages that are not known, and outcomes below 0."""
    if not isinstance(att_gt, GroupTimeEffects):
        raise EstimationError(
            f"relative_effect takes the effects of `group_time_att`, not "
            f"{type(att_gt).__name__}: the rate of the exposed comes from the cells."
        )
    require_choice("by", by, ("overall", "event_time"))
    require_no_negative(att_gt.moments, att_gt.outcome)


def _ratios(
    effects: StratumEffects, by: By, per: float
) -> tuple[StratumTerms, list[tuple[str, str]]]:
    """Ratios of one stratum, and what was lost."""
    keys, weights = cohort_weights(effects, by)
    observed = _observed(effects, keys, weights, per)
    average = weights @ effects.estimate
    att = average_terms(
        effects,
        keys,
        average,
        weights,
        share_loads(effects, weights, effects.estimate, average),
    )
    att = replace(att, sides=_sides_of_ratio(effects, weights, att.sides))
    without = observed.estimate - average
    kept = np.flatnonzero(without > 0)
    if not kept.size:
        raise DesignError(
            "the rate without exposure is estimated to be 0 or less, so no ratio to it can be "
            "taken. Pool strata or months, or report the difference (`aggregate`)."
        )
    lost = []
    if kept.size < len(keys):
        lost.append((NOTHING_LEFT, count_words(float(len(keys) - kept.size), "terms")))
    if (observed.estimate[kept] == 0).any():
        lost.append((NO_EVENTS, ""))
    return _quotient(observed, att, kept), lost


def _sides_of_ratio(
    effects: StratumEffects, weights: np.ndarray, sides: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """Support, the exposed no more than in the months of the effect.

    Ratio and effect together tell the rate the exposed have in these months, and so its events.
    """
    found = []
    for row, both in zip(weights, sides, strict=True):
        after = rate_support(effects.take(np.flatnonzero(row)), EXPOSED, "after")
        own = both.copy()
        if after[1] > 0:
            own[0] = np.minimum(own[0], after)
        found.append(own)
    return found


def _observed(
    effects: StratumEffects, keys: pd.DataFrame, weights: np.ndarray, per: float
) -> StratumTerms:
    """Average rate the exposed have in the months of the effects."""
    level, loads = side_means(effects, EXPOSED, "after", per)
    mean = weights @ level
    own = replace(effects, estimate=level, loads=loads)
    constant = share_loads(own, weights, level, mean)
    centre = per * effects.grid.shift
    rate = mean + centre
    # Without any event, what the centre leaves is rounding.
    rate = np.where(np.abs(rate) <= LEVEL_ROUNDING * abs(centre), 0.0, rate)
    return average_terms(own, keys, rate, weights, constant)


def _quotient(observed: StratumTerms, att: StratumTerms, kept: np.ndarray) -> StratumTerms:
    """Observed over observed less effect, by the delta method, for the terms `kept`."""
    rate, effect = observed.estimate[kept], att.estimate[kept]
    without = rate - effect
    by_effect, by_rate = rate / without**2, -effect / without**2

    def combined(name: str) -> np.ndarray:
        of_effect, of_rate = getattr(att, name)[kept], getattr(observed, name)[kept]
        shape = (-1, *[1] * (of_effect.ndim - 1))
        return np.asarray(by_effect.reshape(shape) * of_effect + by_rate.reshape(shape) * of_rate)

    return StratumTerms(
        grid=att.grid,
        keys=att.keys.iloc[kept].reset_index(drop=True),
        estimate=rate / without,
        on_outcome=combined("on_outcome"),
        on_coverage=combined("on_coverage"),
        on_member=combined("on_member"),
        sides=[att.sides[int(k)] for k in kept],
    )


def _without_exposed_events(strata: list[StratumTerms]) -> np.ndarray:
    """Terms whose exposed members have no event: the error of a sum that is 0 is not known."""
    return np.concatenate([terms.estimate == 0 for terms in strata])
