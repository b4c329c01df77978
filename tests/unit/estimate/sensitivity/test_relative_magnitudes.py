"""The closed form against the linear programmes it replaces, and against simulation."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from event_study_tables import event_study, random_covariance
from scipy import optimize, stats

from calaim_eval.estimate.sensitivity.relative_magnitudes import (
    _truncated_tail,
    relative_magnitudes_interval,
    relative_magnitudes_test,
)
from calaim_eval.estimate.sensitivity.trend_study import TrendStudy, trend_studies

LEVEL = (0.05 - 0.005) / (1 - 0.005)


def study_of(rng: np.random.Generator, p: int, q: int, weights: np.ndarray) -> TrendStudy:
    """A random study that asks for a weighted effect."""
    table = event_study(
        rng.normal(0, 0.1, p), rng.normal(0.2, 0.2, q), random_covariance(rng, p + q)
    )
    return next(iter(trend_studies(table, dict(enumerate(weights)))))


class Programme:
    """Moments A(beta - tau) <= 0 of one branch, written out, with tau free but for its weight.

    Row by row as in the paper: each change after the base month, with either sign, less `bound`
    times the signed change in month `s` before it.
    """

    def __init__(self, study: TrendStudy, s: int, sign: float, bound: float) -> None:
        p, q = study.n_before, len(study.weights)
        path = np.insert(np.eye(p + q), p, 0.0, axis=0)
        change = np.diff(path, axis=0)
        self.rows = np.vstack(
            [side * change[p:] - bound * sign * change[s] for side in (1.0, -1.0)]
        )
        self.error = self.rows @ study.covariance @ self.rows.T
        self.sd = np.sqrt(np.diag(self.error))
        self.study, self.tau = study, self.rows[:, p:]
        self.y = self.rows @ study.estimate

    def solve(self, y: np.ndarray, theta: float) -> tuple[float, np.ndarray]:
        """Smallest eta with y - tau <= sd * eta and weights @ tau = theta; the dual vertex."""
        q = len(self.study.weights)
        found = optimize.linprog(
            np.r_[1.0, np.zeros(q)],
            A_ub=-np.column_stack([self.sd, self.tau]),
            b_ub=-y,
            A_eq=np.r_[0.0, self.study.weights][None, :],
            b_eq=[theta],
            bounds=[(None, None)] * (q + 1),
            method="highs",
        )
        return float(found.fun), -found.ineqlin.marginals

    def rejects(self, theta: float, least_favourable: float) -> bool:
        """The hybrid test: truncation points by bisection on the linear programme."""
        eta, gamma = self.solve(self.y, theta)
        if eta > least_favourable:
            return True
        variance = gamma @ self.error @ gamma
        load = self.error @ gamma / variance
        value = gamma @ self.y
        shift = eta - value

        def is_best(x: float) -> bool:
            y = self.y + load * (x - value)
            return self.solve(y, theta)[0] <= x + shift + 1e-9

        ends = []
        for direction in (-1.0, 1.0):
            inside, outside = value, value + direction * 50 * np.sqrt(variance)
            if is_best(outside):
                ends.append(direction * np.inf)
                continue
            for _ in range(26):
                middle = (inside + outside) / 2
                inside, outside = (middle, outside) if is_best(middle) else (inside, middle)
            ends.append(inside + shift)
        sd = np.sqrt(variance)
        low, high = ends[0] / sd, min(ends[1], least_favourable) / sd
        # The vertex has no mean once tau is profiled out: gamma'(y - tau) with gamma'tau fixed.
        return eta > 0 and bool(_tail(eta / sd, low, high) < LEVEL)


def _tail(value: float, low: float, high: float) -> float:
    return float(
        (stats.norm.sf(value) - stats.norm.sf(high)) / (stats.norm.sf(low) - stats.norm.sf(high))
    )


@pytest.mark.parametrize(
    ("p", "weights"),
    [(3, [1.0, 0.0]), (2, [0.5, 0.5]), (3, [0.0, 1.0, -1.0]), (1, [1.0]), (2, [-0.5, 1.5, 0.2])],
)
def test_every_decision_is_that_of_the_linear_programme(p: int, weights: list[float]) -> None:
    rng = np.random.default_rng(p + 10 * len(weights))
    study = study_of(rng, p, len(weights), np.array(weights))
    decisions = []
    for bound in (0.4,) if p == 3 else (1.4,):
        test = relative_magnitudes_test(study, bound, 0.95)
        thetas = study.value + study.std_error * np.array([-3.1, -2.2, 1.7, 2.6])
        programmes = [
            (Programme(study, s, sign, bound), test.branches[2 * s + (sign < 0)])
            for s in range(p)
            for sign in (1.0, -1.0)
        ]
        for theta in thetas:
            for programme, branch in programmes:
                alone = replace(test, branches=(branch,))
                eta, _ = programme.solve(programme.y, theta)
                stat = branch.vertices @ np.array([branch.change, study.value - theta])
                assert stat.max() == pytest.approx(eta, abs=1e-8)
                decision = not alone.accepts(np.array([theta]))[0]
                assert decision == programme.rejects(theta, branch.least_favourable)
                decisions.append(decision)
    assert len(set(decisions)) == 2


def test_first_stage_critical_value_against_simulation() -> None:
    rng = np.random.default_rng(5)
    study = study_of(rng, 3, 4, np.full(4, 0.25))
    draws = rng.multivariate_normal(np.zeros(7), study.covariance, size=400_000)
    test = relative_magnitudes_test(study, 1.0, 0.95)
    before, _ = study.steps()
    for branch, change in zip(test.branches[::2], before, strict=True):
        at = draws @ np.stack([change, study.loads]).T
        share = np.mean((at @ branch.vertices.T).max(axis=1) > branch.least_favourable)
        # Binomial error of 400,000 draws at 0.005: 0.00011; four of them.
        assert share == pytest.approx(0.005, abs=0.00045)


def test_a_true_effect_is_covered_on_the_edge_of_the_set() -> None:
    # Trends as bad after exposure as allowed: coverage at least 95 %, in 1,500 draws
    # 0.95 less three standard errors.
    rng = np.random.default_rng(8)
    delta = np.array([0.0, -0.2, -0.1, 0.2, 0.4])  # months -4 -3 -2 | 0 1; base -1 is 0
    study = study_of(rng, 3, 2, np.array([1.0, 0.0]))
    change_before = np.abs(np.diff(np.append(delta[:3], 0.0))).max()
    bound = 0.2 / change_before
    test = relative_magnitudes_test(study, bound, 0.95)
    before, _ = study.steps()
    covered = 0
    for draw in rng.multivariate_normal(delta, study.covariance, size=1500):
        branches = tuple(
            replace(b, change=float((1 - 2 * (i % 2)) * before[i // 2] @ draw))
            for i, b in enumerate(test.branches)
        )
        now = replace(test, value=float(study.loads @ draw), branches=branches)
        covered += bool(now.accepts(np.zeros(1))[0])
    assert covered / 1500 >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 1500)


def test_intervals_follow_the_scale_and_the_sign_and_widen_with_the_bound() -> None:
    rng = np.random.default_rng(2)
    study = study_of(rng, 4, 3, np.full(3, 1 / 3))
    low, high = relative_magnitudes_interval(study, 0.7, 0.95, 400)
    scaled = replace(study, estimate=1000 * study.estimate, covariance=1e6 * study.covariance)
    assert relative_magnitudes_interval(scaled, 0.7, 0.95, 400) == pytest.approx(
        (1000 * low, 1000 * high), rel=1e-6
    )
    mirrored = replace(study, estimate=-study.estimate)
    assert relative_magnitudes_interval(mirrored, 0.7, 0.95, 400) == pytest.approx(
        (-high, -low), rel=1e-6
    )
    found = [relative_magnitudes_interval(study, bound, 0.95, 400) for bound in (0, 0.5, 1, 2, 4)]
    assert all(b[0] < a[0] and b[1] > a[1] for a, b in itertools.pairwise(found))


@pytest.mark.parametrize(("p", "weights"), [(1, [1.0]), (4, [0.2, -0.5, 1.0])])
def test_under_parallel_trends_the_interval_is_the_usual_one(p: int, weights: list[float]) -> None:
    # At bound 0 the hybrid spends kappa at z = 2.807 and the rest below: 1.96 in all, exactly.
    study = study_of(np.random.default_rng(p), p, len(weights), np.array(weights))
    reach = 1.959963984540054 * study.std_error
    assert relative_magnitudes_interval(study, 0.0, 0.95, 200) == pytest.approx(
        (study.value - reach, study.value + reach), abs=1e-5 * reach
    )


def test_ends_do_not_depend_on_the_grid() -> None:
    study = study_of(np.random.default_rng(4), 2, 2, np.array([0.0, 1.0]))
    coarse = relative_magnitudes_interval(study, 1.0, 0.9, 150)
    fine = relative_magnitudes_interval(study, 1.0, 0.9, 3001)
    assert coarse == pytest.approx(fine, rel=1e-6)


def test_an_effect_hundreds_of_errors_from_zero_is_found() -> None:
    study = study_of(np.random.default_rng(6), 2, 2, np.array([1.0, 0.0]))
    far = replace(study, estimate=study.estimate + 100 * study.loads)
    near = relative_magnitudes_interval(study, 0.5, 0.95, 300)
    assert relative_magnitudes_interval(far, 0.5, 0.95, 300) == pytest.approx(
        (near[0] + 100, near[1] + 100), rel=1e-6
    )


def test_truncated_tail_against_scipy_and_far_out() -> None:
    low, high = np.array([-np.inf, 0.5, -1.0]), np.array([np.inf, 3.0, 2.5])
    value = np.array([1.96, 1.0, 2.4])
    expected = stats.truncnorm.sf(value, low, high)
    assert _truncated_tail(value, low, high) == pytest.approx(expected, rel=1e-9)
    # Mills: far out the tail beyond x given above a is exp(-a (x - a)) to first order.
    far = _truncated_tail(np.array([60.05]), np.array([60.0]), np.array([np.inf]))[0]
    assert far == pytest.approx(np.exp(-60 * 0.05 - 0.05**2 / 2), rel=2e-3)
