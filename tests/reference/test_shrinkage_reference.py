"""Shrunken estimates and adjusted p-values published by others: sae, spdep, R's p.adjust.

R's `sae` stops scoring when the variance changes by less than 1e-4 relative, so its REML variance
is short of the maximum: the rows are matched to all digits at *its* variance, which the scoring
written out here gives back, and the maximum itself to that 1e-4.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import adjust_p_values, marshall_rates, shrink_estimates
from calaim_eval.equity.shrinkage_fit import between_variance, column_basis, shrink_given
from calaim_eval.results import EffectTable, Estimand, Method

pytestmark = pytest.mark.shared
SAE_STOPS = 1e-4


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "reference" / "equity"


@pytest.fixture(scope="module")
def reference(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "reference_values.csv")


@pytest.fixture(scope="module")
def milk(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "data" / "sae_milk.csv")


def areas(milk: pd.DataFrame) -> np.ndarray:
    return pd.get_dummies(milk["MajorArea"].astype(str), dtype=float).to_numpy()


def scored_variance(y: np.ndarray, v: np.ndarray, x: np.ndarray) -> float:
    """REML by Fisher scoring from the median variance, stopped as `sae` does."""
    variance, change = float(np.median(v)), 1.0
    while change >= SAE_STOPS:
        w = np.diag(1 / (v + variance))
        p = w - w @ x @ np.linalg.inv(x.T @ w @ x) @ x.T @ w
        score = (y @ p @ p @ y - np.trace(p)) / 2
        step = score / (np.trace(p @ p) / 2)
        change, variance = abs(step / variance), variance + step
    return variance


def test_fay_herriot_variances(reference, milk):
    rows = reference[reference["measure"].str.startswith("FH refvar")].set_index("measure")
    y, v, x = milk["yi"].to_numpy(), milk["SD"].to_numpy() ** 2, areas(milk)
    reml, moment = rows["value"].loc[["FH refvar (REML)", "FH refvar (FH moment)"]]
    assert scored_variance(y, v, x) == pytest.approx(reml, rel=1e-12)
    for method, value in (("reml", reml), ("paule_mandel", moment)):
        found = between_variance(y, np.diag(v), column_basis(x), method=method)
        assert found == pytest.approx(value, rel=SAE_STOPS)


def test_fay_herriot_estimates_and_errors(reference, milk):
    rows = reference[reference["measure"].str.startswith("FH EBLUP")]
    assert len(rows) == 3
    y, v, x = milk["yi"].to_numpy(), milk["SD"].to_numpy() ** 2, areas(milk)
    at_sae = shrink_given(
        y, np.diag(v), column_basis(x), variance=scored_variance(y, v, x), rule="eblup"
    )
    table = EffectTable(
        keys=milk[["SmallArea"]],
        estimate=y,
        covariance=np.diag(v),
        support=pd.DataFrame({"n_members": milk["ni"], "n_events": 0, "member_months": np.nan}),
        estimand=Estimand("milk", "mean", "USD", is_causal=False),
        method=Method("survey"),
    )
    dummies = pd.get_dummies(milk["MajorArea"].astype(str), dtype=float)
    own = shrink_estimates(table, stratum="SmallArea", covariates=dummies, rule="eblup").shrunken
    for row in rows.itertuples():
        i = int(row.options.split(";")[0].removeprefix("area ")) - 1
        assert at_sae.estimate[i] == pytest.approx(row.value, rel=1e-12)
        assert np.sqrt(at_sae.covariance[i, i]) == pytest.approx(row.se, rel=1e-12)
        assert own.estimate[i] == pytest.approx(row.value, rel=SAE_STOPS)
        assert own.std_error[i] == pytest.approx(row.se, rel=SAE_STOPS)


def test_marshall_rates_of_auckland(reference, folder):
    rows = reference[reference["dataset"].str.contains("auckland")]
    data = pd.read_csv(folder / "data" / "auckland_infant.csv")
    deaths, months = data["Deaths.1977.85"].to_numpy(), 9 * data["Under.5.1981"].to_numpy()
    fit = marshall_rates(deaths, months)
    matched = 0
    for row in rows.itertuples():
        values = {"EB estimate": fit.estimate, "raw rate": deaths / months}
        if row.measure == "EB a (prior var)":
            assert fit.between == pytest.approx(row.value, rel=1e-12)
        else:
            i = int(row.options.split(";")[0].removeprefix("area ")) - 1
            assert values[row.measure][i] == pytest.approx(row.value, rel=1e-12)
        matched += 1
    assert matched == 5


def test_adjusted_p_values_of_benjamini_and_hochberg(reference):
    rows = reference[reference["dataset"].str.startswith("Benjamini&Hochberg")]
    methods = {"holm": "holm", "BH": "benjamini_hochberg", "bonferroni": "bonferroni"}
    p = np.array([float(x) for x in rows["data_file"].iloc[0].removeprefix("inline ").split(",")])
    assert len(p) == 15
    assert len(rows) == 6
    for row in rows.itertuples():
        adjusted = adjust_p_values(p, method=methods[row.measure.split()[-1]])
        found = adjusted[3] if row.options == "4th p" else (adjusted <= 0.05).sum()
        assert found == pytest.approx(row.value, rel=1e-12)
