"""Series, coefficients and diagnostics of segmented regressions as tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.estimate.series.monthly_series import MonthlySeries, SeriesPanel
from calaim_eval.estimate.series.segmented_fit import (
    Model,
    SegmentedFit,
    Segments,
    least_variance,
)
from calaim_eval.estimate.series.series_diagnostics import (
    autocorrelation,
    diagnostic_lags,
    durbin_watson,
    ljung_box,
)
from calaim_eval.moments.periods import index_frequency, index_ordinals, period_labels

SIGNIFICANT = 0.05
SHORT_SERIES = 50
"""Below this many months Newey-West intervals run too narrow where residuals are autocorrelated
(Turner et al. 2021, doi:10.1186/s12874-021-01364-0)."""


def counterfactual_frame(
    panel: SeriesPanel, design: Segments, fits: Sequence[SegmentedFit], *, model: Model, per: float
) -> pd.DataFrame:
    """Observed, fitted and counterfactual rate of every series by month."""
    months = period_labels(index_ordinals(panel.months), index_frequency(panel.months))
    without = design.without(range(len(design.breaks)))
    after = design.axis >= design.breaks[0]
    frames = []
    for series, fit in zip(panel.series, fits, strict=True):
        line = without @ fit.coefficients
        if model == "quasi_poisson":
            line = per * np.exp(line)
        columns = {
            "month": months,
            "rate": per * series.rate,
            "fitted": np.where(design.used, fit.fitted, np.nan),
            "counterfactual": np.where(after, line, np.nan),
            "is_used": fit.used,
        }
        frames.append(_labelled(series, columns))
    return pd.concat(frames, ignore_index=True)


def coefficient_frame(
    panel: SeriesPanel,
    design: Segments,
    fits: Sequence[SegmentedFit],
    joint: np.ndarray,
    *,
    model: Model,
) -> pd.DataFrame:
    """Every coefficient with its standard error; NaN where it would be rounding."""
    size = len(design.names)
    variance = np.diag(joint)
    error = np.sqrt(np.where(variance > least_variance(fits, model), variance, np.nan)).reshape(
        len(fits), size
    )
    frames = [
        _labelled(series, {"name": design.names, "estimate": fit.coefficients, "std_error": row})
        for series, fit, row in zip(panel.series, fits, error, strict=True)
    ]
    return pd.concat(frames, ignore_index=True)


def diagnostic_frame(panel: SeriesPanel, fits: Sequence[SegmentedFit]) -> pd.DataFrame:
    """Autocorrelation and dispersion of the residuals of every series."""
    frames = []
    for series, fit in zip(panel.series, fits, strict=True):
        n_months = int(fit.used.sum())
        lags = diagnostic_lags(n_months)
        statistic, p_value = ljung_box(fit.residuals, lags)
        columns = {
            "n_months": [n_months],
            "durbin_watson": [durbin_watson(fit.residuals)],
            "ljung_box": [statistic],
            "ljung_box_lags": [lags],
            "ljung_box_p_value": [p_value],
            "rho": [fit.rho],
            "dispersion": [float(np.nansum(fit.residuals**2)) / fit.freedom],
        }
        frames.append(_labelled(series, columns))
    return pd.concat(frames, ignore_index=True)


def autocorrelation_frame(panel: SeriesPanel, fits: Sequence[SegmentedFit]) -> pd.DataFrame:
    """Autocorrelation of the residuals of every series by lag."""
    frames = []
    for series, fit in zip(panel.series, fits, strict=True):
        n_months = int(fit.used.sum())
        lags = diagnostic_lags(n_months)
        columns = {
            "lag": np.arange(1, lags + 1),
            "autocorrelation": autocorrelation(fit.residuals, lags),
            "bound": 1.96 / np.sqrt(n_months),
        }
        frames.append(_labelled(series, columns))
    return pd.concat(frames, ignore_index=True)


def diagnostic_notes(
    panel: SeriesPanel, fits: Sequence[SegmentedFit], *, std_error: str
) -> tuple[str, ...]:
    """Durbin-Watson and Ljung-Box in words, and what follows from them."""
    frame = diagnostic_frame(panel, fits)
    low, high = frame["durbin_watson"].min(), frame["durbin_watson"].max()
    p_value = frame["ljung_box_p_value"].min()
    span = f"{low:.2f}" if len(frame) == 1 else f"{low:.2f} to {high:.2f}"
    notes = [
        f"Residuals: Durbin-Watson {span} (2 = no autocorrelation), "
        f"Ljung-Box p {'' if len(frame) == 1 else 'at least '}{p_value:.3f}."
    ]
    found = int((frame["ljung_box_p_value"] < SIGNIFICANT).sum())
    if found:
        advice = "try seasonal terms, and std_error='newey_west' beside it"
        if frame["rho"].isna().all():
            advice = (
                "model-based errors are too small: use errors='ar1'"
                if std_error == "model"
                else "Newey-West intervals still run too narrow: report errors='ar1', "
                "std_error='model' beside them, and seasonal terms where the season shows"
            )
        notes.append(f"Residuals are autocorrelated in {found} of {len(frame)} series; {advice}.")
    if int(frame["n_months"].min()) < SHORT_SERIES:
        notes.append(
            f"Fewer than {SHORT_SERIES} months: autocorrelation is underestimated in short series, "
            "and intervals tend to be too narrow (Turner et al. 2021)."
        )
    return tuple(notes)


def _labelled(series: MonthlySeries, columns: dict[str, object]) -> pd.DataFrame:
    """A frame of one series with its labels in front."""
    frame = pd.DataFrame(columns)
    for place, (name, value) in enumerate({**series.labels, "series": series.side}.items()):
        frame.insert(place, name, value)
    return frame
