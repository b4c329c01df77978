"""Weights on the simplex: conditions of a minimum, other solvers, degenerate columns."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from calaim_eval.estimate.synthetic.simplex_weights import simplex_weights


def objective(
    weights: np.ndarray, columns: np.ndarray, target: np.ndarray, ridge: float, *, centred: bool
) -> float:
    apart = columns @ weights - target
    if centred:
        apart = apart - apart.mean()
    return float(apart @ apart / len(target) + ridge * weights @ weights)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("centred", [True, False])
def test_exact_weights_meet_the_conditions_of_a_minimum(seed: int, *, centred: bool) -> None:
    # On the simplex no transfer of weight from a used column to another may lower the objective.
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(3, 25)), int(rng.integers(2, 40))
    columns, target = rng.normal(size=(n, k)), rng.normal(size=n)
    ridge = float(rng.choice([1e-10, 0.01, 1.0]))
    weights = simplex_weights(columns, target, ridge=ridge, is_centred=centred)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    apart = columns @ weights - target
    inner = columns - columns.mean(axis=0) if centred else columns
    apart = apart - apart.mean() if centred else apart
    gradient = inner.T @ apart / n + ridge * weights
    used = weights > 0
    assert np.ptp(gradient[used]) < 1e-9
    assert gradient.min() > gradient[used].min() - 1e-9


def test_two_columns_by_hand() -> None:
    # w on the second column minimizes (2w - .5)^2 + (4w - 1)^2: w = 1/4.
    columns, target = np.array([[0.0, 2.0], [0.0, 4.0]]), np.array([0.5, 1.0])
    weights = simplex_weights(columns, target, ridge=0.0, is_centred=False)
    np.testing.assert_allclose(weights, [0.75, 0.25], atol=1e-12)
    # Centred, the target's slope of 0.5 is a quarter of the second column's 2.
    weights = simplex_weights(columns, target + 7, ridge=0.0, is_centred=True)
    np.testing.assert_allclose(weights, [0.75, 0.25], atol=1e-12)


def test_against_non_negative_least_squares() -> None:
    rng = np.random.default_rng(5)
    columns, target = rng.normal(size=(30, 12)), rng.normal(size=30)
    ridge, heavy = 0.3, 1e6
    stacked = np.vstack(
        [columns / np.sqrt(30), np.sqrt(ridge) * np.eye(12), np.full((1, 12), heavy)]
    )
    found, _ = nnls(stacked, np.concatenate([target / np.sqrt(30), np.zeros(12), [heavy]]))
    weights = simplex_weights(columns, target, ridge=ridge, is_centred=False)
    np.testing.assert_allclose(weights, found, atol=1e-7)


def test_a_large_penalty_gives_equal_weights_and_a_single_column_all() -> None:
    rng = np.random.default_rng(1)
    columns, target = rng.normal(size=(9, 4)), rng.normal(size=9)
    weights = simplex_weights(columns, target, ridge=1e9, is_centred=True)
    np.testing.assert_allclose(weights, 0.25, atol=1e-8)
    assert simplex_weights(columns[:, :1], target, ridge=0.0, is_centred=True).tolist() == [1.0]


def test_copies_of_a_column_share_its_weight_under_a_penalty() -> None:
    rng = np.random.default_rng(2)
    columns, target = rng.normal(size=(20, 3)), rng.normal(size=20)
    copied = np.column_stack([columns, columns[:, 0]])
    weights = simplex_weights(copied, target, ridge=0.05, is_centred=False)
    assert weights[0] == pytest.approx(weights[3], abs=1e-10)


def test_frank_wolfe_comes_near_the_minimum_and_never_below_it() -> None:
    rng = np.random.default_rng(3)
    columns, target = rng.normal(size=(25, 10)), rng.normal(size=25)
    options = {"ridge": 0.1, "is_centred": True}
    exact = simplex_weights(columns, target, **options)
    stepped = simplex_weights(columns, target, **options, solver="frank_wolfe", least_decrease=1e-6)
    best = objective(exact, columns, target, 0.1, centred=True)
    reached = objective(stepped, columns, target, 0.1, centred=True)
    # Frank-Wolfe stops once a step gains less than 1e-12; its rate is 1/steps, so 1e-4 is near.
    assert best - 1e-12 <= reached <= best + 1e-4
    assert stepped.sum() == pytest.approx(1, abs=1e-12)
    assert stepped.min() >= 0


@pytest.mark.parametrize("seed", range(20))
def test_perfect_fits_copies_and_ties_are_solved(seed: int) -> None:
    # The mean of three columns is met exactly whatever the ridge leaves; columns come twice.
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(5, 40)), int(rng.integers(6, 60))
    columns = np.cumsum(rng.normal(size=(n, k)), axis=0)
    columns = np.round(columns) if seed % 2 else np.hstack([columns, columns])
    target = columns[:, :3].mean(axis=1)
    ridge = 10.0 ** -int(rng.integers(5, 13))
    weights = simplex_weights(columns, target, ridge=ridge, is_centred=bool(seed % 3))
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1, abs=1e-10)
    thirds = np.zeros(columns.shape[1])
    thirds[:3] = 1 / 3
    options = {"centred": bool(seed % 3)}
    reached = objective(weights, columns, target, ridge, **options)
    assert reached <= objective(thirds, columns, target, ridge, **options) * (1 + 1e-9)
