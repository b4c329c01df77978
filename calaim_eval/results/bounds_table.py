"""Intervals without a point estimate: what holds under a bound on an assumption."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.results.effect_table import SUPPORT_COLUMNS
from calaim_eval.results.estimand import Estimand, Method

if TYPE_CHECKING:
    from plotnine import ggplot

_ARRAYS = ("set_low", "set_high", "conf_low", "conf_high")


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

    def __post_init__(self) -> None:
        k = len(self.keys)
        for name in _ARRAYS:
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
            **{name: getattr(self, name)[rows] for name in _ARRAYS},
        )

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: keys, set_low, set_high, conf_low, conf_high, support."""
        return pd.concat(
            [
                self.keys.reset_index(drop=True),
                pd.DataFrame({name: getattr(self, name) for name in _ARRAYS}),
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
