from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from calaim_eval.design.match_metric import metric_matrix, risk_rows
from calaim_eval.errors import DesignError


def months(seed: int, n_months: int = 4, n: int = 60):
    """Values and exposure of members at risk in some months, whole numbers with repeats."""
    rng = np.random.default_rng(seed)
    drawn = []
    for month in range(n_months):
        x = np.column_stack([rng.poisson(2 + month, n), rng.poisson(1, n) + rng.normal(size=n)])
        drawn.append((x, rng.random(n) < 1 / (1 + np.exp(1 - 0.4 * x[:, 0] + month))))
    return [(x, y) for x, y in drawn if 0 < y.sum() < n]


def test_mahalanobis_distance_is_that_of_the_covariance_within_months():
    drawn = months(1)
    matrix = metric_matrix([risk_rows(*d) for d in drawn], ["a", "b"], distance="mahalanobis")
    residuals = np.vstack([x - x.mean(axis=0) for x, _ in drawn])
    covariance = residuals.T @ residuals / sum(len(x) - 1 for x, _ in drawn)
    gap = np.array([1.5, -0.7])
    expected = np.sqrt(gap @ np.linalg.inv(covariance) @ gap)
    assert np.linalg.norm(gap @ matrix) == pytest.approx(expected)


def test_propensity_distance_is_that_of_a_logit_with_an_intercept_for_each_month():
    drawn = months(2)
    matrix = metric_matrix([risk_rows(*d) for d in drawn], ["a", "b"], distance="propensity")
    X = np.vstack([x for x, _ in drawn])
    month = np.repeat(np.arange(len(drawn)), [len(x) for x, _ in drawn])
    dummies = (month[:, None] == np.arange(len(drawn))).astype(float)
    y = np.concatenate([e for _, e in drawn]).astype(float)
    slopes = sm.Logit(y, np.hstack([X, dummies])).fit(disp=False, tol=1e-12).params[:2]
    centred = X - np.vstack([x.mean(axis=0) for x, _ in drawn])[month]
    spread = np.sqrt(((centred @ slopes) ** 2).sum() / (len(X) - len(drawn)))
    np.testing.assert_allclose(matrix[:, 0], slopes / spread, rtol=1e-6)


def test_collinear_constant_and_separating_variables_are_named():
    drawn = months(3)
    doubled = [risk_rows(np.column_stack([x, x[:, 0] + x[:, 1]]), y) for x, y in drawn]
    with pytest.raises(DesignError, match=r"`a`, `b`, `c` are collinear \(rank 2 of 3\)"):
        metric_matrix(doubled, ["a", "b", "c"], distance="mahalanobis")
    same = [risk_rows(np.column_stack([x, np.full(len(x), 7.1)]), y) for x, y in drawn]
    with pytest.raises(DesignError, match="`c` is the same for every member"):
        metric_matrix(same, ["a", "b", "c"], distance="mahalanobis")
    telling = [risk_rows(np.column_stack([x, y + 0.1 * x[:, 1]]), y) for x, y in drawn]
    with pytest.raises(DesignError, match="completely, most of all `c`"):
        metric_matrix(telling, ["a", "b", "c"], distance="propensity")
