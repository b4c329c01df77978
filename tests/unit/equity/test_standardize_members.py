from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from calaim_eval.equity import (
    direct_standardized_rate,
    direct_standardized_rate_by_group,
    indirect_standardized_ratio,
    indirect_standardized_ratio_by_group,
)
from calaim_eval.results.intervals import byar_interval

WEIGHTS = pd.Series({"adult": 3.0, "older": 1.0})


def months(seed: int = 3, *, repeats: float = 1.0) -> pd.DataFrame:
    """Members some of whom grow older half way, with visits that cluster."""
    rng = np.random.default_rng(seed)
    n = 150
    frame = pd.DataFrame(
        {
            "member_id": np.repeat([f"m{i}" for i in range(n)], 8),
            "race_ethnicity": np.repeat(np.where(np.arange(n) < 60, "black", "white"), 8),
        }
    )
    start = np.repeat(rng.integers(0, 16, n), 8)
    age = np.where(np.tile(np.arange(8), n) + start > 9, "older", "adult")
    level = np.repeat(rng.gamma(1 / repeats, 0.3 * repeats, n), 8) * np.where(age == "older", 2, 1)
    return frame.assign(age_band=age, ed_visits=rng.poisson(level))


def cells_of(frame: pd.DataFrame) -> pd.DataFrame:
    grouped = frame.groupby(["race_ethnicity", "age_band"])["ed_visits"]
    return grouped.agg(events="sum", member_months="size").reset_index()


def test_rates_are_those_of_the_cells():
    frame = months()
    found = direct_standardized_rate_by_group(
        frame, outcome="ed_visits", by="race_ethnicity", weights=WEIGHTS
    )
    plain = direct_standardized_rate(cells_of(frame), by="race_ethnicity", weights=WEIGHTS)
    columns = ["race_ethnicity", "events", "member_months", "crude_rate", "rate"]
    pd.testing.assert_frame_equal(found[columns], plain[columns])
    assert (found["std_error"] > 1.2 * plain["std_error"]).all()


def test_standard_error_is_that_of_a_regression_clustered_by_member():
    """The standardized rate is a combination of band means, members' months in both bands."""
    frame = months()
    found = direct_standardized_rate_by_group(
        frame, outcome="ed_visits", by="race_ethnicity", weights=WEIGHTS, per=1
    )
    share = (WEIGHTS / WEIGHTS.sum()).to_numpy()
    for i, group in enumerate(("black", "white")):
        own = frame[frame["race_ethnicity"] == group]
        x = np.column_stack([own["age_band"] == "adult", own["age_band"] == "older"]).astype(float)
        fit = sm.OLS(own["ed_visits"].to_numpy(dtype=float), x).fit(
            cov_type="cluster",
            cov_kwds={"groups": pd.factorize(own["member_id"])[0], "use_correction": False},
        )
        n = own["member_id"].nunique()
        variance = share @ fit.cov_params() @ share * n / (n - 1)
        assert found["std_error"][i] == pytest.approx(np.sqrt(variance))
        has = own.groupby("member_id")["ed_visits"].sum() > 0
        assert found["n_members"][i] == has.sum()


def test_observed_over_expected_with_a_variance_by_hand():
    frame = months()
    standard = pd.DataFrame(
        {"age_band": ["adult", "older"], "events": [300, 500], "member_months": [1000, 1000]}
    )
    found = indirect_standardized_ratio_by_group(
        frame, outcome="ed_visits", by="race_ethnicity", standard=standard
    )
    plain = indirect_standardized_ratio(cells_of(frame), by="race_ethnicity", standard=standard)
    assert found["ratio"].to_numpy() == pytest.approx(plain["ratio"].to_numpy())
    assert found["expected"].to_numpy() == pytest.approx(plain["expected"].to_numpy())
    own = frame[frame["race_ethnicity"] == "white"]
    own = own.assign(e=np.where(own["age_band"] == "older", 0.5, 0.3))
    members = own.groupby("member_id")[["ed_visits", "e"]].sum()
    y, e = members["ed_visits"], members["e"]
    n, ratio = len(members), y.sum() / e.sum()
    variance = n / (n - 1) * ((y - ratio * e) ** 2).sum()
    low, _ = byar_interval(y.sum())
    expected = (y.sum() - np.sqrt(variance / y.sum()) * (y.sum() - low)) / e.sum()
    assert found["conf_low"][1] == pytest.approx(expected)


def test_months_without_a_known_outcome_are_counted():
    frame = months().astype({"ed_visits": float})
    frame.loc[:19, "ed_visits"] = np.nan
    found = direct_standardized_rate_by_group(
        frame, outcome="ed_visits", by="race_ethnicity", weights=WEIGHTS
    )
    assert found["member_months"].sum() == len(frame) - 20
    assert "20 member-months" in found.attrs["notes"][0]


def test_clustered_intervals_hold_the_truth_where_plain_ones_do_not():
    truth = 1000 * 0.3 * (3 * 1 + 1 * 2) / 4
    clustered, plain = [], []
    n = 30
    for seed in range(n):
        frame = months(seed, repeats=3.0)
        found = direct_standardized_rate_by_group(
            frame, outcome="ed_visits", by="race_ethnicity", weights=WEIGHTS
        )
        cells = direct_standardized_rate(cells_of(frame), by="race_ethnicity", weights=WEIGHTS)
        for table, covered in ((found, clustered), (cells, plain)):
            covered += ((table["conf_low"] <= truth) & (truth <= table["conf_high"])).tolist()
    assert np.mean(clustered) > 0.92 - 3 * np.sqrt(0.92 * 0.08 / (2 * n))
    assert np.mean(plain) < 0.75
