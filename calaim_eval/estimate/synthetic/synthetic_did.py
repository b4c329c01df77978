"""Synthetic difference-in-differences, synthetic control and plain differences of counties."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, require_choice
from calaim_eval.estimate.period_frame import refuse_frame_columns
from calaim_eval.estimate.support import support_frame
from calaim_eval.estimate.synthetic.county_panel import (
    CountyPanel,
    panel_of_frame,
    panel_of_moments,
)
from calaim_eval.estimate.synthetic.simplex_weights import Solver
from calaim_eval.estimate.synthetic.synthetic_did_effects import SyntheticDidEffects
from calaim_eval.estimate.synthetic.synthetic_did_errors import (
    StdError,
    bootstrap_effects,
    covariance_of_draws,
    jackknife_effects,
    jackknife_influence,
    placebo_effects,
)
from calaim_eval.estimate.synthetic.synthetic_did_frames import (
    effect_keys,
    effect_sides,
    fit_diagnostics,
    is_alone,
    monthly_series,
    time_weights,
    unit_weights,
)
from calaim_eval.estimate.synthetic.synthetic_fit import CohortFit, Weighting
from calaim_eval.estimate.synthetic.synthetic_plan import By, SyntheticPlan, synthetic_plan
from calaim_eval.estimate.words import count_words, default_unit
from calaim_eval.moments import CellMoments
from calaim_eval.results import Estimand, Method
from calaim_eval.results.effect_table import with_undefined

REFERENCE = (
    "Arkhangelsky D, Athey S, Hirshberg DA, Imbens GW, Wager S (2021). Synthetic "
    "difference-in-differences. American Economic Review 111(12):4088-4118. "
    "doi:10.1257/aer.20190159"
)
_NAMES = {
    "synthetic_did": "Synthetic difference-in-differences",
    "synthetic_control": "Synthetic control, ridge-penalized as in synthdid",
    "uniform": "Difference-in-differences of county means",
}
FEW_EXPOSED = 10
"""Exposed counties below which jackknife and bootstrap intervals run too narrow."""
_ROUNDING = 1e-20
"""A variance below this share of the squared outcome is rounding."""


def synthetic_did(
    data: CellMoments | pd.DataFrame,
    *,
    outcome: str,
    county: str = "county",
    month: str = "month",
    cohort: str = "cohort",
    member_months: str | None = None,
    stratum: str | Sequence[str] = (),
    weighting: Weighting = "synthetic_did",
    by: By = "overall",
    anticipation_months: int = 0,
    std_error: StdError = "placebo",
    draws: int = 200,
    rng: np.random.Generator | None = None,
    solver: Solver = "frank_wolfe",
    per: float = 1.0,
    unit: str | None = None,
) -> SyntheticDidEffects:
    r"""Effect of an exposure of whole counties, against a weighted mean of other counties.

    Use when few counties are exposed and no county alone moves like them. Positive: the exposed
    have more of the outcome than they would have had.

    Parameters
    ----------
    data : CellMoments or pd.DataFrame
        Moments whose strata or clusters are counties, or a frame with one row per county and
        month.
    outcome : str
        In a frame: the rate, or the total where `member_months` is named.
    county : str
        Stratum or cluster of the moments, or column of the frame.
    month, cohort, member_months : str
        Columns of a frame: period; first exposed period of the county (missing = never);
        denominator. Not used with moments.
    stratum : str or sequence of str
        Columns of a frame effects are wanted by. Moments bring their own.
    weighting : {"synthetic_did", "synthetic_control", "uniform"}
        Unit and time weights; unit weights alone, without intercept; equal weights
        (difference-in-differences).
    by : {"overall", "cohort", "event_time"}
        One effect per stratum; one per cohort; one per month since exposure (the months before it
        are what the weights were fitted to, not a test).
    anticipation_months : int
        Months before the cohort that may already be affected: left out.
    std_error : {"placebo", "jackknife", "bootstrap"}
        Placebo needs more comparison than exposed counties; the others two exposed counties in
        every cohort, and are honest with many only. Jackknife is refused for a synthetic control.
    draws : int
        Placebo assignments or bootstrap samples; with fewer possible placebo assignments, each
        is used once and nothing is random.
    rng : np.random.Generator, optional
        Needed where counties are drawn at random.
    solver : {"frank_wolfe", "exact"}
        ``"frank_wolfe"`` stops where the R package `synthdid` stops, which meets published
        values; ``"exact"`` finds the minimum itself.
    per : float
        1,000 gives effects per 1,000 member-months.
    unit : str, optional
        In the words of a report.

    Returns
    -------
    SyntheticDidEffects
        Keys: stratum columns (if any) and ``cohort`` or ``event_time`` by `by`. All strata share
        their placebo or bootstrap counties, so their covariance is joint.

    Raises
    ------
    DesignError
        No county exposed, all exposed, fewer than two months before exposure, cohorts mixed
        within a county, or too few counties for the standard error asked for.
    EstimationError
        An unknown option, no `rng`, or an outcome that does not vary.
    TableError
        A frame lacks a column, repeats a county-month, or holds values that are no numbers.

    Notes
    -----
    For exposed mean :math:`\bar y_t` and comparison :math:`y_{jt}` the effect in month t is
    :math:`\bar y_t - \sum_j \omega_j y_{jt} - \sum_s \lambda_s (\bar y_s - \sum_j \omega_j y_{js})`
    [1]_; an effect averages the months from exposure on. Every county counts the same, whatever
    its size. Cohorts are estimated one by one against counties never exposed and averaged with
    their exposed county-months [2]_. Penalties are kept when counties are drawn anew.

    References
    ----------
    .. [1] Arkhangelsky D, et al. (2021). AER 111(12):4088-4118. doi:10.1257/aer.20190159
    .. [2] Clarke D, Pailañir D, Athey S, Imbens G (2024). Stata Journal 24(4):557-598.
       doi:10.1177/1536867X241297914

    Examples
    --------
    >>> rates = pd.DataFrame({
    ...     "county": np.repeat(["a", "b", "c", "d"], 4), "month": [1, 2, 3, 4] * 4,
    ...     "cohort": np.repeat([4, np.nan, np.nan, np.nan], 4),
    ...     "rate": [1, 2, 3, 9, 1, 2, 3, 4, 2, 3, 3, 5, 5, 4, 3, 2.0],
    ... })
    >>> effects = synthetic_did(rates, outcome="rate", solver="exact")
    >>> effects.diagnostics[["n_exposed", "n_comparison"]].to_dict("records")
    [{'n_exposed': 1, 'n_comparison': 3}]
    """
    _require_options(weighting, by, std_error, solver, anticipation_months, draws)
    columns = (stratum,) if isinstance(stratum, str) else tuple(stratum)
    if isinstance(data, CellMoments):
        refuse_frame_columns("synthetic_did", member_months, columns)
        panel = panel_of_moments(data, outcome, county)
        words, notes = unit or default_unit(data, outcome, per), data.provenance.get("notes", [])
    else:
        panel = panel_of_frame(
            data,
            outcome=outcome,
            county=county,
            month=month,
            cohort=cohort,
            member_months=member_months,
            stratum=columns,
        )
        words, notes = unit or outcome, []
    plan, lost = synthetic_plan(panel, per, weighting, solver, by, anticipation_months)
    fits = plan.fits([c.rows for c in plan.cohorts], plan.comparison)
    sizes = [len(c.rows) for c in plan.cohorts]
    estimate = plan.effects(fits, sizes)
    drawn, influence = _drawn(plan, fits, std_error, draws, rng)
    covariance = (
        covariance_of_draws(drawn) if influence is None else np.asarray(influence.T @ influence)
    )
    sides = effect_sides(panel, plan, fits)
    undefined = np.array([is_alone(both) for both in sides])
    undefined |= np.diag(covariance) <= _ROUNDING * float(np.square(plan.rate).max())
    order = np.concatenate([*(c.rows for c in plan.cohorts), plan.comparison])
    by_county = None
    if influence is not None:
        by_county = pd.DataFrame(influence, index=panel.counties[order].rename(county))
    covariance, by_county = with_undefined(covariance, by_county, undefined)
    return SyntheticDidEffects(
        keys=effect_keys(panel, plan),
        estimate=estimate,
        covariance=covariance,
        support=support_frame(sides),
        estimand=Estimand(
            name="ATT of counties",
            contrast="mean of the exposed counties, minus what it would have been by the "
            "weighted mean of counties never exposed; every county counts the same",
            unit=words,
        ),
        method=Method(
            estimator=_NAMES[weighting],
            options=MappingProxyType(
                {
                    "outcome": outcome,
                    "county": county,
                    "weighting": weighting,
                    "by": by,
                    "anticipation_months": anticipation_months,
                    "std_error": std_error,
                    "draws": len(drawn),
                    "solver": solver,
                    "per": per,
                }
            ),
            reference=REFERENCE,
        ),
        cluster_influence=by_county,
        notes=(*notes, *lost, *_notes(panel, plan, std_error, len(drawn))),
        unit_weights=unit_weights(panel, plan, fits),
        time_weights=time_weights(panel, plan, fits),
        series=monthly_series(panel, plan, fits),
        diagnostics=fit_diagnostics(panel, plan, fits),
        draws=drawn,
    )


def _drawn(
    plan: SyntheticPlan,
    fits: list[list[CohortFit]],
    std_error: StdError,
    draws: int,
    rng: np.random.Generator | None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Effects drawn for the standard error; for the jackknife also the counties' influence."""
    if std_error == "jackknife":
        without = jackknife_effects(plan, fits)
        return without, jackknife_influence(without)
    if std_error == "placebo":
        return placebo_effects(plan, draws=draws, rng=rng), None
    return bootstrap_effects(plan, draws=draws, rng=rng), None


def _require_options(
    weighting: str, by: str, std_error: str, solver: str, anticipation_months: int, draws: int
) -> None:
    """Refuse options that mean nothing, listing those that do."""
    for name, given, allowed in (
        ("weighting", weighting, tuple(_NAMES)),
        ("by", by, ("overall", "cohort", "event_time")),
        ("std_error", std_error, ("placebo", "jackknife", "bootstrap")),
        ("solver", solver, ("frank_wolfe", "exact")),
    ):
        require_choice(name, given, allowed, of="synthetic_did")
    for name, value, least in (
        ("anticipation_months", anticipation_months, 0),
        ("draws", draws, 2),
    ):
        if value < least:
            raise EstimationError(f"synthetic_did: {name}={value}; give {least} or more.")


def _notes(
    panel: CountyPanel, plan: SyntheticPlan, std_error: StdError, n_draws: int
) -> tuple[str, ...]:
    """What a reader must know about counties, cohorts and the standard error."""
    n_exposed = sum(len(c.rows) for c in plan.cohorts)
    notes = [
        f"Exposed counties: {n_exposed} (cohorts: {len(plan.cohorts)}); comparison counties: "
        f"{len(plan.comparison)}. Every county counts the same, whatever its size."
    ]
    if panel.set_aside:
        notes.append(
            f"Counties set aside for want of member-months in some month or stratum: "
            f"{panel.set_aside}."
        )
    if panel.n_without_county:
        notes.append(
            "Members set aside because their county is missing, counted by their fullest month: "
            f"{count_words(panel.n_without_county, 'members')}."
        )
    if len(plan.cohorts) > 1:
        notes.append(
            "Staggered exposure: each cohort is estimated against counties never exposed, and "
            "cohorts are averaged with their exposed county-months."
        )
    if plan.by == "event_time":
        notes.append(
            "Effects before exposure are what the weights were fitted to; they test nothing."
        )
    if std_error == "placebo":
        notes.append(
            f"Standard errors from {n_draws} placebo exposures of comparison counties: they hold "
            "if exposed and comparison counties vary alike."
        )
    elif n_exposed < FEW_EXPOSED:
        notes.append(
            f"std_error={std_error!r} with {n_exposed} exposed counties: fewer than {FEW_EXPOSED}, "
            "so intervals tend to be too narrow. Report std_error='placebo' beside it."
        )
    if not panel.at_risk.any():
        notes.append(
            "No member-months were given, so the members behind these rates are not known: "
            "disclosure control hides the estimates."
        )
    return tuple(notes)
