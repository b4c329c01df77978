"""P-values for few clusters: a wild bootstrap of the clusters' influence."""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.results import EffectTable

Weights = Literal["webb", "rademacher"]
_POINTS = {
    "webb": np.sqrt([0.5, 1.0, 1.5]),
    "rademacher": np.array([1.0]),
}
ENUMERATED_CLUSTERS = 12
"""Up to this many clusters there are at most 4,096 Rademacher draws, and all are taken."""
TIE = 1e-10
"""Statistics this near, relative, are ties."""


def wild_bootstrap_p_values(
    table: EffectTable,
    *,
    rng: np.random.Generator | None = None,
    draws: int = 9_999,
    weights: Weights = "webb",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    r"""P-values and intervals from a studentized wild score bootstrap over clusters.

    Use beside cluster-robust intervals when clusters (counties) are few. The draws do not obey the
    null; `restricted_wild_bootstrap` has one that does, for `group_time_att`. With fewer than some
    ten exposed clusters no bootstrap is reliable either: use randomization inference over the
    assignment of clusters.

    Parameters
    ----------
    table : EffectTable
        Made with ``cluster=`` a cluster column, so that it carries ``cluster_influence``.
    rng : np.random.Generator, optional
        Needed unless all draws are enumerated.
    draws : int
        Bootstrap draws.
    weights : {"webb", "rademacher"}
        Six-point weights, right also for fewer than 12 clusters, or two-point weights. For a row
        with at most 12 clusters all two-point draws are enumerated: no chance enters.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pd.DataFrame
        Keys, ``estimate``, ``std_error``, ``p_value`` (two-sided, of no effect), ``conf_low`` and
        ``conf_high`` (the values the bootstrap does not reject; infinite where it can reject
        none), ``n_clusters`` that bear on the estimate, ``draws``, ``is_enumerated``,
        ``p_value_step`` (p-values are that far apart: with 5 clusters no p-value is below 0.03).

    Raises
    ------
    EstimationError
        The table keeps no cluster influence, an unknown option, or no `rng` where draws are needed.

    Notes
    -----
    With cluster influence :math:`\psi_g` (sums to 0 over clusters) and weights :math:`w_g`,
    :math:`t^* = \sum_g w_g \psi_g / \sqrt{\sum_g (w_g \psi_g - \overline{w\psi})^2}` [1]_; the
    p-value is :math:`(1 + \#\{|t^*| \ge |t|\})/(1 + n)`, t studentized alike. The draws do not
    depend on the value tested, so inverting the test gives :math:`\hat\theta \pm c\, s` with c a
    quantile of :math:`|t^*|`. Enumerated draws come in pairs of opposite sign: p-values are
    :math:`2/(2^G + 1)` apart. Ratios are tested against 1 on the log scale.

    References
    ----------
    .. [1] Kline P, Santos A (2012). A score based approach to wild bootstrap inference. Journal of
       Econometric Methods 1(1):23-41. doi:10.1515/2156-6674.1006
    """
    if table.cluster_influence is None:
        raise EstimationError(
            "wild_bootstrap_p_values: the table keeps no cluster influence. Estimate with "
            "cluster= the cluster column of the moments."
        )
    require_draws(draws, weights, conf_level, who="wild_bootstrap_p_values")
    drawn = Draws(len(table.cluster_influence), rng, draws, weights, who="wild_bootstrap_p_values")
    rows = [
        _row(influence, estimate, drawn, conf_level, is_ratio=table.estimand.scale == "ratio")
        for influence, estimate in zip(
            table.cluster_influence.to_numpy().T, table.estimate, strict=True
        )
    ]
    found = pd.DataFrame(rows, index=pd.RangeIndex(len(table)))
    return table.keys.reset_index(drop=True).assign(
        estimate=table.estimate,
        std_error=table.std_error,
        **{str(column): found[column] for column in found.columns},
    )


def require_draws(draws: int, weights: str, conf_level: float, *, who: str) -> None:
    """Refuse weights, numbers of draws and levels that mean nothing."""
    require_choice("weights", weights, _POINTS)
    if not 0 < conf_level < 1 or draws < 1:
        raise EstimationError(
            f"{who}: conf_level={conf_level}, draws={draws}; give a level between 0 and 1 and at "
            "least one draw."
        )


class Draws:
    """Weights of the clusters, enumerated where they can be, else drawn once for all rows."""

    def __init__(
        self,
        n_clusters: int,
        rng: np.random.Generator | None,
        draws: int,
        weights: Weights,
        *,
        who: str,
    ) -> None:
        self.who = who
        self.n_clusters, self.rng, self.draws, self.weights = n_clusters, rng, draws, weights
        self._drawn: np.ndarray | None = None

    def of(self, bearing: np.ndarray) -> tuple[np.ndarray, bool]:
        """Weights of the bearing clusters, shape (draws, n_bearing); whether they are all."""
        n_bearing = int(bearing.sum())
        if self.weights == "rademacher" and n_bearing <= ENUMERATED_CLUSTERS:
            return np.array(list(product([-1.0, 1.0], repeat=n_bearing))), True
        if self._drawn is None:
            if self.rng is None:
                raise EstimationError(
                    f"{self.who}: draws are needed (six-point weights, or more than "
                    f"{ENUMERATED_CLUSTERS} clusters). Give rng=np.random.default_rng(seed)."
                )
            shape = (self.draws, self.n_clusters)
            signs = self.rng.choice(np.array([-1.0, 1.0]), size=shape)
            self._drawn = signs * self.rng.choice(_POINTS[self.weights], size=shape)
        return self._drawn[:, bearing], False


def _row(
    influence: np.ndarray, estimate: float, drawn: Draws, conf_level: float, *, is_ratio: bool
) -> dict[str, float | bool]:
    """P-value and interval of one estimate; NaN without variation."""
    bearing = np.isfinite(influence) & (influence != 0)
    psi = influence[bearing]
    at, nothing = estimate, float("nan")
    if is_ratio:
        at = float(np.log(estimate)) if estimate > 0 else nothing
        psi = psi / estimate
    found = {"p_value": nothing, "conf_low": nothing, "conf_high": nothing}
    counts = {"n_clusters": len(psi), "draws": 0, "is_enumerated": False, "p_value_step": nothing}
    spread = np.sqrt(((psi - psi.mean()) ** 2).sum()) if len(psi) > 1 else 0.0
    if not np.isfinite(at) or spread == 0:
        return found | counts
    weights, is_all = drawn.of(bearing)
    statistics = _statistics(psi, weights)
    n_draws = len(statistics)
    at_least = int((statistics >= np.abs(at) / spread * (1 - TIE)).sum())
    reach = _critical(statistics, conf_level) * spread
    low, high = (at - reach, at + reach) if not is_ratio else np.exp([at - reach, at + reach])
    return {
        "p_value": (at_least + 1) / (n_draws + 1),
        "conf_low": float(low),
        "conf_high": float(high),
        "n_clusters": len(psi),
        "draws": n_draws,
        "is_enumerated": is_all,
        "p_value_step": (2 if is_all else 1) / (n_draws + 1),
    }


def _statistics(psi: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Absolute studentized sums of the weighted scores; shape (draws,)."""
    scores = weights * psi
    total = np.abs(scores.sum(axis=1))
    centred = scores - scores.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).sum(axis=1))
    # All scores alike: infinitely far from 0.
    is_alike = spread <= 1e-12 * np.abs(psi).max()
    return np.asarray(np.divide(total, spread, out=np.full(len(total), np.inf), where=~is_alike))


def _critical(statistics: np.ndarray, conf_level: float) -> float:
    """The largest distance, in errors, that is not rejected; infinite where all are kept."""
    kth = int(np.floor((1 - conf_level) * (len(statistics) + 1) + 1e-9))
    return float(np.sort(statistics)[-kth]) if kth else float("inf")
