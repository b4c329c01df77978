from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from calaim_eval.equity import (
    byar_interval,
    dobson_interval,
    exact_poisson_interval,
    wilson_interval,
)
from calaim_eval.errors import EstimationError


def test_wilson_bounds_are_where_the_score_test_rejects():
    low, high = wilson_interval([3, 40, 0], [50, 60, 20])
    for x, n, bounds in zip([3, 40, 0], [50, 60, 20], zip(low, high, strict=True), strict=True):
        for p in bounds:
            if p > 0:
                score = abs(x / n - p) / np.sqrt(p * (1 - p) / n)
                assert score == pytest.approx(stats.norm.ppf(0.975))


def test_a_total_of_zero_has_no_interval():
    assert np.isnan(wilson_interval(0, 0)).all()


def test_exact_bounds_have_half_alpha_in_each_tail():
    low, high = exact_poisson_interval(7)
    assert stats.poisson.sf(6, low) == pytest.approx(0.025)
    assert stats.poisson.cdf(7, high) == pytest.approx(0.025)


def test_one_event_tells_byar_here_from_the_other_byar():
    low, high = byar_interval(1)
    assert (round(float(low), 3), round(float(high), 2)) == (0.013, 5.56)


def test_zero_events_start_at_zero_and_end_near_the_exact_bound():
    assert byar_interval(0)[0] == 0
    assert byar_interval(0)[1] == pytest.approx(exact_poisson_interval(0)[1], rel=0.01)


def test_dobson_widens_with_the_square_root_of_the_variance():
    narrow, wide = (dobson_interval(50, variance=v, count=50) for v in (50, 200))
    assert wide[1] - 50 == pytest.approx(2 * (narrow[1] - 50))
    assert 50 - wide[0] == pytest.approx(2 * (50 - narrow[0]))


def test_dobson_without_events_is_byar_for_a_plain_count_only():
    assert dobson_interval(0, variance=0, count=0)[1] == pytest.approx(byar_interval(0)[1])
    assert np.isnan(dobson_interval(0.5, variance=0, count=0)[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: byar_interval([-1, 2]), "1 of 2 values of `count` are negative"),
        (lambda: wilson_interval(3, 2), "1 of 1 counts exceed their total"),
        (lambda: exact_poisson_interval(3, conf_level=95), "`conf_level` is 95"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(EstimationError, match=message):
        call()
