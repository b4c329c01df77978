"""Use of care of all members before and after a declared month: a segmented series."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.design.member_month_parts import member_month_parts, month_starts
from calaim_eval.disclosure import load_policy
from calaim_eval.errors import DesignError
from calaim_eval.estimate import InterruptedSeriesEffects, interrupted_time_series
from calaim_eval.panel import MEASURES, MemberMonths
from calaim_eval.pipeline.attempts import Attempts
from calaim_eval.pipeline.designs import observed_outcomes
from calaim_eval.results import EffectTable, Estimand, Method, Result
from calaim_eval.results.estimand import RATES_OF
from calaim_eval.study import Study
from calaim_eval.study.model import StatewideSeries

SERIES, LINES = "statewide_series", "statewide_series_lines"
OBSERVED, FITTED, EARLIER = "observed", "fitted", "earlier_line"
Fitted = Callable[[], InterruptedSeriesEffects]
TERMS = ("level_change", "slope_change", "average_effect")
NOT_ALONE = (
    "One series, with nobody to compare it with: whatever else changed in these months is in the "
    "change too. It is not causal alone. All members are in it, served or not, so that a service "
    "that few receive can hardly be seen."
)


def measure_statewide_series(
    study: Study, panel: MemberMonths
) -> tuple[dict[str, Result], dict[str, str]]:
    """Change of level and slope of every outcome, and the lines to draw, where a study asks.

    Parameters
    ----------
    study : Study
    panel : MemberMonths

    Returns
    -------
    results : dict[str, Result]
        ``statewide_series``: terms by outcome. ``statewide_series_lines``: by month what was
        observed, what was fitted and where the earlier line leads.
    left_out : dict[str, str]
        Why an outcome is not there: too few months on a side of the break.
    """
    asked = study.file.statewide_series
    if asked is None:
        return {}, {}
    least = load_policy(study.disclosure_policy).min_count
    attempts = Attempts()
    for outcome, months in monthly_totals(panel, observed_outcomes(study, panel)).items():
        fitted = cache(partial(_fitted, asked, months, outcome))
        attempts.add(SERIES, outcome, partial(_terms, fitted, months))
        if outcome in attempts.made.get(SERIES, {}):
            attempts.add(LINES, outcome, partial(_lines, fitted, months, outcome, least))
    return attempts.results(), attempts.left_out


def monthly_totals(panel: MemberMonths, outcomes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Totals of all members by month, one pass over the panel.

    Returns
    -------
    dict[str, pd.DataFrame]
        Outcome to `month`, `total`, `member_months` in which it is known, and `with_use`, those in
        which it is not 0; months in which it can't be known are not there.
    """
    sums: dict[str, list[pd.DataFrame]] = {outcome: [] for outcome in outcomes}
    for part in member_month_parts(panel, list(outcomes)):
        for outcome, pieces in sums.items():
            known = part[[outcome, "month_number"]].dropna()
            value = known[outcome].astype(float)
            columns = {"total": value, "member_months": 1.0, "with_use": (value != 0).astype(float)}
            each = known[["month_number"]].assign(**columns)
            pieces.append(each.groupby("month_number").sum())
    return {outcome: _by_month(panel, outcome, pieces) for outcome, pieces in sums.items()}


def _by_month(panel: MemberMonths, outcome: str, pieces: list[pd.DataFrame]) -> pd.DataFrame:
    """Parts added up, in order of the months in which the outcome is known."""
    found = pd.concat(pieces).groupby(level=0).sum().sort_index()
    months = pd.PeriodIndex(month_starts(found.index.to_numpy(dtype=float)), freq="M")
    found = found.reset_index(drop=True).assign(month=months)
    return found[found["month"].isin(panel.observed_months(outcome))].reset_index(drop=True)


def _fitted(asked: StatewideSeries, months: pd.DataFrame, outcome: str) -> InterruptedSeriesEffects:
    """The segmented regression of one outcome."""
    if months.empty:
        raise DesignError(f"statewide series: `{outcome}` is not known in any month.")
    measure = MEASURES[outcome]
    return interrupted_time_series(
        months.rename(columns={"total": outcome}),
        outcome=outcome,
        break_month=asked.break_month,
        phase_in_months=asked.phase_in_months,
        member_months="member_months",
        seasonality=asked.seasonality,
        per=measure.per,
        unit=measure.unit,
    )


def _terms(fitted: Fitted, months: pd.DataFrame) -> EffectTable:
    """Steps, slopes and the average change, labelled not causal."""
    series = fitted()
    wanted = series.select(series.keys["term"].isin(TERMS))
    return EffectTable(
        keys=wanted.keys.drop(columns="series").assign(
            break_month=_labels(wanted.keys["break_month"])
        ),
        estimate=wanted.estimate,
        covariance=wanted.covariance,
        support=_support(months, len(wanted)),
        estimand=_estimand(series),
        method=series.method,
        notes=(NOT_ALONE, *wanted.notes),
    )


def _labels(months: pd.Series) -> np.ndarray:
    """Months as "2022-01"."""
    return np.asarray(pd.PeriodIndex(months, freq="M").astype(str))


def _support(months: pd.DataFrame, n_rows: int) -> pd.DataFrame:
    """The smallest month that has any use, for every row.

    Lines are sums over months: with one month hidden they and the others would tell it. So an
    outcome of which any month is too small to be shown is hidden altogether.
    """
    smallest = months.loc[months["with_use"] > 0].min(numeric_only=True).fillna(0)
    return pd.DataFrame(
        {
            "n_members": np.full(n_rows, int(smallest["member_months"])),
            "n_events": np.full(n_rows, int(smallest["with_use"])),
            "member_months": np.full(n_rows, float(months["member_months"].sum())),
        }
    )


def _estimand(series: InterruptedSeriesEffects) -> Estimand:
    """A change of the series, never called an effect."""
    return replace(
        series.estimand,
        name="Change of the statewide series",
        contrast="rate of all members from the break on, minus where the line before it leads",
        is_causal=False,
    )


def _lines(fitted: Fitted, months: pd.DataFrame, outcome: str, min_count: int) -> EffectTable:
    """What was observed, fitted and carried on, a row a month and line; no errors.

    What was observed goes by steps of `min_count` events in the month of fewest members, so that
    the same month in the next release does not tell the few whose claims came late.
    """
    series = fitted()
    frame = series.counterfactual.assign(month=lambda f: _labels(f["month"]))
    step = _step(months, min_count, per=MEASURES[outcome].per)
    frame["rate"] = step * (frame["rate"] / step).round()
    names: Mapping[str, str] = {"rate": OBSERVED, "fitted": FITTED, "counterfactual": EARLIER}
    rows = pd.concat(
        [
            frame[["month"]].assign(line=line, estimate=frame[column])
            for column, line in names.items()
        ]
    ).dropna(subset="estimate")
    return EffectTable(
        keys=rows[["month", "line"]].reset_index(drop=True),
        estimate=rows["estimate"].to_numpy(dtype=float),
        covariance=np.full((len(rows), len(rows)), np.nan),
        support=_support(months, len(rows)),
        estimand=replace(_estimand(series), name="Statewide series"),
        method=Method(
            series.method.estimator,
            MappingProxyType(
                {
                    **series.method.options,
                    "break_month": _labels(series.keys["break_month"])[0],
                    RATES_OF: (outcome,),
                }
            ),
            series.method.reference,
        ),
        notes=(NOT_ALONE, f"What was observed is rounded to steps of {step:g}."),
    )


def _step(months: pd.DataFrame, min_count: int, *, per: float) -> float:
    """A rate of `min_count` events in the month of fewest members, up to the next 1, 2 or 5."""
    least = per * min_count / float(months["member_months"].min())
    size = 10.0 ** np.floor(np.log10(least))
    return float(
        next(size * digit for digit in (1, 2, 5, 10) if size * digit >= least * (1 - 1e-9))
    )
