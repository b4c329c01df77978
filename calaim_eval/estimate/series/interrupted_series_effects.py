"""Effects of an interrupted time series, with the series and diagnostics behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from calaim_eval.results import EffectTable

if TYPE_CHECKING:
    from plotnine import ggplot


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class InterruptedSeriesEffects(EffectTable):
    """An `EffectTable` that keeps its series.

    Attributes
    ----------
    counterfactual : pd.DataFrame
        Stratum columns, ``series``, ``month``, ``rate``, ``fitted``, ``counterfactual`` (the
        earlier line carried on; missing before the break) and ``is_used``.
    coefficients : pd.DataFrame
        Stratum columns, ``series``, ``name``, ``estimate``, ``std_error``; log rates for
        quasi-Poisson.
    diagnostics : pd.DataFrame
        Stratum columns, ``series``, ``n_months``, ``durbin_watson``, ``ljung_box``,
        ``ljung_box_lags``, ``ljung_box_p_value`` (with AR(1) errors of the whitened residuals),
        ``rho`` (AR(1) correlation, else missing), ``dispersion`` (Pearson chi-square over degrees
        of freedom; the residual variance for least squares).
    autocorrelation : pd.DataFrame
        Stratum columns, ``series``, ``lag``, ``autocorrelation``, ``bound`` (1.96 / sqrt(n)).
    """

    counterfactual: pd.DataFrame = field(default_factory=pd.DataFrame)
    coefficients: pd.DataFrame = field(default_factory=pd.DataFrame)
    diagnostics: pd.DataFrame = field(default_factory=pd.DataFrame)
    autocorrelation: pd.DataFrame = field(default_factory=pd.DataFrame)

    def plot_series(self) -> ggplot:
        """Observed rates (points), fitted (line) and counterfactual (dashed); a panel a series."""
        import plotnine as p9

        panel = [c for c in self.counterfactual.columns if c not in _COLUMNS]
        breaks = self.keys[["break_month"]].drop_duplicates()
        # The line is not drawn across a break.
        segment = sum((self.counterfactual["month"] >= b).astype(int) for b in breaks.iloc[:, 0])
        frame = self.counterfactual.assign(segment=segment)
        plot = (
            p9.ggplot(frame, p9.aes("month"))
            + p9.geom_vline(
                p9.aes(xintercept="break_month"), data=breaks, linetype="dotted", colour="#6b6b6b"
            )
            + p9.geom_point(p9.aes(y="rate"), na_rm=True)
            + p9.geom_line(p9.aes(y="fitted", group="segment"), na_rm=True)
            + p9.geom_line(p9.aes(y="counterfactual"), linetype="dashed", na_rm=True)
            + p9.labs(x="", y=str(self.method.options.get("rate_unit", self.estimand.unit)))
        )
        return plot + p9.facet_wrap(panel, scales="free_y")


_COLUMNS = ("month", "rate", "fitted", "counterfactual", "is_used")
