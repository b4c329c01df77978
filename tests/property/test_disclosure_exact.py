"""The fewest rows are the fewest, and ranges are the ranges: against trying everything."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from disclosure_tables import two_way
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy import sparse
from test_disclosure_attacker import flow_range

from calaim_eval.disclosure.attacker import possible_values
from calaim_eval.disclosure.complementary import protect
from calaim_eval.disclosure.count_table import count_tables
from calaim_eval.disclosure.primary import Target
from calaim_eval.disclosure.system import System, build_system

SETTINGS = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
WIDTH = 10


def cheapest_by_trying(table, cost, small):
    """Cost of the cheapest rows beside the small ones that leave each of these 10 wide."""
    places = [p for p in product(*map(range, table.shape)) if p not in small]
    patterns = [c for size in range(len(places) + 1) for c in combinations(places, size)]
    for pattern in sorted(patterns, key=lambda c: sum(cost[p] for p in c)):
        hidden = np.zeros(table.shape, dtype=bool)
        for place in (*small, *pattern):
            hidden[place] = True
        ranges = [flow_range(table, hidden, *place) for place in small]
        if all(high - low >= WIDTH for low, high in ranges):
            return sum(cost[p] for p in pattern)
    return None


@settings(SETTINGS, max_examples=15)
@given(st.data(), st.sampled_from([(2, 2), (2, 2), (2, 3)]))
def test_the_cheapest_pattern_is_the_cheapest_of_all(data, shape):
    numbers = st.one_of(st.integers(1, 10), st.integers(11, 40), st.integers(11, 40))
    inner = np.array(data.draw(st.lists(numbers, min_size=6, max_size=6)))[: np.prod(shape)]
    table, rates = two_way(inner.reshape(shape))
    small = [tuple(p) for p in np.argwhere(table[:-1, :-1] <= 10)]
    assume(1 <= len(small) <= 3)
    weights = data.draw(st.lists(st.integers(1, 9), min_size=table.size, max_size=table.size))
    cost = np.array(weights, dtype=float).reshape(table.shape)
    system = build_system(count_tables({"t": rates}))
    start = np.zeros(table.shape, dtype=bool)
    start[tuple(np.array(small).T)] = True
    start = start.ravel()
    found = protect(
        system,
        [Target(system.rows[i].cells[0], WIDTH) for i in np.flatnonzero(start)],
        hidden_rows=start,
        cost=cost.ravel(),
    )
    assert not found.open_cells
    assert found.cost == pytest.approx(cheapest_by_trying(table, cost, small))
    assert found.bound == pytest.approx(found.cost, rel=1e-3)


@settings(SETTINGS, max_examples=30)
@given(st.data(), st.integers(2, 4), st.integers(1, 3))
def test_ranges_in_whole_numbers_are_those_of_every_world(data, n_unknown, n_sums):
    """Sums with weights of their own, so that fractions reach further than whole numbers."""
    weights = st.lists(st.integers(-2, 3), min_size=n_unknown, max_size=n_unknown)
    matrix = np.array(data.draw(st.lists(weights, min_size=n_sums, max_size=n_sums)))
    truth = np.array(data.draw(st.lists(st.integers(0, 6), min_size=n_unknown, max_size=n_unknown)))
    matrix = np.vstack([matrix, np.ones(n_unknown, dtype=int)])  # the total of all is known
    right = matrix @ truth
    n = n_unknown + len(matrix)
    system = System(
        cells=tuple((f"cell {i}", ()) for i in range(n)),
        value=np.concatenate([truth, right]).astype(float),
        is_integer=np.ones(n, dtype=bool),
        equations=sparse.csr_array(
            np.hstack([matrix, -np.eye(len(matrix), dtype=int)]), dtype=float
        ),
        rows=(),
    )
    shown = system.value.copy()
    shown[:n_unknown] = np.nan
    low, high = possible_values(system, shown, list(range(n_unknown)))
    grid = np.array(list(product(range(int(truth.sum()) + 1), repeat=n_unknown)))
    worlds = grid[(grid @ matrix.T == right).all(axis=1)]
    np.testing.assert_allclose(low, worlds.min(axis=0), atol=1e-6)
    np.testing.assert_allclose(high, worlds.max(axis=0), atol=1e-6)
    # Asked only for so much, a range is no wider than the truth and as wide as asked where it is.
    some_low, some_high = possible_values(
        system, shown, list(range(n_unknown)), enough=np.full(n_unknown, 2.0)
    )
    widths = worlds.max(axis=0) - worlds.min(axis=0)
    assert (some_high - some_low <= widths + 1e-6).all()
    assert (some_high - some_low >= np.minimum(widths, 2.0) - 1e-6).all()


def test_a_wide_range_of_fractions_can_hold_one_whole_number():
    """3a + 5b = 8: in fractions a is anything from 0 to 2.7, in whole numbers 1."""
    system = System(
        cells=tuple((name, ()) for name in ("a", "b", "weighted")),
        value=np.array([1.0, 1.0, 8.0]),
        is_integer=np.ones(3, dtype=bool),
        equations=sparse.csr_array(np.array([[3.0, 5.0, -1.0]])),
        rows=(),
    )
    low, high = possible_values(system, np.array([np.nan, np.nan, 8.0]), [0, 1])
    assert (low.tolist(), high.tolist()) == ([1, 1], [1, 1])
