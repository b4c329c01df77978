"""Estimates with their joint covariance: what every estimator returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from calaim_eval.errors import EstimationError
from calaim_eval.results.estimand import Estimand, Method, shared_method
from calaim_eval.results.smallest_support import SUPPORT_COLUMNS, smallest_support

if TYPE_CHECKING:
    from plotnine import ggplot


@dataclass(frozen=True, slots=True, eq=False)
class EffectTable:
    """Estimates of one estimand, one row per term.

    Attributes
    ----------
    keys : pd.DataFrame
        What each row is about (cohort, event_time, stratum, outcome ...); shape (k, n_keys).
    estimate : np.ndarray
        In ``estimand.unit``; shape (k,). Undefined is NaN.
    covariance : np.ndarray
        Joint, cluster-robust; shape (k, k), squared ``estimand.unit``.
    cluster_influence : pd.DataFrame | None
        Shape (n_clusters, k), index = cluster id; kept when clusters are few (counties). Its
        cross-product is the covariance; NaN in the columns of rows without a standard error.
    support : pd.DataFrame
        ``n_members``, ``n_events``, ``member_months`` behind each row, the smaller of the two
        sides compared (of events: the smaller side that has any); shape (k, 3). Disclosure
        control reads it.
    estimand : Estimand
    method : Method
    notes : tuple[str, ...]
        What a reader must know: sample lost, dropped cells, calendar warnings.
    degrees : np.ndarray | None
        Degrees of freedom of Student's t, from which intervals and p-values are taken where
        clusters are few; shape (k,). None, or NaN in a row: the normal distribution.
    """

    keys: pd.DataFrame
    estimate: np.ndarray
    covariance: np.ndarray
    support: pd.DataFrame
    estimand: Estimand
    method: Method
    cluster_influence: pd.DataFrame | None = None
    notes: tuple[str, ...] = ()
    degrees: np.ndarray | None = None

    def __post_init__(self) -> None:
        k = len(self.keys)
        if self.estimate.shape != (k,) or self.covariance.shape != (k, k):
            raise EstimationError(
                f"EffectTable: {k} keys, estimate of shape {self.estimate.shape}, covariance of "
                f"shape {self.covariance.shape}; expected ({k},) and ({k}, {k})."
            )
        missing = [c for c in SUPPORT_COLUMNS if c not in self.support.columns]
        if len(self.support) != k or missing:
            raise EstimationError(
                f"EffectTable: `support` needs {k} rows and columns {list(SUPPORT_COLUMNS)}; "
                f"it has {len(self.support)} rows and lacks {missing}."
            )

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def std_error(self) -> np.ndarray:
        """Standard errors; shape (k,). A variance of exactly 0 gives NaN, never a t of 0."""
        variance = np.diag(self.covariance).astype(float)
        return np.sqrt(np.where(variance > 0, variance, np.nan))

    def select(self, mask: np.ndarray | pd.Series) -> EffectTable:
        """Rows where `mask` is true, with their joint covariance."""
        rows = np.flatnonzero(np.asarray(mask, dtype=bool))
        influence = self.cluster_influence
        return replace(
            self,
            keys=self.keys.iloc[rows].reset_index(drop=True),
            estimate=self.estimate[rows],
            covariance=self.covariance[np.ix_(rows, rows)],
            support=self.support.iloc[rows].reset_index(drop=True),
            cluster_influence=None if influence is None else influence.iloc[:, rows],
            degrees=None if self.degrees is None else self.degrees[rows],
        )

    def combine(
        self,
        weights: np.ndarray | pd.DataFrame,
        *,
        keys: pd.DataFrame,
        support: pd.DataFrame | None = None,
        estimand: Estimand | None = None,
        method: Method | None = None,
    ) -> EffectTable:
        """Linear combinations of the rows, with their joint covariance.

        Parameters
        ----------
        weights : array of shape (m, k)
            One row per new term; column ``j`` multiplies row ``j`` of this table.
        keys : pd.DataFrame
            What each new row is about; m rows.
        support : pd.DataFrame, optional
            Support of each new row. Default: the smallest support among the rows with a
            non-zero weight, the cautious value for disclosure (of events the smallest above 0).
        estimand, method : optional
            Replace this table's where the combination means something else.

        Returns
        -------
        EffectTable
            m rows; covariance ``W V W'``.
        """
        matrix = np.asarray(weights, dtype=float)
        if matrix.shape != (len(keys), len(self)):
            raise EstimationError(
                f"combine: weights have shape {matrix.shape}, expected ({len(keys)}, {len(self)}): "
                "one row per new key, one column per row of the table."
            )
        used = matrix != 0
        # An undefined row or pair spoils only the combinations that use it.
        estimate = matrix @ np.nan_to_num(self.estimate)
        estimate[used @ np.isnan(self.estimate)] = np.nan
        covariance = matrix @ np.nan_to_num(self.covariance) @ matrix.T
        covariance[used @ np.isnan(self.covariance) @ used.T] = np.nan
        influence = self.cluster_influence
        if influence is not None:
            values = influence.to_numpy()
            combined = np.nan_to_num(values) @ matrix.T
            combined[np.isnan(values) @ used.T] = np.nan
            influence = pd.DataFrame(combined, index=influence.index)
        if support is None:
            support = _smallest_used(self.support, used)
        return EffectTable(
            keys=keys.reset_index(drop=True),
            estimate=estimate,
            covariance=covariance,
            support=support.reset_index(drop=True),
            estimand=estimand or self.estimand,
            method=method or self.method,
            cluster_influence=influence,
            notes=self.notes,
            degrees=None if self.degrees is None else fewest_degrees(self.degrees, used),
        )

    def to_frame(self, conf_level: float = 0.95) -> pd.DataFrame:
        """Tidy table: keys, estimate, std_error, conf_low, conf_high, p_value, support.

        Intervals are normal, or Student's t with `degrees`; on the ratio scale they are computed
        on the log scale (delta method), so they stay positive.
        """
        z = t_quantile(0.5 + conf_level / 2, self.degrees)
        se = self.std_error
        if self.estimand.scale == "ratio":
            positive = np.where(self.estimate > 0, self.estimate, np.nan)
            se_log = se / positive
            low, high = positive * np.exp(-z * se_log), positive * np.exp(z * se_log)
            statistic = np.log(positive) / se_log
        else:
            low, high = self.estimate - z * se, self.estimate + z * se
            statistic = self.estimate / se
        return pd.concat(
            [
                self.keys.reset_index(drop=True),
                pd.DataFrame(
                    {
                        "estimate": self.estimate,
                        "std_error": se,
                        "conf_low": low,
                        "conf_high": high,
                        "p_value": 2 * t_tail(-np.abs(statistic), self.degrees),
                    }
                ),
                self.support.reset_index(drop=True),
            ],
            axis=1,
        )

    def plot(self) -> ggplot:
        """Estimates with 95 % intervals; style the returned plotnine object with ``+``."""
        from calaim_eval.results.plot import plot_effects

        return plot_effects(self)

    def __repr__(self) -> str:
        return (
            f"<EffectTable {self.estimand.name}: {len(self)} rows by "
            f"{', '.join(map(str, self.keys.columns))}; {self.estimand.unit}; "
            f"{self.method.estimator}>"
        )

    def _repr_html_(self) -> str:
        caption = f"{self.estimand.name}: {self.estimand.contrast} ({self.estimand.unit})"
        table = self.to_frame().to_html(index=False, float_format=lambda v: f"{v:.4g}")
        return f"<p>{escape(caption)}. {escape(self.method.estimator)}.</p>{table}"


def with_undefined(
    covariance: np.ndarray, influence: pd.DataFrame | None, undefined: np.ndarray
) -> tuple[np.ndarray, pd.DataFrame | None]:
    """Covariance and cluster influence with NaN wherever an undefined term enters.

    Parameters
    ----------
    covariance : np.ndarray
        Shape (k, k); left as it is, like `influence`.
    influence : pd.DataFrame | None
        Shape (n_clusters, k); None when clustered by member.
    undefined : np.ndarray
        Terms whose standard error can't be estimated; shape (k,), bool.
    """
    blank = np.where(undefined[:, None] | undefined, np.nan, covariance)
    return blank, None if influence is None else influence_with_undefined(influence, undefined)


def influence_with_undefined(influence: pd.DataFrame, undefined: np.ndarray) -> pd.DataFrame:
    """Cluster influence with NaN in the columns of undefined terms."""
    values = np.where(undefined, np.nan, influence.to_numpy())
    return pd.DataFrame(values, index=influence.index, columns=influence.columns)


def stack(
    tables: Sequence[EffectTable], *, key: str | None = None, labels: Sequence[object] = ()
) -> EffectTable:
    """Put tables of independent or separately reported terms under one another.

    Parameters
    ----------
    tables : sequence of EffectTable
    key, labels : str and sequence, optional
        A key column that tells the tables apart, with one label a table. Without it their own
        keys must.

    Returns
    -------
    EffectTable
        Each row carries its unit in the key `unit`. Covariances *between* tables are NaN: a
        contrast across them would need a joint fit, and `combine` across them gives NaN rather
        than a wrong standard error.
    """
    if not tables or (key is not None and len(tables) != len(labels)):
        raise EstimationError(f"stack: {len(tables)} tables and {len(labels)} labels.")
    named = [{} if key is None else {key: label} for label in labels or [None] * len(tables)]
    k = sum(len(t) for t in tables)
    covariance = np.full((k, k), np.nan)
    start = 0
    for table in tables:
        stop = start + len(table)
        covariance[start:stop, start:stop] = table.covariance
        start = stop
    first = tables[0]
    units = list(dict.fromkeys(t.estimand.unit for t in tables))
    keys = pd.concat(
        [
            t.keys.assign(**label, **({} if "unit" in t.keys else {"unit": t.estimand.unit}))
            for t, label in zip(tables, named, strict=True)
        ],
        ignore_index=True,
    )
    front = [c for c in (key, "outcome", "unit") if c in keys.columns]
    front = list(dict.fromkeys(front))
    return EffectTable(
        keys=keys[[*front, *[c for c in keys.columns if c not in front]]],
        estimate=np.concatenate([t.estimate for t in tables]),
        covariance=covariance,
        support=pd.concat([t.support for t in tables], ignore_index=True),
        estimand=replace(first.estimand, unit=units[0] if len(units) == 1 else "see `unit`"),
        method=shared_method([t.method for t in tables]),
        notes=tuple(dict.fromkeys(n for t in tables for n in t.notes)),
        degrees=_stacked_degrees(tables),
    )


def _stacked_degrees(tables: Sequence[EffectTable]) -> np.ndarray | None:
    """Degrees of freedom under one another; None where no table has any."""
    if all(t.degrees is None for t in tables):
        return None
    return np.concatenate(
        [np.full(len(t), np.nan) if t.degrees is None else t.degrees for t in tables]
    )


def t_quantile(share: float, degrees: np.ndarray | None) -> np.ndarray | float:
    """Quantile of Student's t where degrees of freedom are known, else of the normal."""
    normal = float(special.ndtri(share))
    if degrees is None:
        return normal
    return np.where(np.isnan(degrees), normal, special.stdtrit(degrees, share))


def t_tail(statistic: np.ndarray, degrees: np.ndarray | None) -> np.ndarray:
    """Share of Student's t below a statistic where degrees are known, else of the normal."""
    normal = np.asarray(special.ndtr(statistic))
    if degrees is None:
        return normal
    return np.where(np.isnan(degrees), normal, special.stdtr(degrees, statistic))


def fewest_degrees(degrees: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Fewest degrees of freedom among the used columns of each row; NaN where none has any."""
    known = np.where(used & ~np.isnan(degrees), degrees, np.inf).min(axis=1)
    return np.where(np.isfinite(known), known, np.nan)


def _smallest_used(support: pd.DataFrame, used: np.ndarray) -> pd.DataFrame:
    """Smallest support among the used columns of each row; 0 where not known or a row uses none."""
    values = support[list(SUPPORT_COLUMNS)].to_numpy(dtype=float)
    smallest = smallest_support(np.where(used.T[:, :, None], values[:, None, :], np.inf))
    known = np.where(np.isfinite(smallest), smallest, 0.0)
    return pd.DataFrame(known, columns=list(SUPPORT_COLUMNS))
