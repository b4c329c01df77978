"""Effects by cohort and month, with what later aggregation needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.influence import (
    MEMBER,
    cluster_influence,
    labelled_influence,
    member_covariance,
)
from calaim_eval.estimate.pair_variance import pair_variances
from calaim_eval.estimate.stratum_effects import StratumEffects
from calaim_eval.moments import CellMoments
from calaim_eval.results import EffectTable, Estimand, Method


class GroupTimeEffects(EffectTable):
    """Effects on the exposed by cohort and month, ATT(g, t), all strata jointly.

    An `EffectTable` whose covariance is worked out when first asked for: with many cohorts, months
    and strata it is large, and `aggregate` does not need it.

    Attributes
    ----------
    moments : CellMoments
        What the effects were computed from.
    outcome : str
    cluster : str
        ``"member"`` or the cluster column.
    per : float
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
        stop = np.cumsum([len(e) for e in effects])
        if len(keys) != len(estimate) or len(keys) != int(stop[-1] if len(stop) else 0):
            raise EstimationError(
                f"GroupTimeEffects: {len(keys)} keys, {len(estimate)} estimates and "
                f"{stop[-1] if len(stop) else 0} effects; they must agree."
            )
        stored = {
            "keys": keys,
            "estimate": estimate,
            "support": support,
            "estimand": estimand,
            "method": method,
            "notes": notes,
            "moments": moments,
            "outcome": outcome,
            "cluster": cluster,
            "is_undefined": is_undefined,
            "strata": tuple(
                (slice(int(end) - len(e), int(end)), e)
                for end, e in zip(stop, effects, strict=True)
            ),
            "_cache": {},
        }
        for name, value in stored.items():
            object.__setattr__(self, name, value)

    moments: CellMoments
    outcome: str
    cluster: str
    is_undefined: np.ndarray
    strata: tuple[tuple[slice, StratumEffects], ...]
    _cache: dict[str, object]

    @property
    def event_time(self) -> np.ndarray:
        """Months since the cohort of each row; negative before exposure; shape (k,)."""
        if not self.strata:
            return np.zeros(0, dtype=np.int64)
        return np.concatenate([effects.event_time for _, effects in self.strata])

    @property
    def covariance(self) -> np.ndarray:  # type: ignore[override]
        """Joint covariance of all rows; shape (k, k). Strata share no member."""
        if "covariance" not in self._cache:
            if self.cluster == MEMBER:
                full = np.zeros((len(self), len(self)))
                for rows, block in self._blocks():
                    full[rows, rows] = block
            else:
                influence = self._influence()
                full = influence.T @ influence
            full[self.is_undefined, :] = np.nan
            full[:, self.is_undefined] = np.nan
            self._cache["covariance"] = full
        return cast("np.ndarray", self._cache["covariance"])

    @property
    def cluster_influence(self) -> pd.DataFrame | None:  # type: ignore[override]
        """Influence of each cluster; shape (n_clusters, k); None when clustered by member."""
        if self.cluster == MEMBER:
            return None
        return labelled_influence(self.moments, self._influence())

    @property
    def std_error(self) -> np.ndarray:
        """Standard errors; shape (k,). Undefined is NaN, never 0."""
        if self.cluster == MEMBER:
            variance = self._variances()
        else:
            variance = (self._influence() ** 2).sum(axis=0)
        return np.sqrt(np.where((variance > 0) & ~self.is_undefined, variance, np.nan))

    def select(self, mask: np.ndarray | pd.Series) -> GroupTimeEffects:
        """Rows where `mask` is true, ready for `aggregate` like the whole."""
        chosen = np.asarray(mask, dtype=bool)
        rows = np.flatnonzero(chosen)
        parts = (effects.take(np.flatnonzero(chosen[s])) for s, effects in self.strata)
        return GroupTimeEffects(
            keys=self.keys.iloc[rows].reset_index(drop=True),
            estimate=self.estimate[rows],
            support=self.support.iloc[rows].reset_index(drop=True),
            estimand=self.estimand,
            method=self.method,
            notes=self.notes,
            moments=self.moments,
            outcome=self.outcome,
            cluster=self.cluster,
            is_undefined=self.is_undefined[rows],
            effects=tuple(effects for effects in parts if len(effects)),
        )

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

    def _variances(self) -> np.ndarray:
        """Member-clustered variance of all rows, without their covariances; shape (k,)."""
        if "variances" not in self._cache:
            parts = [pair_variances(self.moments, self.outcome, e) for _, e in self.strata]
            self._cache["variances"] = np.concatenate([np.zeros(0), *parts])
        return cast("np.ndarray", self._cache["variances"])

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

    def __repr__(self) -> str:
        return (
            f"<GroupTimeEffects {self.outcome}: {len(self):,} cohort-months"
            f"{f' in {len(self.strata)} strata' if self.moments.stratum else ''}; "
            f"{self.estimand.unit}; {self.method.estimator}>"
        )
