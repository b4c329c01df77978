"""Estimators recover the simulated effect under their assumptions, and fail as told without."""

from __future__ import annotations

import numpy as np
import pytest
from effects_recovery import SCENARIOS, replicate, summary

DRAWS = 200
CASES = [(s, e, word) for s, expected in SCENARIOS.items() for e, word in expected.items()]


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "estimator", "word"), CASES)
def test_bias_and_coverage_are_as_told(scenario, estimator, word):
    found = summary(replicate(scenario, estimator, DRAWS))
    assert found["refused"] == 0
    errors = found["bias"] / found["bias_error"]
    if word == "fails":
        assert abs(errors) > 5
        return
    assert abs(errors) < 3.5  # a false alarm in 2,000
    lowest = 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / DRAWS)
    if word == "too narrow":
        assert found["coverage"] < 0.93
        assert found["se_to_spread"] < 1
    else:
        assert found["coverage"] > lowest
        # Simulation errors of the spread of nearly normal estimates, each 1 / sqrt(2 (n - 1)).
        assert abs(found["se_to_spread"] - 1) < 3.5 / np.sqrt(2 * (DRAWS - 1))
