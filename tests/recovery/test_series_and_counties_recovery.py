"""Coverage of interrupted time series with AR(1) errors and of placebo intervals by county."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import interrupted_time_series, synthetic_did
from calaim_eval.results import EffectTable

PANELS = 200
# Binomial(200, 0.95) is below 180 with probability 0.002.
LEAST = 180

pytestmark = pytest.mark.slow


def covers(table: EffectTable, truth: float) -> bool:
    row = table.to_frame().iloc[0]
    return bool(row["conf_low"] <= truth <= row["conf_high"])


def test_level_change_in_an_autocorrelated_series() -> None:
    months, rho, truth = 96, 0.4, 2.0
    by_model, by_ar1 = 0, 0
    for seed in range(PANELS):
        rng = np.random.default_rng(seed)
        error = rng.normal(size=months)
        error[0] /= np.sqrt(1 - rho**2)
        for month in range(1, months):
            error[month] += rho * error[month - 1]
        t = np.arange(months)
        frame = pd.DataFrame({"month": t, "rate": 5 + 0.05 * t + truth * (t >= 48) + error})
        options = {"outcome": "rate", "break_month": 48}
        by_ar1 += covers(interrupted_time_series(frame, **options), truth)
        alone = {"errors": "independent", "std_error": "model"}
        by_model += covers(interrupted_time_series(frame, **options, **alone), truth)
    assert by_ar1 >= LEAST
    assert by_model < LEAST


@pytest.mark.parametrize("weighting", ["synthetic_did", "uniform"])
def test_placebo_intervals_of_one_exposed_county(weighting: str) -> None:
    months, first, truth, hits = 24, 16, 1.0, 0
    for seed in range(PANELS):
        rng = np.random.default_rng(seed)
        factors = 0.5 * np.cumsum(rng.normal(size=(2, months)), axis=1)
        rate = 10 + rng.normal(size=(21, 1)) + rng.random((21, 2)) @ factors
        rate += rng.normal(size=(21, months))
        rate[0, first:] += truth
        frame = pd.DataFrame(
            {
                "county": np.repeat(np.arange(21), months),
                "month": np.tile(np.arange(months), 21),
                "cohort": np.repeat([float(first)] + [np.nan] * 20, months),
                "rate": rate.ravel(),
            }
        )
        table = synthetic_did(frame, outcome="rate", weighting=weighting, solver="exact")
        hits += covers(table, truth)
    assert hits >= LEAST
