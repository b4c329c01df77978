from __future__ import annotations

import numpy as np
import pytest
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight

from calaim_eval.estimate.time_to_event.cumulative_incidence import cumulative_incidence


def _sample(seed: int, n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 40, n).astype(float), rng.integers(0, 3, n)


def _incidence(duration, cause, weights, t, k):
    """Weighted Aalen-Johansen by the definition, for differentiation."""
    survival, total = 1.0, 0.0
    for u in np.unique(duration):
        if u > t:
            break
        at_risk = weights[duration >= u].sum()
        total += survival * weights[(duration == u) & (cause == k)].sum() / at_risk
        survival *= 1 - weights[(duration == u) & (cause > 0)].sum() / at_risk
    return total


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_points_equal_statsmodels(seed):
    duration, cause = _sample(seed)
    times = np.array([5.0, 17.0, 30.0])
    ours = cumulative_incidence(duration, cause, times=times, n_causes=2)
    other = CumIncidenceRight(duration, cause)
    at = np.searchsorted(other.times, times, side="right") - 1
    for k in (0, 1):
        np.testing.assert_allclose(ours.estimate[:, k], other.cinc[k][at], atol=1e-13)


def test_influence_is_the_derivative_with_respect_to_each_weight():
    duration, cause = _sample(4, n=25)
    times = np.array([3.0, 20.0, 39.0])
    ours = cumulative_incidence(duration, cause, times=times, n_causes=2)
    step = 1e-6
    for i in range(25):
        up, down = np.ones(25), np.ones(25)
        up[i] += step
        down[i] -= step
        for j, t in enumerate(times):
            for k in (0, 1):
                slope = (
                    _incidence(duration, cause, up, t, k + 1)
                    - _incidence(duration, cause, down, t, k + 1)
                ) / (2 * step)
                assert ours.influence[i, j, k] == pytest.approx(slope, abs=1e-8)


def test_without_censoring_it_is_the_share_and_its_binomial_error():
    duration, cause = np.array([1.0, 2, 3, 4, 5, 5, 6, 9]), np.array([1, 2, 1, 1, 2, 1, 1, 2])
    ours = cumulative_incidence(duration, cause, times=np.array([4.5, 9.0]), n_causes=2)
    np.testing.assert_allclose(ours.estimate, [[3 / 8, 1 / 8], [5 / 8, 3 / 8]])
    variance = (ours.influence**2).sum(axis=0)
    np.testing.assert_allclose(variance, ours.estimate * (1 - ours.estimate) / 8)


def test_influence_sums_to_zero():
    ours = cumulative_incidence(*_sample(5), times=np.array([10.0, 39.0]), n_causes=2)
    np.testing.assert_allclose(ours.influence.sum(axis=0), 0, atol=1e-12)


def test_one_cause_is_kaplan_meier_and_competing_ones_make_it_too_large():
    duration, cause = _sample(6)
    alone = cumulative_incidence(
        duration, (cause == 1).astype(int), times=np.array([25.0]), n_causes=1
    )
    kaplan_meier = SurvfuncRight(duration, (cause == 1).astype(int))
    at = np.searchsorted(kaplan_meier.surv_times, 25.0, side="right") - 1
    wrong = 1 - kaplan_meier.surv_prob[at]
    assert alone.estimate[0, 0] == pytest.approx(wrong, abs=1e-12)
    right = cumulative_incidence(duration, cause, times=np.array([25.0]), n_causes=2)
    assert right.estimate[0, 0] < wrong


def test_beyond_the_last_follow_up_nothing_is_known_unless_all_had_an_event():
    censored = cumulative_incidence(
        np.array([1.0, 5.0]), np.array([1, 0]), times=np.array([5.0, 6.0]), n_causes=2
    )
    assert np.isfinite(censored.estimate[0]).all()
    assert np.isnan(censored.estimate[1]).all()
    assert np.isnan(censored.influence[:, 1]).all()
    ended = cumulative_incidence(
        np.array([1.0, 5.0]), np.array([1, 2]), times=np.array([6.0]), n_causes=2
    )
    np.testing.assert_allclose(ended.estimate, [[0.5, 0.5]])


def test_before_the_first_event_it_is_zero():
    ours = cumulative_incidence(
        np.array([5.0, 6]), np.array([1, 0]), times=np.array([1.0]), n_causes=1
    )
    assert ours.estimate.tolist() == [[0.0]]
    assert not ours.influence.any()


def test_a_weight_is_so_many_subjects_alike():
    duration, cause = np.array([1.0, 2, 2, 4, 6]), np.array([1, 2, 1, 0, 1])
    number = np.array([3, 1, 2, 4, 2])
    times = np.array([1.0, 2.0, 5.0, 6.0])
    weighted = cumulative_incidence(duration, cause, times=times, n_causes=2, weights=number)
    each = cumulative_incidence(
        np.repeat(duration, number), np.repeat(cause, number), times=times, n_causes=2
    )
    np.testing.assert_allclose(weighted.estimate, each.estimate, atol=1e-14)
    np.testing.assert_allclose(
        np.repeat(weighted.influence, number, axis=0), each.influence, atol=1e-14
    )
    np.testing.assert_allclose(weighted.n_events, each.n_events)
