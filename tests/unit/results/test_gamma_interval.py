from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from calaim_eval.errors import EstimationError
from calaim_eval.results.gamma_interval import fay_feuer_interval
from calaim_eval.results.intervals import byar_half_interval, exact_poisson_interval


def test_equal_weights_give_the_exact_poisson_interval():
    counts = np.array([0, 1, 5, 65])
    low, high = fay_feuer_interval(counts / 50, variance=counts / 2500, largest_weight=1 / 50)
    exact = exact_poisson_interval(counts)
    assert low * 50 == pytest.approx(exact[0])
    assert high * 50 == pytest.approx(exact[1])


def test_quantiles_of_gamma_distributions():
    low, high = fay_feuer_interval(0.3, variance=0.02, largest_weight=0.1, conf_level=0.9)
    assert low == pytest.approx(stats.gamma.ppf(0.05, 0.09 / 0.02, scale=0.02 / 0.3))
    assert high == pytest.approx(stats.gamma.ppf(0.95, 0.16 / 0.03, scale=0.03 / 0.4))


@pytest.mark.slow
def test_coverage_with_few_events_of_unequal_weights():
    """At least its level less the error of 4,000 draws, as Fay and Feuer show."""
    rng = np.random.default_rng(4)
    weights, means = np.array([0.001, 0.004, 0.02]), np.array([6.0, 2.0, 0.5])
    counts = rng.poisson(means, size=(4000, 3))
    low, high = fay_feuer_interval(
        counts @ weights, variance=counts @ weights**2, largest_weight=0.02
    )
    covered = ((low <= weights @ means) & (weights @ means <= high)).mean()
    assert covered > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 4000)


def test_half_an_event_is_added_for_both_bounds():
    low, high = byar_half_interval([0, 20])
    a, z = 20.5, stats.norm.ppf(0.975)
    assert low[1] == pytest.approx(a * (1 - 1 / (9 * a) - z / (3 * np.sqrt(a))) ** 3)
    assert high[1] == pytest.approx(a * (1 - 1 / (9 * a) + z / (3 * np.sqrt(a))) ** 3)
    assert low[0] == 0


def test_what_is_refused():
    with pytest.raises(EstimationError, match="1 of 1 rows have a negative total"):
        fay_feuer_interval(-1, variance=1, largest_weight=1)
    with pytest.raises(EstimationError, match="`conf_level` is 95"):
        fay_feuer_interval(1, variance=1, largest_weight=1, conf_level=95)
