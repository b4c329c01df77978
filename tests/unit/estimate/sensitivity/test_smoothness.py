"""Fixed-length intervals against linear programmes, brute force and known quantiles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from event_study_tables import event_study, random_covariance
from scipy import optimize, stats

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.sensitivity.smoothness import (
    bias_variance_path,
    folded_normal_quantile,
    smoothness_interval,
    smoothness_set,
)
from calaim_eval.estimate.sensitivity.trend_study import TrendStudy, trend_studies


def study_of(seed: int, p: int, weights: list[float]) -> TrendStudy:
    """A random study that asks for a weighted effect."""
    rng = np.random.default_rng(seed)
    table = event_study(
        rng.normal(0, 0.1, p),
        rng.normal(0.2, 0.2, len(weights)),
        random_covariance(rng, p + len(weights)),
    )
    return next(iter(trend_studies(table, dict(enumerate(weights)))))


def bends(p: int, q: int) -> np.ndarray:
    """Second differences of the path with 0 in the base month; shape (p+q-1, p+q)."""
    return np.diff(np.insert(np.eye(p + q), p, 0.0, axis=0), n=2, axis=0)


def worst_bias(study: TrendStudy, loads: np.ndarray, bound: float) -> float:
    """Largest ``loads @ delta`` over all trends that bend by at most `bound`."""
    second = bends(study.n_before, len(study.weights))
    found = optimize.linprog(
        -loads,
        A_ub=np.vstack([second, -second]),
        b_ub=np.full(2 * len(second), bound),
        bounds=[(None, None)] * len(loads),
        method="highs",
    )
    return np.inf if found.status == 3 else float(-found.fun)


CASES = [(1, [1.0]), (2, [1.0, 0.0]), (3, [0.5, 0.5]), (4, [0.0, 1.0, -1.0]), (5, [0.2] * 5)]


@pytest.mark.parametrize(("p", "weights"), CASES)
def test_bias_and_variance_on_the_path_are_those_of_the_estimator(
    p: int, weights: list[float]
) -> None:
    study = study_of(p, p, weights)
    path = bias_variance_path(study)
    for x in path.bends:
        loads = path.start + path.slopes @ x
        assert 0.3 * path.bias(x[None])[0] == pytest.approx(worst_bias(study, loads, 0.3))
        variance = loads @ study.covariance @ loads
        assert path.std_error(x[None])[0] == pytest.approx(np.sqrt(variance))
        assert loads[p:] == pytest.approx(weights)


@pytest.mark.parametrize(("p", "weights"), CASES)
@pytest.mark.parametrize("bound", [0.0, 0.02, 0.1, 3.0])
def test_no_linear_estimator_has_a_shorter_interval(
    p: int, weights: list[float], bound: float
) -> None:
    study = study_of(20 + p, p, weights)
    low, high = smoothness_interval(bias_variance_path(study), study, bound, 0.95)
    # The loads before exposure that leave straight lines alone, by their null space.
    months = np.arange(-p, 0)
    reach = float(np.array(weights) @ np.arange(1, len(weights) + 1))
    some = np.linalg.lstsq(months[None, :].astype(float), [-reach], rcond=None)[0]
    free = np.linalg.svd(months[None, :])[2][1:]
    second = bends(p, len(weights))

    def half_length(z: np.ndarray) -> float:
        loads = np.concatenate([some + free.T @ z, weights])
        # On second differences: the unique coefficients of a load that leaves lines alone.
        on_bends = np.linalg.lstsq(second.T, loads, rcond=None)[0]
        bias = bound * np.abs(on_bends).sum()
        error = np.sqrt(loads @ study.covariance @ loads)
        return float(error * folded_normal_quantile(np.array([bias / error]), 0.95)[0])

    best = half_length(np.zeros(p - 1))
    if p > 1:
        starts = np.random.default_rng(1).normal(0, 2, size=(2, p - 1))
        for start in (np.zeros(p - 1), *starts):
            for _ in range(3):
                found = optimize.minimize(half_length, start, method="Nelder-Mead")
                start = found.x
            best = min(best, float(found.fun))
    assert (high - low) / 2 <= best * (1 + 1e-7)
    assert (high - low) / 2 == pytest.approx(best, rel=2e-4)


@pytest.mark.parametrize("seed", range(6))
def test_every_corner_of_a_long_path_is_a_lasso_solution(seed: int) -> None:
    # Optimality of least variance for a given bias: at some penalty the gradient of half the
    # variance is minus the sign of every load times it, and no larger where a load is 0.
    rng = np.random.default_rng(seed)
    p, q = (24, 6) if seed else (12, 12)
    covariance = random_covariance(rng, p + q) + 0.05 * (seed % 3)
    table = event_study(rng.normal(size=p), rng.normal(size=q), covariance)
    study = next(iter(trend_studies(table, "average")))
    path = bias_variance_path(study)
    penalties = []
    for x in path.bends:
        gradient = path.linear + path.quadratic @ x
        size = np.abs(path.linear).max()
        penalty = np.abs(gradient).max()
        on = x != 0
        assert gradient[on] == pytest.approx(-np.sign(x[on]) * penalty, abs=1e-8 * size)
        penalties.append(penalty)
    assert (np.diff(penalties) <= 1e-9 * size).all()
    assert penalties[0] == pytest.approx(size)
    assert penalties[-1] < 1e-8 * size
    assert not path.bends[0].any()


def test_with_one_month_before_the_line_through_it_is_carried_on() -> None:
    # By hand: effect 5 in month 0, 1 in month -2, line through (-2, 1) and (-1, 0): -1 in month 0.
    table = event_study(np.array([1.0]), np.array([5.0]), np.diag([0.09, 0.16]))
    study = next(iter(trend_studies(table, 0)))
    low, high = smoothness_interval(bias_variance_path(study), study, 0.0, 0.95)
    assert (low, high) == pytest.approx((6 - 1.959964 * 0.5, 6 + 1.959964 * 0.5), abs=1e-6)
    # Bias M on either side of standard error 0.5.
    low, high = smoothness_interval(bias_variance_path(study), study, 2.0, 0.95)
    assert (high - low) / 2 == pytest.approx(0.5 * stats.foldnorm.ppf(0.95, 4.0), abs=1e-9)
    assert smoothness_set(study, 2.0) == pytest.approx((4.0, 8.0))


@pytest.mark.parametrize(("p", "weights"), CASES)
def test_the_set_is_that_of_the_linear_programme(p: int, weights: list[float]) -> None:
    study = study_of(40 + p, p, weights)
    second = bends(p, len(weights))
    loads = np.concatenate([np.zeros(p), weights])
    largest = np.abs(second[: p - 1] @ study.estimate).max(initial=0.0)
    for bound in (largest * 1.01 + 0.01, largest + 0.5):
        ends = [
            optimize.linprog(
                side * loads,
                A_ub=np.vstack([second, -second]),
                b_ub=np.full(2 * len(second), bound),
                bounds=[(b, b) for b in study.estimate[:p]] + [(None, None)] * len(weights),
                method="highs",
            ).fun
            for side in (1.0, -1.0)
        ]
        expected = (study.value + ends[1], study.value - ends[0])
        assert smoothness_set(study, bound) == pytest.approx(expected)
    if p > 1:
        assert np.isnan(smoothness_set(study, 0.99 * largest)).all()


def test_straight_trends_are_taken_out() -> None:
    study = study_of(3, 4, [0.5, 0.5])
    months = np.array([-4, -3, -2, -1, 1, 2])
    tilted = replace(study, estimate=study.estimate + 7.0 * months)
    for bound in (0.0, 0.05):
        path = bias_variance_path(study)
        assert smoothness_interval(path, tilted, bound, 0.95) == pytest.approx(
            smoothness_interval(path, study, bound, 0.95)
        )


def test_coverage_at_the_worst_trend() -> None:
    # At the trend that biases the estimator most, coverage is exactly 95 %.
    study = study_of(9, 3, [1.0, 0.0])
    bound = 0.08
    path = bias_variance_path(study)
    low, high = smoothness_interval(path, study, bound, 0.95)
    half = (high - low) / 2
    # Two estimates tell the loads: the interval's centre is linear in them.
    centre = np.array(
        [
            np.mean(smoothness_interval(path, replace(study, estimate=e), bound, 0.95))
            for e in np.eye(5)
        ]
    )
    bias = worst_bias(study, centre, bound)
    error = np.sqrt(centre @ study.covariance @ centre)
    covered = stats.norm.cdf((half - bias) / error) - stats.norm.cdf((-half - bias) / error)
    assert covered == pytest.approx(0.95, abs=1e-9)


def test_folded_normal_quantile_against_scipy() -> None:
    mean = np.array([0.0, 0.3, 1.0, 5.0, 40.0])
    assert folded_normal_quantile(mean, 0.95)[:4] == pytest.approx(
        stats.foldnorm.ppf(0.95, mean[:4]), rel=1e-9
    )
    assert folded_normal_quantile(mean, 0.95)[0] == pytest.approx(1.959963984540054)
    # Far from 0 only one tail is left.
    assert folded_normal_quantile(mean, 0.95)[4] == pytest.approx(40 + 1.6448536269514722)


def test_singular_covariance_is_refused() -> None:
    table = event_study(np.zeros(3), np.ones(1), np.ones((4, 4)))
    study = next(iter(trend_studies(table, 0)))
    with pytest.raises(EstimationError, match="covariance of the effects before exposure is sing"):
        bias_variance_path(study)
