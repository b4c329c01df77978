"""Gray's test of whole curves."""

from __future__ import annotations

import numpy as np
import pytest

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.time_to_event.gray_test import gray_test


def sample(rng, n: int, chances: dict[str, tuple[float, float]]):
    """Months to one of two endings by group, lost to follow-up at .05 a month."""
    group = rng.choice(list(chances), n)
    one, two = np.array([chances[g] for g in group]).T
    event = rng.geometric(one + two)
    cause = np.where(rng.random(n) < one / (one + two), 1, 2)
    lost = rng.geometric(0.05, n)
    return np.minimum(event, lost), np.where(event <= lost, cause, 0), group


def test_equal_groups_are_told_apart_as_often_as_stated():
    rng = np.random.default_rng(4)
    alike = dict.fromkeys("abc", (0.1, 0.06))
    p = np.array([gray_test(*sample(rng, 180, alike))["p_value"] for _ in range(400)])
    # Binomial: .05 and .5 within four standard errors.
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 400))
    assert np.mean(p < 0.5) == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 400))


def test_groups_that_differ_in_incidence_are_told_apart():
    rng = np.random.default_rng(5)
    differ = {"a": (0.15, 0.05), "b": (0.08, 0.05)}
    p = [gray_test(*sample(rng, 400, differ))["p_value"] for _ in range(40)]
    assert np.mean(np.array(p) < 0.05) > 0.9


def test_names_order_and_rows_alike_do_not_matter():
    duration, cause, group = sample(np.random.default_rng(6), 90, dict.fromkeys("abc", (0.1, 0.1)))
    found = gray_test(duration, cause, group)
    assert found["df"] == 2
    swapped = np.array([{"a": "z", "b": "b", "c": "a"}[g] for g in group])[::-1]
    assert gray_test(duration[::-1], cause[::-1], swapped) == pytest.approx(found)
    rows, number = np.unique(
        np.array([f"{d}|{c}|{g}" for d, c, g in zip(duration, cause, group, strict=True)]),
        return_counts=True,
    )
    parts = [row.split("|") for row in rows]
    counted = gray_test(
        np.array([float(p[0]) for p in parts]),
        np.array([int(p[1]) for p in parts]),
        np.array([p[2] for p in parts]),
        weights=number,
    )
    assert counted == pytest.approx(found)


def test_without_censoring_or_other_causes_one_time_is_pearsons_chi_squared():
    """Two groups of 40 and 60, 10 and 30 have it at time 1, the others are watched to 2."""
    group = np.repeat(["a", "b"], [40, 60])
    cause = np.concatenate([np.repeat([1, 0], [10, 30]), np.repeat([1, 0], [30, 30])])
    duration = np.where(cause == 1, 1, 2)
    found = gray_test(duration, cause, group)
    # Hypergeometric: (10 - 40 * .4)^2 over 40 * 60 * 40 * 60 / (100^2 * 99).
    assert found["statistic"] == pytest.approx(36 / (40 * 60 * 40 * 60 / (100**2 * 99)))


def test_what_is_refused():
    with pytest.raises(EstimationError, match="1 groups"):
        gray_test(np.ones(3), np.ones(3), np.array(["a"] * 3))
    with pytest.raises(EstimationError, match="no rows with cause 2"):
        gray_test(np.ones(4), np.ones(4), np.array(list("abab")), of=2)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_missing_value_is_no_group_and_no_event(part):
    given = [np.ones(4), np.ones(4), np.array(list("abab"), dtype=object)]
    given[part][1] = None
    with pytest.raises(EstimationError, match="lack a duration, a cause or a group"):
        gray_test(*given)
