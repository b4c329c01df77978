"""Power from stated rates: the variance by hand and by simulation, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import power_from_rates

PLAN = {
    "outcome": "ed_visits",
    "rate": 0.06,
    "n_exposed": 4_000,
    "n_comparison": 6_000,
    "months_before": 12,
    "months_after": 6,
}


def test_variance_by_hand() -> None:
    found = power_from_rates(pd.DataFrame([PLAN | {"dispersion": 3.0, "correlation": 0.2}]))
    variance = 3.0 * 0.06 * 0.8 * (1 / 12 + 1 / 6) * (1 / 4_000 + 1 / 6_000)
    row = found.to_frame().iloc[0]
    assert row["std_error"] == pytest.approx(np.sqrt(variance))
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert row["mde_share"] == pytest.approx(z * np.sqrt(variance) / 0.06)
    assert row["outcome"] == "ed_visits"


def test_counties_add_their_own_variance() -> None:
    plan = PLAN | {"n_exposed_clusters": 25, "n_comparison_clusters": 33, "change_sd": 0.004}
    row = power_from_rates(pd.DataFrame([plan])).to_frame().iloc[0]
    variance = 0.06 * 0.25 * (1 / 4_000 + 1 / 6_000) + 0.004**2 * (1 / 25 + 1 / 33)
    assert row["std_error"] == pytest.approx(np.sqrt(variance))
    assert row["df"] == 56


def test_variance_is_that_of_simulated_members() -> None:
    # Member levels (gamma) give dispersion 1 + rate * v and correlation rate * v / dispersion.
    rng = np.random.default_rng(5)
    rate, v, n, before, after, repeats = 0.5, 1.5, 60, 3, 2, 4_000
    dispersion = 1 + rate * v
    sides = []
    for _ in range(2):
        level = rate * rng.gamma(1 / v, v, (repeats, n, 1))
        visits = rng.poisson(level, (repeats, n, before + after))
        change = visits[:, :, before:].mean(axis=2) - visits[:, :, :before].mean(axis=2)
        sides.append(change.mean(axis=1))
    plan = {
        "rate": rate,
        "n_exposed": n,
        "n_comparison": n,
        "months_before": before,
        "months_after": after,
        "dispersion": dispersion,
        "correlation": rate * v / dispersion,
    }
    own = power_from_rates(pd.DataFrame([plan])).to_frame()["std_error"].iloc[0]
    # The standard deviation of 4,000 draws has a relative error of 1 / sqrt(8000): four of them.
    assert np.std(sides[0] - sides[1]) == pytest.approx(own, rel=4 / np.sqrt(8_000))


def test_members_needed_have_the_power() -> None:
    plan = pd.DataFrame([PLAN])
    row = power_from_rates(plan, effect=0.3, take_up=0.01).to_frame().iloc[0]
    grown = row["members_needed"] / 4_000
    enough = plan.assign(n_exposed=4_000 * grown, n_comparison=6_000 * grown)
    too_few = enough.assign(
        n_exposed=enough["n_exposed"] - 20, n_comparison=enough["n_comparison"] - 30
    )
    reached = [
        power_from_rates(p, effect=0.3, take_up=0.01).to_frame()["power"].iloc[0]
        for p in (enough, too_few)
    ]
    assert reached[1] < 0.8 <= reached[0] + 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": -0.1}, "`rate` is missing or not possible in 1 of 1 rows"),
        ({"rate": np.nan}, "`rate`"),
        ({"n_exposed": 0}, "above 0"),
        ({"correlation": 1.0}, "0 or more and below 1"),
        ({"months_after": np.inf}, "`months_after`"),
        ({"n_exposed_clusters": 3}, "lacks `n_comparison_clusters`, `change_sd`"),
        (
            {"n_exposed_clusters": 1, "n_comparison_clusters": 1, "change_sd": 0.1},
            "at least three clusters",
        ),
    ],
)
def test_refuses_values_that_cannot_be(change: dict, message: str) -> None:
    with pytest.raises(EstimationError, match=message):
        power_from_rates(pd.DataFrame([PLAN | change]))


def test_refuses_frames_without_columns_or_rows() -> None:
    with pytest.raises(EstimationError, match="lacks `months_after`"):
        power_from_rates(pd.DataFrame([PLAN]).drop(columns="months_after"))
    with pytest.raises(EstimationError, match="0 rows"):
        power_from_rates(pd.DataFrame([PLAN]).head(0))
