"""Separation by one factor is that the two sides do not overlap."""

import numpy as np

from calaim_eval.integration.success.separation import is_separated


def test_one_factor_separates_where_the_sides_at_most_touch():
    rng = np.random.default_rng(0)
    seen = []
    for _ in range(100):
        value = rng.integers(0, 5, 8).astype(float)
        has = value + 2 * rng.normal(size=8) > 2
        if value.min() == value.max() or has.all() or not has.any():
            continue
        with_, without = value[has], value[~has]
        apart = with_.min() >= without.max() or with_.max() <= without.min()
        x = np.column_stack([np.ones(8), (value - value.mean()) / value.std()])
        assert is_separated(x, np.column_stack([has, ~has])) == apart
        seen.append(apart)
    assert 20 < sum(seen) < len(seen) - 20


def test_a_combination_of_factors_separates_where_neither_does_alone():
    corners = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0], [0.0, 0.0]])
    x = np.column_stack([np.ones(5), corners])
    above = np.column_stack([[0, 0, 0, 1, 0], [1, 1, 1, 0, 1]])
    crossed = np.column_stack([[1, 0, 0, 1, 0], [0, 1, 1, 0, 1]])
    assert is_separated(x, above)
    assert not is_separated(x, crossed)
    assert not is_separated(x, np.ones((5, 2)))
