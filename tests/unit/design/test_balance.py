from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hand_panel import hand_panel

from calaim_eval.design import (
    balance,
    covariate_frame,
    design_county_phase,
    design_exposure,
    design_matched,
    entropy_balance,
    love_plot,
)
from calaim_eval.equity.design_rates import utilization_trend
from calaim_eval.errors import DesignError
from calaim_eval.estimate import group_time_att
from calaim_eval.moments import reduce_panel

# Cell May: a exposed, b and c not. Cell June: d and e exposed, f not.
SIX = """
    member | covered          | listed  | service | race  | age | ed
    -------+------------------+---------+---------+-------+-----+-----------------------
    a      | 2022-01..2022-12 | 2022-05 | 2022-07 | black | 30  | 2022-02:3 2022-05:9
    b      | 2022-01..2022-12 | 2022-05 |         | black | 40  | 2022-03:6
    c      | 2022-01..2022-12 | 2022-05 |         | white | 50  |
    d      | 2022-01..2022-12 | 2022-06 | 2022-07 | white | 60  | 2022-03:3 2022-02:9
    e      | 2022-01..2022-12 | 2022-06 | 2022-08 | nhpi  | 30  | 2022-05:9
    f      | 2022-01..2022-12 | 2022-06 |         | white | 30  | 2022-04:1 2022-05:2
"""


@pytest.fixture
def table():
    design = design_exposure(hand_panel(SIX), lookback_months=3, follow_up_months=3)
    return balance(design, outcomes=["ed_visits"]).set_index(["variable", "level"])


def test_use_is_the_mean_of_the_look_back_months(table):
    row = table.loc[("ed_visits per month before eligibility", "")]
    assert row["mean_exposed"] == pytest.approx(np.mean([1, 1, 3]))
    assert row["mean_comparison"] == pytest.approx(np.mean([2, 0, 1]))


def test_comparison_members_are_weighted_to_the_cells_of_the_exposed(table):
    """May: 1 exposed over 2 comparison members; June: 2 over 1."""
    row = table.loc[("age_years", "")]
    in_cells = (0.5 * 40 + 0.5 * 50 + 2 * 30) / 3
    assert row["mean_comparison_in_cells"] == pytest.approx(in_cells)
    spread = np.std([30, 60, 30], ddof=1)
    assert row["standardized_difference"] == pytest.approx((40 - in_cells) / spread)


def test_every_group_has_its_row(table):
    shares = table.loc["race_ethnicity"]["mean_exposed"]
    assert shares.to_dict() == pytest.approx({"black": 1 / 3, "nhpi": 1 / 3, "white": 1 / 3})
    assert table.loc["race_ethnicity"]["mean_comparison"].sum() == pytest.approx(1)


def test_exposed_members_without_a_never_exposed_counterpart_are_left_out_of_the_difference():
    text = SIX + "    g | 2022-01..2022-12 | 2022-07 | 2022-08 | white | 90 |\n"
    text += "    h | 2022-01..2022-12 | 2022-07 | 2022-09 | white | 90 |\n"
    design = design_exposure(hand_panel(text), lookback_months=3, follow_up_months=3)
    row = balance(design, outcomes=[]).set_index("variable").loc["age_years"]
    assert row["mean_exposed"] == pytest.approx(np.mean([30, 60, 30, 90, 90]))
    in_cells = (0.5 * 40 + 0.5 * 50 + 2 * 30) / 3
    spread = np.std([30, 60, 30, 90, 90], ddof=1)
    assert row["standardized_difference"] == pytest.approx((40 - in_cells) / spread)


def test_what_is_refused():
    panel = hand_panel(SIX)
    design = design_exposure(panel, lookback_months=3, follow_up_months=3)
    with pytest.raises(DesignError, match="`happiness` not found"):
        balance(design, outcomes=["happiness"])
    text = """
        member | county  | covered
        -------+---------+-----------------
        a      | Alameda | 2021-01..2022-06
        b      | Kern    | 2021-01..2022-06
        c      | Fresno  | 2021-01..2022-06
        d      | Butte   | 2021-01..2022-06
    """
    with pytest.raises(DesignError, match="county roll-out"):
        balance(design_county_phase(hand_panel(text)))


def many(n: int = 60) -> str:
    """Members of one month, a third exposed; use and race at random."""
    rng = np.random.default_rng(2)
    rows = [
        f"m{i:02d} | 2022-01..2022-12 | 2022-05 | {'2022-07' if i % 3 == 0 else ''} "
        f"| {('black', 'white')[int(rng.random() < 0.5)]} | {rng.integers(20, 70)} "
        f"| 2022-03:{rng.integers(0, 6)} 2022-04:{rng.integers(0, 6)}"
        for i in range(n)
    ]
    return "member | covered | listed | service | race | age | ed\n-+-\n" + "\n".join(rows)


def test_balance_within_groups_is_balance_of_the_group_alone():
    design = design_exposure(hand_panel(many()), lookback_months=3, follow_up_months=3)
    within = balance(design, outcomes=["ed_visits"], groups=[], by="race_ethnicity")
    only = "\n".join(line for line in many().splitlines() if "| white |" not in line)
    alone = design_exposure(hand_panel(only), lookback_months=3, follow_up_months=3)
    expected = balance(alone, outcomes=["ed_visits"], groups=[])
    found = within[within["race_ethnicity"] == "black"].drop(columns="race_ethnicity")
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected)


def test_ratio_of_variances_before_and_with_weights_by_hand(table):
    row = table.loc[("age_years", "")]
    exposed, comparison = [30, 60, 30], np.array([40, 50, 30])
    assert row["variance_ratio_before"] == pytest.approx(
        np.var(exposed, ddof=1) / np.var(comparison, ddof=1)
    )
    w = np.array([0.5, 0.5, 2.0])
    mean = w @ comparison / 3
    weighted = w @ (comparison - mean) ** 2 / (3 - (w**2).sum() / 3)
    assert row["variance_ratio"] == pytest.approx(np.var(exposed, ddof=1) / weighted)
    assert row["standardized_difference_before"] == pytest.approx(0.0)
    assert np.isnan(table.loc[("race_ethnicity", "black"), "variance_ratio"])


def test_entropy_weights_leave_no_difference_in_what_they_balanced():
    design = design_exposure(hand_panel(many()), lookback_months=3, follow_up_months=3)
    frame = covariate_frame(design, outcomes=["ed_visits"])
    exposed, comparison = (
        frame[frame["is_exposed"] == side].drop(columns="is_exposed") for side in (True, False)
    )
    weights = entropy_balance(exposed, comparison, squares=["age_years"])
    table = balance(design, outcomes=["ed_visits"], weights=weights)
    np.testing.assert_allclose(table["standardized_difference"], 0, atol=1e-8)
    assert (table["standardized_difference_before"].abs() > 0.01).all()
    other = design_exposure(hand_panel(SIX), lookback_months=3, follow_up_months=3)
    with pytest.raises(
        DesignError, match="some or all of fewer than 11 members of the design have no weight"
    ):
        balance(other, outcomes=["ed_visits"], weights=weights)


def test_how_few_members_have_no_weight_is_not_told():
    design = design_exposure(hand_panel(many()), lookback_months=3, follow_up_months=3)
    frame = covariate_frame(design, outcomes=["ed_visits"])
    sides = [
        frame[frame["is_exposed"] == side].drop(columns="is_exposed") for side in (True, False)
    ]
    weights = entropy_balance(*sides)
    short = replace(weights, weights=weights.weights.iloc[3:])
    with pytest.raises(
        DesignError, match=f": fewer than 11 of {len(frame)} members of the design have no weight"
    ):
        balance(design, outcomes=["ed_visits"], weights=short)


def test_covariates_are_known_before_the_index_month():
    design = design_exposure(hand_panel(SIX), lookback_months=3, follow_up_months=3)
    frame = covariate_frame(design, outcomes=["ed_visits"])
    assert frame.loc["a", "ed_visits"] == 1  # 9 visits in the month of eligibility are not in it
    assert frame["is_exposed"].to_dict() == {k: k in "ade" for k in "abcdef"}
    assert frame.loc["e", "race_ethnicity"] == "nhpi"


def test_the_love_plot_leaves_out_rows_of_few_members_and_says_so():
    design = design_exposure(hand_panel(many()), lookback_months=3, follow_up_months=3)
    table = balance(design, outcomes=["ed_visits"])
    counts = table.set_index(["variable", "level"])[["n_exposed", "n_comparison"]]
    few = counts.index[(counts < 11).any(axis=1)]
    assert len(few) == 1
    plot = love_plot(table)
    assert few[0][1] not in " ".join(plot.data["row"].astype(str))
    assert plot.labels.caption == "Not shown: 1 row of fewer than 11 members."
    points = plot.data.set_index(["row", "when"])["difference"]
    assert points["age_years", "after"] == pytest.approx(
        table.set_index("variable").loc["age_years", "standardized_difference"]
    )
    plot.draw()
    six = design_exposure(hand_panel(SIX), lookback_months=3, follow_up_months=3)
    with pytest.raises(DesignError, match="no row of the table has 11 members"):
        love_plot(balance(six, outcomes=["ed_visits"]))
    with pytest.raises(DesignError, match="lacks `variable`"):
        love_plot(table[["level"]])


def test_a_love_plot_by_group_has_a_panel_for_each():
    design = design_exposure(hand_panel(many(120)), lookback_months=3, follow_up_months=3)
    table = balance(design, outcomes=["ed_visits"], groups=[], by="race_ethnicity")
    plot = love_plot(table)
    assert set(plot.data["race_ethnicity"]) == {"black", "white"}
    assert plot.facet.vars == ["race_ethnicity"]


def test_rates_of_a_matched_design_are_refused():
    design = design_matched(
        hand_panel(many()),
        rng=np.random.default_rng(1),
        match_on=["ed_visits"],
        lookback_months=3,
        follow_up_months=3,
    )
    with pytest.raises(DesignError, match="in several sets"):
        utilization_trend(design, outcome="ed_visits")


def test_the_number_of_small_matched_groups_is_not_printed():
    design = design_matched(
        hand_panel(many(24)),
        rng=np.random.default_rng(1),
        match_on=["ed_visits"],
        exact=[],
        lookback_months=3,
        follow_up_months=3,
    )
    moments = reduce_panel(design, outcomes=["ed_visits"], unbalanced="cell_means")
    effects = group_time_att(moments, outcome="ed_visits", cluster="matched_group")
    notes = " ".join(effects.notes)
    assert "clustered by matched_group: fewer than 11 clusters" in notes
    assert "8 clusters" not in notes
