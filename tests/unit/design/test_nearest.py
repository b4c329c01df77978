"""Matching on points against a brute-force greedy over all pairs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.design.nearest import (
    Points,
    nearest_with_replacement,
    nearest_without_replacement,
)


def draw(seed: int, n: int, n_dims: int, n_cells: int, *, whole: bool) -> Points:
    rng = np.random.default_rng(seed)
    place = rng.normal(size=(n, n_dims))
    return Points(np.round(place) if whole else place, rng.integers(0, n_cells, n), rng.random(n))


def all_distances(exposed: Points, pool: Points) -> np.ndarray:
    """Distance of every pair, infinite between cells; shape (n_exposed, n_pool)."""
    distance = np.linalg.norm(exposed.place[:, None] - pool.place[None], axis=2)
    return np.where(exposed.cell[:, None] == pool.cell[None], distance, np.inf)


def greedy(distance: np.ndarray, ratio: int, caliper: float) -> set[tuple[int, int]]:
    """Closest pair first among those left, one match each before a second."""
    pairs, free = set(), set(range(distance.shape[1]))
    for _ in range(ratio):
        wanting = set(range(distance.shape[0]))
        order = sorted(np.ndindex(*distance.shape), key=lambda p: distance[p])
        for e, p in order:
            if e in wanting and p in free and distance[e, p] <= caliper:
                pairs.add((e, p))
                wanting.remove(e)
                free.remove(p)
    return pairs


sizes = st.integers(0, 25)
calipers = st.sampled_from([None, 0.3, 1.0])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), sizes, sizes, st.integers(1, 3), st.integers(1, 3), calipers)
def test_closest_pairs_first_is_what_brute_force_gives(
    seed, n_exposed, n_pool, n_dims, ratio, caliper
):
    exposed = draw(seed, n_exposed, n_dims, 2, whole=False)
    pool = draw(seed + 1, n_pool, n_dims, 2, whole=False)
    found = nearest_without_replacement(exposed, pool, ratio=ratio, caliper=caliper)
    limit = 1e9 if caliper is None else caliper
    expected = greedy(all_distances(exposed, pool), ratio, limit)
    assert set(zip(found.exposed.tolist(), found.pool.tolist(), strict=True)) == expected
    np.testing.assert_allclose(
        found.distance, all_distances(exposed, pool)[found.exposed, found.pool]
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), sizes, sizes, st.integers(1, 3), calipers)
def test_with_replacement_everybody_gets_the_nearest_there_are(
    seed, n_exposed, n_pool, ratio, caliper
):
    exposed, pool = (
        draw(seed, n_exposed, 2, 2, whole=False),
        draw(seed + 1, n_pool, 2, 2, whole=False),
    )
    found = nearest_with_replacement(exposed, pool, ratio=ratio, caliper=caliper)
    distance = all_distances(exposed, pool)
    limit = 1e9 if caliper is None else caliper
    expected = {
        (e, int(p))
        for e in range(n_exposed)
        for p in np.argsort(distance[e])[:ratio]
        if distance[e, p] <= limit
    }
    assert set(zip(found.exposed.tolist(), found.pool.tolist(), strict=True)) == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 40), st.integers(0, 40), st.integers(1, 2))
def test_with_many_ties_the_distances_are_those_of_some_greedy_order(
    seed, n_exposed, n_pool, n_dims
):
    """Whatever way ties are broken, no pair may be closer than the matches of both its members."""
    exposed = draw(seed, n_exposed, n_dims, 1, whole=True)
    pool = draw(seed + 1, n_pool, n_dims, 1, whole=True)
    found = nearest_without_replacement(exposed, pool, ratio=1, caliper=None)
    assert len(found.exposed) == min(n_exposed, n_pool)
    assert len(set(found.exposed)) == len(set(found.pool)) == len(found.exposed)
    distance = all_distances(exposed, pool)
    of_exposed, of_pool = np.full(n_exposed, np.inf), np.full(n_pool, np.inf)
    of_exposed[found.exposed] = of_pool[found.pool] = found.distance
    blocking = (distance < of_exposed[:, None] - 1e-6) & (distance < of_pool[None] - 1e-6)
    assert not blocking.any()


def test_ties_are_broken_by_chance_not_by_place_in_the_data():
    chosen = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        exposed = Points(np.zeros((1, 1)), np.zeros(1, dtype=int), rng.random(1))
        pool = Points(np.array([[1.0], [-1.0]]), np.zeros(2, dtype=int), rng.random(2))
        found = nearest_without_replacement(exposed, pool, ratio=1, caliper=None)
        chosen.append(found.pool[0])
    assert 70 < sum(chosen) < 130


def test_a_thousand_members_exactly_alike_are_matched_in_no_time():
    rng = np.random.default_rng(0)
    exposed, pool = (
        Points(np.zeros((1000, 2)), np.zeros(1000, dtype=int), rng.random(1000)) for _ in range(2)
    )
    found = nearest_without_replacement(exposed, pool, ratio=1, caliper=0.0)
    assert len(found.exposed) == 1000
    assert not found.distance.any()


def test_the_order_of_the_rows_does_not_matter():
    exposed, pool = draw(3, 30, 2, 2, whole=True), draw(4, 60, 2, 2, whole=True)
    turn = np.random.default_rng(5).permutation(60)
    one = nearest_without_replacement(exposed, pool, ratio=2, caliper=None)
    other = nearest_without_replacement(exposed, pool.take(turn), ratio=2, caliper=None)
    pairs = set(zip(one.exposed, one.pool, strict=True))
    assert pairs == set(zip(other.exposed, turn[other.pool], strict=True))


@pytest.mark.parametrize("method", [nearest_with_replacement, nearest_without_replacement])
def test_nobody_on_one_side_gives_no_pair(method):
    some, nobody = draw(1, 4, 2, 1, whole=False), draw(2, 0, 2, 1, whole=False)
    assert not len(method(some, nobody, ratio=2, caliper=None).exposed)
    assert not len(method(nobody, some, ratio=2, caliper=None).exposed)
