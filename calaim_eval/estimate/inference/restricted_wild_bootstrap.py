"""Wild cluster bootstrap with the null imposed, for effects by cohort and month."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.estimate.cohort_month.cohort_averages import By, average_terms, cohort_weights
from calaim_eval.estimate.cohort_month.group_time_effects import GroupTimeEffects
from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects
from calaim_eval.estimate.inference.wild_bootstrap import TIE, Draws, Weights, require_draws
from calaim_eval.moments import ClusterSums

FARTHEST = 1e6
"""Values this many standard errors away that are not rejected: no end of the interval is."""
BISECTIONS = 50


def restricted_wild_bootstrap(
    att_gt: GroupTimeEffects,
    *,
    by: By = "overall",
    min_event_time: int | None = None,
    max_event_time: int | None = None,
    null: float = 0.0,
    rng: np.random.Generator | None = None,
    draws: int = 9_999,
    weights: Weights = "webb",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    r"""P-values and intervals from a wild cluster bootstrap whose draws obey the null (WCR).

    Use with few clusters (counties) beside `cluster_jackknife`: of the bootstraps this is the one
    whose tests reject a true null least too often. With few *exposed* clusters it errs on the
    other side and hardly ever rejects; then permute the roll-out (`randomization_test`).

    Parameters
    ----------
    att_gt : GroupTimeEffects
        From `group_time_att` with ``cluster=`` a cluster column of the moments.
    by : {"overall", "event_time"}
        The averages of ``aggregate``.
    min_event_time, max_event_time : int, optional
        Only effects at these months since exposure, both included.
    null : float
        Effect tested, in the unit of `att_gt`.
    rng : np.random.Generator, optional
        Needed unless all draws are enumerated.
    draws : int
        Bootstrap draws.
    weights : {"webb", "rademacher"}
        Six-point weights, right also for fewer than 12 clusters, or two-point weights. With at
        most 12 clusters behind a row all two-point draws are enumerated: no chance enters.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pd.DataFrame
        Keys, ``estimate``, ``std_error`` (by cluster, with the weights of the average taken as
        given), ``p_value`` (two-sided), ``conf_low`` and ``conf_high`` (the ends of the values
        around the estimate that the bootstrap does not reject; infinite where it rejects none on
        that side), ``n_clusters``, ``draws``, ``is_enumerated``, ``p_value_step``.

    Raises
    ------
    EstimationError
        Effects clustered by member, an unknown option, no effect within the event times, no `rng`
        where draws are needed.

    Notes
    -----
    The average is :math:`\hat\theta = \sum_j \ell_j Y_j`, linear in the outcome totals
    :math:`Y_j = \sum_g Y_{gj}` of cell-months j with member-months :math:`R_j`: the least squares
    contrast of a regression with one mean :math:`\mu_j` for each. With
    :math:`\delta = \hat\theta - \theta_0` and :math:`K = \sum_j \ell_j^2 R_j`, least squares under
    :math:`\theta = \theta_0` moves the means by :math:`-\ell_j \delta / K`, so that a cluster's
    influence becomes :math:`\tilde\psi_g = \psi_g + \lambda_g \delta`, with its partial leverage
    :math:`\lambda_g = \sum_j \ell_j^2 R_{gj} / K` [2]_. A draw :math:`v` of weights gives the
    estimate :math:`\theta_0 + \sum_g v_g \tilde\psi_g`, whose error comes from its own residuals,
    :math:`\psi^*_g = v_g \tilde\psi_g - \sum_h H_{gh} v_h` with
    :math:`H_{gh} = \sum_j \ell_j R_{gj} \tilde u_{hj} / R_j` and
    :math:`\tilde u_{hj}` the restricted residuals of cluster h, summed in cell-month j. So sums by
    cluster are all it needs: on member-level data the same bootstrap [1]_ gives the same numbers.
    Enumerated p-values are the share of draws at least as far out (the data are one of them, and
    its mirror image another: they are :math:`2/2^G` apart); drawn ones :math:`(1 + \#)/(1 + n)`.
    Intervals invert the test by bisection, with the same draws at every value.

    References
    ----------
    .. [1] Cameron AC, Gelbach JB, Miller DL (2008). Rev Econ Stat 90(3):414-427.
       doi:10.1162/rest.90.3.414
    .. [2] MacKinnon JG, Nielsen MO, Webb MD (2023). J Applied Econometrics 38(5):671-694.
       doi:10.1002/jae.2969
    """
    sums = _cluster_sums(att_gt, by)
    require_draws(draws, weights, conf_level, who="restricted_wild_bootstrap")
    drawn = Draws(sums.n_clusters, rng, draws, weights, who="restricted_wild_bootstrap")
    keys, rows = [], []
    for _, effects in att_gt.strata:
        inside = effects.take(_within(effects, by, min_event_time, max_event_time))
        if not len(inside):
            continue
        labels, average = cohort_weights(inside, by)
        loads = _loads(inside, labels, average)
        for term, load in enumerate(loads):
            test = _restricted_test(inside, load, sums, att_gt.outcome)
            stratum = inside.stratum.reset_index(drop=True)
            keys.append(pd.concat([stratum, labels.iloc[[term]].reset_index(drop=True)], axis=1))
            estimate = float(average[term] @ inside.estimate)
            rows.append(_row(test, estimate, null, drawn, conf_level))
    if not rows:
        raise EstimationError(
            "restricted_wild_bootstrap: no effect lies within the event times asked for (min "
            f"{min_event_time}, max {max_event_time}). Widen them."
        )
    return pd.concat([pd.concat(keys, ignore_index=True), pd.DataFrame(rows)], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Test:
    """What the bootstrap needs of one average; G bearing clusters.

    Attributes
    ----------
    bearing : np.ndarray
        Which clusters bear on the average; bool, all clusters.
    psi, leverage : np.ndarray
        Influence of each cluster and its share in the squared loads; shape (G,).
    moved, moved_by_effect : np.ndarray
        What a draw moves the fit of a cluster by: unrestricted, and for each unit of the effect
        that the null takes away; shape (G, G).
    """

    bearing: np.ndarray
    psi: np.ndarray
    leverage: np.ndarray
    moved: np.ndarray
    moved_by_effect: np.ndarray

    @property
    def spread(self) -> float:
        """Standard error by cluster."""
        return float(np.sqrt(self.psi @ self.psi))

    def share_as_far(self, off: float, weights: np.ndarray) -> float:
        """Share of the draws at least as far out as an estimate `off` from the null."""
        actual = abs(off) / self.spread
        restricted = self.psi + self.leverage * off
        total = weights @ restricted
        left = weights * restricted - weights @ (self.moved + off * self.moved_by_effect).T
        spread = np.sqrt((left**2).sum(axis=1))
        # An exact fit is infinitely far out, unless nothing moved at all.
        is_exact = spread <= 1e-12 * np.abs(weights * restricted).max(axis=1)
        far = np.abs(total) >= actual * (1 - TIE) * spread
        return float((far | is_exact).mean())


def _cluster_sums(att_gt: GroupTimeEffects, by: str) -> ClusterSums:
    """Sums by cluster; effects without them, and averages that are not known, are refused."""
    if not isinstance(att_gt, GroupTimeEffects):
        raise EstimationError(
            "restricted_wild_bootstrap takes the effects of `group_time_att`: it needs to know how "
            "an average is made from cells. For other tables use wild_bootstrap_p_values."
        )
    require_choice("by", by, ("overall", "event_time"))
    sums = att_gt.moments.clusters
    if sums is None or att_gt.cluster != sums.name:
        raise EstimationError(
            "restricted_wild_bootstrap: the effects are clustered by member. Estimate with "
            "group_time_att(..., cluster=) the cluster column of the moments."
        )
    return sums


def _within(effects: StratumEffects, by: By, low: int | None, high: int | None) -> np.ndarray:
    """Positions of the effects asked for; overall from exposure on."""
    time = effects.event_time
    inside = time >= 0 if by == "overall" else np.ones(len(time), dtype=bool)
    if low is not None:
        inside &= time >= low
    if high is not None:
        inside &= time <= high
    return np.flatnonzero(inside)


def _loads(effects: StratumEffects, keys: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
    """Loads of the averages on the outcome totals of cell-months; shape (m, C, X, T)."""
    shares = np.zeros((len(keys), *effects.grid.cell.shape))
    return average_terms(effects, keys, np.zeros(len(keys)), weights, shares).on_outcome


def _restricted_test(
    effects: StratumEffects, load: np.ndarray, sums: ClusterSums, outcome: str
) -> _Test:
    """Influence, leverage and fit of the clusters behind one average."""
    grid = effects.grid
    used = load != 0
    code = np.full(used.shape, -1)
    code[used] = np.arange(int(used.sum()))
    on_total, at_risk = load[used], grid.at_risk[used]
    mean = grid.total[used] / at_risk
    risk_of, left_of = _by_cluster(grid.cell, code, sums, outcome, len(on_total))
    left_of = left_of - risk_of * mean
    own = risk_of * on_total
    bearing = np.asarray((risk_of > 0).any(axis=1))
    own, left_of, risk_of = own[bearing], left_of[bearing], risk_of[bearing]
    # A month that is its own base has no loads, and no cluster bears on it.
    squares = float(on_total**2 @ at_risk) or 1.0
    leverage = (risk_of @ on_total**2) / squares
    return _Test(
        bearing=bearing,
        psi=left_of @ on_total,
        leverage=leverage,
        moved=own @ (left_of / at_risk).T,
        moved_by_effect=own @ (own / (at_risk * squares)).T,
    )


def _by_cluster(
    cell: np.ndarray, code: np.ndarray, sums: ClusterSums, outcome: str, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Member-months and (centred) totals by cluster and cell-month; shape (n_clusters, n)."""
    risk, total = np.zeros((sums.n_clusters, n)), np.zeros((sums.n_clusters, n))
    place = {int(row): spot for spot, row in np.ndenumerate(cell) if row >= 0}
    for position, row in enumerate(sums.cell):
        spot = place.get(int(row))
        if spot is None:
            continue
        months = code[spot]
        kept = months >= 0
        cluster = sums.cluster[position]
        risk[cluster, months[kept]] += sums.at_risk[position][kept]
        total[cluster, months[kept]] += sums.totals[outcome][position][kept]
    return risk, total


def _row(
    test: _Test, estimate: float, null: float, drawn: Draws, conf_level: float
) -> dict[str, float | bool]:
    """P-value and interval of one average; NaN without variation between clusters."""
    nothing = float("nan")
    n_clusters = int(test.bearing.sum())
    row: dict[str, float | bool] = {
        "estimate": estimate,
        "std_error": test.spread or nothing,
        "p_value": nothing,
        "conf_low": nothing,
        "conf_high": nothing,
        "n_clusters": n_clusters,
        "draws": 0,
        "is_enumerated": False,
        "p_value_step": nothing,
    }
    if n_clusters < 2 or not test.spread > 0:
        return row
    weights, is_all = drawn.of(test.bearing)
    n = len(weights)

    def p_value(off: float) -> float:
        share = test.share_as_far(off, weights)
        return share if is_all else (1 + share * n) / (1 + n)

    low, high = (_end(p_value, test.spread, side, 1 - conf_level) for side in (1.0, -1.0))
    return row | {
        "p_value": p_value(estimate - null),
        "conf_low": estimate - low,
        "conf_high": estimate - high,
        "draws": n,
        "is_enumerated": is_all,
        "p_value_step": 2 / n if is_all else 1 / (n + 1),
    }


def _end(p_value: Callable[[float], float], spread: float, side: float, level: float) -> float:
    """How far from the estimate, on one side, values begin to be rejected; signed."""
    inner, outer = 0.0, side * spread
    while p_value(outer) > level:
        inner, outer = outer, 2 * outer
        if abs(outer) > FARTHEST * spread:
            return side * np.inf
    for _ in range(BISECTIONS):
        middle = (inner + outer) / 2
        if p_value(middle) > level:
            inner = middle
        else:
            outer = middle
    return inner
