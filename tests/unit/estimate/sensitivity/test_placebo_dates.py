"""False dates against the estimator itself on rows cut and moved by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import (
    aggregate,
    falsification_flags,
    group_time_att,
    joint_test,
    placebo_dates,
)
from calaim_eval.moments import reduce_panel
from calaim_eval.results import EffectTable


def panel(seed: int, *, gap: float = 0.0, members: int = 400, months: int = 12) -> pd.DataFrame:
    """Counts without an effect before exposure; cohorts 5, 8, 13 (after the end) and never."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(members), months),
            "month": np.tile(np.arange(months), members),
        }
    )
    cohort = rng.choice([5.0, 8.0, 13.0, np.nan], members, p=[0.25, 0.25, 0.1, 0.4])
    frame["cohort"] = cohort[frame["member_id"]]
    frame["risk"] = rng.choice(["low", "high"], members)[frame["member_id"]]
    frame["group"] = rng.choice(["x", "y"], members)[frame["member_id"]]
    frame["county"] = rng.integers(0, 25, members)[frame["member_id"]]
    level = rng.gamma(3.0, 0.4, members)[frame["member_id"]]
    frame["visits"] = rng.poisson(level + 0.8 * (frame["month"] >= frame["cohort"]))
    # Everybody is seen in the first month, so that cutting months leaves nobody out.
    return frame[(rng.random(len(frame)) >= gap) | (frame["month"] == 0)].reset_index(drop=True)


def by_hand(
    frame: pd.DataFrame, date: int, anticipation: int, cluster: str, **columns: object
) -> EffectTable:
    """The estimator on months before exposure, cohorts moved."""
    before = frame["cohort"].isna() | (frame["month"] < frame["cohort"] - anticipation)
    cut = frame[before].assign(cohort=frame["cohort"] - date)
    moments = reduce_panel(
        cut, outcomes=["visits"], cluster="county", **columns, unbalanced="cell_means"
    )
    att_gt = group_time_att(
        moments, outcome="visits", anticipation_months=anticipation, cluster=cluster, per=1000
    )
    return aggregate(att_gt)


@pytest.mark.parametrize("gap", [0.0, 0.2])
@pytest.mark.parametrize("cluster", ["member", "county"])
@pytest.mark.parametrize("anticipation", [0, 1])
def test_every_date_is_the_estimator_on_cut_and_moved_rows(
    gap: float, cluster: str, anticipation: int
) -> None:
    frame = panel(1, gap=gap)
    columns = {"stratum": "group", "covariate_cells": ["risk"]}
    moments = reduce_panel(
        frame, outcomes=["visits"], cluster="county", **columns, unbalanced="cell_means"
    )
    table = placebo_dates(
        moments,
        outcome="visits",
        months_earlier=[2, 3],
        anticipation_months=anticipation,
        cluster=cluster,
        per=1000,
    )
    assert table.keys["months_earlier"].tolist() == [2, 3, 2, 3]
    for date in (2, 3):
        expected = by_hand(frame, date, anticipation, cluster, **columns)
        found = table.select(table.keys["months_earlier"] == date)
        assert found.keys["group"].tolist() == expected.keys["group"].tolist()
        assert found.estimate == pytest.approx(expected.estimate, rel=1e-10)
        assert found.std_error == pytest.approx(expected.std_error, rel=1e-10)
        pd.testing.assert_frame_equal(found.support, expected.support)


def test_dates_are_jointly_estimated() -> None:
    # The covariance of two dates, from their county influences made apart.
    frame = panel(2, gap=0.1)
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    table = placebo_dates(moments, outcome="visits", months_earlier=[2, 4], cluster="county")
    apart = [by_hand(frame, date, 0, "county").cluster_influence for date in (2, 4)]
    assert all(influence is not None for influence in apart)
    both = pd.concat(apart, axis=1).to_numpy() / 1000
    assert table.covariance == pytest.approx(both.T @ both, rel=1e-10)
    # By member: as clusters of one member each.
    single = reduce_panel(
        frame.assign(own=frame["member_id"]),
        outcomes=["visits"],
        cluster="own",
        unbalanced="cell_means",
    )
    ours = placebo_dates(single, outcome="visits", months_earlier=[2, 4])
    alone = placebo_dates(single, outcome="visits", months_earlier=[2, 4], cluster="own")
    assert ours.covariance == pytest.approx(alone.covariance, rel=1e-10)


def test_early_changes_are_found_and_none_are_not() -> None:
    quiet = panel(3, members=3000)
    rng = np.random.default_rng(30)
    early = quiet.assign(
        visits=quiet["visits"] + rng.poisson(0.6 * (quiet["month"] == quiet["cohort"] - 1))
    )
    p_values = []
    for frame in (quiet, early):
        moments = reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means")
        table = placebo_dates(moments, outcome="visits", months_earlier=[1, 3])
        p_values.append(float(joint_test(table)["p_value"].item()))
        assert table.estimand.is_causal is False
    assert p_values[1] < 1e-6 < 0.01 < p_values[0]
    flags = falsification_flags(table)
    assert flags["is_flagged"].tolist()[0]
    # A false date one month before: the change itself, 0.6, within four standard errors.
    assert table.estimate[0] == pytest.approx(0.6, abs=4 * table.std_error[0])


def test_dates_without_a_base_month_are_left_out_and_said() -> None:
    moments = reduce_panel(panel(4), outcomes=["visits"], unbalanced="cell_means")
    table = placebo_dates(moments, outcome="visits", months_earlier=[3, 40])
    assert table.keys["months_earlier"].tolist() == [3]
    assert any("False dates not identified" in note for note in table.notes)
    with pytest.raises(DesignError, match="no cohort has a month before a date 40 months"):
        placebo_dates(moments, outcome="visits", months_earlier=[40])


def test_strata_without_any_date_are_named_and_others_say_which_dates() -> None:
    frame = panel(4)
    frame.loc[(frame["group"] == "y") & frame["cohort"].notna(), "cohort"] = 1.0
    table = placebo_dates(
        reduce_panel(frame, outcomes=["visits"], stratum="group", unbalanced="cell_means"),
        outcome="visits",
        months_earlier=[3, 40],
    )
    assert table.keys["group"].tolist() == ["x"]
    assert "Strata in which the terms are not identified, left out: y." in table.notes
    assert "False dates not identified: x 40 months earlier." in table.notes


def test_the_policy_calendar_is_in_the_notes() -> None:
    frame = panel(5).assign(
        month=lambda f: pd.PeriodIndex.from_ordinals(f["month"] + 625, freq="M"),
        cohort=lambda f: f["cohort"] + 625,
    )
    whole = frame["cohort"].notna()
    cohort = pd.Series(pd.NaT, index=frame.index, dtype="period[M]")
    cohort[whole] = pd.PeriodIndex.from_ordinals(frame.loc[whole, "cohort"].astype(int), freq="M")
    frame = frame.assign(cohort=cohort)  # February 2022 to January 2023
    frame = frame.rename(columns={"visits": "ed_visits"})
    frame["mine"] = frame["ed_visits"]
    moments = reduce_panel(frame, outcomes=["ed_visits", "mine"], unbalanced="cell_means")
    table = placebo_dates(moments, outcome="ed_visits", months_earlier=[2])
    assert any("2022-05" in note for note in table.notes)
    own = placebo_dates(moments, outcome="mine", months_earlier=[2])
    assert any("has no policy calendar" in note for note in own.notes)


def test_what_is_refused() -> None:
    frame = panel(6)
    moments = reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means")
    for wrong in ([], [0], [-2], [2, 2], [1.5]):
        with pytest.raises(EstimationError, match="give different whole numbers"):
            placebo_dates(moments, outcome="visits", months_earlier=wrong)
    with pytest.raises(EstimationError, match="each more than the 2 months of anticipation"):
        placebo_dates(moments, outcome="visits", months_earlier=[2], anticipation_months=2)
    with pytest.raises(EstimationError, match="no outcome `cost`"):
        placebo_dates(moments, outcome="cost")
    with pytest.raises(EstimationError, match="these moments keep cluster sums for none"):
        placebo_dates(moments, outcome="visits", cluster="county")
    with pytest.raises(EstimationError, match="comparison"):
        placebo_dates(moments, outcome="visits", comparison="later")  # type: ignore[arg-type]
    constant = reduce_panel(frame.assign(visits=2), outcomes=["visits"], unbalanced="cell_means")
    with pytest.raises(EstimationError, match="same in all member-months"):
        placebo_dates(constant, outcome="visits", months_earlier=[2])
    everybody = reduce_panel(
        frame[frame["cohort"] == 5], outcomes=["visits"], unbalanced="cell_means"
    )
    with pytest.raises(DesignError):
        placebo_dates(everybody, outcome="visits", months_earlier=[2])
    nobody = reduce_panel(frame.assign(cohort=np.nan), outcomes=["visits"], unbalanced="cell_means")
    with pytest.raises(DesignError, match="nobody"):
        placebo_dates(nobody, outcome="visits", months_earlier=[2])


def test_one_member_on_a_side_has_no_standard_error() -> None:
    frame = panel(7, members=60)
    one = frame[frame["cohort"].isna() | (frame["member_id"] == 1)].assign(
        cohort=lambda f: np.where(f["member_id"] == 1, 8.0, np.nan)
    )
    table = placebo_dates(
        reduce_panel(one, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        months_earlier=[3],
    )
    assert table.support["n_members"].item() == 1
    assert np.isnan(table.std_error).all()
    with pytest.raises(EstimationError, match="no row of this table has a standard error"):
        joint_test(table)
