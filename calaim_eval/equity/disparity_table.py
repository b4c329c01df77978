"""Disparity measures side by side: absolute and relative, with what chance alone would give."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable

VERSIONS = ("plug_in", "bias_corrected", "if_equal")
_EXTRA = ("bias_corrected", "if_equal", "p_value_if_equal")


@dataclass(frozen=True, slots=True, eq=False)
class DisparityTable:
    """Measures of one disparity.

    Attributes
    ----------
    differences : EffectTable
        Measures that are 0 without a disparity, absolute and relative (key `kind`); the unit of
        each row is the key `unit`.
    ratios : EffectTable
        Measures that are 1 without a disparity.
    extras : pd.DataFrame
        A row per row of `differences`, then of `ratios`: `bias_corrected` (the estimate less its
        bias), `if_equal` (what the measure is on average when all groups share one rate),
        `p_value_if_equal` (how often it is then at least as large). NaN where not defined.
    """

    differences: EffectTable
    ratios: EffectTable
    extras: pd.DataFrame

    def __post_init__(self) -> None:
        expected = len(self.differences) + len(self.ratios)
        if len(self.extras) != expected or list(self.extras.columns) != list(_EXTRA):
            raise EstimationError(
                f"DisparityTable: `extras` has {len(self.extras)} rows and columns "
                f"{list(self.extras.columns)}; expected {expected} and {list(_EXTRA)}."
            )

    def __len__(self) -> int:
        return len(self.extras)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know."""
        return tuple(dict.fromkeys((*self.differences.notes, *self.ratios.notes)))

    def to_frame(self, conf_level: float = 0.95) -> pd.DataFrame:
        """Tidy table: keys, estimate, std_error, interval, p-value, support and the extras.

        A measure that cannot be negative has no interval below 0 and no `p_value`: the normal
        test does not hold at the edge of what is possible; `p_value_if_equal` does.
        """
        frames = [t.to_frame(conf_level) for t in (self.differences, self.ratios)]
        table = pd.concat([f for f in frames if len(f)], ignore_index=True)
        floor = (~table["measure"].isin(SIGNED)) & (table["conf_low"] < 0)
        table.loc[floor, "conf_low"] = 0.0
        table.loc[~table["measure"].isin(TESTED), "p_value"] = np.nan
        at = list(table.columns).index("p_value") + 1
        return pd.concat(
            [table.iloc[:, :at], self.extras.reset_index(drop=True), table.iloc[:, at:]], axis=1
        )

    def tables(self) -> dict[str, EffectTable]:
        """Tables to release: `differences` and `ratios`, with a key `version`.

        Rows of ``"bias_corrected"`` have the standard error of the estimate; rows of
        ``"if_equal"`` none. A table without rows is left out.
        """
        n = len(self.differences)
        parts = {
            "differences": (self.differences, self.extras.iloc[:n]),
            "ratios": (self.ratios, self.extras.iloc[n:]),
        }
        return {name: _with_versions(t, extra) for name, (t, extra) in parts.items() if len(t)}

    def value(
        self, measure: str, version: Literal["plug_in", "bias_corrected"] = "plug_in"
    ) -> float:
        """The one estimate of a measure; EstimationError where it has none or several rows."""
        frame = self.to_frame()
        rows = frame[frame["measure"] == measure]
        if len(rows) != 1:
            raise EstimationError(
                f"measure '{measure}' has {len(rows)} rows here; the measures: "
                f"{', '.join(dict.fromkeys(frame['measure']))}."
            )
        return float(rows["estimate" if version == "plug_in" else version].iloc[0])

    def __repr__(self) -> str:
        names = ", ".join(
            dict.fromkeys([*self.differences.keys["measure"], *self.ratios.keys["measure"]])
        )
        return f"<DisparityTable {self.differences.estimand.name}: {len(self)} rows; {names}>"

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, float_format=lambda v: f"{v:.4g}")
        return f"<p>{escape(self.differences.estimand.contrast)}</p>{table}"


SIGNED = frozenset(
    {
        "rate_difference",
        "population_attributable_risk",
        "population_attributable_fraction",
        "slope_index",
        "absolute_concentration",
        "relative_concentration",
        "wagstaff_concentration",
        "erreygers_concentration",
    }
)
"""Measures of differences that may be negative."""
TESTED = SIGNED | {"rate_ratio", "relative_index"}
"""Measures whose normal test of no disparity holds."""


def _with_versions(table: EffectTable, extra: pd.DataFrame) -> EffectTable:
    """The table with a row for each version of each measure that is defined."""
    k = len(table)
    has = {
        "plug_in": np.ones(k, dtype=bool),
        "bias_corrected": extra["bias_corrected"].notna().to_numpy(),
        "if_equal": extra["if_equal"].notna().to_numpy(),
    }
    rows = np.concatenate([np.flatnonzero(has[v]) for v in VERSIONS])
    version = np.repeat(VERSIONS, [int(has[v].sum()) for v in VERSIONS])
    estimate = np.concatenate(
        [
            (table.estimate if v == "plug_in" else extra[v].to_numpy())[np.flatnonzero(has[v])]
            for v in VERSIONS
        ]
    )
    covariance = table.covariance[np.ix_(rows, rows)].copy()
    none = version == "if_equal"
    covariance[none, :] = np.nan
    covariance[:, none] = np.nan
    return replace(
        table,
        keys=table.keys.iloc[rows].reset_index(drop=True).assign(version=version),
        estimate=estimate,
        covariance=covariance,
        support=table.support.iloc[rows].reset_index(drop=True),
        degrees=None if table.degrees is None else table.degrees[rows],
    )
