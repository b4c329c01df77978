"""General dominance: how much of what varies between units goes with each factor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.engine.progress import track
from calaim_eval.errors import EstimationError
from calaim_eval.integration.success.factor_rows import FactorRows, factor_rows
from calaim_eval.results import Method

if TYPE_CHECKING:
    from plotnine import ggplot

MOST_FACTORS = 12
"""2^12 regressions a draw: more would take minutes, and nobody reads thirteen shares."""
_REFERENCE = (
    "Budescu DV (1993). Dominance analysis. Psychol Bull 114(3):542-551. "
    "doi:10.1037/0033-2909.114.3.542; Grömping U (2006). J Stat Softw 17(1). "
    "doi:10.18637/jss.v017.i01"
)


@dataclass(frozen=True, slots=True, eq=False)
class DominanceTable:
    """Shares of explained variance by factor.

    Attributes
    ----------
    shares : pd.DataFrame
        One row per factor: ``factor``, ``share`` (of the variance of the outcome, adding up to
        `r_squared`), ``conf_low``, ``conf_high`` (95 %, percentiles over resampled clusters),
        ``noise`` (the share a factor of chance alone takes on average), ``first`` (share of the
        draws in which it is the largest).
    r_squared : float
    n_units, n_clusters : int
    method : Method
    notes : tuple[str, ...]
    """

    shares: pd.DataFrame
    r_squared: float
    n_units: int
    n_clusters: int
    method: Method
    notes: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """The shares, largest first."""
        return self.shares.copy()

    @property
    def alt_text(self) -> str:
        """The picture in words."""
        shares = "; ".join(
            f"{row.factor} {100 * row.share:.0f} % ({100 * row.conf_low:.0f} to "
            f"{100 * row.conf_high:.0f})"
            for row in self.shares.itertuples()
        )
        return f"Share of the variance between {self.n_units} units by factor: {shares}."

    def plot(self) -> ggplot:
        """Shares with intervals and the share of chance; style it further with ``+``."""
        from calaim_eval.integration.success.dominance_plot import dominance_plot

        return dominance_plot(self)

    def __repr__(self) -> str:
        return (
            f"<DominanceTable: {len(self.shares)} factors, {self.n_units} units, "
            f"R squared {self.r_squared:.2f}>"
        )


def general_dominance(
    data: pd.DataFrame,
    *,
    outcome: str,
    factors: Sequence[str],
    categorical: Sequence[str] = (),
    cluster: str | None = "county",
    n_draws: int = 1000,
    seed: int = 0,
) -> DominanceTable:
    r"""Average gain in R² from a factor over all subsets of the others (LMG).

    .. math:: D_j = \frac1p \sum_{k=0}^{p-1} \binom{p-1}{k}^{-1}
              \sum_{S \not\ni j, |S|=k} \{R^2(S \cup j) - R^2(S)\}

    The shares add up to the R² of all factors together. A share is never negative and a factor of
    chance has one above 0: compare it with ``noise``, not with 0. It ranks associations and says
    nothing of effects.

    Parameters
    ----------
    data, outcome, factors, categorical, cluster
        As in `integration_factors`; a category is one factor with all its columns.
    n_draws : int
        Bootstrap draws of whole clusters.
    seed : int

    Returns
    -------
    DominanceTable

    Raises
    ------
    TableError, EstimationError
        As in `factor_rows`; more than twelve factors, or fewer than two; no draw that can be used.

    References
    ----------
    Budescu (1993). doi:10.1037/0033-2909.114.3.542; Grömping (2006). doi:10.18637/jss.v017.i01.
    """
    rows = factor_rows(
        data, outcome=outcome, factors=factors, categorical=categorical, cluster=cluster
    )
    n_factors = len(rows.factors)
    if n_draws < 1:
        raise EstimationError(f"`n_draws` is {n_draws}; an interval needs draws, 1000 are usual.")
    if not 2 <= n_factors <= MOST_FACTORS:
        raise EstimationError(
            f"{n_factors} factors: general dominance takes 2 to {MOST_FACTORS}. Put factors that "
            "belong together into one index first."
        )
    draws = _weights(rows, n_draws, np.random.default_rng(seed))
    weights = np.vstack([np.ones((1, len(rows))), draws])
    shares = _shares(rows, _correlations(rows, weights))
    estimate, drawn = shares[0], shares[1:]
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    if not len(drawn):
        raise EstimationError(
            f"in each of {n_draws:,} draws of clusters a factor did not vary or followed from "
            "others: there is no interval. Leave out factors that few clusters carry."
        )
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    largest = np.bincount(drawn.argmax(axis=1), minlength=n_factors) / len(drawn)
    table = pd.DataFrame(
        {
            "factor": rows.factors,
            "share": estimate,
            "conf_low": low,
            "conf_high": high,
            "noise": _noise(rows),
            "first": largest,
        }
    )
    unusable = n_draws - len(drawn)
    lost = f"{unusable:,} of {n_draws:,} draws had a factor that did not vary and are left out."
    return DominanceTable(
        shares=table.sort_values("share", ascending=False, ignore_index=True),
        r_squared=float(estimate.sum()),
        n_units=len(rows),
        n_clusters=rows.n_clusters,
        method=Method(
            "General dominance (LMG), percentiles over resampled clusters",
            {"outcome": outcome, "cluster": cluster, "draws": n_draws, "seed": seed},
            _REFERENCE,
        ),
        notes=(*rows.notes, "Associations, not effects.", *((lost,) if unusable else ())),
    )


def _weights(rows: FactorRows, n_draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each unit is in each draw of clusters; shape (n_draws, n)."""
    chance = np.full(rows.n_clusters, 1 / rows.n_clusters)
    return rng.multinomial(rows.n_clusters, chance, size=n_draws)[:, rows.cluster].astype(float)


def _correlations(rows: FactorRows, weights: np.ndarray) -> np.ndarray:
    """Correlations of the outcome (first) and the terms in each draw; shape (B, 1+p, 1+p)."""
    z = np.column_stack([rows.outcome, rows.values])
    total = weights.sum(axis=1)
    mean = weights @ z / total[:, None]
    moment = np.einsum("bi,ij,ik->bjk", weights, z, z, optimize=True) / total[:, None, None]
    covariance = moment - mean[:, :, None] * mean[:, None, :]
    size = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    floor = 1e-7 * np.abs(z).max(axis=0)
    size = np.where(size > floor, size, np.nan)
    return np.asarray(covariance / (size[:, :, None] * size[:, None, :]))


def _shares(rows: FactorRows, correlation: np.ndarray) -> np.ndarray:
    """Average gain of each factor in each draw; shape (B, n_factors)."""
    n_factors = len(rows.factors)
    subsets = [s for k in range(1, n_factors + 1) for s in combinations(range(n_factors), k)]
    explained: dict[tuple[int, ...], np.ndarray] = {(): np.zeros(len(correlation))}
    for subset in track(subsets, description="subsets of factors"):
        terms = 1 + np.flatnonzero(np.isin(rows.factor, subset))
        explained[subset] = _explained(correlation, terms)
    shares = np.zeros((len(correlation), n_factors))
    for subset in subsets:
        chance = 1 / (n_factors * comb(n_factors - 1, len(subset) - 1))
        for j in subset:
            others = tuple(k for k in subset if k != j)
            shares[:, j] += chance * (explained[subset] - explained[others])
    return shares


def _explained(correlation: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """R² of the outcome on some terms in each draw; NaN where they are not all told apart."""
    within = correlation[:, terms[:, None], terms]
    to_outcome = correlation[:, terms, 0]
    usable = np.isfinite(within).all(axis=(1, 2)) & np.isfinite(to_outcome).all(axis=1)
    usable[usable] = np.linalg.cond(within[usable]) < 1e10
    solved = np.full_like(to_outcome, np.nan)
    solved[usable] = np.linalg.solve(within[usable], to_outcome[usable][..., None])[..., 0]
    return np.asarray((to_outcome * solved).sum(axis=1))


def _noise(rows: FactorRows) -> np.ndarray:
    """Average share of a factor that has nothing to do with the outcome; shape (n_factors,).

    Columns over what is free to vary: clusters for a factor that is the same within them.
    """
    shares = []
    for j in range(len(rows.factors)):
        columns = rows.values[:, rows.factor == j]
        by_cluster = pd.DataFrame(columns).groupby(rows.cluster).nunique().to_numpy()
        n_free = rows.n_clusters if by_cluster.max() == 1 else len(rows)
        shares.append(columns.shape[1] / (n_free - 1))
    return np.array(shares)
