"""Effects against a synthetic comparison, with the weights and series behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.results import EffectTable

if TYPE_CHECKING:
    from plotnine import ggplot


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SyntheticDidEffects(EffectTable):
    """An `EffectTable` that keeps its synthetic comparison.

    Attributes
    ----------
    unit_weights : pd.DataFrame
        Stratum columns, ``cohort``, ``county``, ``weight``; one row per comparison county.
    time_weights : pd.DataFrame
        Stratum columns, ``cohort``, ``month``, ``weight``; one row per month before exposure.
    series : pd.DataFrame
        Stratum columns, ``cohort``, ``month``, ``exposed``, ``counterfactual``, ``effect``, in the
        unit of the estimates.
    diagnostics : pd.DataFrame
        By stratum and cohort: ``n_exposed`` and ``n_comparison`` counties, ``n_weighted`` of them
        with weight, ``largest_weight``, ``noise``, ``unit_penalty``, ``time_penalty``,
        ``fit_before`` (root mean square of the monthly effects before exposure).
    draws : np.ndarray
        Effects under placebo, bootstrap or jackknife; shape (n_draws, k).
    """

    unit_weights: pd.DataFrame = field(default_factory=pd.DataFrame)
    time_weights: pd.DataFrame = field(default_factory=pd.DataFrame)
    series: pd.DataFrame = field(default_factory=pd.DataFrame)
    diagnostics: pd.DataFrame = field(default_factory=pd.DataFrame)
    draws: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))

    def placebo_p_values(self) -> pd.DataFrame:
        """Keys, ``estimate``, ``p_value``: how often a placebo effect is as large as the estimate.

        With a single exposed county this is the permutation p-value over counties,
        ``(1 + n as large) / (1 + n)``; no normal distribution is assumed.
        """
        if self.method.options.get("std_error") != "placebo" or self.draws.shape[1] != len(self):
            raise EstimationError(
                "placebo_p_values: the table has no placebo effects of its rows. Estimate with "
                "synthetic_did(..., std_error='placebo'), and ask before `select`."
            )
        as_large = (np.abs(self.draws) >= np.abs(self.estimate)).sum(axis=0)
        p_value = (1 + as_large) / (1 + len(self.draws))
        return self.keys.assign(estimate=self.estimate, p_value=p_value)

    def plot_series(self) -> ggplot:
        """Exposed counties and what they would have had, by month; a panel a cohort."""
        import plotnine as p9

        panel = [c for c in self.series.columns if c not in _SERIES]
        long = self.series.melt(
            id_vars=[*panel, "month"],
            value_vars=["exposed", "counterfactual"],
            var_name="side",
            value_name="rate",
        )
        begins = _with_panel_words(self.series[panel].drop_duplicates())
        long = _with_panel_words(long)
        return (
            p9.ggplot(long, p9.aes("month", "rate", linetype="side"))
            + p9.geom_vline(
                p9.aes(xintercept="cohort"), data=begins, linetype="dashed", colour="#6b6b6b"
            )
            + p9.geom_line()
            + p9.scale_linetype_manual({"exposed": "solid", "counterfactual": "dashed"})
            + p9.facet_wrap(_panels(panel), scales="free_y")
            + p9.labs(x="", y=self.estimand.unit, linetype="")
        )

    def plot_weights(self) -> ggplot:
        """Comparison counties that carry weight; a panel a cohort."""
        import plotnine as p9

        shown = self.unit_weights[self.unit_weights["weight"] > 0]
        shown = _with_panel_words(shown.assign(county=shown["county"].astype(str)))
        panel = [c for c in self.unit_weights.columns if c not in ("county", "weight")]
        return (
            p9.ggplot(shown, p9.aes("county", "weight"))
            + p9.geom_col()
            + p9.coord_flip()
            + p9.facet_wrap(_panels(panel))
            + p9.labs(x="", y="Weight")
        )


_SERIES = ("month", "exposed", "counterfactual", "effect")
_COHORT_WORDS = "first exposed"


def _panels(columns: list[str]) -> list[str]:
    """Columns that make a panel of a figure, the cohort in words."""
    return [*(c for c in columns if c != "cohort"), _COHORT_WORDS]


def _with_panel_words(frame: pd.DataFrame) -> pd.DataFrame:
    """The cohort as a date without time of day, or as the whole number it is."""
    words = frame["cohort"].astype(str).str.removesuffix(" 00:00:00")
    return frame.assign(**{_COHORT_WORDS: words})
