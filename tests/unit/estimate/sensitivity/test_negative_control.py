"""Outcomes declared out of reach, and the reading of results whose truth is 0."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from event_study_tables import event_study
from scipy import stats
from statsmodels.stats.multitest import multipletests

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import (
    aggregate,
    falsification_flags,
    group_time_att,
    joint_test,
    negative_control,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable


def controls(seed: int = 0) -> CellMoments:
    """An outcome that is biased, one that is not, one of group x only."""
    rng = np.random.default_rng(seed)
    members, months = 1500, 6
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(members), months),
            "month": np.tile(np.arange(months), members),
        }
    )
    frame["cohort"] = rng.choice([3.0, np.nan], members)[frame["member_id"]]
    frame["group"] = rng.choice(["x", "y"], members)[frame["member_id"]]
    frame["county"] = rng.integers(0, 60, members)[frame["member_id"]]
    frame["fractures"] = rng.poisson(0.3, len(frame))
    frame["eye_exams"] = rng.poisson(0.3 + 0.5 * (frame["month"] >= frame["cohort"]))
    frame["births"] = rng.poisson(0.3 * (frame["group"] == "x"))
    return reduce_panel(
        frame,
        outcomes=["fractures", "eye_exams", "births"],
        stratum="group",
        cluster="county",
        unbalanced="cell_means",
    )


WHY = {"fractures": "no part of the service.", "eye_exams": "not arranged by it"}


def test_rows_are_the_overall_effects_and_the_warning_names_the_outcome() -> None:
    moments = controls()
    table = negative_control(moments, outcomes=WHY)
    assert table.keys["outcome"].tolist() == ["fractures"] * 2 + ["eye_exams"] * 2
    for name in WHY:
        own = table.select((table.keys["outcome"] == name).to_numpy())
        expected = aggregate(group_time_att(moments, outcome=name))
        assert own.estimate == pytest.approx(expected.estimate)
        assert own.covariance == pytest.approx(expected.covariance)
    warned = [note for note in table.notes if note.startswith("Warning")]
    assert len(warned) == 1
    assert "`eye_exams`" in warned[0]
    assert "`fractures` was declared out of reach: no part of the service." in table.notes
    assert table.estimand.is_causal is False
    assert table.method.options["reasons"] == WHY
    flags = falsification_flags(table)
    assert flags["is_flagged"].tolist() == [False, False, True, True]


def test_outcomes_are_joint_by_county_and_unknown_by_member() -> None:
    moments = controls(1)
    by_county = negative_control(moments, outcomes=WHY, cluster="county")
    parts = [
        aggregate(group_time_att(moments, outcome=name, cluster="county")).cluster_influence
        for name in WHY
    ]
    both = np.hstack([np.asarray(part) for part in parts])
    assert by_county.covariance == pytest.approx(both.T @ both)
    assert set(joint_test(by_county)["group"]) == {"x", "y"}
    by_member = negative_control(moments, outcomes=WHY)
    with pytest.raises(EstimationError, match="covariances between some rows are unknown"):
        joint_test(by_member)


def test_a_control_without_events_in_a_group_says_that_it_says_nothing() -> None:
    table = negative_control(controls(2), outcomes={"births": "not related"})
    assert np.isnan(table.std_error).tolist() == [False, True]
    assert any("says nothing where it has no standard error" in note for note in table.notes)
    flags = falsification_flags(table)
    assert not flags["is_flagged"].iloc[1]
    assert np.isnan(flags["p_holm"].iloc[1])


def test_what_is_refused() -> None:
    moments = controls(3)
    for wrong in ({}, ["fractures"]):
        with pytest.raises(EstimationError, match="mapping from outcome to the reason"):
            negative_control(moments, outcomes=wrong)  # type: ignore[arg-type]
    with pytest.raises(EstimationError, match=r"1 of 2 outcomes have no reason .*`eye_exams`"):
        negative_control(moments, outcomes={"fractures": "no part", "eye_exams": " "})
    with pytest.raises(EstimationError, match="no outcome `falls`"):
        negative_control(moments, outcomes={"falls": "no part"})
    with pytest.raises(EstimationError, match="conf_level"):
        negative_control(moments, outcomes=WHY, conf_level=95)


def table_of(estimate: list[float], covariance: np.ndarray) -> EffectTable:
    study = event_study(np.array(estimate[:1]), np.array(estimate[1:]), covariance)
    return replace(study, keys=pd.DataFrame({"months_earlier": range(len(estimate))}))


def test_joint_test_by_hand_and_of_dependent_rows() -> None:
    # Two independent rows with z of 1 and 2: chi-square 5 with 2 degrees of freedom.
    found = joint_test(table_of([1.0, 4.0], np.diag([1.0, 4.0]))).iloc[0]
    assert found["statistic"] == pytest.approx(5.0)
    assert found["p_value"] == pytest.approx(np.exp(-2.5))
    # A row repeated adds nothing: one degree of freedom.
    found = joint_test(table_of([2.0, 2.0], np.ones((2, 2)))).iloc[0]
    assert (found["df"], found["statistic"]) == (1, pytest.approx(4.0))
    # Ratios by their logarithms: log 2 with standard error 0.4 / 2.
    ratio = table_of([2.0, 1.0], np.diag([0.16, 0.16]))
    ratio = replace(ratio, estimand=replace(ratio.estimand, scale="ratio"))
    assert joint_test(ratio).iloc[0]["statistic"] == pytest.approx((np.log(2) / 0.2) ** 2)


def test_as_many_rows_as_clusters_are_refused() -> None:
    table = table_of([1.0, 4.0], np.eye(2))
    with pytest.raises(EstimationError, match="2 rows and 2 clusters"):
        joint_test(replace(table, cluster_influence=pd.DataFrame(np.eye(2))))


def test_holm_against_statsmodels() -> None:
    z = np.array([0.5, 2.2, 3.0, 1.9, 2.4])
    flags = falsification_flags(table_of(z.tolist(), np.eye(5)))
    p_value = 2 * stats.norm.sf(z)
    assert flags["p_holm"].to_numpy() == pytest.approx(multipletests(p_value, method="holm")[1])
    assert flags["is_flagged"].tolist() == (z > 1.96).tolist()
