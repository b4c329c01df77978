"""What must not move an estimate, and what must move it how."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calaim_eval.errors import DesignError
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import reduce_panel
from calaim_eval.results import EffectTable

OPTIONS = {"outcomes": ["visits"], "stratum": "group", "covariate_cells": "risk"}


@st.composite
def panels(draw: st.DrawFn) -> pd.DataFrame:
    """Small unbalanced panels: some cohorts, cells and strata empty, some members seen once."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_members, n_months = draw(st.integers(8, 60)), draw(st.integers(3, 6))
    cohorts = [np.nan, *range(1, n_months)]
    one = pd.DataFrame(
        {
            "member_id": rng.permutation(10 * n_members)[:n_members],
            "cohort": rng.choice(cohorts, n_members),
            "risk": rng.choice(["a", "b"], n_members, p=[0.8, 0.2]),
            "group": rng.choice(["x", "y"], n_members, p=[0.7, 0.3]),
        }
    )
    frame = one.loc[np.repeat(one.index, n_months)].reset_index(drop=True)
    frame["month"] = np.tile(np.arange(n_months), n_members)
    frame["visits"] = rng.poisson(draw(st.sampled_from([0.05, 0.5, 3.0])), len(frame))
    kept = frame[rng.random(len(frame)) >= draw(st.sampled_from([0.0, 0.2, 0.5]))]
    assume(len(set(kept["visits"])) > 1)  # an outcome that never varies is refused
    return kept.reset_index(drop=True)


def estimates(frame: pd.DataFrame, **options: object) -> list[EffectTable]:
    try:
        effects = group_time_att(
            reduce_panel(frame, **{**OPTIONS, **options}, unbalanced="cell_means"), outcome="visits"
        )
    except DesignError:
        assume(False)
    assume((effects.event_time >= 0).any())
    return [effects, aggregate(effects), aggregate(effects, by="event_time")]


def assert_equal(left: list[EffectTable], right: list[EffectTable], factor: float = 1.0) -> None:
    for ours, theirs in zip(left, right, strict=True):
        pd.testing.assert_frame_equal(ours.keys, theirs.keys)
        atol = 1e-10 * max(1.0, factor)
        np.testing.assert_allclose(ours.estimate, factor * theirs.estimate, rtol=1e-9, atol=atol)
        np.testing.assert_allclose(ours.std_error, factor * theirs.std_error, rtol=1e-7, atol=atol)


@settings(max_examples=25, deadline=None)
@given(panels(), st.integers(0, 99))
def test_row_order_and_ids_do_not_matter(frame: pd.DataFrame, seed: int) -> None:
    other = frame.sample(frac=1, random_state=seed)
    assert_equal(
        estimates(other.assign(member_id="id " + other["member_id"].astype(str))),
        estimates(frame),
    )


@settings(max_examples=25, deadline=None)
@given(panels(), st.integers(1, 20))
def test_members_never_covered_do_not_matter(frame: pd.DataFrame, n_more: int) -> None:
    more = frame.iloc[np.arange(n_more) % len(frame)].assign(
        member_id=-1 - np.arange(n_more), covered=False, visits=7
    )
    both = pd.concat([frame.assign(covered=True), more], ignore_index=True)
    assert_equal(estimates(both, at_risk="covered"), estimates(frame))


@settings(max_examples=25, deadline=None)
@given(panels(), st.sampled_from([0.001, 0.3, 7.0, 1000.0]))
def test_scaling_an_outcome_scales_the_estimate(frame: pd.DataFrame, factor: float) -> None:
    scaled = frame.assign(visits=factor * frame["visits"])
    assert_equal(estimates(scaled), estimates(frame), factor)


@settings(max_examples=20, deadline=None)
@given(panels(), st.sampled_from([0.5, 1e3]))
def test_adding_a_constant_changes_nothing(frame: pd.DataFrame, constant: float) -> None:
    moved = estimates(frame.assign(visits=frame["visits"] + constant))
    for ours, theirs in zip(moved, estimates(frame), strict=True):
        np.testing.assert_allclose(ours.estimate, theirs.estimate, atol=1e-9 * constant)
        np.testing.assert_allclose(ours.covariance, theirs.covariance, atol=1e-9 * constant)


@settings(max_examples=25, deadline=None)
@given(panels(), st.integers(2, 4))
def test_parts_add_up_to_the_whole(frame: pd.DataFrame, n_parts: int) -> None:
    part = frame["member_id"] % n_parts
    months = frame["month"].nunique()
    pieces = [
        reduce_panel(own, **OPTIONS, unbalanced="cell_means") for _, own in frame.groupby(part)
    ]
    assume(all(len(piece.months) == months for piece in pieces))
    total = pieces[0]
    for piece in pieces[1:]:
        total = total + piece
    whole = reduce_panel(frame, **OPTIONS, unbalanced="cell_means")
    pd.testing.assert_frame_equal(total.cells, whole.cells)
    rows = np.arange(len(whole))
    np.testing.assert_array_equal(total.matrices("visits", rows), whole.matrices("visits", rows))


def test_intervals_cover_with_overlapping_cohorts_and_gaps() -> None:
    # Linear trend common to all, effect 0.5 from exposure on, half of the member months missing at
    # random, correlation within members: 95 % intervals of three summaries over 300 panels.
    rng = np.random.default_rng(99)
    members, months, effect = 240, 6, 0.5
    covered = {"overall": 0, "event": 0, "cohort": 0}
    for _ in range(300):
        cohort = rng.choice([3.0, 4.0, np.nan], members)
        frame = pd.DataFrame(
            {
                "member_id": np.repeat(np.arange(members), months),
                "month": np.tile(np.arange(months), members),
                "cohort": np.repeat(cohort, months),
            }
        )
        after = frame["month"] >= frame["cohort"]
        level = np.repeat(rng.normal(0, 1, members), months)
        frame["visits"] = level + 0.2 * frame["month"] + effect * after
        frame["visits"] += rng.normal(0, 1, len(frame))
        frame = frame[rng.random(len(frame)) < 0.5]
        effects = group_time_att(
            reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"), outcome="visits"
        )
        tables = {
            "overall": aggregate(effects),
            "event": aggregate(effects, by="event_time", min_event_time=1, max_event_time=1),
            "cohort": aggregate(effects, average_over="cohort"),
        }
        for name, table in tables.items():
            row = table.to_frame().iloc[0]
            covered[name] += bool(row["conf_low"] <= effect <= row["conf_high"])
    # Binomial(300, 0.95) lies within 273 to 295 with probability 0.999.
    for name, count in covered.items():
        assert 273 <= count <= 296, (name, count)


@pytest.mark.parametrize("column", ["month", "cohort"])
def test_shifting_the_clock_changes_keys_only(column: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(50), 4),
            "month": np.tile(np.arange(4), 50),
            "cohort": np.repeat(rng.choice([2.0, np.nan], 50), 4),
            "visits": rng.poisson(1.0, 200),
            "risk": "a",
            "group": "x",
        }
    )
    later = frame.assign(month=frame["month"] + 2_000, cohort=frame["cohort"] + 2_000)
    effects, moved = (
        group_time_att(reduce_panel(f, **OPTIONS, unbalanced="cell_means"), outcome="visits")
        for f in (frame, later)
    )
    np.testing.assert_array_equal(effects.estimate, moved.estimate)
    assert (moved.keys[column] - effects.keys[column]).tolist() == [2_000] * len(effects)
