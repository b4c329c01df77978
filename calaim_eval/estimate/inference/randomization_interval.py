"""Intervals that hold the effects a randomization test does not reject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.inference.cluster_assignment import cluster_assignment
from calaim_eval.estimate.inference.cluster_moments import (
    Estimator,
    matched_rows,
    require_clusters,
    with_cohorts,
)
from calaim_eval.moments import CellMoments
from calaim_eval.moments.periods import MISSING, index_frequency, index_ordinals, label_ordinals
from calaim_eval.results import EffectTable

TIE = 1e-9
STEPS = np.arange(0.0, 20.0, 0.05)
"""Distances from the estimate, in its errors, at which effects are tried before bisecting."""
FARTHEST = 2.0**20


@dataclass(frozen=True, slots=True, eq=False)
class _Pieces:
    """Estimates and influence of outcome (y) and exposure (d); shapes (k,), influence (G, k)."""

    y: np.ndarray
    d: np.ndarray
    influence_y: np.ndarray
    influence_d: np.ndarray

    def squares(self) -> np.ndarray:
        """Sums over clusters of y², yd and d²; shape (3, k)."""
        y, d = self.influence_y, self.influence_d
        return np.stack([(y * y).sum(axis=0), (y * d).sum(axis=0), (d * d).sum(axis=0)])


def randomization_interval(
    moments: CellMoments,
    estimate: Estimator,
    *,
    rng: np.random.Generator | None = None,
    draws: int = 999,
    within: Mapping[object, object] | None = None,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    r"""Effects that `randomization_test` would not reject: an interval without large samples.

    Use to report a range beside the p-value of the county roll-out.

    Parameters
    ----------
    moments, estimate, rng, draws, within
        As in `randomization_test`; `estimate` gives differences and is linear in the outcome
        (`group_time_att` and its averages are).
    conf_level : float

    Returns
    -------
    pd.DataFrame
        Keys, ``estimate``, ``conf_low``, ``conf_high`` (infinite where too few assignments exist to
        reject anything at this level), ``n_assignments``, ``is_enumerated``. Rows that an effect
        from exposure on does not move (months before it) have no interval.

    Raises
    ------
    DesignError
        As `randomization_test`.
    EstimationError
        Ratios, an estimator that is not linear in the outcome or not clustered, or a bad option.

    Notes
    -----
    An effect :math:`\theta_0` is tested by taking it off the exposed from exposure on and permuting
    the counties: the same effect, in outcome per member-month, in every exposed county and month.
    For a linear estimator both estimate and influence are linear in :math:`\theta_0`, so every
    assignment is estimated twice only, once for the outcome and once for the exposure. The
    interval reaches to the farthest value that is not rejected on either side [1]_.

    References
    ----------
    .. [1] Rosenbaum PR (2002). Covariance adjustment in randomized experiments and observational
       studies. Statistical Science 17(3):286-327. doi:10.1214/ss/1042727942
    """
    what = "randomization_interval"
    if not 0 < conf_level < 1:
        raise EstimationError(f"{what}: conf_level={conf_level} is not between 0 and 1.")
    assignment = cluster_assignment(moments, rng=rng, draws=draws, within=within, what=what)
    exposed = _exposure_as_outcome(moments, assignment.cohort)
    table = estimate(with_cohorts(moments, assignment.cohort))
    _require_difference(table)
    actual = _pieces(moments, exposed, estimate, table, assignment.cohort)
    _require_linear(moments, exposed, estimate, table, actual, assignment.cohort)
    effects, squares = [(actual.y, actual.d)], [actual.squares()]
    for cohort in assignment.others():
        try:
            other = _pieces(moments, exposed, estimate, table, cohort)
        except (DesignError, EstimationError):
            nothing = np.full(len(table), np.nan)
            effects.append((nothing, nothing))
            squares.append(np.full((3, len(table)), np.nan))
            continue
        effects.append((other.y, other.d))
        squares.append(other.squares())
    y_d, sums = np.array(effects), np.array(squares)
    bounds = [_bounds(y_d[:, :, row], sums[:, :, row], 1 - conf_level) for row in range(len(table))]
    return table.keys.reset_index(drop=True).assign(
        estimate=table.estimate,
        conf_low=[low for low, _ in bounds],
        conf_high=[high for _, high in bounds],
        n_assignments=len(effects) - 1,
        is_enumerated=assignment.is_enumerated,
    )


def _exposure_as_outcome(moments: CellMoments, cohort: pd.Series) -> CellMoments:
    """Moments whose outcomes are 1 in the exposed clusters from exposure on, and 0 elsewhere."""
    sums = require_clusters(moments, at_least=1, what="randomization_interval")
    ordinals = label_ordinals(cohort, index_frequency(moments.months))
    is_on = (ordinals != MISSING)[:, None] & (
        index_ordinals(moments.months)[None, :] >= ordinals[:, None]
    )
    total = np.where(is_on[sums.cluster], sums.at_risk, 0)
    by_outcome = {name: replace(old, shift=0.0) for name, old in moments.by_outcome.items()}
    clusters = replace(sums, totals=dict.fromkeys(sums.totals, total))
    return replace(moments, by_outcome=by_outcome, clusters=clusters)


def _pieces(
    moments: CellMoments,
    exposed: CellMoments,
    estimate: Estimator,
    table: EffectTable,
    cohort: pd.Series,
) -> _Pieces:
    """Outcome and exposure, estimated as if clusters had been exposed by `cohort`."""
    found = []
    for each in (moments, exposed):
        other = estimate(with_cohorts(each, cohort))
        row = matched_rows(table.keys, other.keys)
        if other.cluster_influence is None:
            raise EstimationError(
                "randomization_interval: the estimator keeps no cluster influence. Let it cluster "
                "by the column of the cluster sums."
            )
        values = np.where(row >= 0, other.estimate[row], np.nan)
        found.append((values, other.cluster_influence.to_numpy()[:, row]))
    (y, influence_y), (d, influence_d) = found
    return _Pieces(y, d, influence_y, influence_d)


def _require_difference(table: EffectTable) -> None:
    """Refuse ratios: an effect can't be taken off by subtraction."""
    if table.estimand.scale == "ratio":
        raise EstimationError(
            "randomization_interval: the effects are ratios; give an estimator of differences. "
            "randomization_test takes ratios too."
        )


def _require_linear(
    moments: CellMoments,
    exposed: CellMoments,
    estimate: Estimator,
    table: EffectTable,
    actual: _Pieces,
    cohort: pd.Series,
) -> None:
    """Refuse an estimator that is not linear: outcome plus exposure must add up."""
    ours = require_clusters(moments, at_least=1, what="randomization_interval")
    theirs = require_clusters(exposed, at_least=1, what="randomization_interval")
    totals = {name: ours.totals[name] + theirs.totals[name] for name in ours.totals}
    summed = replace(moments, clusters=replace(ours, totals=totals))
    both = estimate(with_cohorts(summed, cohort)).estimate
    if not np.allclose(both, actual.y + actual.d, rtol=1e-6, atol=1e-9, equal_nan=True):
        raise EstimationError(
            "randomization_interval: the estimator is not linear in the outcome, so effects can't "
            "be taken off it. Use randomization_test, or wild_bootstrap_p_values for an interval."
        )


def _bounds(y_d: np.ndarray, squares: np.ndarray, alpha: float) -> tuple[float, float]:
    """Farthest effects not rejected; `y_d` (1 + n, 2), `squares` (1 + n, 3), the actual first."""
    (y, d), error = y_d[0], np.sqrt(squares[0, 0])
    if not np.isfinite(y) or not np.isfinite(error) or error == 0 or abs(d) < TIE:
        return float("nan"), float("nan")

    def is_kept(effect: float) -> bool:
        return _p_value(y_d, squares, effect / d) > alpha + 1e-12

    return _farthest(is_kept, y, -error), _farthest(is_kept, y, error)


def _p_value(y_d: np.ndarray, squares: np.ndarray, step: float) -> float:
    """P-value of the outcome less `step` of the exposure; undefined counts as more extreme."""
    distance = np.abs(y_d[:, 0] - step * y_d[:, 1])
    spread = squares[:, 0] - 2 * step * squares[:, 1] + step**2 * squares[:, 2]
    gross = squares[:, 0] + step**2 * squares[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = distance / np.sqrt(np.where(spread > TIE**2 * gross, spread, 0.0))
    at_least = np.isnan(statistic[1:]) | (statistic[1:] >= statistic[0] * (1 - TIE))
    return float((1 + at_least.sum()) / len(statistic))


def _farthest(is_kept: Callable[[float], bool], start: float, error: float) -> float:
    """The farthest effect that is kept, going from the estimate in steps of its (signed) error."""
    kept = [step for step in STEPS if is_kept(start + step * error)]
    inside = float(kept[-1]) if kept else 0.0
    outside = inside + float(STEPS[1])
    while is_kept(start + outside * error):
        inside, outside = outside, 2 * outside
        if outside > FARTHEST:
            return float(np.copysign(np.inf, error))
    for _ in range(60):
        middle = (inside + outside) / 2
        inside, outside = (middle, outside) if is_kept(start + middle * error) else (inside, middle)
    return start + inside * error
