"""Estimators recover the simulated effect under their assumptions, and fail as told without."""

from __future__ import annotations

import effects_recovery
import missing_race_recovery
import numpy as np
import pandas as pd
import pytest
from effects_recovery import SCENARIOS, summary

DRAWS = 200

pytestmark = pytest.mark.slow


def is_as_told(draws: pd.DataFrame, word: str) -> bool:
    """Whether bias, coverage and errors over `DRAWS` draws are what the word says."""
    found = summary(draws)
    if found["refused"]:
        return False
    # A false alarm in 4,000 each way.
    covers = found["coverage"] > 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / DRAWS)
    if word == "covers":
        return bool(covers)
    errors = abs(found["bias"] / found["bias_error"])
    if word == "fails":
        return bool(errors > 5)
    if word == "too narrow":
        return bool(errors < 3.5 and found["coverage"] < 0.93 and found["se_to_spread"] < 1)
    # Simulation errors of the spread of nearly normal estimates, each 1 / sqrt(2 (n - 1)).
    is_right = abs(found["se_to_spread"] - 1) < 3.5 / np.sqrt(2 * (DRAWS - 1))
    return bool(errors < 3.5 and covers and is_right)


@pytest.mark.parametrize("scenario", list(SCENARIOS))
def test_bias_and_coverage_are_as_told(scenario):
    found = effects_recovery.replicate(scenario, DRAWS)
    told = SCENARIOS[scenario]
    wrong = {e: summary(d) for e, d in found.items() if not is_as_told(d, told[e])}
    assert wrong == {}


@pytest.mark.parametrize("mechanism", list(missing_race_recovery.MECHANISMS))
def test_what_missing_race_does_is_as_told(mechanism):
    found = missing_race_recovery.replicate(mechanism, DRAWS)
    told = missing_race_recovery.EXPECTED[mechanism]
    wrong = {e: summary(d) for e, d in found.items() if not is_as_told(d, told[e])}
    assert wrong == {}
