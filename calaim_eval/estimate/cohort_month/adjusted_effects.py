"""Covariate-adjusted effects by cohort and month, with every member's influence on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.estimate.cohort_month.adjusted_pair import PairFit
from calaim_eval.estimate.cohort_month.cohort_month_effects import CohortMonthEffects, Part
from calaim_eval.estimate.cohort_month.member_panel import MemberPanel
from calaim_eval.estimate.cohort_month.time_pairs import TimePairs
from calaim_eval.estimate.influence import MEMBER, without_rounding
from calaim_eval.results import SUPPORT_COLUMNS, Estimand, Method
from calaim_eval.results.effect_table import influence_with_undefined

CHUNK_NUMBERS = 4_000_000
"""Influences held at a time (32 MB): members are taken in parts, so memory does not grow."""
ROUNDING_OF_CHANGE = 1e-11
"""On top of `influence.ROUNDING`: these influences are computed directly, not from squares."""


@dataclass(frozen=True, slots=True, eq=False)
class AdjustedEffects:
    """Identified ATT(g, t) of one stratum.

    Attributes
    ----------
    panel : MemberPanel
        Members of the stratum only, n of them.
    position : np.ndarray
        Position of each member in `cohorts`; shape (n,).
    cohorts : np.ndarray
        Ordinals in order; shape (C,).
    pairs : TimePairs
        k effects.
    fits : tuple[PairFit | None, ...]
        One per effect; None where a month is its own base.
    per : float
        What estimates and influences are multiplied by.
    stratum : pd.DataFrame
        One row of stratum labels.
    """

    panel: MemberPanel
    position: np.ndarray
    cohorts: np.ndarray
    pairs: TimePairs
    fits: tuple[PairFit | None, ...]
    per: float
    stratum: pd.DataFrame

    def __len__(self) -> int:
        return len(self.fits)

    @property
    def axis(self) -> np.ndarray:
        """Ordinals of the months; shape (T,)."""
        return self.panel.axis

    @property
    def estimate(self) -> np.ndarray:
        """In the unit asked for; shape (k,)."""
        return self.per * np.array([0.0 if fit is None else fit.effect for fit in self.fits])

    @property
    def gross(self) -> np.ndarray:
        """Squares that variances are compared with to tell rounding; shape (k,)."""
        return self.per**2 * np.array([0.0 if fit is None else fit.gross for fit in self.fits])

    @property
    def event_time(self) -> np.ndarray:
        """Months since the cohort; shape (k,)."""
        return np.asarray(self.axis[self.pairs.month] - self.cohorts[self.pairs.cohort])

    def take(self, rows: np.ndarray) -> AdjustedEffects:
        """Some of the effects."""
        fits = tuple(self.fits[row] for row in rows)
        return replace(self, pairs=self.pairs.take(rows), fits=fits)

    def cohort_sizes(self) -> np.ndarray:
        """Members of each cohort that enter any of its effects; shape (C,)."""
        return np.bincount(self.position[self.is_entering()], minlength=len(self.cohorts)).astype(
            float
        )

    def is_entering(self) -> np.ndarray:
        """Members that enter any effect as exposed; shape (n,), bool."""
        covered = self.panel.is_covered
        entering = np.zeros(len(covered), dtype=bool)
        for cohort in np.unique(self.pairs.cohort):
            own = np.flatnonzero(self.position == cohort)
            rows = self.pairs.cohort == cohort
            months = np.unique(np.stack([self.pairs.month, self.pairs.base])[:, rows], axis=1)
            for month, base in months.T:
                entering[own] |= covered[own, month] & covered[own, base]
        return entering

    def members_of(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Members covered in both months of an effect, and which of them are exposed."""
        return pair_members(self.panel, self.position, self.pairs, row)

    def influence(self, weights: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Influence on linear combinations of the effects, some members at a time.

        Parameters
        ----------
        weights : np.ndarray
            Shape (m, k).

        Yields
        ------
        tuple[np.ndarray, np.ndarray]
            Positions of members, and their influence; shapes (c,) and (c, m).
        """
        used = np.flatnonzero(weights.any(axis=0))
        step = max(1, CHUNK_NUMBERS // max(len(used), len(weights), 1))
        for start in range(0, len(self.position), step):
            members = np.arange(start, min(start + step, len(self.position)))
            part = replace(self, panel=self.panel.take(members), position=self.position[members])
            own = np.zeros((len(members), len(used)))
            for column, row in enumerate(used):
                own[:, column] = part._of_pair(int(row))
            yield members, own @ weights[:, used].T

    def _of_pair(self, row: int) -> np.ndarray:
        """Influence of all members on one effect; shape (n,)."""
        found = np.zeros(len(self.position))
        fit, month, base = self.fits[row], self.pairs.month[row], self.pairs.base[row]
        if fit is None:
            return found
        members, is_exposed = self.members_of(row)
        change = self.panel.outcome[members, month] - self.panel.outcome[members, base]
        x = self.panel.design(members, base)
        found[members] = self.per * fit.influence(x, change, is_exposed)
        return found


def pair_members(
    panel: MemberPanel, position: np.ndarray, pairs: TimePairs, row: int
) -> tuple[np.ndarray, np.ndarray]:
    """Members covered in both months of a pair, and which of them are exposed."""
    month, base, cohort = pairs.month[row], pairs.base[row], pairs.cohort[row]
    enters = pairs.comparison[row].copy()
    enters[cohort] = True
    both = enters[position] & panel.is_covered[:, month] & panel.is_covered[:, base]
    members = np.flatnonzero(both)
    return members, position[members] == cohort


def pair_support(effects: AdjustedEffects, rows: np.ndarray) -> np.ndarray:
    """Members, events and member-months of both sides behind some effects together; (2, 3)."""
    events = effects.panel.events
    used = np.zeros((2, *events.shape), dtype=bool)
    for row in rows:
        members, is_exposed = effects.members_of(int(row))
        for month in (effects.pairs.month[row], effects.pairs.base[row]):
            used[0, members[is_exposed], month] = True
            used[1, members[~is_exposed], month] = True
    found = np.zeros((2, len(SUPPORT_COLUMNS)))
    for side in range(2):
        found[side] = (
            used[side].any(axis=1).sum(),
            events[used[side]].sum(),
            used[side].sum(),
        )
    return found


def own_support(effects: AdjustedEffects, row: int) -> np.ndarray:
    """Members, events and member-months of both sides behind one effect; shape (2, 3)."""
    members, is_exposed = effects.members_of(row)
    events = effects.panel.events
    months = np.unique([effects.pairs.month[row], effects.pairs.base[row]])
    sides = (members[is_exposed], members[~is_exposed])
    return np.array(
        [[len(own), events[np.ix_(own, months)].sum(), len(own) * len(months)] for own in sides],
        dtype=float,
    )


class AdjustedGroupTimeEffects(CohortMonthEffects[AdjustedEffects]):
    """Covariate-adjusted effects on the exposed by cohort and month, all strata jointly.

    An `EffectTable` that keeps the members, so that `aggregate` has the influence of each on any
    average. Influences are computed some members at a time (32 MB), never all at once; what is
    kept is the outcome by member and month (9 bytes each) and the covariates.
    """

    def __init__(
        self,
        *,
        keys: pd.DataFrame,
        estimate: np.ndarray,
        support: pd.DataFrame,
        estimand: Estimand,
        method: Method,
        notes: tuple[str, ...],
        months: pd.Index,
        outcome: str,
        cluster: str,
        is_undefined: np.ndarray,
        effects: tuple[AdjustedEffects, ...],
        cluster_labels: pd.Index | None,
    ) -> None:
        super().__init__(
            keys=keys,
            estimate=estimate,
            support=support,
            estimand=estimand,
            method=method,
            notes=notes,
            months=months,
            outcome=outcome,
            cluster=cluster,
            is_undefined=is_undefined,
            effects=effects,
        )
        object.__setattr__(self, "cluster_labels", cluster_labels)

    cluster_labels: pd.Index | None

    @property
    def cluster_influence(self) -> pd.DataFrame | None:  # type: ignore[override]
        """Influence of each cluster; shape (n_clusters, k); None when clustered by member."""
        influence = self._error()[1]
        return None if influence is None else influence_with_undefined(influence, self.is_undefined)

    def combined_error(
        self, parts: Sequence[Part[AdjustedEffects]]
    ) -> tuple[np.ndarray, pd.DataFrame | None]:
        """Joint covariance and cluster influence of the averages of all strata, in order."""
        n_terms = sum(len(weights) for _, weights, _ in parts)
        covariance, gross = np.zeros((n_terms, n_terms)), np.zeros(n_terms)
        by_cluster = np.zeros(
            (0 if self.cluster_labels is None else len(self.cluster_labels), n_terms)
        )
        start = 0
        for effects, weights, share in parts:
            rows = slice(start, start + len(weights))
            gross[rows] = (np.abs(weights) @ np.sqrt(effects.gross)) ** 2
            entering = effects.is_entering() if share.any() else None
            for members, influence in effects.influence(weights):
                if entering is not None:
                    own = share[:, effects.position[members]].T
                    influence = influence + own * entering[members][:, None]
                if self.cluster == MEMBER:
                    covariance[rows, rows] += influence.T @ influence
                elif effects.panel.cluster is not None:
                    np.add.at(by_cluster[:, rows], effects.panel.cluster[members], influence)
            start += len(weights)
        if self.cluster == MEMBER:
            return without_rounding(covariance, ROUNDING_OF_CHANGE * gross), None
        labelled = pd.DataFrame(by_cluster, index=self.cluster_labels)
        return without_rounding(by_cluster.T @ by_cluster, ROUNDING_OF_CHANGE * gross), labelled

    def supports_behind(self, effects: AdjustedEffects, weights: np.ndarray) -> np.ndarray:
        """Support of exposed and comparison behind averages of effects; shape (m, 2, 3)."""
        return np.stack([pair_support(effects, np.flatnonzero(row)) for row in weights])

    def _source(self) -> dict[str, Any]:
        """The time axis and the clusters."""
        return {"months": self.months, "cluster_labels": self.cluster_labels}

    def _error(self) -> tuple[np.ndarray, pd.DataFrame | None]:
        """Covariance and cluster influence of all rows."""
        if "error" not in self._cache:
            self._cache["error"] = self.combined_error(
                [(e, np.eye(len(e)), np.zeros((len(e), len(e.cohorts)))) for _, e in self.strata]
            )
        found: tuple[np.ndarray, pd.DataFrame | None] = self._cache["error"]
        return found

    def _joint_covariance(self) -> np.ndarray:
        """Joint covariance of all rows; shape (k, k)."""
        return self._error()[0].copy()

    def _row_variances(self) -> np.ndarray:
        """Variance of each row; shape (k,)."""
        return np.asarray(np.diag(self._error()[0]))
