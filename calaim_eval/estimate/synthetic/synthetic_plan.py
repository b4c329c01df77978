"""Which counties are compared when: cohorts, comparison counties, penalties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.synthetic.county_panel import CountyPanel
from calaim_eval.estimate.synthetic.simplex_weights import Solver
from calaim_eval.estimate.synthetic.synthetic_fit import (
    CohortFit,
    Penalties,
    Weighting,
    default_penalties,
    fit_cohort,
)
from calaim_eval.moments.periods import MISSING

By = Literal["overall", "cohort", "event_time"]
LEAST_BEFORE = 2
"""Months before exposure below which no change between months can be seen."""


@dataclass(frozen=True, slots=True, eq=False)
class CohortPlan:
    """When one cohort is exposed and which counties it holds.

    Attributes
    ----------
    cohort : int
        Ordinal of the first exposed month.
    n_before, first_after : int
        Months the weights are fitted to; position of the first exposed month.
    rows : np.ndarray
        Counties of the cohort.
    """

    cohort: int
    n_before: int
    first_after: int
    rows: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticPlan:
    """What is estimated: cohorts, comparison counties and options.

    Attributes
    ----------
    rate : np.ndarray
        Shape (S, N, T), in the unit asked for.
    axis : np.ndarray
        Ordinals of the months; shape (T,).
    cohorts : tuple[CohortPlan, ...]
    comparison : np.ndarray
        Counties never exposed.
    penalties : tuple[tuple[Penalties, ...], ...]
        By stratum and cohort; kept when counties are drawn anew.
    """

    rate: np.ndarray
    axis: np.ndarray
    cohorts: tuple[CohortPlan, ...]
    comparison: np.ndarray
    penalties: tuple[tuple[Penalties, ...], ...]
    weighting: Weighting
    solver: Solver
    by: By

    def fits(self, exposed: Sequence[np.ndarray], comparison: np.ndarray) -> list[list[CohortFit]]:
        """Fits by stratum and cohort with other counties in the places of the cohorts."""
        return [
            [
                fit_cohort(
                    rate[rows].mean(axis=0),
                    rate[comparison],
                    n_before=plan.n_before,
                    first_after=plan.first_after,
                    weighting=self.weighting,
                    penalties=penalty,
                    solver=self.solver,
                )
                for plan, rows, penalty in zip(self.cohorts, exposed, penalties, strict=True)
            ]
            for rate, penalties in zip(self.rate, self.penalties, strict=True)
        ]

    def labels(self) -> list[int]:
        """What the effects of one stratum are about: cohorts, event times, or one 0."""
        if self.by == "overall":
            return [0]
        if self.by == "cohort":
            return [plan.cohort for plan in self.cohorts]
        times = [self.axis - plan.cohort for plan in self.cohorts]
        return [int(time) for time in np.unique(np.concatenate(times))]

    def enters(self, plan: CohortPlan, label: int) -> bool:
        """Whether a cohort enters the effect with this label."""
        if self.by == "event_time":
            return bool((self.axis == plan.cohort + label).any())
        return self.by == "overall" or plan.cohort == label

    def effects(self, fits: list[list[CohortFit]], sizes: Sequence[int]) -> np.ndarray:
        """Effects of all strata; shape (S * n_labels,)."""
        return np.concatenate([self._of_stratum(each, np.asarray(sizes)) for each in fits])

    def _of_stratum(self, fits: list[CohortFit], sizes: np.ndarray) -> np.ndarray:
        """Averages of the monthly effects of one stratum's cohorts."""
        if self.by == "event_time":
            return np.array([self._at(fits, sizes, event_time) for event_time in self.labels()])
        after = [f.effect[p.first_after :] for f, p in zip(fits, self.cohorts, strict=True)]
        means = np.array([effect.mean() for effect in after])
        if self.by == "cohort":
            return means
        weight = sizes * np.array([len(effect) for effect in after])
        return np.array([weight @ means / weight.sum()])

    def _at(self, fits: list[CohortFit], sizes: np.ndarray, event_time: int) -> float:
        """Effect at one event time, cohorts observed there weighted by their counties."""
        total = weight = 0.0
        for fit, plan, size in zip(fits, self.cohorts, sizes, strict=True):
            if self.enters(plan, event_time):
                month = np.searchsorted(self.axis, plan.cohort + event_time)
                total += size * fit.effect[month]
                weight += size
        return total / weight


def synthetic_plan(
    panel: CountyPanel,
    per: float,
    weighting: Weighting,
    solver: Solver,
    by: By,
    anticipation_months: int,
) -> tuple[SyntheticPlan, list[str]]:
    """Cohorts that can be estimated, and a note on those that can't."""
    axis, months = panel.axis, panel.months
    comparison = np.flatnonzero(panel.cohorts == MISSING)
    exposed = np.unique(panel.cohorts[panel.cohorts != MISSING])
    if not exposed.size:
        raise DesignError(
            f"none of {len(panel.counties)} counties is exposed by {months[-1]}: there is nothing "
            "to estimate. Check that `cohort` holds the first exposed month of each county."
        )
    if len(comparison) < LEAST_BEFORE:
        raise DesignError(
            f"{len(comparison)} of {len(panel.counties)} counties are never exposed by "
            f"{months[-1]}; a synthetic comparison needs two or more. End the panel before the "
            "last counties are exposed, or use group_time_att(comparison='not_yet_exposed')."
        )
    plans, early = [], 0
    for cohort in exposed:
        rows = np.flatnonzero(panel.cohorts == cohort)
        n_before = int(np.searchsorted(axis, cohort - anticipation_months))
        if n_before < LEAST_BEFORE:
            early += len(rows)
            continue
        plans.append(CohortPlan(int(cohort), n_before, int(np.searchsorted(axis, cohort)), rows))
    if not plans:
        raise DesignError(
            f"all {early} exposed counties have fewer than {LEAST_BEFORE} months before exposure "
            f"(less {anticipation_months} of anticipation) from {months[0]} on. Begin the panel "
            "earlier."
        )
    rate = per * panel.rate
    _require_variation(rate)
    penalties = tuple(
        tuple(
            default_penalties(
                values[comparison],
                plan.n_before,
                n_exposed=len(plan.rows),
                n_after=len(axis) - plan.first_after,
                weighting=weighting,
            )
            for plan in plans
        )
        for values in rate
    )
    words = f"{early} exposed counties set aside: fewer than {LEAST_BEFORE} months before exposure."
    return (
        SyntheticPlan(rate, axis, tuple(plans), comparison, penalties, weighting, solver, by),
        [words] if early else [],
    )


def _require_variation(rate: np.ndarray) -> None:
    """Refuse a stratum whose outcome is the same everywhere."""
    flat = int((rate.max(axis=(1, 2)) == rate.min(axis=(1, 2))).sum())
    if flat:
        raise EstimationError(
            f"the outcome is the same in every county and month of {flat} of {len(rate)} strata: "
            "no effect has a standard error. Leave the strata out, or use another outcome."
        )
