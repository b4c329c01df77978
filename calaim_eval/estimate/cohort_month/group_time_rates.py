"""Rates behind the average effect on the exposed: in the base month and after, both sides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.cohort_month.cohort_averages import (
    average_terms,
    cohort_weights,
    share_loads,
)
from calaim_eval.estimate.cohort_month.group_time_effects import GroupTimeEffects
from calaim_eval.estimate.cohort_month.stratum_effects import PairLoads, StratumEffects
from calaim_eval.estimate.pre_post_windows import COMPARISON, EXPOSED
from calaim_eval.estimate.stratum_terms import StratumTerms, terms_table
from calaim_eval.estimate.support import side_support
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.estimand import RATES_OF


def group_time_rates(
    att_gt: GroupTimeEffects,
    *,
    min_event_time: int | None = None,
    max_event_time: int | None = None,
) -> EffectTable:
    r"""Rates whose difference-in-differences is ``aggregate(att_gt)``.

    Use where the level matters beside the effect, such as gaps between groups before and after
    (`calaim_eval.equity.disparity_change`).

    Parameters
    ----------
    att_gt : GroupTimeEffects
        From `group_time_att`, with strata where rates by group are wanted.
    min_event_time, max_event_time : int, optional
        Only effects at these months since exposure, from 0 on, both included.

    Returns
    -------
    EffectTable
        Keys: stratum columns (if any), ``side`` (``"exposed"``, ``"comparison"``) and ``period``:
        ``"before"`` is the base month of each cohort, ``"after"`` its months from exposure on.
        Jointly estimated over strata. In the unit of `att_gt`.

    Raises
    ------
    EstimationError
        No effect lies within the event times asked for.

    Notes
    -----
    Each of the four means is averaged over cohort-months from exposure on with the weights of
    ``aggregate(by="overall")`` (cohort sizes), within covariate cells with the exposed
    member-months of the later month. So exposed after - before - (comparison after - before) is
    that average effect exactly, with its standard error.
    """
    per = float(str(att_gt.method.options["per"]))
    strata = []
    for _, effects in att_gt.strata:
        chosen = effects.take(np.flatnonzero(_within(effects, min_event_time, max_event_time)))
        if len(chosen):
            strata.append(_terms(chosen, per))
    if not strata:
        raise EstimationError(
            "group_time_rates: no effect from exposure on lies within the event times asked for "
            f"(min {min_event_time}, max {max_event_time}). Widen them."
        )
    window = {"min_event_time": min_event_time, "max_event_time": max_event_time}
    return terms_table(
        att_gt.moments,
        att_gt.outcome,
        att_gt.cluster,
        strata,
        estimand=Estimand(
            name="Rates before and after",
            contrast="rate in the last month before exposure, and in the months from exposure on",
            unit=att_gt.estimand.unit,
            is_causal=False,
        ),
        method=Method(
            f"Rates behind: {att_gt.method.estimator}",
            MappingProxyType({**att_gt.method.options, **window, RATES_OF: (att_gt.outcome,)}),
            att_gt.method.reference,
        ),
        notes=att_gt.notes,
    )


def _within(effects: StratumEffects, low: int | None, high: int | None) -> np.ndarray:
    """Effects from exposure on, in the window of event times."""
    time = effects.event_time
    return np.asarray((time >= max(low or 0, 0)) & (time <= (np.inf if high is None else high)))


def _terms(effects: StratumEffects, per: float) -> StratumTerms:
    """The four averages of one stratum."""
    _, weights = cohort_weights(effects, "overall")
    parts, keys, supports = [], [], []
    for side in (EXPOSED, COMPARISON):
        for period in ("before", "after"):
            level, loads = side_means(effects, side, period, per)
            own = replace(effects, estimate=level, loads=loads)
            mean = weights @ level
            parts.append(
                average_terms(
                    own,
                    pd.DataFrame({"side": [side], "period": [period]}),
                    mean + per * effects.grid.shift,
                    weights,
                    share_loads(own, weights, level, mean),
                )
            )
            keys.append(parts[-1].keys)
            own_support = rate_support(effects, side, period)
            supports.append(np.stack([own_support, own_support]))
    return StratumTerms(
        grid=effects.grid,
        keys=pd.concat(keys, ignore_index=True),
        estimate=np.concatenate([p.estimate for p in parts]),
        on_outcome=np.concatenate([p.on_outcome for p in parts]),
        on_coverage=np.concatenate([p.on_coverage for p in parts]),
        on_member=np.concatenate([p.on_member for p in parts if p.on_member is not None]),
        sides=supports,
    )


def rate_support(effects: StratumEffects, side: str, period: str) -> np.ndarray:
    """Support of one side in one period; shape (3,)."""
    pairs, kept = effects.pairs, effects.kept
    used = np.zeros(effects.grid.at_risk.shape, dtype=bool)
    months = pairs.month if period == "after" else pairs.base
    if side == EXPOSED:
        np.logical_or.at(used, (pairs.cohort, slice(None), months), kept)  # type: ignore[arg-type]
    else:
        for month in np.unique(months):
            rows = months == month
            stands = pairs.comparison[rows].T.astype(float) @ kept[rows].astype(float)
            used[:, :, month] = stands > 0
    return side_support(effects.grid, used)


def side_means(
    effects: StratumEffects, side: str, period: str, per: float
) -> tuple[np.ndarray, PairLoads]:
    """(Centred) mean of one side in one of the two months of each effect, and its loads."""
    pairs, kept = effects.pairs, effects.kept
    month = pairs.month if period == "after" else pairs.base
    exposed = effects.grid.at_risk[pairs.cohort, :, pairs.month] * kept
    unit = 1.0 / exposed.sum(axis=1, keepdims=True)
    sums = _own if side == EXPOSED else _pooled
    size = sums(effects, month, lambda grid: grid.at_risk)
    total = sums(effects, month, lambda grid: grid.total)
    inverse = np.divide(1.0, size, out=np.zeros_like(size), where=kept & (size > 0))
    in_cell = total * inverse
    share = exposed * unit
    mean = (share * in_cell).sum(axis=1, keepdims=True)
    zero = np.zeros_like(share)
    loads = dict.fromkeys(PairLoads.__dataclass_fields__, zero)
    prefix = side if period == "after" else f"{side}_base"
    loads[f"{prefix}_y"] = share * inverse
    loads[f"{prefix}_r"] = -share * inverse * in_cell
    # The weights of the covariate cells are estimated from the exposed of the later month.
    loads["exposed_r"] = loads["exposed_r"] + kept * unit * (in_cell - mean)
    return per * mean[:, 0], PairLoads(**loads).scaled(np.full((len(mean), 1), per))


def _own(
    effects: StratumEffects, month: np.ndarray, values: Callable[[CellGrid], np.ndarray]
) -> np.ndarray:
    """Sums of the exposed cohort; shape (k, X)."""
    return np.asarray(values(effects.grid)[effects.pairs.cohort, :, month])


def _pooled(
    effects: StratumEffects, month: np.ndarray, values: Callable[[CellGrid], np.ndarray]
) -> np.ndarray:
    """Sums of the pooled comparison cohorts; shape (k, X)."""
    grid_values = values(effects.grid)
    found = np.zeros((len(month), grid_values.shape[1]))
    for position in np.unique(month):
        rows = month == position
        found[rows] = effects.pairs.comparison[rows].astype(float) @ grid_values[:, :, position]
    return found
