from __future__ import annotations

import numpy as np
import pytest
from hand_panel import hand_panel

from calaim_eval.design import balance, design_county_phase, design_exposure
from calaim_eval.errors import DesignError

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
