"""Support behind effects, against plain loops over cohorts, covariate cells and months."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import aggregate, group_time_att, pre_post
from calaim_eval.estimate import support as support_room
from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.cohort_month.stratum_effects import StratumEffects, stratum_effects
from calaim_eval.estimate.cohort_month.time_pairs import time_pairs
from calaim_eval.moments import reduce_panel
from calaim_eval.moments.periods import MISSING

N_MONTHS, N_CELLS = 12, 3
SHORT = {"months_before": 2, "months_after": 2}
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
    np.testing.assert_array_equal(support_room.pair_supports(effects), expected)


@CASES
@pytest.mark.parametrize("entries", [1, 200, 4_000_000])
def test_effects_together(monkeypatch, comparison, base, is_matched, entries):
    # However few cells are worked on at once.
    monkeypatch.setattr(support_room, "MOST_ENTRIES", entries)
    effects = random_effects(comparison, base, is_matched=is_matched)
    labels = np.unique(effects.event_time)
    weights = np.vstack([np.ones(len(effects)), effects.event_time == labels[:, None]])
    expected = [by_loops(effects, np.flatnonzero(row)) for row in weights]
    np.testing.assert_array_equal(support_room.effect_supports(effects, weights), expected)


def test_no_average_has_no_support():
    effects = random_effects("never_exposed", "varying", is_matched=False)
    assert support_room.effect_supports(effects, np.zeros((0, len(effects)))).shape == (0, 2, 3)


def row(n_members: int, n_events: int) -> dict[str, int]:
    return {"n_members": n_members, "n_events": n_events}


@pytest.mark.parametrize(
    ("estimate", "variance", "support", "is_told"),
    [
        ([1.0, 2.0], [1.0, 1.0], [row(9, 5), row(9, 5)], False),
        # The reference of an event study: 0 by construction, with events and members behind it.
        ([1.0, 0.0], [1.0, 0.0], [row(9, 5), row(9, 5)], False),
        # Nobody had an event: 0 as well, but an estimate.
        ([1.0, 0.0], [1.0, 0.0], [row(9, 5), row(9, 0)], True),
        ([1.0, 2.0], [1.0, np.nan], [row(9, 5), row(1, 5)], True),
        ([1.0, 2.0], [1.0, 0.0], [row(9, 5), row(9, 5)], True),
        # An outcome that never changes: every row looks like a reference.
        ([0.0, 0.0], [0.0, 0.0], [row(9, 5), row(9, 5)], True),
        # An estimate that is undefined itself has words of its own.
        ([1.0, np.nan], [1.0, np.nan], [row(9, 5), row(9, 5)], False),
    ],
)
def test_rows_without_an_error_are_told(estimate, variance, support, is_told):
    told = support_room.error_notes(np.array(estimate), np.array(variance), pd.DataFrame(support))
    assert told == ((support_room.NO_ERROR,) if is_told else ())


def test_single_members_are_told_in_the_table_and_its_averages():
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(6), 4),
            "month": np.tile(np.arange(4), 6),
            "cohort": np.repeat([2.0, *[np.nan] * 5], 4),
            "visits": [1, 0, 2, 3, *[0, 1, 1, 0, 2] * 4],
        }
    )
    moments = reduce_panel(frame, outcomes=["visits"])
    att_gt = group_time_att(moments, outcome="visits")
    for table in (att_gt, aggregate(att_gt), pre_post(moments, outcome="visits", **SHORT)):
        assert np.isnan(table.std_error).any()
        assert support_room.NO_ERROR in table.notes


@pytest.mark.parametrize("value", [0, 3, 0.1])
def test_an_outcome_that_never_varies_is_refused(value):
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(8), 4),
            "month": np.tile(np.arange(4), 8),
            "cohort": np.repeat([2.0] * 4 + [np.nan] * 4, 4),
            "visits": value,
        }
    )
    moments = reduce_panel(frame, outcomes=["visits"])
    with pytest.raises(EstimationError, match="`visits` is the same in all member-months"):
        group_time_att(moments, outcome="visits")
    with pytest.raises(EstimationError, match="`visits` is the same in all member-months"):
        pre_post(moments, outcome="visits", **SHORT)
