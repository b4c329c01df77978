"""What every table of effects by cohort and month offers to `aggregate` and `pre_trend_test`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.cohort_month.time_pairs import TimePairs
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.effect_table import with_undefined


class EffectsOfStratum(Protocol):
    """Effects of one stratum: k cohort-months of C cohorts in T months."""

    @property
    def stratum(self) -> pd.DataFrame:
        """One row of stratum labels; no columns without strata."""

    @property
    def cohorts(self) -> np.ndarray:
        """Ordinals of the cohorts; shape (C,)."""

    @property
    def axis(self) -> np.ndarray:
        """Ordinals of the months; shape (T,)."""

    @property
    def pairs(self) -> TimePairs:
        """Cohort, month and base month of each effect."""

    @property
    def estimate(self) -> np.ndarray:
        """Shape (k,)."""

    @property
    def event_time(self) -> np.ndarray:
        """Months since the cohort; shape (k,)."""

    def __len__(self) -> int: ...

    def take(self, rows: np.ndarray) -> EffectsOfStratum:
        """Some of the effects."""

    def cohort_sizes(self) -> np.ndarray:
        """Members of each cohort that enter any of its effects; shape (C,)."""


E = TypeVar("E", bound=EffectsOfStratum)

Part = tuple[E, np.ndarray, np.ndarray]
"""Effects of a stratum, weights of m averages on them (m, k), and the loads of the averages on
each member of a cohort through its estimated share (m, C)."""


class CohortMonthEffects(EffectTable, Generic[E]):
    """Effects on the exposed by cohort and month, ATT(g, t), all strata jointly.

    An `EffectTable` whose covariance is worked out when first asked for: with many cohorts, months
    and strata it is large, and `aggregate` does not need it.

    Attributes
    ----------
    months : pd.Index
        The time axis.
    outcome : str
    cluster : str
        ``"member"`` or the cluster column.
    is_undefined : np.ndarray
        Rows with a single member on a side: their standard error is NaN; shape (k,).
    strata : tuple[tuple[slice, effects], ...]
        Rows of the table and effects with their influence, by stratum.
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
        effects: tuple[E, ...],
    ) -> None:
        stop = np.cumsum([len(e) for e in effects])
        if len(keys) != len(estimate) or len(keys) != int(stop[-1] if len(stop) else 0):
            raise EstimationError(
                f"{type(self).__name__}: {len(keys)} keys, {len(estimate)} estimates and "
                f"{stop[-1] if len(stop) else 0} effects; they must agree."
            )
        stored = {
            "keys": keys,
            "estimate": estimate,
            "support": support,
            "estimand": estimand,
            "method": method,
            "notes": notes,
            "degrees": None,
            "months": months,
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

    months: pd.Index
    outcome: str
    cluster: str
    is_undefined: np.ndarray
    strata: tuple[tuple[slice, E], ...]
    _cache: dict[str, Any]

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
            full = self._joint_covariance()
            self._cache["covariance"] = with_undefined(full, None, self.is_undefined)[0]
        return cast("np.ndarray", self._cache["covariance"])

    @property
    def std_error(self) -> np.ndarray:
        """Standard errors; shape (k,). Undefined is NaN, never 0."""
        if "variances" not in self._cache:
            self._cache["variances"] = self._row_variances()
        variance = self._cache["variances"]
        return np.sqrt(np.where((variance > 0) & ~self.is_undefined, variance, np.nan))

    def select(self, mask: np.ndarray | pd.Series) -> CohortMonthEffects[E]:
        """Rows where `mask` is true, ready for `aggregate` like the whole."""
        chosen = np.asarray(mask, dtype=bool)
        rows = np.flatnonzero(chosen)
        parts = [cast("E", e.take(np.flatnonzero(chosen[s]))) for s, e in self.strata]
        return type(self)(
            keys=self.keys.iloc[rows].reset_index(drop=True),
            estimate=self.estimate[rows],
            support=self.support.iloc[rows].reset_index(drop=True),
            estimand=self.estimand,
            method=self.method,
            notes=self.notes,
            outcome=self.outcome,
            cluster=self.cluster,
            is_undefined=self.is_undefined[rows],
            effects=tuple(effects for effects in parts if len(effects)),
            **self._source(),
        )

    @abstractmethod
    def combined_error(self, parts: Sequence[Part[E]]) -> tuple[np.ndarray, pd.DataFrame | None]:
        """Joint covariance and cluster influence of the averages of all strata, in order."""

    @abstractmethod
    def supports_behind(self, effects: E, weights: np.ndarray) -> np.ndarray:
        """Support of exposed and comparison behind averages of effects; shape (m, 2, 3)."""

    @abstractmethod
    def _source(self) -> dict[str, Any]:
        """What else the constructor takes: where the effects were computed from."""

    @abstractmethod
    def _joint_covariance(self) -> np.ndarray:
        """Joint covariance of all rows; shape (k, k)."""

    @abstractmethod
    def _row_variances(self) -> np.ndarray:
        """Variance of each row; shape (k,)."""

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.outcome}: {len(self):,} cohort-months"
            f"{f' in {len(self.strata)} strata' if self._has_strata else ''}; "
            f"{self.estimand.unit}; {self.method.estimator}>"
        )

    @property
    def _has_strata(self) -> bool:
        """Whether effects are by stratum."""
        return any(len(effects.stratum.columns) for _, effects in self.strata)
