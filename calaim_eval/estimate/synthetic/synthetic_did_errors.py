"""Standard errors of synthetic difference-in-differences: placebo, jackknife, bootstrap."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import comb
from typing import Literal

import numpy as np

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.synthetic.synthetic_fit import CohortFit, weighted_fit
from calaim_eval.estimate.synthetic.synthetic_plan import SyntheticPlan

StdError = Literal["placebo", "jackknife", "bootstrap"]
ATTEMPTS = 100
"""Bootstrap samples tried for each one used: samples without an exposed county are redrawn."""


def placebo_effects(
    plan: SyntheticPlan, *, draws: int, rng: np.random.Generator | None
) -> np.ndarray:
    """Effects of exposures that did not happen, on comparison counties; shape (n, k).

    Every assignment once where there are at most `draws` (a single exposed county), else random
    ones: Algorithm 4 of Arkhangelsky et al. (2021).
    """
    sizes = [len(c.rows) for c in plan.cohorts]
    n_exposed, n_comparison = sum(sizes), len(plan.comparison)
    if n_comparison <= n_exposed:
        raise DesignError(
            f"std_error='placebo' needs more comparison counties than exposed ones; there are "
            f"{n_comparison} and {n_exposed}. Use std_error='jackknife' or 'bootstrap'."
        )
    cuts = np.cumsum(sizes)[:-1]
    found = []
    for chosen in _assignments(n_comparison, sizes, draws, rng):
        rest = np.setdiff1d(np.arange(n_comparison), chosen)
        exposed = [plan.comparison[part] for part in np.split(chosen, cuts)]
        found.append(plan.effects(plan.fits(exposed, plan.comparison[rest]), sizes))
    return np.array(found)


def bootstrap_effects(
    plan: SyntheticPlan, *, draws: int, rng: np.random.Generator | None
) -> np.ndarray:
    """Effects in samples of counties with replacement: Algorithm 2; shape (draws, k)."""
    _require_several(plan, "bootstrap")
    generator = _require_rng(rng, "bootstrap")
    everyone = np.concatenate([*(c.rows for c in plan.cohorts), plan.comparison])
    found: list[np.ndarray] = []
    for _ in range(draws * ATTEMPTS):
        sample = generator.choice(everyone, len(everyone))
        exposed = [sample[np.isin(sample, c.rows)] for c in plan.cohorts]
        comparison = sample[np.isin(sample, plan.comparison)]
        if len(comparison) and all(len(rows) for rows in exposed):
            sizes = [len(rows) for rows in exposed]
            found.append(plan.effects(plan.fits(exposed, comparison), sizes))
        if len(found) == draws:
            return np.array(found)
    raise DesignError(
        f"std_error='bootstrap': only {len(found):,} of {draws * ATTEMPTS:,} samples of counties "
        "hold a county of every cohort. Use std_error='placebo'."
    )


def jackknife_effects(plan: SyntheticPlan, fits: list[list[CohortFit]]) -> np.ndarray:
    """Effects without each county in turn, weights kept: Algorithm 3; shape (N, k).

    Rows: exposed counties by cohort, then comparison counties.
    """
    if plan.weighting == "synthetic_control":
        raise DesignError(
            "std_error='jackknife' is not valid for a synthetic control, whose weights do not "
            "balance the months before exposure. Use std_error='placebo'."
        )
    _require_several(plan, "jackknife")
    if any((fit.unit_weights > 0).sum() < 2 for each in fits for fit in each):
        raise DesignError(
            "std_error='jackknife': a single comparison county carries all the weight, so it "
            "cannot be left out. Use std_error='placebo'."
        )
    found = []
    for out in np.concatenate([*(c.rows for c in plan.cohorts), plan.comparison]):
        exposed = [c.rows[c.rows != out] for c in plan.cohorts]
        kept = plan.comparison != out
        without = [
            [
                weighted_fit(
                    rate[rows].mean(axis=0),
                    rate[plan.comparison[kept]],
                    fit.unit_weights[kept] / fit.unit_weights[kept].sum(),
                    fit.time_weights,
                )
                for fit, rows in zip(each, exposed, strict=True)
            ]
            for rate, each in zip(plan.rate, fits, strict=True)
        ]
        found.append(plan.effects(without, [len(rows) for rows in exposed]))
    return np.array(found)


def covariance_of_draws(effects: np.ndarray) -> np.ndarray:
    """Mean squared deviation of drawn effects from their mean; shape (k, k)."""
    apart = effects - effects.mean(axis=0)
    return np.asarray(apart.T @ apart / len(effects))


def jackknife_influence(effects: np.ndarray) -> np.ndarray:
    """Deviations whose cross-product is the jackknife covariance; shape (N, k)."""
    n_counties = len(effects)
    apart = effects - effects.mean(axis=0)
    return np.asarray(np.sqrt((n_counties - 1) / n_counties) * apart)


def _assignments(
    n_comparison: int, sizes: list[int], draws: int, rng: np.random.Generator | None
) -> Iterator[np.ndarray]:
    """Comparison counties that stand for the exposed, all sets of them or random ones."""
    n_exposed = sum(sizes)
    if len(sizes) == 1 and comb(n_comparison, n_exposed) <= draws:
        for chosen in combinations(range(n_comparison), n_exposed):
            yield np.array(chosen)
        return
    generator = _require_rng(rng, "placebo")
    for _ in range(draws):
        yield generator.permutation(n_comparison)[:n_exposed]


def _require_several(plan: SyntheticPlan, name: str) -> None:
    """Refuse resampling of exposed counties where a cohort has one."""
    alone = sum(len(c.rows) < 2 for c in plan.cohorts)
    if alone:
        raise DesignError(
            f"std_error={name!r} needs two exposed counties or more in every cohort; {alone} of "
            f"{len(plan.cohorts)} cohorts have one. Use std_error='placebo'."
        )


def _require_rng(rng: np.random.Generator | None, name: str) -> np.random.Generator:
    """The generator, or an error that says how to give one."""
    if rng is None:
        raise EstimationError(
            f"std_error={name!r} draws counties at random: give rng=np.random.default_rng(seed)."
        )
    return rng
