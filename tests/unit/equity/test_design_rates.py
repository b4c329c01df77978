from __future__ import annotations

import pytest
from hand_panel import hand_panel

from calaim_eval.design import design_exposure
from calaim_eval.equity import baseline_utilization, utilization_trend
from calaim_eval.errors import TableError

TWO = """
    member | covered          | listed  | service | race  | ed
    -------+------------------+---------+---------+-------+------------------------------
    a      | 2022-01..2022-12 | 2022-05 | 2022-07 | black | 2022-01:9 2022-03:2 2022-05:4
    b      | 2022-01..2022-08 | 2022-05 |         | white | 2022-04:1 2022-07:3
    c      | 2022-01..2022-12 |         |         | white | 2022-04:5
"""


@pytest.fixture
def design():
    return design_exposure(hand_panel(TWO), lookback_months=3, follow_up_months=3)


def test_baseline_is_the_look_back_without_the_month_of_eligibility(design):
    table = baseline_utilization(design, outcome="ed_visits", margins=("race_ethnicity",))
    frame = table.to_frame().set_index("race_ethnicity")
    assert frame["numerator"].to_dict() == {"black": 2, "white": 1, "all": 3}
    assert frame["denominator"].to_dict() == {"black": 3, "white": 3, "all": 6}
    assert frame.loc["all", "rate"] == 500


def test_baseline_by_side(design):
    table = baseline_utilization(design, outcome="ed_visits", by="side").to_frame()
    assert dict(zip(table["side"], table["numerator"], strict=True)) == {
        "exposed": 2,
        "comparison": 1,
    }


def test_trend_counts_covered_months_of_the_design_by_quarter(design):
    table = utilization_trend(design, outcome="ed_visits").to_frame()
    rows = table.set_index(["side", "quarter"])
    assert rows.loc[("exposed", "2022Q1"), ["numerator", "denominator"]].tolist() == [11, 3]
    assert rows.loc[("comparison", "2022Q3"), ["numerator", "denominator"]].tolist() == [3, 2]
    assert ("comparison", "2022Q4") not in rows.index
    assert len(table) == 7


def test_unknown_group_is_refused(design):
    with pytest.raises(TableError, match="`language`"):
        baseline_utilization(design, outcome="ed_visits", by="language")
