"""Continuous enrollment around an anchor month."""

from __future__ import annotations

import numpy as np
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


@pytest.mark.parametrize(
    ("ids", "month"),
    [
        ([7, 8], pd.Timestamp("2024-04-15")),
        ([7.0, 8.0], "2024-04"),
        (pd.Categorical([7, 8]), "2024-04-01"),
        (pd.array(["7", "8"], dtype="string"), pd.Period("2024-04", "M")),
        ([" 7", "8"], pd.Timestamp("2024-04-01", tz="US/Pacific")),
    ],
)
def test_anchors_as_people_have_them(ids, month):
    rows = [(7, f"2024-{n:02d}-01", 28) for n in (3, 4, 5)] + [(8, "2024-04-01", 28)]
    frame = pd.DataFrame(rows, columns=["member_id", "month", "covered_days"])
    panel = MemberMonths.from_frames(frame)
    anchors = pd.DataFrame({"member_id": ids, "month": month}, index=[3, 3])
    one = np.int64(1)
    told = continuous_enrollment(panel, anchors, lookback_months=one, follow_up_months=1)
    assert told["n_covered_months"].tolist() == [3, 1]
    assert told["is_continuous"].tolist() == [True, False]
    assert told["member_id"].tolist() == list(ids)


def test_no_anchors_no_rows(panel):
    none = _anchors("2024-04-01").iloc[:0]
    told = continuous_enrollment(panel, none, lookback_months=1, follow_up_months=1)
    assert told.empty
    assert list(told) == [*none, "n_covered_months", "longest_gap_months", "is_continuous"]


def test_a_member_the_panel_does_not_have_was_never_covered(panel):
    anchors = pd.DataFrame({"member_id": ["all", "nobody"], "month": pd.Timestamp("2024-04-01")})
    told = continuous_enrollment(panel, anchors, lookback_months=1, follow_up_months=1)
    assert told["n_covered_months"].tolist() == [3, 0]
    with pytest.raises(TableError, match="none of the members of `anchors` is in the panel"):
        continuous_enrollment(panel, anchors[1:], lookback_months=1, follow_up_months=1)


@pytest.mark.parametrize(
    ("anchors", "words"),
    [
        ({"member_id": ["all"]}, "lacks column `month`"),
        ({"member_id": ["all", None], "month": "2024-04-01"}, "rows without `member_id`"),
        ({"member_id": ["all", "gap"], "month": ["2024-04-01", None]}, "rows without `month`"),
        ({"member_id": ["all"], "month": ["spring"]}, "values of `month` that are no month"),
    ],
)
def test_anchors_that_cannot_be_used(panel, anchors, words):
    with pytest.raises(TableError, match=words) as problem:
        continuous_enrollment(panel, pd.DataFrame(anchors), lookback_months=1, follow_up_months=1)
    assert "spring" not in str(problem.value)


@pytest.mark.parametrize(
    "months",
    [
        {"lookback_months": -1, "follow_up_months": 1},
        {"lookback_months": 1, "follow_up_months": 1.5},
        {"lookback_months": 1, "follow_up_months": 1, "max_gap_months": -1},
    ],
)
def test_stretches_are_whole_numbers_of_months(panel, months):
    with pytest.raises(TableError, match="is not a whole number of 0 or more"):
        continuous_enrollment(panel, _anchors("2024-04-01"), **months)
