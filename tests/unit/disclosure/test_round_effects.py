"""Estimates under a policy that rounds counts: coarser, never more certain than they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure.round_numbers import round_effects


def numbers(estimate, error):
    """Estimates with their 95% intervals, as they are before rounding."""
    estimate, error = np.asarray(estimate, dtype=float), np.asarray(error, dtype=float)
    return pd.DataFrame(
        {
            "estimate": estimate,
            "std_error": error,
            "conf_low": estimate - 1.96 * error,
            "conf_high": estimate + 1.96 * error,
            "p_value": 0.04,
        }
    )


@pytest.mark.parametrize("base", [5, 6])
@pytest.mark.parametrize("events", [0.0, 12.0, 400.0, 1e6])
def test_a_rounded_interval_holds_the_true_one(base, events):
    rng = np.random.default_rng(4)
    true = numbers(rng.normal(0, 40, 200), rng.lognormal(1, 1.5, 200))
    shown = round_effects(true, n_events=np.full(200, events), base=base)
    assert (shown["conf_low"] <= true["conf_low"] + 1e-9).all()
    assert (shown["conf_high"] >= true["conf_high"] - 1e-9).all()
    np.testing.assert_allclose(
        shown["estimate"] - shown["conf_low"], shown["conf_high"] - shown["estimate"], atol=1e-9
    )


def test_an_interval_says_no_more_of_the_estimate_than_its_rounding():
    """Estimates that round to one number have one interval."""
    true = numbers([31.0, 29.0, 34.0], [9.0] * 3)
    shown = round_effects(true, n_events=np.full(3, 30.0), base=6)
    for column in ("estimate", "conf_low", "conf_high"):
        assert len(set(shown[column])) == 1


def test_a_ratio_is_never_rounded_to_0_nor_its_interval_below():
    true = numbers([0.3, 1.9, 4.0], [0.2, 0.3, 0.4])
    shown = round_effects(true, n_events=np.full(3, 20.0), base=6, scale="ratio")
    assert not (shown["estimate"] == 0).any()
    assert np.isnan(shown.loc[0, ["estimate", "std_error", "conf_low", "conf_high"]]).all()
    assert (shown["conf_low"].dropna() >= 0).all()


def test_numbers_that_no_count_stands_behind_keep_their_digits():
    """A share of variance, a number of counties: infinitely many events behind it."""
    true = numbers([0.24816, 12.0], [np.nan, np.nan])
    shown = round_effects(true, n_events=np.array([np.inf, np.inf]), base=6)
    assert shown["estimate"].tolist() == [0.248, 12.0]
    both = round_effects(true, n_events=np.array([np.inf, 60.0]), base=6)
    assert both["estimate"].tolist() == [0.248, 10.0]
