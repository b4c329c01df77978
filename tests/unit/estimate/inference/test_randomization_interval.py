"""Intervals by inverting the randomization test: tested just inside and just outside."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from county_panels import county_panel

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import (
    aggregate,
    count_effects,
    group_time_att,
    randomization_interval,
    randomization_test,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable


def estimator(outcome: str = "visits", by: str = "overall"):
    def estimate(moments: CellMoments) -> EffectTable:
        return aggregate(group_time_att(moments, outcome=outcome, cluster="county"), by=by)

    return estimate


def taken_off(frame: pd.DataFrame, outcome: str, effect: float) -> pd.DataFrame:
    is_on = frame["month"] >= frame["cohort"]
    return frame.assign(**{outcome: frame[outcome] - effect * is_on})


@pytest.mark.parametrize(
    ("outcome", "draws", "level"),
    [("visits", 14, 0.9), ("paid_usd", 14, 0.8), ("visits", 13, 0.8)],
    ids=["all", "all, amounts", "drawn"],
)
def test_ends_where_the_test_begins_to_reject(outcome: str, draws: int, level: float) -> None:
    # Two of six counties: 15 assignments.
    frame = county_panel(3, counties=6, phase_1=2, members=100, effect=0.3)
    names = {"outcomes": [outcome], "cluster": "county"}
    estimate = estimator(outcome)

    def p_value(effect: float) -> float:
        moments = reduce_panel(taken_off(frame, outcome, effect), **names, unbalanced="cell_means")
        found = randomization_test(moments, estimate, rng=np.random.default_rng(5), draws=draws)
        return found["p_value"].iloc[0]

    row = randomization_interval(
        reduce_panel(frame, **names, unbalanced="cell_means"),
        estimate,
        rng=np.random.default_rng(5),
        conf_level=level,
        draws=draws,
    ).iloc[0]
    assert row["conf_low"] < row["estimate"] < row["conf_high"]
    near = 1e-4 * (row["conf_high"] - row["conf_low"])
    assert p_value(row["conf_low"] + near) > 1 - level
    assert p_value(row["conf_high"] - near) > 1 - level
    assert p_value(row["conf_low"] - near) <= 1 - level + 1e-12
    assert p_value(row["conf_high"] + near) <= 1 - level + 1e-12


def test_moves_and_scales_with_the_outcome() -> None:
    frame = county_panel(3, counties=6, phase_1=2, members=100)
    plain, moved = (
        randomization_interval(
            reduce_panel(f, outcomes=["visits"], cluster="county", unbalanced="cell_means"),
            estimator(),
            conf_level=0.8,
        )
        for f in (frame, taken_off(frame, "visits", -2.5))
    )
    columns = ["estimate", "conf_low", "conf_high"]
    assert np.isfinite(plain[columns]).all(axis=None)
    assert moved[columns].to_numpy() == pytest.approx(plain[columns].to_numpy() + 2.5, abs=1e-6)

    def per_thousand(m: CellMoments) -> EffectTable:
        return aggregate(group_time_att(m, outcome="visits", cluster="county", per=1_000))

    scaled = randomization_interval(
        reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means"),
        per_thousand,
        conf_level=0.8,
    )
    assert scaled[columns].to_numpy() == pytest.approx(1_000 * plain[columns].to_numpy(), rel=1e-6)


def test_months_before_exposure_have_no_interval() -> None:
    moments = reduce_panel(
        county_panel(3, counties=6, phase_1=2),
        outcomes=["visits"],
        cluster="county",
        stratum="group",
        unbalanced="cell_means",
    )
    found = randomization_interval(moments, estimator(by="event_time"), conf_level=0.8)
    is_before = found["event_time"] < 0
    assert found.loc[is_before, ["conf_low", "conf_high"]].isna().all(axis=None)
    assert found.loc[~is_before, ["conf_low", "conf_high"]].notna().all(axis=None)


def test_too_few_assignments_reject_nothing() -> None:
    # Five counties, two exposed: 10 assignments, no p-value below 0.1.
    moments = reduce_panel(
        county_panel(3, counties=5, phase_1=2),
        outcomes=["visits"],
        cluster="county",
        unbalanced="cell_means",
    )
    row = randomization_interval(moments, estimator()).iloc[0]
    assert (row["n_assignments"], row["is_enumerated"]) == (9, True)
    assert [row["conf_low"], row["conf_high"]] == [-np.inf, np.inf]


def test_refuses_ratios_other_estimators_and_designs() -> None:
    moments = reduce_panel(
        county_panel(3), outcomes=["visits"], cluster="county", unbalanced="cell_means"
    )
    with pytest.raises(EstimationError, match="the effects are ratios"):
        randomization_interval(
            moments, lambda m: count_effects(m, outcome="visits", cluster="county")
        )
    with pytest.raises(EstimationError, match="conf_level=95"):
        randomization_interval(moments, estimator(), conf_level=95)
    with pytest.raises(EstimationError, match="keeps no cluster influence"):
        randomization_interval(moments, lambda m: aggregate(group_time_att(m, outcome="visits")))

    def squared(m: CellMoments) -> EffectTable:
        table = estimator()(m)
        return table.combine(table.estimate[:, None], keys=pd.DataFrame({"row": [0]}))

    with pytest.raises(EstimationError, match="not linear in the outcome"):
        randomization_interval(moments, squared)
    everybody = reduce_panel(
        county_panel(1, phase_1=8), outcomes=["visits"], cluster="county", unbalanced="cell_means"
    )
    with pytest.raises(DesignError, match="assigned in one way only"):
        randomization_interval(everybody, estimator())
