"""Scales, factors and agreement against R.

Values come from ``../shared/reference/integration/reference_values.csv`` (R 4.2.2: psych,
lavaan, multilevel), beside the data they were computed on.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calaim_eval.integration.partner_survey.factor_fit import fit_factors
from calaim_eval.integration.partner_survey.group_agreement import intraclass_correlation, r_wg
from calaim_eval.integration.partner_survey.scale_statistics import (
    correlation,
    cronbach_alpha,
    feldt_interval,
    guttman_lambda_6,
    item_rest_correlations,
    mean_correlation,
    pairwise_covariance,
)

pytestmark = pytest.mark.shared

# Reverse-keyed items as psychTools documents them: 7 minus the answer.
REVERSED = {"A": ["A1"], "C": ["C4", "C5"], "E": ["E1", "E2"]}


@pytest.fixture(scope="module")
def folder(shared) -> Path:
    return shared / "reference" / "integration"


@pytest.fixture(scope="module")
def rows(folder) -> pd.DataFrame:
    return pd.read_csv(folder / "reference_values.csv").set_index(["dataset", "measure"])


@pytest.fixture(scope="module")
def bfi(folder) -> dict[str, np.ndarray]:
    frame = pd.read_csv(folder / "data" / "psych_bfi" / "bfi.csv")
    scales = {}
    for scale, reverse in REVERSED.items():
        items = frame[[f"{scale}{i}" for i in range(1, 6)]].astype(float)
        items[reverse] = 7 - items[reverse]
        scales[scale] = items.to_numpy()
    return scales


def _listwise(items: np.ndarray) -> np.ndarray:
    return items[np.isfinite(items).all(axis=1)]


@pytest.mark.parametrize("scale", ["A", "C", "E"])
def test_alpha_lambda_and_correlations_equal_psych(rows, bfi, scale):
    pairwise = pairwise_covariance(bfi[scale])
    complete = _listwise(bfi[scale])
    listwise = np.cov(complete.T)
    alpha = cronbach_alpha(listwise)
    low, high = feldt_interval(alpha, n_respondents=len(complete), n_items=5)
    found = {
        f"alpha_raw[{scale}] pairwise-complete": cronbach_alpha(pairwise),
        f"alpha_std[{scale}]": cronbach_alpha(correlation(pairwise)),
        f"avg_r[{scale}]": mean_correlation(pairwise),
        f"guttman_lambda6[{scale}]": guttman_lambda_6(pairwise),
        f"alpha_raw[{scale}] listwise n={len(complete)}": alpha,
        f"alpha_feldt_lower95[{scale}] listwise": low,
        f"alpha_feldt_upper95[{scale}] listwise": high,
    }
    for measure, value in found.items():
        row = rows.loc[("psych_bfi", measure)]
        assert value == pytest.approx(float(row["value"]), abs=float(row["tol"])), measure


@pytest.mark.parametrize("scale", ["A", "C", "E"])
def test_item_rest_correlations_equal_psych(rows, bfi, scale):
    names = "/".join(f"{scale}{i}" for i in range(1, 6))
    row = rows.loc[("psych_bfi", f"item_rest_r[{scale}] {names}")]
    expected = [float(value) for value in str(row["value"]).split(";")]
    found = item_rest_correlations(np.cov(_listwise(bfi[scale]).T))
    np.testing.assert_allclose(found, expected, rtol=0, atol=float(row["tol"]))


@pytest.mark.parametrize("scale", ["A", "C", "E"])
def test_omega_equals_lavaan(rows, bfi, scale):
    items = _listwise(bfi[scale])
    fit = fit_factors(np.cov(items.T, bias=True), n_respondents=len(items))
    row = rows.loc[("psych_bfi", f"omega_total_1factor_cfa_ML[{scale}] listwise")]
    assert fit.omega == pytest.approx(float(row["value"]), abs=float(row["tol"]))


def test_three_factors_of_holzinger_and_swineford_equal_lavaan(folder, rows):
    frame = pd.read_csv(folder / "data" / "holzinger1939" / "hs1939.csv")
    items = frame[[f"x{i}" for i in range(1, 10)]].to_numpy()
    fit = fit_factors(
        np.cov(items.T, bias=True), n_respondents=len(items), factor_of=[0, 0, 0, 1, 1, 1, 2, 2, 2]
    )
    found = {
        "cfa3_chisq": fit.chi_square,
        "cfa3_df": fit.degrees,
        "cfa3_cfi": fit.cfi,
        "cfa3_tli": fit.tli,
        "cfa3_rmsea": fit.rmsea,
        "cfa3_srmr": fit.srmr,
    }
    for measure, value in found.items():
        row = rows.loc[("holzinger1939", measure)]
        assert value == pytest.approx(float(row["value"]), abs=float(row["tol"])), measure


@pytest.mark.parametrize("scale", ["HRS", "LEAD"])
def test_intraclass_correlations_equal_multilevel(folder, rows, scale):
    frame = pd.read_csv(folder / "data" / "multilevel_bh1996" / "bh1996.csv")
    found = intraclass_correlation(frame[scale].to_numpy(), frame["GRP"].to_numpy())
    for measure, value in (("ICC1", found.icc_1), ("ICC2", found.icc_2)):
        row = rows.loc[("multilevel_bh1996", f"{measure}_anova[{scale}]")]
        assert value == pytest.approx(float(row["value"]), abs=float(row["tol"]))


def test_agreement_inside_companies_equals_multilevel(folder, rows):
    frame = pd.read_csv(folder / "data" / "multilevel_lq2002" / "lq2002.csv")
    items = frame[[f"LEAD{i:02d}" for i in range(1, 12)]].to_numpy(dtype=float)
    found = r_wg(items, frame["COMPID"].to_numpy(), null_variance=2.0)
    row = rows.loc[("multilevel_lq2002", "mean_rwg_j leadership LEAD01-11 (ranvar=2)")]
    assert found.mean() == pytest.approx(float(row["value"]), abs=float(row["tol"]))
