from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import reliability_flags
from calaim_eval.errors import EstimationError
from calaim_eval.results import Method, RateTable
from calaim_eval.results.intervals import byar_interval, wilson_interval


def rates(events, months) -> RateTable:
    events, months = np.asarray(events, dtype=float), np.asarray(months, dtype=float)
    low, high = byar_interval(events)
    return RateTable(
        measure="ED visits",
        keys=pd.DataFrame({"plan": [f"p{i}" for i in range(len(events))]}),
        numerator=events,
        denominator=months,
        conf_low=1000 * low / months,
        conf_high=1000 * high / months,
        n_members=events,
        numerator_name="ed_visits",
        denominator_name="member_months",
        unit="per 1,000",
        kind="rate",
        method=Method("Rate"),
        per=1000.0,
    )


def shares(count, total) -> RateTable:
    count, total = np.asarray(count, dtype=float), np.asarray(total, dtype=float)
    low, high = wilson_interval(count, total)
    return RateTable(
        measure="Served",
        keys=pd.DataFrame({"plan": [f"p{i}" for i in range(len(count))]}),
        numerator=count,
        denominator=total,
        conf_low=100 * low,
        conf_high=100 * high,
        n_members=count,
        numerator_name="served",
        denominator_name="members",
        unit="percent",
        kind="proportion",
        method=Method("Share"),
        per=100.0,
    )


def test_ten_events_are_enough_and_nine_are_not():
    found = reliability_flags(rates([9, 10, 0], [5000, 5000, 5000]))
    assert found["is_reliable"].tolist() == [False, True, False]
    assert found["reason"].tolist()[0] == "fewer than 10 events"
    low, high = byar_interval(10)
    assert found["relative_width"][1] == pytest.approx(100 * (high - low) / 10)
    assert "relative width" in found["reason"][2]


def test_a_wide_interval_of_clustered_events_is_not_reliable():
    table = rates([40], [5000])
    wide = replace(table, conf_low=np.array([1.0]), conf_high=np.array([14.0]))
    found = reliability_flags(wide)
    assert found["relative_width"][0] == pytest.approx(162.5)
    assert found["reason"][0] == "relative width above 160 %"


def test_degrees_of_freedom_count_where_they_are_given():
    found = reliability_flags(rates([100, 100], [5000, 5000]), degrees=[7, 8])
    assert found["is_reliable"].tolist() == [False, True]
    assert reliability_flags(rates([100], [5000]))["is_reliable"].all()


def test_shares_have_rules_of_their_own():
    # 29 members; 30 of whom half; a wide one; a rare one with a narrow interval; a rare wide one.
    found = reliability_flags(shares([14, 15, 500, 2, 1, 0], [29, 30, 1000, 5000, 60, 5000]))
    assert found["is_reliable"].tolist() == [False, False, True, True, False, True]
    assert found["reason"][1] == "interval of 0.30 or wider"
    assert found["reason"][4] == "relative width above 130 %"
    assert found["needs_review"].tolist() == [False, False, False, False, False, True]
    assert reliability_flags(shares([500], [1000]), degrees=5)["needs_review"].all()


def test_counts_are_refused():
    counts = replace(rates([20], [5000]), kind="count")
    with pytest.raises(EstimationError, match="holds counts"):
        reliability_flags(counts)
