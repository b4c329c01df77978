"""Real utilization counts through the rates: the RAND Health Insurance Experiment."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from calaim_eval.equity import byar_interval, rate_by_group

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def rand_hie(shared) -> pd.DataFrame:
    """Person-years with medical visits (`mdu`) by health as rated by the person."""
    frame = pd.read_csv(shared / "reference" / "counts" / "DoctorContacts.csv")
    assert (
        len(frame) == 20_186
    )  # person-years, Deb and Trivedi (2002), doi:10.1016/S0167-6296(02)00008-5
    return frame.assign(member_id=[f"m{i}" for i in range(len(frame))])


def test_rates_are_those_of_a_poisson_model_with_group_effects(rand_hie):
    rates = rate_by_group(rand_hie, outcome="mdu", by="health", per=1)
    groups = pd.get_dummies(rand_hie["health"]).astype(float)
    fit = sm.GLM(rand_hie["mdu"], groups, family=sm.families.Poisson()).fit(cov_type="HC0")
    expected = np.exp(fit.params).reindex(rates.keys["health"])
    np.testing.assert_allclose(rates.rate, expected, rtol=1e-9)


def test_intervals_carry_the_robust_variance_not_the_poisson_one(rand_hie):
    rates = rate_by_group(rand_hie, outcome="mdu", by="health", per=1)
    groups = pd.get_dummies(rand_hie["health"]).astype(float)
    fit = sm.GLM(rand_hie["mdu"], groups, family=sm.families.Poisson()).fit(cov_type="HC0")
    order = list(rates.keys["health"])
    n = rates.denominator
    error = fit.bse.reindex(order).to_numpy() * np.exp(fit.params.reindex(order).to_numpy())
    error *= np.sqrt(n / (n - 1))
    low, high = byar_interval(rates.numerator)
    scale = error * n / np.sqrt(rates.numerator)  # Dobson's: shape of Byar, width of the variance
    np.testing.assert_allclose(
        rates.conf_low, (rates.numerator + scale * (low - rates.numerator)) / n, rtol=1e-6
    )
    np.testing.assert_allclose(
        rates.conf_high, (rates.numerator + scale * (high - rates.numerator)) / n, rtol=1e-6
    )
    # Visits are overdispersed: the honest interval is at least twice the Poisson one.
    naive = rate_by_group(rand_hie, outcome="mdu", by="health", per=1, interval="byar")
    width = (rates.conf_high - rates.conf_low) / (naive.conf_high - naive.conf_low)
    assert (width > 2).all()
