"""Support behind effects, against plain loops over cohorts, covariate cells and months."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import support
from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects, stratum_effects
from calaim_eval.estimate.cohort_month.time_pairs import time_pairs
from calaim_eval.moments.periods import MISSING

N_MONTHS, N_CELLS = 12, 3
COHORTS = np.array([MISSING, 2, 4, 5])


def random_effects(comparison: str, base: str, *, is_matched: bool) -> StratumEffects:
    """Effects on cells of few members, many of whom are missing in some months."""
    rng = np.random.default_rng(3)
    shape = (len(COHORTS), N_CELLS, N_MONTHS)
    at_risk = rng.integers(0, 5, shape).astype(float)
    events = rng.integers(0, 3, shape) * (at_risk > 0)
    different = {}
    if is_matched:
        different = {
            "different_at_risk": np.maximum(at_risk - rng.integers(0, 2, shape), 0.0),
            "different_events": np.maximum(events - rng.integers(0, 2, shape), 0.0),
        }
    grid = CellGrid(
        stratum=pd.DataFrame(index=[0]),
        cohorts=COHORTS,
        axis=np.arange(N_MONTHS),
        cell=np.arange(len(COHORTS) * N_CELLS).reshape(shape[:2]),
        total=events.astype(float),
        at_risk=at_risk,
        events=events.astype(float),
        n_members=at_risk.max(axis=2),
        shift=0.0,
        **different,
    )
    pairs = time_pairs(
        COHORTS, grid.axis, comparison=comparison, base_period=base, anticipation_months=0
    )
    return stratum_effects(grid, pairs, per=1.0)


def by_loops(effects: StratumEffects, rows: np.ndarray) -> np.ndarray:
    """Members (by their fullest month), events and member-months of either side; (2, 3)."""
    grid, pairs = effects.grid, effects.pairs
    used: tuple[set, set] = (set(), set())
    for row in rows:
        for month in (pairs.month[row], pairs.base[row]):
            for cell in np.flatnonzero(effects.kept[row]):
                used[0].add((pairs.cohort[row], cell, month))
                used[1].update((c, cell, month) for c in np.flatnonzero(pairs.comparison[row]))
    is_matched = grid.different_at_risk is not None
    found = []
    for side in used:
        members: dict[tuple, float] = {}
        n_events = n_months = 0.0
        for place in side:
            at_risk, events = grid.at_risk[place], grid.events[place]
            people = min(at_risk, grid.different_at_risk[place]) if is_matched else at_risk
            members[place[:2]] = max(members.get(place[:2], 0.0), people)
            n_events += min(events, grid.different_events[place]) if is_matched else events
            n_months += at_risk
        found.append([math.fsum(members.values()), n_events, n_months])
    return np.array(found)


CASES = pytest.mark.parametrize(
    ("comparison", "base", "is_matched"),
    [
        ("never_exposed", "varying", False),
        ("not_yet_exposed", "universal", False),
        ("not_yet_exposed", "varying", True),
    ],
)


@CASES
def test_each_effect_alone(comparison, base, is_matched):
    effects = random_effects(comparison, base, is_matched=is_matched)
    expected = [by_loops(effects, np.array([row])) for row in range(len(effects))]
    assert len(effects) > 10
    np.testing.assert_array_equal(support.pair_supports(effects), expected)


@CASES
@pytest.mark.parametrize("entries", [1, 200, 4_000_000])
def test_effects_together(monkeypatch, comparison, base, is_matched, entries):
    # However few cells are worked on at once.
    monkeypatch.setattr(support, "MOST_ENTRIES", entries)
    effects = random_effects(comparison, base, is_matched=is_matched)
    labels = np.unique(effects.event_time)
    weights = np.vstack([np.ones(len(effects)), effects.event_time == labels[:, None]])
    expected = [by_loops(effects, np.flatnonzero(row)) for row in weights]
    np.testing.assert_array_equal(support.effect_supports(effects, weights), expected)


def test_no_average_has_no_support():
    effects = random_effects("never_exposed", "varying", is_matched=False)
    assert support.effect_supports(effects, np.zeros((0, len(effects)))).shape == (0, 2, 3)
