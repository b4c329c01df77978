"""Randomization inference: every assignment by hand, exactness, blocks, and what is refused."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from county_panels import county_panel
from weighted_members import awkward_panel

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import aggregate, group_time_att, randomization_test
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable


def overall(moments: CellMoments) -> EffectTable:
    return aggregate(group_time_att(moments, outcome="visits", cluster="county"))


def two_months(seed: int, *, counties: int = 6, phase_1: int = 3, effect: float = 0.0):
    frame = county_panel(seed, counties=counties, phase_1=phase_1, members=90, effect=effect)
    return frame[frame["month"].isin([3, 4])].reset_index(drop=True)


def t_by_hand(frame: pd.DataFrame, exposed: tuple[str, ...]) -> float:
    """Two-by-two by means, its sandwich by sums of residuals over counties."""
    is_exposed = frame["county"].isin(exposed)
    is_after = frame["month"] == 4
    cell = 2 * is_exposed.astype(int) + is_after.astype(int)
    mean = frame["visits"].groupby(cell).mean()
    size = cell.map(cell.value_counts())
    sign = np.where(is_exposed == is_after, 1.0, -1.0)
    score = sign * (frame["visits"] - cell.map(mean)) / size
    spread = np.sqrt((score.groupby(frame["county"]).sum() ** 2).sum())
    return float((mean[3] - mean[2] - mean[1] + mean[0]) / spread)


@pytest.mark.parametrize("seed", range(3))
def test_every_assignment_by_hand(seed: int) -> None:
    frame = two_months(seed, effect=0.8)
    counties = sorted(frame["county"].unique())
    actual = abs(t_by_hand(frame, tuple(counties[:3])))
    all_t = [abs(t_by_hand(frame, chosen)) for chosen in combinations(counties, 3)]
    expected = sum(t >= actual - 1e-12 for t in all_t) / 20
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    row = randomization_test(moments, overall).iloc[0]
    assert row["p_value"] == pytest.approx(expected)
    assert row["statistic"] == pytest.approx(t_by_hand(frame, tuple(counties[:3])))
    assert (row["n_assignments"], row["is_enumerated"], row["n_undefined"]) == (19, True, 0)
    assert row["p_value_step"] == pytest.approx(1 / 20)


def test_is_exact_over_the_assignments_it_permutes() -> None:
    # Each of the 10 assignments in turn as the actual one: p-values are their ranks.
    frame = two_months(7, counties=5, phase_1=2)
    p_values = []
    for chosen in combinations(sorted(frame["county"].unique()), 2):
        dealt = frame.assign(cohort=np.where(frame["county"].isin(chosen), 4.0, np.nan))
        moments = reduce_panel(
            dealt, outcomes=["visits"], cluster="county", unbalanced="cell_means"
        )
        p_values.append(randomization_test(moments, overall)["p_value"].iloc[0])
    assert sorted(p_values) == pytest.approx(np.arange(1, 11) / 10)


def test_drawn_assignments_are_near_all_of_them() -> None:
    frame = two_months(1, counties=7, phase_1=3, effect=0.5)
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    exact = randomization_test(moments, overall)["p_value"].iloc[0]
    assert 0.1 < exact < 0.9
    # 35 assignments: a limit of 33 makes it draw.
    found = [
        randomization_test(moments, overall, draws=33, rng=np.random.default_rng(seed)).iloc[0]
        for seed in range(12)
    ]
    assert not any(row["is_enumerated"] for row in found)
    drawn = np.mean([row["p_value"] for row in found])
    # 396 draws: four standard errors of a share, and 1/34 for the actual one.
    assert drawn == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 396) + 1 / 34)
    again = randomization_test(moments, overall, draws=33, rng=np.random.default_rng(0)).iloc[0]
    assert again["p_value"] == found[0]["p_value"]


def test_blocks_keep_cohorts_within_them() -> None:
    frame = two_months(3)
    counties = sorted(frame["county"].unique())
    # Two exposed of three in the north, one of three in the south: 3 x 3 assignments.
    north = {counties[0], counties[1], counties[3]}
    within = {c: "north" if c in north else "south" for c in counties}
    actual = abs(t_by_hand(frame, tuple(counties[:3])))
    all_t = [
        abs(t_by_hand(frame, (*pair, one)))
        for pair in combinations(sorted(north), 2)
        for one in sorted(set(counties) - north)
    ]
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    row = randomization_test(moments, overall, within=within).iloc[0]
    assert row["n_assignments"] == 8
    assert row["p_value"] == pytest.approx(sum(t >= actual - 1e-12 for t in all_t) / 9)


def test_staggered_counties_permute_their_cohorts() -> None:
    frame = county_panel(4, counties=5, phase_1=2, members=120)
    second = frame["county"] == "county 01"
    frame.loc[second, "cohort"] = 3.0
    moments = reduce_panel(
        frame, outcomes=["visits"], cluster="county", stratum="group", unbalanced="cell_means"
    )
    found = randomization_test(moments, overall)
    # 5! / (1! 1! 3!) assignments.
    assert found["n_assignments"].tolist() == [19, 19]
    assert found["group"].tolist() == ["x", "y"]
    assert found["p_value"].between(1 / 20, 1).all()


def test_assignments_without_an_effect_count_against_it() -> None:
    # Group y has members in three of six counties: 2 of 20 assignments expose none or all of them.
    frame = two_months(5)
    held = ["county 00", "county 04", "county 05"]
    frame = frame[(frame["group"] == "x") | frame["county"].isin(held)]
    moments = reduce_panel(
        frame, outcomes=["visits"], cluster="county", stratum="group", unbalanced="cell_means"
    )
    found = randomization_test(moments, overall).set_index("group")
    assert found["n_undefined"].to_dict() == {"x": 0, "y": 2}
    assert found.loc["y", "p_value"] >= 3 / 20


def test_one_county_a_side_has_no_statistic() -> None:
    # Deviations from the mean of one county add up to 0: there is no error to divide by.
    frame = two_months(5)
    frame = frame[(frame["group"] == "x") | frame["county"].isin(["county 00", "county 05"])]
    moments = reduce_panel(
        frame, outcomes=["visits"], cluster="county", stratum="group", unbalanced="cell_means"
    )
    found = randomization_test(moments, overall).set_index("group")
    assert np.isnan(found.loc["y", "p_value"])
    assert np.isfinite(found.loc["x", "p_value"])


def test_refuses_designs_that_know_no_assignment() -> None:
    moments = reduce_panel(
        awkward_panel(seed=2), outcomes=["visits"], cluster="county", unbalanced="cell_means"
    )
    with pytest.raises(DesignError, match=r"hold members of several cohorts.*design_county_phase"):
        randomization_test(moments, overall)
    everybody = reduce_panel(
        county_panel(1, phase_1=8), outcomes=["visits"], cluster="county", unbalanced="cell_means"
    )
    with pytest.raises(DesignError, match="can be assigned in one way only"):
        randomization_test(everybody, overall)


def test_refuses_bad_options() -> None:
    moments = reduce_panel(
        county_panel(1), outcomes=["visits"], cluster="county", unbalanced="cell_means"
    )
    with pytest.raises(EstimationError, match="Give rng="):
        randomization_test(moments, overall, draws=10)
    with pytest.raises(EstimationError, match="draws=0"):
        randomization_test(moments, overall, draws=0)
    with pytest.raises(EstimationError, match="no block for 7 of 8 clusters"):
        randomization_test(moments, overall, within={"county 00": 1})
    with pytest.raises(EstimationError, match="Let the estimator cluster by the column"):
        randomization_test(moments, lambda m: aggregate(group_time_att(m, outcome="visits")))
    with pytest.raises(EstimationError, match="keep no cluster sums"):
        randomization_test(
            reduce_panel(county_panel(1), outcomes=["visits"], unbalanced="cell_means"), overall
        )
