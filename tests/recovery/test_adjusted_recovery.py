"""Adjusted effects recover the truth when one of their two models is right; intervals cover."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import adjusted_group_time_att, aggregate, regression

pytestmark = pytest.mark.slow

EFFECT = 1.0
N_MEMBERS, SIMULATIONS = 400, 300


def one_panel(rng: np.random.Generator, *, trend: str, exposure: str) -> pd.DataFrame:
    """Three months, exposed from month 2; trend and log odds linear or bent in the risk score."""
    risk = rng.normal(size=N_MEMBERS)
    bent = risk + 0.7 * (risk**2 - 1)
    odds = 0.5 * (risk if exposure == "linear" else bent) - 0.3
    exposed = rng.random(N_MEMBERS) < 1 / (1 + np.exp(-odds))
    slope = risk if trend == "linear" else bent
    months = np.arange(3)
    mean = rng.normal(size=N_MEMBERS)[:, None] + slope[:, None] * months
    mean = mean + EFFECT * (exposed[:, None] & (months >= 2))
    return pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(N_MEMBERS), 3),
            "month": np.tile(months, N_MEMBERS),
            "risk": np.repeat(risk, 3),
            "cohort": np.repeat(np.where(exposed, 2.0, np.nan), 3),
            "score": (mean + rng.normal(size=mean.shape)).ravel(),
        }
    )


@pytest.mark.parametrize(
    ("trend", "exposure", "right", "wrong"),
    [
        ("linear", "linear", ["doubly_robust", "regression", "weighting"], []),
        ("linear", "bent", ["doubly_robust", "regression"], ["weighting"]),
        ("bent", "linear", ["doubly_robust", "weighting"], ["regression"]),
    ],
)
def test_one_right_model_is_enough(
    trend: str, exposure: str, right: list[str], wrong: list[str]
) -> None:
    rng = np.random.default_rng(20250101)
    found: dict[str, list[tuple[float, float]]] = {method: [] for method in (*right, *wrong)}
    for _ in range(SIMULATIONS):
        frame = one_panel(rng, trend=trend, exposure=exposure)
        for method, estimates in found.items():
            table = aggregate(
                adjusted_group_time_att(frame, outcome="score", covariates=["risk"], method=method)
            )
            estimates.append((table.estimate[0], table.std_error[0]))
    for method, estimates in found.items():
        estimate, std_error = np.array(estimates).T
        bias = estimate.mean() - EFFECT
        noise = estimate.std() / np.sqrt(SIMULATIONS)
        if method in wrong:
            assert abs(bias) > 5 * noise, (method, bias, noise)
            continue
        assert abs(bias) < 3.5 * noise, (method, bias, noise)
        covered = float((np.abs(estimate - EFFECT) < 1.96 * std_error).mean())
        # Three standard errors of a share of 0.95 over the simulations.
        assert covered == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / SIMULATIONS)), method


def test_poisson_intervals_cover_with_members_that_differ() -> None:
    # Only the mean is Poisson's: members differ, and their months go together.
    rng = np.random.default_rng(7)
    hits = []
    for _ in range(SIMULATIONS):
        members, n_months = 300, 4
        level = np.repeat(rng.gamma(1.0, 1.0, members), n_months)
        risk = np.repeat(rng.normal(size=members), n_months)
        served = np.repeat(rng.random(members) < 0.5, n_months).astype(int)
        covered = rng.choice([0.5, 1.0], members * n_months)
        frame = pd.DataFrame(
            {
                "member_id": np.repeat(np.arange(members), n_months),
                "month": np.tile(np.arange(n_months), members),
                "risk": risk,
                "served": served,
                "covered": covered,
                "visits": rng.poisson(level * covered * np.exp(-0.3 * served + 0.4 * risk)),
            }
        )
        row = regression(
            frame,
            outcome="visits",
            exposure="served",
            covariates=["risk"],
            model="poisson",
            at_risk="covered",
        ).to_frame()
        hits.append(row["conf_low"].iloc[0] < np.exp(-0.3) < row["conf_high"].iloc[0])
    assert np.mean(hits) == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / SIMULATIONS))
