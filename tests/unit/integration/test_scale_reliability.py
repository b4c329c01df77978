from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.errors import EstimationError
from calaim_eval.integration.partner_survey.factor_fit import fit_factors
from calaim_eval.integration.partner_survey.scale_reliability import (
    scale_factors,
    scale_reliability,
)
from calaim_eval.integration.partner_survey.scale_statistics import (
    cronbach_alpha,
    feldt_interval,
    guttman_lambda_6,
    item_rest_correlations,
    pairwise_covariance,
)
from calaim_eval.integration.partner_survey.survey_answers import score_survey
from calaim_eval.results import ALL

from .survey_frames import codebook, survey


def _row(table, statistic: str, item: str = ALL) -> int:
    keys = table.keys
    return int(np.flatnonzero((keys["statistic"] == statistic) & (keys["item"] == item))[0])


def test_known_reliability_is_recovered():
    """Four parallel items, true variance 1, error variance 0.49: alpha 1 / (1 + 0.49 / 4)."""
    answers = survey(np.random.default_rng(1), n_organizations=1500, per_organization=2)
    table = scale_reliability(score_survey(answers, codebook()))
    truth = 1 / (1 + 0.49 / 4)
    for statistic in ("alpha", "standardized_alpha", "omega"):
        row = _row(table, statistic)
        assert abs(table.estimate[row] - truth) < 4 * table.std_error[row], statistic
        assert table.std_error[row] < 0.01
    assert table.estimate[_row(table, "mean_correlation")] == pytest.approx(1 / 1.49, abs=0.02)
    assert (table.support["n_members"] == 3000).all()


def test_intervals_cover_and_colleagues_make_them_wider_than_feldt():
    rng = np.random.default_rng(2)
    truth = 1 / (1 + 0.49 / 4)
    covered, n_runs = 0, 60
    ratio = []
    for _ in range(n_runs):
        answers = survey(rng, n_organizations=25, per_organization=12, between=0.9, within=0.1)
        scored = score_survey(answers, codebook())
        table = scale_reliability(scored)
        row = _row(table, "alpha")
        half = 2.06 * table.std_error[row]  # t with 24 degrees
        covered += abs(table.estimate[row] - truth) < half
        feldt = np.diff(
            [table.estimate[_row(table, f"alpha_feldt_{end}")] for end in ("low", "high")]
        )
        ratio.append(float(2 * half / feldt[0]))
    # 95 % of 60 runs, and five standard errors of a binomial below it.
    assert covered >= 60 * 0.95 - 5 * np.sqrt(60 * 0.95 * 0.05)
    assert np.median(ratio) > 1.5


def test_standard_errors_equal_the_jackknife_over_organizations():
    answers = survey(np.random.default_rng(5), n_organizations=120, per_organization=2)
    scored = score_survey(answers, codebook())
    table = scale_reliability(scored)
    groups = scored.answers["organization_id"]
    items = scored.items("use")
    without = np.array(
        [cronbach_alpha(np.cov(items[groups != g].to_numpy().T)) for g in groups.unique()]
    )
    jackknife = np.sqrt((len(without) - 1) / len(without) * ((without - without.mean()) ** 2).sum())
    assert table.std_error[_row(table, "alpha")] == pytest.approx(jackknife, rel=0.05)


def test_pairwise_uses_everyone_and_has_no_errors():
    answers = survey(np.random.default_rng(4), n_organizations=50, per_organization=2)
    dropped = answers.drop(index=[0, 9, 40])
    scored = score_survey(dropped, codebook())
    table = scale_reliability(scored, missing="pairwise")
    items = scored.items("use")
    assert table.estimate[_row(table, "alpha")] == pytest.approx(
        cronbach_alpha(items.cov().to_numpy()), abs=1e-12
    )
    assert np.isnan(table.std_error).all()
    assert "omega" not in set(table.keys["statistic"])
    assert (table.support["n_members"] == 100).all()
    assert (scale_reliability(scored).support["n_members"] == 97).all()


def test_two_items_have_alpha_and_no_omega():
    answers = survey(np.random.default_rng(6), n_organizations=50, per_organization=2, n_items=2)
    table = scale_reliability(score_survey(answers, codebook(2)))
    assert "omega" not in set(table.keys["statistic"])
    assert np.isfinite(table.std_error[_row(table, "alpha")])


def test_one_organization_leaves_no_standard_error():
    answers = survey(np.random.default_rng(7), n_organizations=1, per_organization=40)
    table = scale_reliability(score_survey(answers, codebook()))
    assert np.isnan(table.std_error).all()


def test_one_bad_scale_does_not_cost_the_others():
    rng = np.random.default_rng(12)
    answers = survey(rng, n_organizations=20, per_organization=2, n_items=6)
    answers.loc[answers["item"] == "q5", "response"] = 3.0
    book = codebook(6).assign(scale=["use"] * 4 + ["flat"] * 2)
    scored = score_survey(answers, book)
    table = scale_reliability(scored)
    alone = scale_reliability(scored, scales=["use"])
    assert set(table.keys["scale"]) == {"use"}
    np.testing.assert_array_equal(table.estimate, alone.estimate)
    assert any("`flat` has no reliability" in note for note in table.notes)
    assert not any("no reliability" in note for note in alone.notes)
    with pytest.raises(EstimationError, match="scale `flat`"):
        scale_reliability(scored, scales=["use", "flat"])


def test_a_constant_item_is_refused():
    answers = survey(np.random.default_rng(8), n_organizations=20, per_organization=2)
    answers.loc[answers["item"] == "q1", "response"] = 3.0
    with pytest.raises(EstimationError, match="everybody answered alike"):
        scale_reliability(score_survey(answers, codebook()))
    one_item = score_survey(answers[answers["item"] == "q0"], codebook())
    with pytest.raises(EstimationError, match="has 1 answered item"):
        scale_reliability(one_item, scales=["use"])
    with pytest.raises(EstimationError, match="no scale has two answered items"):
        scale_reliability(one_item)
    with pytest.raises(EstimationError, match="`missing`"):
        scale_reliability(score_survey(answers, codebook()), missing="drop")


def test_factors_tell_two_scales_apart():
    rng = np.random.default_rng(9)
    n, rho = 2500, 0.4
    factors = rng.multivariate_normal([0, 0], [[1, rho], [rho, 1]], n)
    loading = np.array([0.8, 0.7, 0.6, 0.9, 0.5, 0.7])
    of = np.array([0, 0, 0, 1, 1, 1])
    items = factors[:, of] * loading + rng.normal(0, 0.6, (n, 6))
    long = pd.DataFrame(
        {
            "respondent_id": np.repeat([f"s{i}" for i in range(n)], 6),
            "organization_id": "o",
            "item": np.tile([f"q{i}" for i in range(6)], n),
            "response": items.ravel(),
        }
    )
    book = codebook(6).assign(scale=["one"] * 3 + ["two"] * 3)
    fit = scale_factors(score_survey(long, book))
    np.testing.assert_allclose(fit.loadings, loading, atol=0.05)
    np.testing.assert_allclose(fit.uniqueness, 0.36, atol=0.05)
    assert fit.factor_correlation[0, 1] == pytest.approx(rho, abs=0.06)
    assert fit.degrees == 8
    assert fit.p_value > 0.001
    assert np.isnan(fit.omega)
    with pytest.raises(EstimationError, match="5 respondents answered all 6 items"):
        scale_factors(score_survey(long[:30], book))


def test_reversing_an_item_turns_its_loading_only():
    rng = np.random.default_rng(10)
    x = rng.normal(size=(400, 1)) + rng.normal(0, 0.8, (400, 4))
    plain = fit_factors(np.cov(x.T, bias=True), n_respondents=400)
    turned = fit_factors(np.cov((x * [1, 1, -1, 1]).T, bias=True), n_respondents=400)
    np.testing.assert_allclose(turned.loadings, plain.loadings * [1, 1, -1, 1], atol=1e-5)
    assert turned.chi_square == pytest.approx(plain.chi_square, abs=1e-5)
    assert fit_factors(9 * np.cov(x.T), n_respondents=400).omega == pytest.approx(
        plain.omega, abs=1e-6
    )


def test_models_that_are_not_identified_are_refused():
    with pytest.raises(EstimationError, match="a factor has 2 items"):
        fit_factors(np.eye(2), n_respondents=50)
    with pytest.raises(EstimationError, match="linearly dependent"):
        fit_factors(np.ones((3, 3)), n_respondents=50)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(2, 6), scale=st.floats(0.01, 100))
def test_alpha_by_its_other_definition_and_free_of_units(seed, k, scale):
    """Alpha is the share of the sum's variance that is between items' covariances."""
    items = np.random.default_rng(seed).normal(size=(15, k)) + np.arange(15)[:, None] / 5
    s = np.cov(items.T)
    total = items.sum(axis=1)
    expected = k / (k - 1) * (1 - items.var(axis=0, ddof=1).sum() / total.var(ddof=1))
    assert cronbach_alpha(s) == pytest.approx(expected, abs=1e-9)
    assert cronbach_alpha(s * scale) == pytest.approx(expected, abs=1e-9)
    rest = [np.corrcoef(items[:, j], total - items[:, j])[0, 1] for j in range(k)]
    np.testing.assert_allclose(item_rest_correlations(s), rest, atol=1e-9)
    np.testing.assert_allclose(pairwise_covariance(items), s, atol=1e-9)


def test_lambda_6_by_regression():
    items = np.random.default_rng(0).normal(size=(60, 4)) + np.linspace(-1, 1, 60)[:, None]
    z = (items - items.mean(0)) / items.std(0, ddof=1)
    error = []
    for j in range(4):
        others = np.delete(z, j, axis=1)
        slope = np.linalg.lstsq(others, z[:, j], rcond=None)[0]
        error.append(((z[:, j] - others @ slope) ** 2).sum() / 59)
    expected = 1 - sum(error) / np.corrcoef(items.T).sum()
    assert guttman_lambda_6(np.cov(items.T)) == pytest.approx(expected, abs=1e-9)


def test_feldt_covers_independent_respondents():
    rng = np.random.default_rng(12)
    truth = 1 / (1 + 0.49 / 4)
    covered = 0
    for _ in range(400):
        items = rng.normal(size=(40, 1)) + rng.normal(0, 0.7, (40, 4))
        low, high = feldt_interval(cronbach_alpha(np.cov(items.T)), n_respondents=40, n_items=4)
        covered += low < truth < high
    assert abs(covered / 400 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 400)
    with pytest.raises(EstimationError, match="1 respondents"):
        feldt_interval(0.5, n_respondents=1, n_items=3)


def test_as_few_respondents_as_items_leave_lambda_6_undefined():
    answers = survey(np.random.default_rng(1), n_organizations=2, per_organization=2)
    scored = score_survey(answers, codebook())
    table = scale_reliability(scored)
    row = _row(table, "lambda_6")
    assert np.isnan(table.estimate[row])
    assert np.isnan(table.std_error[row])
    covariance = np.cov(scored.items("use").to_numpy().T)
    assert table.estimate[_row(table, "alpha")] == pytest.approx(cronbach_alpha(covariance))


def test_a_constant_item_has_no_factor():
    with pytest.raises(EstimationError, match="constant"):
        fit_factors(np.diag([1.0, 0.0, 1.0, 2.0]), n_respondents=50)
