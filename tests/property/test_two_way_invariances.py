"""What must not move the regressions and imputation, and what must move them in proportion."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weighted_members import awkward_panel

from calaim_eval.estimate import (
    imputation_att,
    imputation_att_from_members,
    sun_abraham,
    triple_difference,
    two_way_fixed_effects,
    two_way_fixed_effects_from_members,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable

FROM_CELLS: dict[str, Callable[[CellMoments], EffectTable]] = {
    "naive": lambda m: two_way_fixed_effects(m, outcome="y", by="event_time"),
    "imputation": lambda m: imputation_att(m, outcome="y", by="event_time", leads=2),
    "sun_abraham": lambda m: sun_abraham(m, outcome="y"),
    "triple": lambda m: triple_difference(
        m, outcome="y", stratum="group", target="x", reference="y", by="event_time"
    ),
}
FROM_MEMBERS: dict[str, Callable[[pd.DataFrame], EffectTable]] = {
    "naive": lambda f: two_way_fixed_effects_from_members(f, outcome="y", by="event_time"),
    "imputation": lambda f: imputation_att_from_members(
        f, outcome="y", by="event_time", leads=2, variance="leave_one_out"
    ),
}


def frames(seed: int, gap: float) -> pd.DataFrame:
    return awkward_panel(seed, members=60, gap=gap).assign(y=lambda f: f["paid_usd"] / 100)


def same(one: EffectTable, two: EffectTable, scale: float = 1.0) -> None:
    assert two.estimate == pytest.approx(scale * one.estimate, rel=1e-6, abs=1e-7 * scale)
    assert two.covariance == pytest.approx(
        scale**2 * one.covariance, rel=1e-6, abs=1e-7 * scale**2, nan_ok=True
    )


def with_member_levels_and_a_calendar(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The outcome plus a level for every member and a shift for every month."""
    rng = np.random.default_rng(seed)
    level, shift = rng.normal(0, 30, 60), rng.normal(0, 30, 7)
    return frame.assign(y=frame["y"] + level[frame["member_id"]] + shift[frame["month"]])


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), name=st.sampled_from(list(FROM_MEMBERS)))
def test_members(seed: int, name: str) -> None:
    estimate, frame = FROM_MEMBERS[name], frames(seed, 0.1)
    before = frame["member_id"][frame["month"] < frame["cohort"]]
    frame = frame[frame["cohort"].isna() | frame["member_id"].isin(before)]
    table = estimate(frame)
    same(table, estimate(frame.sample(frac=1, random_state=seed)))
    same(table, estimate(frame.assign(member_id=1000 - frame["member_id"])))
    same(table, estimate(with_member_levels_and_a_calendar(frame, seed)))
    same(table, estimate(frame.assign(y=40 * frame["y"])), scale=40)
    later = frame.assign(month=frame["month"] + 2000, cohort=frame["cohort"] + 2000)
    same(table, estimate(later))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), name=st.sampled_from(list(FROM_CELLS)))
def test_cells(seed: int, name: str) -> None:
    estimate, frame = FROM_CELLS[name], frames(seed, 0.0)

    def table(changed: pd.DataFrame) -> EffectTable:
        stratum = "group" if name == "triple" else None
        return estimate(
            reduce_panel(changed, outcomes=["y"], stratum=stratum, unbalanced="cell_means")
        )

    whole = table(frame)
    same(whole, table(frame.sample(frac=1, random_state=seed)))
    same(whole, table(with_member_levels_and_a_calendar(frame, seed)))
    same(whole, table(frame.assign(y=40 * frame["y"])), scale=40)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_moments_of_two_plans_add_up(seed: int) -> None:
    frame = frames(seed, 0.0)
    plans = [frame[frame["member_id"] % 2 == plan] for plan in (0, 1)]
    moments = [reduce_panel(plan, outcomes=["y"], unbalanced="cell_means") for plan in plans]
    together = reduce_panel(frame, outcomes=["y"], unbalanced="cell_means")
    for name in ("naive", "imputation", "sun_abraham"):
        same(FROM_CELLS[name](together), FROM_CELLS[name](moments[0] + moments[1]))
