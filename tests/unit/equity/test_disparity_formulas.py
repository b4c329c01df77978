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


def test_theil_of_a_group_without_events_has_no_error_and_no_bias_correction():
    """The slope of x log x has no end at 0, so neither has a formula there."""
    row = measured(measures=["theil"]).iloc[0]
    share = np.array([10, 2, 9]) / 21
    x = np.array([50, 0, 80_000 / 900])
    x = x / (share @ x)
    known = share[[0, 2]] * x[[0, 2]]
    assert row["estimate"] == pytest.approx(known @ np.log(x[[0, 2]]))
    assert np.isnan(row["bias_corrected"])
    assert np.isnan(row["std_error"])
    assert np.isfinite(row["p_value_if_equal"])


def test_theil_of_groups_with_events_keeps_its_bias_correction():
    row = measured(ZERO_GROUP.assign(events=[50, 9, 80]), measures=["theil"]).iloc[0]
    assert 0 < row["estimate"] - row["bias_corrected"] < row["estimate"]


def test_a_group_without_events_is_never_the_best_of_a_favourable_rate():
    """Ratios of the others with the best keep their errors: draws of the zero rate are not it."""
    frame = pd.DataFrame(
        {
            "race_ethnicity": ["aian", "black", "nhpi", "white"],
            "events": [50, 0, 60, 800],
            "member_months": [1000, 200, 1000, 1000],
        }
    )
    words = {"reference": "best", "measures": ["rate_ratio"], "draws": 4000}
    rows = measured(frame, **words).set_index("race_ethnicity")
    # White is far above: it is the best in every draw, and the log ratio's variance is 1/a + 1/b.
    for group, events in {"aian": 50, "nhpi": 60}.items():
        relative = rows.loc[group, "std_error"] / rows.loc[group, "estimate"]
        assert relative == pytest.approx(np.sqrt(1 / events + 1 / 800), rel=0.05)
        assert rows.loc[group, "bias_corrected"] == pytest.approx(
            rows.loc[group, "estimate"], rel=0.02
        )
    assert rows.loc["black", "estimate"] == 0
    assert np.isnan(rows.loc["black", "std_error"])
    without = measured(frame[frame["events"] > 0], **words).set_index("race_ethnicity")
    assert rows.loc["aian", "estimate"] == pytest.approx(without.loc["aian", "estimate"])


def test_a_group_without_events_is_the_best_of_an_adverse_rate():
    rows = measured(reference="best", favourable=False, measures=["rate_ratio"])
    assert rows["estimate"].isna().all()
    assert rows["std_error"].isna().all()
