"""Rounded tables with all their sums: every small count stays open, found by trying all worlds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from disclosure_tables import two_way
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calaim_eval.disclosure import release
from calaim_eval.errors import DisclosureError

MIDPOINT = "opensafely_midpoint_6"
HIGHEST = 9


def rounded(values):
    """To midpoint 6, as the published function has it."""
    values = np.asarray(values, dtype=float)
    return np.ceil(values / 6) * 6 - 3 * (values != 0)


def every_table():
    """All 2 x 2 tables with their sums; shape (n, 3, 3)."""
    inner = np.array(list(itertools.product(range(HIGHEST + 7), repeat=4))).reshape(-1, 2, 2)
    wide = np.concatenate([inner, inner.sum(axis=2, keepdims=True)], axis=2)
    return np.concatenate([wide, wide.sum(axis=1, keepdims=True)], axis=1)


EVERY = every_table()
SEEN = rounded(EVERY)


def worlds(shown):
    """Tables that would be shown so; NaN is hidden."""
    return EVERY[np.all(np.isnan(shown) | (shown == SEEN), axis=(1, 2))]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, HIGHEST), min_size=4, max_size=4))
def test_a_small_count_keeps_a_range_of_three(counts):
    truth, table = two_way(np.reshape(counts, (2, 2)))
    try:
        frame = release({"t": table}, policy=MIDPOINT).tables["t"].frame
    except DisclosureError:
        return
    shown = frame["numerator"].to_numpy(dtype=float).reshape(truth.shape)
    assert np.all(np.isnan(shown) | (shown == rounded(truth)))
    possible = worlds(shown)
    width = possible.max(axis=0) - possible.min(axis=0)
    assert width[(truth > 0) & (truth <= 6)].min(initial=3) >= 3


@pytest.mark.parametrize("counts", [(1, 1, 1, 1), (6, 6, 6, 6), (1, 0, 0, 1), (6, 1, 1, 6)])
def test_corners(counts):
    test_a_small_count_keeps_a_range_of_three.hypothesis.inner_test(list(counts))
