"""Months of anticipation: each row is the estimator, the differences are joint."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from weighted_members import awkward_panel, clustered, influence

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import aggregate, anticipation_scan, group_time_att
from calaim_eval.moments import reduce_panel


def shared_pairs(frame: pd.DataFrame, most: int) -> list[tuple[int, int]]:
    """Cohort-months from exposure on that have a base month with `most` months of anticipation."""
    first, last = frame["month"].min(), frame["month"].max()
    cohorts = sorted(frame["cohort"].dropna().unique())
    return [(int(g), t) for g in cohorts for t in range(int(g), last + 1) if g - most - 1 >= first]


@pytest.mark.parametrize("cluster", ["member", "county"])
def test_effects_are_those_of_the_estimator(cluster: str) -> None:
    frame = awkward_panel(3)
    moments = reduce_panel(
        frame,
        outcomes=["visits"],
        stratum="group",
        covariate_cells=["risk"],
        cluster="county",
        unbalanced="cell_means",
    )
    table = anticipation_scan(
        moments, outcome="visits", max_anticipation_months=2, cluster=cluster, per=1000
    )
    for months in (0, 1, 2):
        att_gt = group_time_att(
            moments, outcome="visits", anticipation_months=months, cluster=cluster, per=1000
        )
        expected = aggregate(att_gt)
        rows = (table.keys["anticipation_months"] == months) & (table.keys["row"] == "effect")
        found = table.select(rows)
        assert found.keys["group"].tolist() == expected.keys["group"].tolist()
        assert found.estimate == pytest.approx(expected.estimate, rel=1e-10)
        assert found.std_error == pytest.approx(expected.std_error, rel=1e-10)
        pd.testing.assert_frame_equal(found.support, expected.support)


def test_differences_and_their_errors_against_derivatives_by_member() -> None:
    frame = awkward_panel(8)
    members = int(frame["member_id"].max()) + 1
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    table = anticipation_scan(
        moments, outcome="visits", max_anticipation_months=2, comparison="never_exposed"
    )
    pairs = shared_pairs(frame, 2)

    who = frame["member_id"].to_numpy()
    visits = frame["visits"].to_numpy(dtype=float)
    side = frame["cohort"].fillna(-1).to_numpy()
    rows = {
        (g, t): np.flatnonzero((side == g) & (frame["month"] == t))
        for g in np.unique(side)
        for t in range(7)
    }
    cohort_of = frame.groupby("member_id")["cohort"].first().reindex(range(members)).to_numpy()

    def mean(weight: np.ndarray, cohort: int, month: int) -> float:
        own = rows[cohort, month]
        return float(weight[who[own]] @ visits[own] / weight[who[own]].sum())

    def written_out(weight: np.ndarray) -> np.ndarray:
        effects = []
        for months in (0, 1, 2):
            total = mass = 0.0
            for g, t in pairs:
                base = g - months - 1
                size = weight[cohort_of == g].sum()
                change = mean(weight, g, t) - mean(weight, g, base)
                total += size * (change - mean(weight, -1, t) + mean(weight, -1, base))
                mass += size
            effects.append(total / mass)
        return np.array([*effects, effects[1] - effects[0], effects[2] - effects[0]])

    assert table.keys["row"].tolist() == ["effect"] * 3 + ["difference"] * 2
    assert table.keys["anticipation_months"].tolist() == [0, 1, 2, 1, 2]
    assert table.estimate == pytest.approx(written_out(np.ones(members)), rel=1e-10)
    psi = influence(written_out, members)
    assert table.covariance == pytest.approx(clustered(psi), rel=1e-6, abs=1e-10)
    county = frame.groupby("member_id")["county"].first().reindex(range(members)).to_numpy()
    by_county = anticipation_scan(
        moments,
        outcome="visits",
        max_anticipation_months=2,
        comparison="never_exposed",
        cluster="county",
    )
    assert by_county.covariance == pytest.approx(clustered(psi, county), rel=1e-6, abs=1e-10)


def test_an_early_change_moves_the_effect() -> None:
    # Use rises by 1 in the month before exposure and stays: without anticipation the base month
    # holds the change and the effect is 0; with one month it is 1.
    rng = np.random.default_rng(4)
    members, months = 4000, 8
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(members), months),
            "month": np.tile(np.arange(months), members),
        }
    )
    cohort = rng.choice([5.0, np.nan], members)
    frame["cohort"] = cohort[frame["member_id"]]
    frame["visits"] = rng.poisson(1.0 + 1.0 * (frame["month"] >= frame["cohort"] - 1))
    table = anticipation_scan(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        max_anticipation_months=2,
    )
    truth = np.array([0.0, 1.0, 1.0, 1.0, 1.0])
    assert (np.abs(table.estimate - truth) < 4 * table.std_error).all()
    frame_now = table.to_frame()
    assert (frame_now.loc[frame_now["row"] == "difference", "p_value"] < 1e-10).all()


def test_cohort_months_that_not_all_rows_have_are_left_out_and_said() -> None:
    frame = awkward_panel(5)
    table = anticipation_scan(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        max_anticipation_months=4,
    )
    # Cohort 3 has no month before 3 - 4: cohort 5 alone is left.
    assert any("left out of all rows" in note for note in table.notes)
    alone = frame[frame["cohort"].isna() | (frame["cohort"] == 5)]
    expected = anticipation_scan(
        reduce_panel(alone, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        max_anticipation_months=4,
    )
    assert len(expected) == len(table) == 9
    never = anticipation_scan(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        max_anticipation_months=4,
        comparison="never_exposed",
    )
    assert never.estimate == pytest.approx(expected.estimate, rel=1e-10)


def test_support_of_a_difference_is_that_of_its_smaller_effect() -> None:
    moments = reduce_panel(
        awkward_panel(6), outcomes=["visits"], stratum="group", unbalanced="cell_means"
    )
    table = anticipation_scan(moments, outcome="visits", max_anticipation_months=1).to_frame()
    for _, rows in table.groupby("group"):
        effects, difference = rows[rows["row"] == "effect"], rows[rows["row"] == "difference"]
        for column in ("n_members", "n_events", "member_months"):
            assert difference[column].item() <= effects[column].min()


def test_what_is_refused() -> None:
    moments = reduce_panel(awkward_panel(1), outcomes=["visits"], unbalanced="cell_means")
    with pytest.raises(EstimationError, match="max_anticipation_months=0; give 1 or more"):
        anticipation_scan(moments, outcome="visits", max_anticipation_months=0)
    with pytest.raises(DesignError, match="identified with 6 months of anticipation"):
        anticipation_scan(moments, outcome="visits", max_anticipation_months=6)
    constant = reduce_panel(
        awkward_panel(1).assign(visits=1), outcomes=["visits"], unbalanced="cell_means"
    )
    with pytest.raises(EstimationError, match="same in all member-months"):
        anticipation_scan(constant, outcome="visits")


def test_strata_without_a_shared_cohort_month_are_named() -> None:
    frame = awkward_panel(5)
    frame.loc[(frame["group"] == "y") & frame["cohort"].notna(), "cohort"] = 0.0
    table = anticipation_scan(
        reduce_panel(frame, outcomes=["visits"], stratum="group", unbalanced="cell_means"),
        outcome="visits",
        max_anticipation_months=1,
    )
    assert set(table.keys["group"]) == {"x"}
    assert "Strata in which the terms are not identified, left out: y." in table.notes
