"""The study's rate ratio: by the assumption of the effect, or that of a common percentage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from calaim_eval.moments import reduce_panel
from calaim_eval.pipeline.effects import exposure_att, overall_effect, rate_ratio
from calaim_eval.study.model import Exposure

GIVEN = {
    "service": "ecm",
    "eligibility": "listed",
    "comparison": "not_yet_exposed",
    "lookback_months": 1,
    "follow_up_months": 1,
    "anticipation_months": 0,
    "eligibility_cell": "month",
}


@pytest.fixture(scope="module")
def moments():
    # Means of twelve members: exposed 4 -> 5, comparison 1 -> 2.
    visits = {("e", 0): 4, ("e", 1): 5, ("c", 0): 1, ("c", 1): 2}
    frame = pd.DataFrame(
        [
            (f"{side}{member}", f"2024-0{month + 1}", side, count + (-1) ** (member // (1 + month)))
            for (side, month), count in visits.items()
            for member in range(12)
        ],
        columns=["member_id", "month", "side", "ed_visits"],
    )
    frame["month"] = pd.PeriodIndex(frame["month"], freq="M")
    exposed = pd.Period("2024-02", freq="M")
    frame["cohort"] = frame["side"].map({"e": exposed, "c": pd.NaT})
    return reduce_panel(frame, outcomes=["ed_visits"])


@pytest.mark.parametrize(
    ("assumed", "without"), [("same_number", 4 + (2 - 1)), ("same_percentage", 4 * (2 / 1))]
)
def test_ratio_to_the_rate_each_assumption_expects(moments, assumed, without):
    exposure = Exposure(**GIVEN, rate_ratio=assumed)
    att_gt = exposure_att(exposure, moments, "ed_visits")
    assert rate_ratio(exposure, att_gt).estimate == pytest.approx([5 / without])


def test_by_default_the_ratio_goes_with_the_effect(moments):
    exposure = Exposure(**GIVEN)
    att_gt = exposure_att(exposure, moments, "ed_visits")
    effect = overall_effect(exposure, att_gt).estimate[0] / 1000
    assert rate_ratio(exposure, att_gt).estimate == pytest.approx([5 / (5 - effect)])
    assert np.isfinite(rate_ratio(exposure, att_gt).std_error).all()


def test_another_assumption_is_refused():
    with pytest.raises(ValidationError, match="same_number"):
        Exposure(**GIVEN, rate_ratio="log")
