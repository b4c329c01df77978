"""Months before exposure only: the placebo of a shorter panel; no later outcome counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from county_panels import county_panel
from scipy import stats
from weighted_members import awkward_panel

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import (
    aggregate,
    group_time_att,
    placebo_moments,
    power,
    power_before_exposure,
)
from calaim_eval.moments import reduce_panel


def late_panel(seed: int = 8) -> pd.DataFrame:
    """Cohorts 8 and 10 of 12 months, so that eight months come before anybody is exposed."""
    frame = awkward_panel(seed, members=200, gap=0.2)
    later = awkward_panel(seed + 1, members=200, gap=0.2)
    both = pd.concat([frame, later.assign(month=later["month"] + 7)], ignore_index=True)
    first = both.groupby("member_id")
    for column in ("cohort", "risk", "group", "county"):
        both[column] = first[column].transform("first")
    both["cohort"] += 5
    return both[both["month"] < 12]


def shorter(frame: pd.DataFrame, follow_up: int) -> pd.DataFrame:
    """The same by hand: months before 8, everybody exposed at 8 less follow-up."""
    frame = frame[frame["month"] < 8]
    return frame.assign(cohort=np.where(frame["cohort"].notna(), 8.0 - follow_up, np.nan))


@pytest.mark.parametrize("outcome", ["visits", "paid_usd"])
@pytest.mark.parametrize("cells", [None, "risk"])
@pytest.mark.parametrize("cluster", ["member", "county"])
def test_is_the_placebo_of_the_shorter_panel(cluster, cells, outcome) -> None:
    frame = late_panel()
    names = {"outcomes": ["visits", "paid_usd"], "covariate_cells": cells, "cluster": "county"}
    placebo = placebo_moments(
        reduce_panel(frame, stratum="group", **names, unbalanced="cell_means"), follow_up_months=3
    )
    plain = reduce_panel(shorter(frame, 3), stratum="group", **names, unbalanced="cell_means")
    assert placebo.months.equals(plain.months)
    found, expected = (
        group_time_att(m, outcome=outcome, cluster=cluster, base_period="universal")
        for m in (placebo, plain)
    )
    assert found.keys.equals(expected.keys)
    assert found.estimate == pytest.approx(expected.estimate, rel=1e-9, abs=1e-9)
    assert found.covariance == pytest.approx(expected.covariance, rel=1e-6, abs=1e-9)
    overall = [aggregate(e) for e in (found, expected)]
    assert overall[0].estimate == pytest.approx(overall[1].estimate, rel=1e-9, abs=1e-9)
    assert overall[0].std_error == pytest.approx(overall[1].std_error, rel=1e-6)


def test_no_outcome_from_exposure_on_is_looked_at() -> None:
    frame = county_panel(3, months=8, start=5)
    changed = frame.assign(visits=frame["visits"].where(frame["month"] < 5, 7))
    options = {"outcome": "visits", "follow_up_months": 2, "cluster": "county"}
    found = [
        power_before_exposure(
            reduce_panel(f, outcomes=["visits"], cluster="county", unbalanced="cell_means"),
            **options,
        )
        for f in (frame, changed)
    ]
    pd.testing.assert_frame_equal(found[0].to_frame(), found[1].to_frame())


def test_is_power_of_the_placebo_with_the_comparison_mean() -> None:
    frame = county_panel(3, months=8, start=5)
    moments = reduce_panel(frame, outcomes=["visits"], stratum="group", unbalanced="cell_means")
    found = power_before_exposure(
        moments, outcome="visits", follow_up_months=2, per=1_000, take_up=[1.0, 0.02]
    )
    table = found.to_frame()
    assert table["group"].tolist() == ["x", "y", "x", "y"]
    before = placebo_moments(moments, follow_up_months=2)
    pilot = aggregate(
        group_time_att(before, outcome="visits", comparison="never_exposed", per=1_000)
    )
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert table["mde"][:2].tolist() == pytest.approx(z * pilot.std_error)
    never = frame[frame["cohort"].isna() & (frame["month"] < 5)]
    means = 1_000 * never.groupby("group")["visits"].mean()
    assert (table["mde"] / table["mde_share"])[:2].tolist() == pytest.approx(means.tolist())
    assert "before anybody" in found.assumptions[0]
    assert power(pilot).unit == found.unit == "visits per 1,000 member-periods"


def test_a_stratum_without_comparison_is_said_to_be_lost() -> None:
    frame = county_panel(3, months=8, start=5)
    frame = frame[(frame["group"] == "x") | frame["cohort"].notna()]
    moments = reduce_panel(frame, outcomes=["visits"], stratum="group", unbalanced="cell_means")
    found = power_before_exposure(moments, outcome="visits", follow_up_months=2)
    assert found.to_frame()["group"].tolist() == ["x"]
    assert any("not identified" in words and "y" in words for words in found.assumptions)


def test_amounts_have_their_level_put_back_in_the_mean() -> None:
    frame = county_panel(3, months=8, start=5)
    found = power_before_exposure(
        reduce_panel(frame, outcomes=["paid_usd"], unbalanced="cell_means"),
        outcome="paid_usd",
        follow_up_months=2,
    ).to_frame()
    never = frame[frame["cohort"].isna() & (frame["month"] < 5)]
    mean = found["mde"] / found["mde_share"]
    assert mean.iloc[0] == pytest.approx(never["paid_usd"].mean())


def test_anticipation_and_early_cohorts_are_left_out() -> None:
    frame = county_panel(3, months=8, start=5)
    early = frame["county"] == "county 00"
    frame.loc[early, "cohort"] = 0.0
    moments = reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means")
    placebo = placebo_moments(moments, follow_up_months=2, anticipation_months=1)
    assert placebo.months.tolist() == [0, 1, 2, 3]
    assert placebo.cells["cohort"].dropna().tolist() == [2]
    kept = frame[~early & (frame["month"] < 4)]
    assert placebo.at_risk.sum() == len(kept)
    assert "true effect is 0" in placebo.provenance["estimand_words"]


def test_members_exposed_from_the_first_month_on_are_said_to_be_left_out() -> None:
    frame = county_panel(3, months=8, start=5)
    options = {"outcome": "visits", "follow_up_months": 2}
    words = "exposed in the first month or before"
    plain = reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means")
    found = power_before_exposure(plain, **options)
    assert not any(words in line for line in found.assumptions)
    early = frame["county"].isin(["county 00", "county 01"])
    first = frame.assign(cohort=frame["cohort"].mask(early, 0.0))
    of_exposed = first[first["cohort"].notna()].drop_duplicates("member_id")
    assert (of_exposed["cohort"] == 0).mean() > 0.5
    moments = reduce_panel(first, outcomes=["visits"], unbalanced="cell_means")
    said = [a for a in power_before_exposure(moments, **options).assumptions if words in a]
    assert len(said) == 1
    assert "half or more of the exposed" in said[0]
    assert not any(character.isdigit() for character in said[0])
    assert said[0] in placebo_moments(moments, follow_up_months=2).provenance["notes"]


def test_refuses_what_has_no_months_before() -> None:
    moments = reduce_panel(county_panel(3), outcomes=["visits"], unbalanced="cell_means")
    with pytest.raises(DesignError, match=r"4 months come before .* needs 5"):
        placebo_moments(moments, follow_up_months=4)
    nobody = reduce_panel(
        county_panel(3).assign(cohort=np.nan), outcomes=["visits"], unbalanced="cell_means"
    )
    with pytest.raises(DesignError, match="no cohort to give a placebo to"):
        placebo_moments(nobody, follow_up_months=1)
    with pytest.raises(EstimationError, match="follow_up_months=0"):
        placebo_moments(moments, follow_up_months=0)
