"""Intervals without a point estimate: what holds under a bound on an assumption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.results.estimand import Estimand, Method, shared_method
from calaim_eval.results.smallest_support import SUPPORT_COLUMNS

if TYPE_CHECKING:
    from plotnine import ggplot

_ARRAYS = ("set_low", "set_high", "conf_low", "conf_high")
BOUND_KEYS = ("restriction", "bound")
"""Keys that tell the rows of one group apart; all others say which group it is."""


@dataclass(frozen=True, slots=True, eq=False)
class BoundsTable:
    """What can be said of an effect when an assumption holds up to a bound; one row per bound.

    There is no estimate and no standard error: an effect that is only bounded has neither.

    Attributes
    ----------
    keys : pd.DataFrame
        Stratum columns (if any), ``restriction`` and ``bound``; shape (k, n_keys).
    set_low, set_high : np.ndarray
        Values of the effect that fit the estimates taken as exact, in ``estimand.unit``; NaN where
        the estimates before exposure themselves break the bound; shape (k,).
    conf_low, conf_high : np.ndarray
        Confidence interval of the effect, sampling error included; infinite where the data do not
        end it; shape (k,).
    conf_level : float
    support : pd.DataFrame
        ``n_members``, ``n_events``, ``member_months``: the smallest behind the estimates used;
        shape (k, 3). Disclosure control reads it.
    estimand : Estimand
    method : Method
    bound_words : str
        What `bound` counts, as a report prints it.
    notes : tuple[str, ...]
    breakdown : np.ndarray, optional
        Bound from which on the interval holds 0, the same in every row of a group: NaN where it
        does so without any violation, infinite where it never does; shape (k,). None: not asked.
    rests_on : tuple[str, ...], optional
        Names of the results that state the same effects, which the bounds would give away.
        Disclosure control hides the bounds of a group where one of these is hidden; None: where
        any estimate of the same outcome and group is.
    """

    keys: pd.DataFrame
    set_low: np.ndarray
    set_high: np.ndarray
    conf_low: np.ndarray
    conf_high: np.ndarray
    conf_level: float
    support: pd.DataFrame
    estimand: Estimand
    method: Method
    bound_words: str
    notes: tuple[str, ...] = ()
    breakdown: np.ndarray | None = None
    rests_on: tuple[str, ...] | None = None

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the columns of numbers, in their order."""
        return _ARRAYS if self.breakdown is None else (*_ARRAYS, "breakdown")

    @property
    def groups(self) -> np.ndarray:
        """Number of the group each row is about; rows of a group differ in the bound; (k,)."""
        names = [c for c in self.keys.columns if c not in BOUND_KEYS]
        if not names:
            return np.zeros(len(self), dtype=np.int64)
        numbers = self.keys.groupby(names, sort=False, dropna=False).ngroup()
        return np.asarray(numbers, dtype=np.int64)

    def __post_init__(self) -> None:
        k = len(self.keys)
        for name in self.arrays:
            if getattr(self, name).shape != (k,):
                raise EstimationError(
                    f"BoundsTable: `{name}` has shape {getattr(self, name).shape}, expected ({k},)."
                )
        missing = [c for c in SUPPORT_COLUMNS if c not in self.support.columns]
        if len(self.support) != k or missing:
            raise EstimationError(
                f"BoundsTable: `support` needs {k} rows and columns {list(SUPPORT_COLUMNS)}; "
                f"it has {len(self.support)} rows and lacks {missing}."
            )

    def __len__(self) -> int:
        return len(self.keys)

    def select(self, mask: np.ndarray | pd.Series) -> BoundsTable:
        """Rows where `mask` is true."""
        rows = np.flatnonzero(np.asarray(mask, dtype=bool))
        return replace(
            self,
            keys=self.keys.iloc[rows].reset_index(drop=True),
            support=self.support.iloc[rows].reset_index(drop=True),
            **{name: getattr(self, name)[rows] for name in self.arrays},
        )

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: keys, set_low, set_high, conf_low, conf_high, breakdown (if any), support."""
        return pd.concat(
            [
                self.keys.reset_index(drop=True),
                pd.DataFrame({name: getattr(self, name) for name in self.arrays}),
                self.support.reset_index(drop=True),
            ],
            axis=1,
        )

    def plot(self) -> ggplot:
        """Intervals over the bound, one panel a stratum; style it with ``+``."""
        from calaim_eval.results.plot import plot_bounds

        return plot_bounds(self)

    def __repr__(self) -> str:
        return (
            f"<BoundsTable {self.estimand.name}: {len(self)} rows by "
            f"{', '.join(map(str, self.keys.columns))}; {self.estimand.unit}; "
            f"{self.method.estimator}>"
        )

    def _repr_html_(self) -> str:
        caption = f"{self.estimand.name}: {self.estimand.contrast} ({self.estimand.unit})"
        table = self.to_frame().to_html(index=False, float_format=lambda v: f"{v:.4g}")
        words = f"{self.method.estimator}; {self.conf_level:.0%} intervals; bound: "
        return f"<p>{escape(caption)}. {escape(words + self.bound_words)}.</p>{table}"


def stack_bounds(
    tables: Sequence[BoundsTable], *, key: str | None = None, labels: Sequence[object] = ()
) -> BoundsTable:
    """Put tables of bounds under one another.

    Parameters
    ----------
    tables : sequence of BoundsTable
        Of one confidence level, all with a breakdown value or all without.
    key, labels : str and sequence, optional
        A key column that tells the tables apart, with one label a table. Without it their own
        keys must.

    Returns
    -------
    BoundsTable
        Each row carries its unit in the key ``unit``.

    Raises
    ------
    EstimationError
        No table, labels that do not fit, or tables that differ in level or breakdown values.
    """
    if not tables or (key is not None and len(tables) != len(labels)):
        raise EstimationError(f"stack_bounds: {len(tables)} tables and {len(labels)} labels.")
    first = tables[0]
    if len({(t.conf_level, t.arrays) for t in tables}) > 1:
        raise EstimationError(
            "stack_bounds: the tables differ in `conf_level`, or some lack `breakdown`. Make them "
            "with the same options."
        )
    named = [{} if key is None else {key: label} for label in labels or [None] * len(tables)]
    keys = pd.concat(
        [
            t.keys.assign(**label, **({} if "unit" in t.keys else {"unit": t.estimand.unit}))
            for t, label in zip(tables, named, strict=True)
        ],
        ignore_index=True,
    )
    front = list(dict.fromkeys(c for c in (key, "outcome", "unit") if c in keys.columns))
    units = list(dict.fromkeys(t.estimand.unit for t in tables))
    words = list(dict.fromkeys(t.bound_words for t in tables))
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(t, name) for t in tables]) for name in first.arrays
    }
    return replace(
        first,
        keys=keys[[*front, *[c for c in keys.columns if c not in front]]],
        support=pd.concat([t.support for t in tables], ignore_index=True),
        estimand=replace(first.estimand, unit=units[0] if len(units) == 1 else "see `unit`"),
        method=shared_method([t.method for t in tables]),
        bound_words="; ".join(words),
        notes=tuple(dict.fromkeys(n for t in tables for n in t.notes)),
        **arrays,
    )
