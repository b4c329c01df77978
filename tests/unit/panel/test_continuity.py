"""Continuous enrollment around an anchor month."""

from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import MemberMonths, PanelRules, continuous_enrollment

COVERED = {
    "all": [1, 2, 3, 4, 5, 6],
    "gap": [1, 2, 4, 5, 6],
    "two": [1, 4, 5, 6],
    "end": [1, 2, 3, 4, 5],
    "gone": [1],
}


@pytest.fixture(scope="module")
def panel():
    rows = [(m, f"2024-{n:02d}-01", 28) for m, months in COVERED.items() for n in months]
    frame = pd.DataFrame(rows, columns=["member_id", "month", "covered_days"])
    return MemberMonths.from_frames(frame, rules=PanelRules(max_gap_months=1))


def _anchors(month):
    return pd.DataFrame({"member_id": list(COVERED), "month": pd.Timestamp(month)})


def test_gaps_inside_and_at_the_edges(panel):
    told = continuous_enrollment(
        panel, _anchors("2024-04-01"), lookback_months=3, follow_up_months=2
    )
    assert told["member_id"].tolist() == list(COVERED)
    assert told["n_covered_months"].tolist() == [6, 5, 4, 5, 1]
    assert told["longest_gap_months"].tolist() == [0, 1, 2, 1, 5]
    assert told["is_continuous"].tolist() == [True, True, False, True, False]


def test_the_rule_may_be_named_in_the_call(panel):
    told = continuous_enrollment(
        panel, _anchors("2024-04-01"), lookback_months=3, follow_up_months=2, max_gap_months=0
    )
    assert told["is_continuous"].tolist() == [True, False, False, False, False]


def test_months_outside_the_stretch_do_not_matter(panel):
    told = continuous_enrollment(
        panel, _anchors("2024-05-01"), lookback_months=1, follow_up_months=0, max_gap_months=0
    )
    assert told["is_continuous"].tolist() == [True, True, True, True, False]


def test_a_stretch_that_reaches_outside_the_window(panel):
    with pytest.raises(TableError, match=r"5 of 5 anchors reach outside.*2024-01 to 2024-06"):
        continuous_enrollment(panel, _anchors("2024-06-01"), lookback_months=0, follow_up_months=1)
