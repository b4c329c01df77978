"""Effects by cohort and month from cell moments, with what later aggregation needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from calaim_eval.estimate.cohort_month.cohort_month_effects import CohortMonthEffects, Part
from calaim_eval.estimate.cohort_month.pair_variance import pair_variances
from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects
from calaim_eval.estimate.influence import (
    MEMBER,
    cluster_influence,
    labelled_influence,
    member_covariance,
)
from calaim_eval.estimate.support import effect_supports
from calaim_eval.moments import CellMoments
from calaim_eval.results import Estimand, Method
from calaim_eval.results.effect_table import influence_with_undefined


class GroupTimeEffects(CohortMonthEffects[StratumEffects]):
    """Effects on the exposed by cohort and month, ATT(g, t), from cell moments.

    An `EffectTable` whose covariance is worked out when first asked for: with many cohorts, months
    and strata it is large, and `aggregate` does not need it.

    Attributes
    ----------
    moments : CellMoments
        What the effects were computed from.
    outcome : str
    cluster : str
        ``"member"`` or the cluster column.
    is_undefined : np.ndarray
        Rows with a single member on a side: their standard error is NaN; shape (k,).
    strata : tuple[tuple[slice, StratumEffects], ...]
        Rows of the table and effects with their loads, by stratum.
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
        moments: CellMoments,
        outcome: str,
        cluster: str,
        is_undefined: np.ndarray,
        effects: tuple[StratumEffects, ...],
    ) -> None:
        super().__init__(
            keys=keys,
            estimate=estimate,
            support=support,
            estimand=estimand,
            method=method,
            notes=notes,
            months=moments.months,
            outcome=outcome,
            cluster=cluster,
            is_undefined=is_undefined,
            effects=effects,
        )
        object.__setattr__(self, "moments", moments)

    moments: CellMoments

    @property
    def cluster_influence(self) -> pd.DataFrame | None:  # type: ignore[override]
        """Influence of each cluster; shape (n_clusters, k); None when clustered by member."""
        if self.cluster == MEMBER:
            return None
        influence = labelled_influence(self.moments, self._influence())
        return influence_with_undefined(influence, self.is_undefined)

    def combined_error(
        self, parts: Sequence[Part[StratumEffects]]
    ) -> tuple[np.ndarray, pd.DataFrame | None]:
        """Joint covariance and cluster influence of the averages of all strata, in order."""
        if self.cluster == MEMBER:
            return self._by_member(parts), None
        found = [
            cluster_influence(
                self.moments, self.outcome, _average_loads(effects, weights, share), len(weights)
            )
            for effects, weights, share in parts
        ]
        influence = labelled_influence(self.moments, np.hstack(found))
        return influence.to_numpy().T @ influence.to_numpy(), influence

    def supports_behind(self, effects: StratumEffects, weights: np.ndarray) -> np.ndarray:
        """Support of exposed and comparison behind averages of effects; shape (m, 2, 3)."""
        return effect_supports(effects, weights)

    def _by_member(self, parts: Sequence[Part[StratumEffects]]) -> np.ndarray:
        """Member-clustered covariance of averages; strata share no member."""
        n_terms = sum(len(weights) for _, weights, _ in parts)
        covariance = np.zeros((n_terms, n_terms))
        start = 0
        for effects, weights, share in parts:
            rows = slice(start, start + len(weights))
            covariance[rows, rows] = member_covariance(
                self.moments, self.outcome, _average_loads(effects, weights, share), len(weights)
            )
            start += len(weights)
        return covariance

    def _source(self) -> dict[str, Any]:
        """The moments."""
        return {"moments": self.moments}

    def _joint_covariance(self) -> np.ndarray:
        """Joint covariance of all rows; shape (k, k)."""
        if self.cluster != MEMBER:
            influence = self._influence()
            return np.asarray(influence.T @ influence)
        full = np.zeros((len(self), len(self)))
        for rows, block in self._blocks():
            full[rows, rows] = block
        return full

    def _row_variances(self) -> np.ndarray:
        """Variance of each row, without the covariances; shape (k,)."""
        if self.cluster != MEMBER:
            return np.asarray((self._influence() ** 2).sum(axis=0))
        parts = [pair_variances(self.moments, self.outcome, e) for _, e in self.strata]
        return np.concatenate([np.zeros(0), *parts])

    def _blocks(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Member-clustered covariance of each stratum."""
        if "blocks" not in self._cache:
            self._cache["blocks"] = [
                member_covariance(self.moments, self.outcome, e.cell_loads(np.eye(len(e))), len(e))
                for _, e in self.strata
            ]
        blocks = cast("list[np.ndarray]", self._cache["blocks"])
        for (rows, _), block in zip(self.strata, blocks, strict=True):
            yield rows, block

    def _influence(self) -> np.ndarray:
        """Cluster influence of all rows; shape (n_clusters, k)."""
        if "influence" not in self._cache:
            self._cache["influence"] = np.hstack(
                [
                    cluster_influence(
                        self.moments, self.outcome, e.cell_loads(np.eye(len(e))), len(e)
                    )
                    for _, e in self.strata
                ]
            )
        return cast("np.ndarray", self._cache["influence"])


def _average_loads(effects: StratumEffects, weights: np.ndarray, share: np.ndarray) -> Any:
    """Cell loads of averages with estimated cohort shares."""
    constant = share[:, :, None] * effects.entering_cells()[None, :, :]
    return effects.cell_loads(weights, np.asarray(constant))
