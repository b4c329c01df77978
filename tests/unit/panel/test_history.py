"""What earlier months say of a month, against loops over the months of one member."""

from __future__ import annotations

import numpy as np
import pytest

from calaim_eval.panel.history import LOOKBACK_MONTHS, continuous_before


def longest_gap(covered, month):
    """Longest run of months without coverage in the year before a month and the month itself."""
    longest = run = 0
    for each in range(month - 12, month + 1):
        run = 0 if each in covered else run + 1
        longest = max(longest, run)
    return longest


@pytest.mark.parametrize("max_gap", [0, 1, 2, 3])
@pytest.mark.parametrize("n_months", [10, 13, 40])
def test_a_gap_of_the_year_before_is_found_wherever_it_is(max_gap, n_months):
    rng = np.random.default_rng(n_months)
    shares = rng.choice([0.3, 0.8, 0.95, 1.0], size=60)
    grid = rng.random((60, n_months)) < shares[:, None]
    cells = np.flatnonzero(grid)
    told = continuous_before(cells, n_months, max_gap)
    expected = [
        month >= LOOKBACK_MONTHS
        and longest_gap(set(np.flatnonzero(grid[member])), month) <= max_gap
        for member, month in (divmod(cell, n_months) for cell in cells)
    ]
    assert told.tolist() == expected
    assert any(expected) == (n_months > LOOKBACK_MONTHS)


def test_no_months_no_answers():
    assert continuous_before(np.array([], dtype=np.int64), 24, 0).tolist() == []
