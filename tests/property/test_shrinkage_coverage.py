"""How often intervals of shrunken estimates hold the truth, on average over groups; simulated.

Bounds are the level claimed less three standard errors of the simulation (of the mean over
groups, from the spread between simulated studies). The errors of the EBLUP are known to be too
small where groups differ little; the test says so, and the method page.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import shrink_estimates
from calaim_eval.equity.shrinkage_fit import shrink
from calaim_eval.results import Method, RateTable

GROUPS = 9
SPREAD = np.geomspace(0.2, 8, GROUPS)


def shares_held(n: int, *, sd: float, correlation: float, rule: str, seed: int) -> np.ndarray:
    """Share of the groups whose interval holds the truth, in each of n simulated studies."""
    rng = np.random.default_rng(seed)
    root = np.sqrt(np.outer(SPREAD, SPREAD))
    covariance = root * (correlation + (1 - correlation) * np.eye(GROUPS))
    lower = np.linalg.cholesky(covariance)
    held = []
    for _ in range(n):
        truth = rng.normal(10, sd, GROUPS)
        raw = truth + lower @ rng.standard_normal(GROUPS)
        fit = shrink(raw, covariance, np.ones((GROUPS, 1)), between="reml", rule=rule)
        error = np.sqrt(np.diag(fit.covariance))
        held.append((np.abs(fit.estimate - truth) <= 1.96 * error).mean())
    return np.array(held)


def least(held: np.ndarray, level: float = 0.95) -> float:
    return level - 3 * held.std(ddof=1) / np.sqrt(len(held))


@pytest.mark.parametrize(("sd", "correlation"), [(0.0, 0.0), (1.0, 0.4), (3.0, 0.0)])
def test_morris_intervals_hold_on_average_over_groups(sd, correlation):
    held = shares_held(200, sd=sd, correlation=correlation, rule="morris", seed=11)
    assert held.mean() >= least(held)


def test_intervals_of_the_eblup_are_too_narrow_where_groups_differ_little():
    held = shares_held(200, sd=0.7, correlation=0.0, rule="eblup", seed=12)
    assert held.mean() + 3 * held.std(ddof=1) / np.sqrt(len(held)) < 0.95


@pytest.mark.slow
@pytest.mark.parametrize("sd", [0.0, 0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_morris_intervals_hold_over_many_studies(sd, correlation):
    held = shares_held(2000, sd=sd, correlation=correlation, rule="morris", seed=13)
    assert held.mean() >= least(held)


MONTHS = np.array([150.0, 300, 400, 800, 1500, 3000, 5000, 9000])


def rate_table(events: np.ndarray) -> RateTable:
    k = len(events)
    return RateTable(
        measure="ED visits",
        keys=pd.DataFrame({"race_ethnicity": [f"g{i}" for i in range(k)]}),
        numerator=events.astype(float),
        denominator=MONTHS,
        conf_low=np.full(k, np.nan),
        conf_high=np.full(k, np.nan),
        n_members=events.astype(float),
        numerator_name="ed_visits",
        denominator_name="member_months",
        unit="ED visits per 1,000 member-months",
        kind="rate",
        method=Method("Rate", {"interval": "byar"}),
        per=1000.0,
    )


def test_rates_of_small_groups_hold_with_smoothed_variances_and_are_nearer_the_truth():
    """Gamma rates around 40 per 1,000; the smallest group expects 6 events and may have none."""
    rng = np.random.default_rng(14)
    held, raw, shrunken = [], [], []
    for _ in range(200):
        truth = rng.gamma(16, 40 / 16, len(MONTHS))
        found = shrink_estimates(rate_table(rng.poisson(truth * MONTHS / 1000)))
        error = found.shrunken.std_error
        held.append((np.abs(found.shrunken.estimate - truth) <= 1.96 * error).mean())
        raw.append(((found.raw.estimate - truth) ** 2).mean())
        shrunken.append(((found.shrunken.estimate - truth) ** 2).mean())
    held = np.array(held)
    assert held.mean() >= least(held)
    assert np.mean(shrunken) < 0.8 * np.mean(raw)
