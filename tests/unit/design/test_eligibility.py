from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.design.eligibility import high_ed_use_months
from calaim_eval.panel import MemberMonths


def brute_force(frame: pd.DataFrame, visits: int, within: int) -> dict[str, int]:
    """First month whose moving sum reaches the threshold, month by month."""
    found = {}
    for member, rows in frame.groupby("member_id"):
        by_month = rows.set_index("number")["ed_visits"]
        for month in sorted(by_month.index):
            if sum(by_month.get(month - lag, 0) for lag in range(within)) >= visits:
                found[member] = month
                break
    return found


def test_moving_sum_equals_month_by_month_counting_with_gaps_in_coverage():
    rng = np.random.default_rng(20221)
    months = pd.date_range("2021-01-01", periods=24, freq="MS")
    grid = pd.MultiIndex.from_product([[f"m{i}" for i in range(60)], months])
    frame = pd.DataFrame(index=grid.set_names(["member_id", "month"])).reset_index()
    frame = frame[rng.random(len(frame)) < 0.8]
    frame = frame.assign(ed_visits=rng.poisson(0.5, len(frame)), covered_days=28)
    panel = MemberMonths.from_frames(frame)
    numbers = frame["month"].dt.to_period("M").map(lambda m: m.ordinal)
    for visits, within in ((5, 6), (3, 2), (1, 1), (4, 12)):
        found = high_ed_use_months(panel, visits=visits, within_months=within)
        expected = brute_force(frame.assign(number=numbers), visits, within)
        assert found.astype(int).to_dict() == expected
        assert len(expected) > 0
