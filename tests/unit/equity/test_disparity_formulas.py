from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import disparity_measures

ZERO_GROUP = pd.DataFrame(
    {
        "race_ethnicity": ["aian", "black", "white"],
        "events": [50, 0, 80],
        "member_months": [1000, 200, 900],
    }
)


def measured(frame=ZERO_GROUP, **options):
    words = {
        "reference": "white",
        "favourable": True,
        "weights": "population",
        "per": 1000,
        "unit": "visits per 1,000 member-months",
        "draws": 400,
        **options,
    }
    return disparity_measures(frame, **words).to_frame()


def test_theil_of_a_group_without_events_has_no_bias_correction():
    """The curvature of x log x has no end at 0, so its bias has no formula there."""
    row = measured(measures=["theil"]).iloc[0]
    share = np.array([10, 2, 9]) / 21
    x = np.array([50, 0, 80_000 / 900])
    x = x / (share @ x)
    known = share[[0, 2]] * x[[0, 2]]
    assert row["estimate"] == pytest.approx(known @ np.log(x[[0, 2]]))
    assert np.isnan(row["bias_corrected"])


def test_theil_of_groups_with_events_keeps_its_bias_correction():
    row = measured(ZERO_GROUP.assign(events=[50, 9, 80]), measures=["theil"]).iloc[0]
    assert 0 < row["estimate"] - row["bias_corrected"] < row["estimate"]
