from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from calaim_eval.equity import ordered_disparity
from calaim_eval.errors import EstimationError

ORDER = ["q1", "q2", "q3", "q4"]
COUNTS = pd.DataFrame(
    {
        "hpi": ORDER,
        "events": [320, 195, 110, 40],
        "member_months": [4000, 3000, 2000, 1000],
        "n_members": [200, 150, 90, 30],
    }
)
SHARE = np.array([0.4, 0.3, 0.2, 0.1])
RANK = np.array([0.2, 0.55, 0.8, 0.95])
RATE = np.array([80, 65, 55, 40.0])
VARIANCE = np.array([320 / 4000**2, 195 / 3000**2, 110 / 2000**2, 40 / 1000**2]) * 1e6


def measured(frame=COUNTS, *, model="linear", order=ORDER, **options):
    return ordered_disparity(
        frame,
        order=order,
        favourable=False,
        model=model,
        **{"stratum": "hpi", "per": 1000, "unit": "ED visits per 1,000 member-months", **options},
    )


def error(found, measure: str) -> float:
    frame = found.to_frame()
    return float(frame.loc[frame["measure"] == measure, "std_error"].iloc[0])


def test_slope_index_is_weighted_least_squares_on_midpoint_ranks():
    found = measured()
    fit = sm.WLS(RATE, sm.add_constant(RANK), weights=SHARE).fit()
    low, high = fit.params[0], fit.params.sum()
    assert found.value("slope_index") == pytest.approx(fit.params[1])
    assert found.value("slope_index") == pytest.approx(-47.0, abs=0.05)
    assert found.value("relative_index") == pytest.approx(high / low)
    # A linear combination of independent rates.
    centred = SHARE * (RANK - 0.5)
    weights = centred / (centred @ RANK)
    assert error(found, "slope_index") == pytest.approx(np.sqrt(weights**2 @ VARIANCE))


def test_a_line_that_falls_below_zero_has_no_ratio_of_its_ends():
    found = measured(COUNTS.assign(events=[2000, 300, 20, 1]))
    frame = found.to_frame().set_index("measure")
    assert frame.loc["slope_index", "estimate"] < -500
    assert frame.loc["relative_index", ["estimate", "std_error", "conf_low"]].isna().all()
    assert any("`relative_index`" in n and "falls below 0" in n for n in found.notes)


def test_concentration_by_the_convenient_covariance():
    found = measured()
    covariance = 2 * SHARE @ ((RATE - SHARE @ RATE) * (RANK - 0.5))
    assert found.value("absolute_concentration") == pytest.approx(covariance)
    assert found.value("relative_concentration") == pytest.approx(covariance / (SHARE @ RATE))
    weights = SHARE * (2 * RANK - 1)
    assert error(found, "absolute_concentration") == pytest.approx(np.sqrt(weights**2 @ VARIANCE))


def test_log_model_is_poisson_regression_with_time_at_risk():
    found = measured(model="log")
    fit = sm.GLM(
        COUNTS["events"].to_numpy(),
        sm.add_constant(RANK),
        family=sm.families.Poisson(),
        exposure=COUNTS["member_months"].to_numpy(),
    ).fit(tol=1e-12)
    ratio = np.exp(fit.params[1])
    assert found.value("relative_index") == pytest.approx(ratio, rel=1e-9)
    assert found.value("slope_index") == pytest.approx(
        1000 * np.exp(fit.params[0]) * (ratio - 1), rel=1e-9
    )
    # Errors from the counts themselves: a sandwich with their Poisson variance.
    x = sm.add_constant(RANK)
    months = COUNTS["member_months"].to_numpy()
    bread = np.linalg.inv((x.T * fit.mu) @ x)
    variance = bread @ (x.T * COUNTS["events"].to_numpy()) @ x @ bread
    assert months.sum() == 10_000
    assert error(found, "relative_index") / ratio == pytest.approx(np.sqrt(variance[1, 1]))


def test_logit_model_is_binomial_regression_with_each_member_once():
    frame = pd.DataFrame(
        {"hpi": ORDER, "count": [320, 195, 110, 40], "members": [400, 300, 200, 100]}
    )
    found = measured(frame, model="logit", per=100, limits=(0, 100))
    x = sm.add_constant(RANK)
    fit = sm.GLM(
        np.column_stack([frame["count"], frame["members"] - frame["count"]]),
        x,
        family=sm.families.Binomial(),
    ).fit(tol=1e-12)
    ends = 100 / (1 + np.exp(-np.array([[1, 0], [1, 1]]) @ fit.params))
    assert found.value("slope_index") == pytest.approx(ends[1] - ends[0], rel=1e-9)
    assert found.value("relative_index") == pytest.approx(ends[1] / ends[0], rel=1e-9)


def test_bounded_indices():
    found = measured(limits=(0, 1000))
    mean, absolute = SHARE @ RATE, found.value("absolute_concentration")
    assert found.value("wagstaff_concentration") == pytest.approx(
        absolute * 1000 / ((1000 - mean) * mean)
    )
    assert found.value("erreygers_concentration") == pytest.approx(4 * absolute / 1000)


def test_reversing_the_order_turns_the_signs():
    there, back = measured(), measured(order=ORDER[::-1])
    assert back.value("slope_index") == pytest.approx(-there.value("slope_index"))
    assert back.value("relative_index") == pytest.approx(1 / there.value("relative_index"))
    assert back.value("relative_concentration") == pytest.approx(
        -there.value("relative_concentration")
    )


def test_members_without_a_rank_are_left_out_and_counted():
    unknown = pd.DataFrame(
        {"hpi": [None], "events": [9], "member_months": [1111], "n_members": [5]}
    )
    found = measured(pd.concat([COUNTS, unknown]))
    assert found.value("slope_index") == pytest.approx(measured().value("slope_index"))
    assert "unknown: no rank, left out (about 10% of the population)." in found.notes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stratum": "race_ethnicity"}, "`race_ethnicity` has no order"),
        ({"order": ["black", "white", "asian"]}, "has no order"),
        ({"order": ["q1", "q2"]}, "`order` has 2 groups"),
        ({"order": ["q1", "q2", "q2"]}, "1 of them repeated"),
        ({"order": ["q1", "q2", "q3"]}, r"1 groups have no place in it \(q4\)"),
        ({"order": [*ORDER, "q5"]}, r"1 of it are not there \(q5\)"),
        ({"model": "logit"}, "the logit model needs `limits`"),
        ({"limits": (0, 70)}, "1 of 4 rates lie outside"),
        ({"measures": ["wagstaff_concentration"]}, "need `limits`"),
        ({"model": "cubic"}, "`model` is 'cubic'"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(Exception, match=message):
        measured(**options)


def test_a_model_that_cannot_be_fitted_is_refused():
    with pytest.raises(EstimationError, match="log model of 4 rates on rank does not settle"):
        measured(COUNTS.assign(events=0), model="log")


@pytest.mark.parametrize("events", [[3200, 1950, 1100, 400], [332, 240, 148, 76]])
def test_an_index_below_one_is_as_far_from_equal_as_its_inverse(events):
    """Chance gives ratios on both sides of 1: what is far below is as rare as what is far above."""
    frame = COUNTS.assign(events=events)
    p = {}
    for name, order in {"there": ORDER, "back": ORDER[::-1]}.items():
        table = measured(frame, order=order, measures=["relative_index"]).to_frame()
        p[name] = table["p_value_if_equal"].iloc[0], table["p_value"].iloc[0]
    draws = 4000
    for if_equal, normal in p.values():
        assert if_equal == pytest.approx(normal, abs=4 * np.sqrt(0.25 / draws))
    spread = np.sqrt(2 * p["there"][0] * (1 - p["there"][0]) / draws)
    assert p["back"][0] == pytest.approx(p["there"][0], abs=4 * spread)


def test_a_steep_index_below_one_is_not_what_chance_gives():
    frame = COUNTS.assign(
        events=[3200, 1950, 1100, 400], member_months=COUNTS["member_months"] * 10
    )
    row = measured(frame, measures=["relative_index"], draws=400).to_frame().iloc[0]
    assert row["estimate"] < 1
    assert row["p_value_if_equal"] == pytest.approx(1 / 401)
