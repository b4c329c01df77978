"""AR(1) errors: whitening and restricted likelihood against dense matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import interrupted_time_series
from calaim_eval.estimate.series.autocorrelated_errors import reml_correlation, whitened


def correlation(months: np.ndarray, rho: float) -> np.ndarray:
    return rho ** np.abs(months[:, None] - months[None, :])


def ar1(rng: np.random.Generator, n: int, rho: float) -> np.ndarray:
    e = rng.normal(size=n)
    for t in range(1, n):
        e[t] = rho * e[t - 1] + np.sqrt(1 - rho**2) * e[t]
    return e


@pytest.mark.parametrize("rho", [-0.6, 0.0, 0.3, 0.9])
def test_whitening_is_the_inverse_root_of_the_correlation(rho: float) -> None:
    months = np.array([0, 1, 2, 5, 6, 9])
    values = np.random.default_rng(1).normal(size=(6, 3))
    white = whitened(values, np.diff(months), rho)
    expected = values.T @ np.linalg.solve(correlation(months, rho), values)
    np.testing.assert_allclose(white.T @ white, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_correlation_is_at_the_top_of_the_restricted_likelihood(seed: int) -> None:
    rng = np.random.default_rng(seed)
    months = np.sort(rng.choice(40, 30, replace=False))
    x = np.column_stack([np.ones(30), months, months >= 20]).astype(float)
    y = x @ [1, 0.1, 2] + ar1(rng, 40, 0.5)[months]

    def likelihood(rho: float) -> float:
        v = correlation(months, rho)
        inverse = np.linalg.inv(v)
        information = x.T @ inverse @ x
        residual = y - x @ np.linalg.solve(information, x.T @ inverse @ y)
        s2 = residual @ inverse @ residual / 27
        return float(-27 * np.log(s2) - np.linalg.slogdet(v)[1] - np.linalg.slogdet(information)[1])

    grid = np.linspace(-0.98, 0.98, 1_961)
    best = grid[np.argmax([likelihood(rho) for rho in grid])]
    assert reml_correlation(y, x, np.diff(months)) == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("gap", [False, True])
def test_effects_are_generalized_least_squares(*, gap: bool) -> None:
    rng = np.random.default_rng(7)
    months = np.arange(48)
    frame = pd.DataFrame({"month": months, "rate": 3 + 0.1 * months + ar1(rng, 48, 0.6)})
    frame["people"] = rng.integers(500, 1_500, 48)
    frame["events"] = frame["rate"] * frame["people"]
    if gap:
        frame = frame.drop(index=[10, 11, 30])
    t = frame["month"].to_numpy()
    x = np.column_stack([np.ones(len(t)), t - 24, t >= 24, np.where(t >= 24, t - 24, 0)])
    table = interrupted_time_series(
        frame,
        outcome="events",
        member_months="people",
        weights="member_months",
        break_month=24,
        errors="ar1",
        std_error="model",
    )
    rho = table.diagnostics["rho"].item()
    root = np.sqrt(frame["people"].mean() / frame["people"].to_numpy())
    sigma = root[:, None] * correlation(t, rho) * root
    fit = sm.GLS(frame["rate"].to_numpy(), x.astype(float), sigma=sigma).fit()
    np.testing.assert_allclose(table.coefficients["estimate"], fit.params, rtol=1e-8)
    np.testing.assert_allclose(table.coefficients["std_error"], fit.bse, rtol=1e-7)
    assert 0.2 < rho < 0.95
    # After whitening little is left: closer to 2 than the residuals of least squares.
    plain = interrupted_time_series(
        frame, outcome="events", member_months="people", break_month=24, errors="independent"
    )
    found, before = (each.diagnostics["durbin_watson"].item() for each in (table, plain))
    assert abs(found - 2) < abs(before - 2)
    assert np.isnan(plain.diagnostics["rho"].item())


def test_autocorrelated_counts_are_refused() -> None:
    frame = pd.DataFrame({"month": range(20), "events": range(20), "people": 100})
    with pytest.raises(EstimationError, match="errors='ar1' goes with model='ols'"):
        interrupted_time_series(
            frame,
            outcome="events",
            member_months="people",
            break_month=10,
            model="quasi_poisson",
            errors="ar1",
        )
