"""Tables whose truth is 0: all rows of a stratum are looked at together."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from county_panels import county_panel
from scipy import stats

from calaim_eval.estimate import (
    aggregate,
    anticipation_scan,
    falsification_flags,
    group_time_att,
    joint_test,
    pre_trend_test,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable, stack


def moments(**options: object) -> CellMoments:
    frame = county_panel(3, months=8, start=5)
    return reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means", **options)


def before_exposure(of: CellMoments) -> EffectTable:
    effects = group_time_att(of, outcome="visits", base_period="universal")
    table = aggregate(effects, by="event_time")
    return table.select((table.keys["event_time"] < -1).to_numpy())


def by_hand(table: EffectTable) -> float:
    return float(table.estimate @ np.linalg.solve(table.covariance, table.estimate))


@pytest.mark.parametrize("stratum", [None, "group"])
def test_event_times_are_rows_of_one_stratum(stratum: str | None) -> None:
    table = before_exposure(moments(stratum=stratum))
    found = joint_test(table)
    groups = table.keys[stratum].unique() if stratum else [None]
    assert len(found) == len(groups)
    for row, group in enumerate(groups):
        own = table.select((table.keys[stratum] == group).to_numpy()) if stratum else table
        assert found["df"][row] == len(own) == 4
        assert found["statistic"][row] == pytest.approx(by_hand(own))
        assert found["p_value"][row] == pytest.approx(stats.chi2.sf(by_hand(own), 4))
    pd.testing.assert_frame_equal(found, pre_trend_test(table))


@pytest.mark.parametrize("by", ["event_time", "month"])
def test_holm_counts_every_row_of_the_stratum(by: str) -> None:
    effects = group_time_att(moments(), outcome="visits", base_period="universal")
    table = aggregate(effects, by=by)
    flags = falsification_flags(table)
    p_value = flags["p_value"].dropna()
    assert flags["p_holm"].min() == pytest.approx(min(1.0, len(p_value) * p_value.min()))


def test_pre_trends_of_stacked_outcomes_are_tested_one_by_one() -> None:
    table = before_exposure(moments())
    both = stack([table, table], key="outcome", labels=["visits", "again"])
    found = pre_trend_test(both)
    assert found["outcome"].tolist() == ["visits", "again"]
    assert found["statistic"].tolist() == pytest.approx([by_hand(table)] * 2)


def test_of_a_scan_of_anticipation_the_differences_are_read() -> None:
    table = anticipation_scan(moments(), outcome="visits", max_anticipation_months=2)
    differences = table.select((table.keys["row"] == "difference").to_numpy())
    found = joint_test(table)
    assert found["df"].item() == 2
    assert found["statistic"].item() == pytest.approx(by_hand(differences))
    flags = falsification_flags(table)
    assert flags["row"].tolist() == ["difference"] * 2
    assert flags["estimate"].to_numpy() == pytest.approx(differences.estimate)
    least = float(flags["p_value"].min())
    assert flags["p_holm"].min() == pytest.approx(min(1.0, 2 * least))
