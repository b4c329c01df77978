"""Interrupted time series: segmented regression of a rate around a declared break."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.estimate.period_frame import refuse_frame_columns
from calaim_eval.estimate.series.autocorrelated_errors import Errors
from calaim_eval.estimate.series.interrupted_series_effects import InterruptedSeriesEffects
from calaim_eval.estimate.series.monthly_series import MonthlySeries, SeriesPanel
from calaim_eval.estimate.series.seasonality import Seasonality, season_columns
from calaim_eval.estimate.series.segmented_fit import (
    Change,
    Model,
    SegmentedFit,
    Segments,
    fit_segments,
    joint_model_covariance,
    joint_newey_west,
)
from calaim_eval.estimate.series.series_design import (
    FEWEST,
    least_months,
    require_months,
    series_design,
    wanted_months,
)
from calaim_eval.estimate.series.series_frames import (
    autocorrelation_frame,
    coefficient_frame,
    counterfactual_frame,
    diagnostic_frame,
    diagnostic_notes,
)
from calaim_eval.estimate.series.series_of_frame import series_of_frame
from calaim_eval.estimate.series.series_of_moments import series_of_moments
from calaim_eval.estimate.series.series_policy import coinciding_notes
from calaim_eval.estimate.series.series_terms import series_effects, series_terms
from calaim_eval.estimate.words import default_unit, period_words
from calaim_eval.moments import CellMoments
from calaim_eval.results import Estimand, Method

REFERENCE = (
    "Bernal JL, Cummins S, Gasparrini A (2017). Interrupted time series regression for the "
    "evaluation of public health interventions: a tutorial. International Journal of Epidemiology "
    "46(1):348-355. doi:10.1093/ije/dyw098"
)
_LEAST_SQUARES = {
    "independent": "least squares",
    "ar1": "generalized least squares, AR(1) errors by REML",
}
StdError = Literal["newey_west", "model"]


def interrupted_time_series(
    data: CellMoments | pd.DataFrame,
    *,
    outcome: str,
    break_month: object,
    second_break_month: object | None = None,
    phase_in_months: int = 0,
    left_out_months: Sequence[object] = (),
    cohort: object | None = None,
    comparison: str | Mapping[str, object] | None = None,
    month: str = "month",
    member_months: str | None = None,
    stratum: str | Sequence[str] = (),
    model: Model = "ols",
    weights: Literal["equal", "member_months"] = "equal",
    errors: Errors | None = None,
    seasonality: Seasonality = "none",
    season_length: int | None = None,
    harmonics: int = 2,
    std_error: StdError | None = None,
    lag: int | None = None,
    change: Change = "level_and_slope",
    months_after: Sequence[int] | None = None,
    min_months: int | None = None,
    per: float = 1.0,
    unit: str | None = None,
) -> InterruptedSeriesEffects:
    r"""Change in level and slope of a monthly rate at a declared break.

    Use when everybody is exposed at once and the months before are many; with a comparison series
    where there is one. Positive: the rate is higher than its earlier line says.

    Parameters
    ----------
    data : CellMoments or pd.DataFrame
        Moments: all members of a stratum are one series. Or a frame with one row per period (and
        stratum).
    outcome : str
        Of a frame: the rate, or the total where `member_months` is named.
    break_month, second_break_month : month
        First month under the new regime (``"2022-01"``, a date, a Period, or a whole number).
    phase_in_months : int
        Months from each break on that are left out; the new line begins after them.
    left_out_months : sequence of months
        Single months left out (a closure, a strike).
    cohort : month, optional
        With moments: only members first exposed in this month. Default: all members.
    comparison : "never_exposed" or mapping, optional
        Controlled series: members never exposed (moments; the series is then the exposed), or the
        stratum a mapping names, such as ``{"county": "Kings"}``.
    month, member_months, stratum : str
        Columns of a frame.
    model : {"ols", "quasi_poisson"}
        Lines in the rate; or lines in its logarithm, counts with member-months as exposure.
    weights : {"equal", "member_months"}
        For ``"ols"``: every month alike, or by its member-months.
    errors : {"ar1", "independent"}, optional
        For ``"ols"``: generalized least squares with first-order autocorrelated errors, their
        correlation by restricted maximum likelihood; or least squares. Default ``"ar1"``;
        ``"independent"`` with ``"quasi_poisson"``, or where Newey-West errors are asked for.
    seasonality : {"none", "months", "harmonic"}
        A level for every month of the year, or `harmonics` pairs of sine and cosine.
    season_length : int, optional
        Periods in a year; known for months and quarters, to be given for whole numbers.
    std_error : {"model", "newey_west"}, optional
        The model's own (least squares; Poisson with estimated dispersion), or robust to
        autocorrelation up to `lag`. Default ``"model"`` with ``"ar1"``, else ``"newey_west"``:
        in series of two to eight years the first covers what it says, the second falls short.
    lag : int, optional
        Default :math:`\lfloor 4 (n/100)^{2/9} \rfloor`.
    change : {"level_and_slope", "level"}
        What a break changes. ``"level"``: a step that stays, the slope being the same before and
        after; say so in the protocol, before looking.
    months_after : sequence of int, optional
        Months after the break at which the effect is wanted, 0 = the break month. Default: the
        last month observed. Not with a step alone, which is the same in all months.
    min_months : int, optional
        Months every segment must hold: default 8, 12 with seasonal terms; 3 is the least.
    per : float
        1,000 gives rates per 1,000 member-months.
    unit : str, optional
        Of the rate, in the words of a report.

    Returns
    -------
    InterruptedSeriesEffects
        Keys: stratum columns (if any), ``series`` (``"exposed"``; with a comparison also
        ``"comparison"`` and ``"difference"``), ``break_month``, ``term``, ``unit``. Terms:
        ``level_change``, ``slope_change`` per month, ``effect_after_<k>``, ``average_effect`` over
        the months to the next break. For ``"quasi_poisson"`` all are ratios. The covariance of all
        rows is joint. ``counterfactual``, ``coefficients``, ``diagnostics``, ``autocorrelation``
        are frames beside it.

    Raises
    ------
    DesignError
        A break outside the series, or too few months before or after it.
    EstimationError
        An unknown option, collinear terms, a rate that does not vary, counts that are none, a
        segment without events in a model of counts.
    TableError
        A frame lacks a column, repeats a period, or holds values that are no numbers.

    Notes
    -----
    :math:`y_t = \beta_0 + \beta_1 t + \beta_2 D_t + \beta_3 (t - b) D_t + \text{season}_t + e_t`
    with :math:`D_t = 1` from b, the break plus phase-in, on [1]_; k months after the break the
    effect is :math:`\beta_2 + \beta_3 k`, and with ``change="level"`` :math:`\beta_3 = 0`.
    Newey-West errors carry the factor n/(n-k), as Stata's ``newey`` and ``itsa`` [2]_.

    References
    ----------
    .. [1] Bernal JL, Cummins S, Gasparrini A (2017). IJE 46(1):348-355. doi:10.1093/ije/dyw098
    .. [2] Linden A (2015). Stata Journal 15(2):480-500. doi:10.1177/1536867X1501500208

    Examples
    --------
    >>> frame = pd.DataFrame({"month": range(20), "rate": [5.0, 6.0] * 10})
    >>> frame.loc[10:, "rate"] += 3
    >>> effects = interrupted_time_series(frame, outcome="rate", break_month=10)
    >>> effects.keys["term"].tolist()
    ['level_change', 'slope_change', 'effect_after_9', 'average_effect']
    """
    errors, std_error = _defaults(model, errors, std_error, lag)
    _require_options(model, weights, errors, std_error, phase_in_months, lag, min_months)
    _require_change(change, months_after)
    columns = (stratum,) if isinstance(stratum, str) else tuple(stratum)
    if isinstance(data, CellMoments):
        refuse_frame_columns("interrupted_time_series", member_months, columns)
        panel = series_of_moments(data, outcome, cohort=cohort, comparison=comparison)
        rate_unit = unit or default_unit(data, outcome, per)
        given = tuple(data.provenance.get("notes", []))
    else:
        if cohort is not None:
            raise EstimationError("`cohort` goes with cell moments; filter a frame beforehand.")
        panel = series_of_frame(
            data,
            outcome=outcome,
            month=month,
            member_months=member_months,
            stratum=columns,
            comparison=comparison,
        )
        rate_unit, given = unit or outcome, ()
    _require_counts(panel, model)
    design = series_design(
        panel,
        [break_month] if second_break_month is None else [break_month, second_break_month],
        phase_in_months,
        left_out_months,
        season_columns(panel.months, seasonality, season_length, harmonics),
        change,
    )
    least = least_months(min_months, seasonality, season_length, panel.months)
    require_months(panel, design, least)
    is_weighted = weights == "member_months"
    fits = [
        _fit(design, each, model=model, is_weighted=is_weighted, errors=errors, per=per)
        for each in panel.series
    ]
    lags = _lag(lag, min(int(fit.used.sum()) for fit in fits))
    joint = (
        joint_newey_west(fits, lags) if std_error == "newey_west" else joint_model_covariance(fits)
    )
    terms = [
        series_terms(
            design,
            fit,
            model=model,
            months_after=wanted_months(design, months_after, panel.months),
            at_risk=np.ones(len(design.axis)) if each.at_risk is None else each.at_risk,
            is_weighted=is_weighted,
        )
        for each, fit in zip(panel.series, fits, strict=True)
    ]
    effects = series_effects(panel, design, fits, terms, joint, model=model, rate_unit=rate_unit)
    coinciding, calendar = coinciding_notes(outcome, design, panel.months)
    is_ratio = model == "quasi_poisson"
    return InterruptedSeriesEffects(
        keys=effects.keys,
        estimate=effects.estimate,
        covariance=effects.covariance,
        support=effects.support,
        estimand=Estimand(
            name="Interrupted time series",
            contrast=_contrast(comparison),
            unit="ratio of rates" if is_ratio else rate_unit,
            scale="ratio" if is_ratio else "difference",
            is_causal=comparison is not None or not coinciding,
        ),
        method=Method(
            estimator="Segmented regression ("
            + ("quasi-Poisson, member-months as exposure" if is_ratio else _LEAST_SQUARES[errors])
            + (", Newey-West errors)" if std_error == "newey_west" else ", model-based errors)"),
            options=MappingProxyType(
                {
                    "outcome": outcome,
                    "breaks": [period_words(b, panel.months) for b in design.breaks],
                    "phase_in_months": phase_in_months,
                    "left_out_months": len(left_out_months),
                    "cohort": None if cohort is None else str(cohort),
                    "comparison": comparison if comparison is None else str(comparison),
                    "weights": weights,
                    "errors": errors,
                    "seasonality": seasonality,
                    "change": change,
                    "std_error": std_error,
                    "lag": lags if std_error == "newey_west" else None,
                    "min_months": least,
                    "per": per,
                    "rate_unit": rate_unit,
                }
            ),
            reference=REFERENCE,
        ),
        notes=(
            *given,
            *panel.notes,
            *calendar,
            *_notes(panel, design, fits),
            *diagnostic_notes(panel, fits, std_error=std_error),
        ),
        counterfactual=counterfactual_frame(panel, design, fits, model=model, per=per),
        coefficients=coefficient_frame(panel, design, fits, joint, model=model),
        diagnostics=diagnostic_frame(panel, fits),
        autocorrelation=autocorrelation_frame(panel, fits),
    )


def _fit(
    design: Segments,
    series: MonthlySeries,
    *,
    model: Model,
    is_weighted: bool,
    errors: Errors,
    per: float,
) -> SegmentedFit:
    """Fit one series, after refusing one that does not vary."""
    used = design.used & ~np.isnan(series.rate)
    rate = series.rate[used]
    if rate.max() - rate.min() <= 1e-12 * max(float(np.abs(rate).max()), 1e-300):
        raise EstimationError(
            f"{series.words()}: the rate is the same in all {int(used.sum())} months used, so "
            "nothing can be estimated. Use another outcome or pool the strata."
        )
    if is_weighted and series.at_risk is None:
        raise EstimationError("weights='member_months' needs the column: name `member_months`.")
    return fit_segments(
        design,
        rate=series.rate,
        total=series.total,
        at_risk=series.at_risk,
        model=model,
        is_weighted=is_weighted,
        errors=errors,
        per=per,
        where=series.words(),
    )


def _defaults(
    model: str, errors: Errors | None, std_error: StdError | None, lag: int | None
) -> tuple[Errors, StdError]:
    """Errors and their estimate where they are not named: one answer to autocorrelation."""
    if errors is None:
        is_robust = std_error == "newey_west" or lag is not None
        errors = "independent" if is_robust or model == "quasi_poisson" else "ar1"
    if std_error is None:
        std_error = "model" if errors == "ar1" and lag is None else "newey_west"
    return errors, std_error


def _lag(lag: int | None, n_months: int) -> int:
    """Newey-West lag, the usual rule of thumb by default."""
    if lag is None:
        return int(4 * (n_months / 100) ** (2 / 9))
    if lag >= n_months:
        raise EstimationError(f"lag={lag}: the series has {n_months} months; give fewer.")
    return lag


def _require_change(change: str, months_after: Sequence[int] | None) -> None:
    """Refuse a change that is none of the two, and months for a step that is the same in all."""
    require_choice("change", change, ("level_and_slope", "level"), of="interrupted_time_series")
    if change == "level" and months_after is not None:
        raise EstimationError(
            "months_after: a step alone is the same in all months. Leave it out, or use "
            "change='level_and_slope'."
        )


def _require_options(
    model: str,
    weights: str,
    errors: str,
    std_error: str,
    phase_in_months: int,
    lag: int | None,
    min_months: int | None,
) -> None:
    """Refuse options that mean nothing, listing those that do."""
    for name, given, allowed in (
        ("model", model, ("ols", "quasi_poisson")),
        ("weights", weights, ("equal", "member_months")),
        ("errors", errors, ("independent", "ar1")),
        ("std_error", std_error, ("newey_west", "model")),
    ):
        require_choice(name, given, allowed, of="interrupted_time_series")
    for name, value, least in (
        ("phase_in_months", phase_in_months, 0),
        ("lag", lag, 0),
        ("min_months", min_months, FEWEST),
    ):
        if value is not None and value < least:
            raise EstimationError(f"interrupted_time_series: {name}={value}; give {least} or more.")
    if model == "quasi_poisson" and errors != "independent":
        raise EstimationError(
            "errors='ar1' goes with model='ols'; in model='quasi_poisson' use "
            "std_error='newey_west'."
        )
    if model == "quasi_poisson" and weights != "equal":
        raise EstimationError(
            "weights='member_months' goes with model='ols'; in model='quasi_poisson' the "
            "member-months are the exposure already."
        )


def _require_counts(panel: SeriesPanel, model: Model) -> None:
    """Refuse a log-linear model of what is no count, or of rates without member-months."""
    if model != "quasi_poisson":
        return
    if any(each.at_risk is None for each in panel.series):
        raise EstimationError("model='quasi_poisson' needs member-months: name `member_months`.")
    if not panel.is_count:
        raise EstimationError(
            "model='quasi_poisson' needs counts: whole numbers, none negative. Use model='ols'."
        )


def _contrast(comparison: object) -> str:
    """The contrast in words."""
    words = "rate after the break, minus what the line before it leads to"
    return words if comparison is None else f"{words}, compared with the same in the comparison"


def _notes(panel: SeriesPanel, design: Segments, fits: list[SegmentedFit]) -> list[str]:
    """Months left out and months without data."""
    notes = []
    out = int((~design.used).sum())
    if out:
        notes.append(f"Months left out (phase-in and named months): {out} of {len(design.axis)}.")
    unobserved = max(int((design.used & ~fit.used).sum()) for fit in fits)
    if unobserved:
        notes.append(
            f"Months without observation: up to {unobserved} of {len(design.axis)} in a series; "
            "autocorrelation is taken over months that follow one another."
        )
    if any(each.at_risk is None for each in panel.series):
        notes.append(
            "No member-months were given, so the members behind these rates are not known: "
            "disclosure control hides the estimates."
        )
    return notes
