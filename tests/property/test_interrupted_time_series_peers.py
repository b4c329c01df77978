"""Interrupted time series against statsmodels on random series."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import interrupted_time_series

sm = pytest.importorskip("statsmodels.api")


def random_series(seed: int) -> tuple[pd.DataFrame, int]:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(30, 90))
    first = int(rng.integers(12, n - 12))
    t = np.arange(n)
    exposure = rng.integers(200, 2_000, n)
    rate = np.exp(-1.5 + rng.normal(0, 0.01) * t + 0.3 * rng.normal() * (t >= first))
    rate *= np.exp(0.15 * np.sin(2 * np.pi * t / 12) + 0.1 * rng.normal(size=n))
    frame = pd.DataFrame(
        {
            "month": pd.period_range("2018-01", periods=n, freq="M"),
            "events": rng.poisson(exposure * rate),
            "exposure": exposure,
        }
    )
    return frame, first


def columns(n: int, first: int, *, seasons: bool) -> np.ndarray:
    t = np.arange(n)
    after = t >= first
    parts = [np.ones(n), t - first, after, np.where(after, t - first, 0)]
    if seasons:
        parts += [t % 12 == month for month in range(1, 12)]
    return np.column_stack(parts).astype(float)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weights", ["equal", "member_months"])
@pytest.mark.parametrize("seasons", [False, True])
def test_least_squares(seed: int, weights: str, *, seasons: bool) -> None:
    frame, first = random_series(seed)
    lag = seed % 5
    x = columns(len(frame), first, seasons=seasons)
    rate = frame["events"] / frame["exposure"]
    w = frame["exposure"] if weights == "member_months" else np.ones(len(frame))
    model = sm.WLS(rate.to_numpy(), x, weights=np.asarray(w, dtype=float))
    options = {
        "outcome": "events",
        "member_months": "exposure",
        "break_month": frame["month"].iloc[first],
        "weights": weights,
        "seasonality": "months" if seasons else "none",
    }
    robust = model.fit(cov_type="HAC", cov_kwds={"maxlags": lag, "use_correction": True})
    ours = interrupted_time_series(frame, **options, lag=lag).coefficients
    np.testing.assert_allclose(ours["estimate"], robust.params, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours["std_error"], robust.bse, rtol=1e-6)
    plain = model.fit()
    ours = interrupted_time_series(
        frame, **options, errors="independent", std_error="model"
    ).coefficients
    np.testing.assert_allclose(ours["std_error"], plain.bse, rtol=1e-6)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("seasons", [False, True])
def test_quasi_poisson(seed: int, *, seasons: bool) -> None:
    frame, first = random_series(seed)
    lag = 1 + seed % 4
    model = sm.GLM(
        frame["events"].to_numpy(),
        columns(len(frame), first, seasons=seasons),
        family=sm.families.Poisson(),
        offset=np.log(frame["exposure"].to_numpy()),
    )
    options = {
        "outcome": "events",
        "member_months": "exposure",
        "break_month": frame["month"].iloc[first],
        "model": "quasi_poisson",
        "seasonality": "months" if seasons else "none",
    }
    scaled = model.fit(scale="X2", tol=1e-12)
    ours = interrupted_time_series(frame, **options, std_error="model").coefficients
    np.testing.assert_allclose(ours["estimate"], scaled.params, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(ours["std_error"], scaled.bse, rtol=1e-6)
    robust = model.fit(cov_type="HAC", cov_kwds={"maxlags": lag, "use_correction": True}, tol=1e-12)
    ours = interrupted_time_series(frame, **options, lag=lag).coefficients
    np.testing.assert_allclose(ours["std_error"], robust.bse, rtol=1e-6)
