"""Sensitivity analysis of an event study: what it takes, returns and refuses."""

from __future__ import annotations

import io
import logging
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from event_study_tables import event_study, random_covariance

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import aggregate, breakdown_value, group_time_att, honest_did
from calaim_eval.moments import reduce_panel
from calaim_eval.results import EffectTable, stack


@pytest.fixture
def study() -> EffectTable:
    rng = np.random.default_rng(1)
    return event_study(
        np.array([0.1, 0.05, -0.02]), np.array([1.0, 1.4]), 0.1 * random_covariance(rng, 5)
    )


def test_sets_by_hand(study: EffectTable) -> None:
    # Changes before exposure: -0.05, -0.07, 0.02; the largest is 0.07.
    first = honest_did(study, bounds=[0.0, 1.0, 2.0]).to_frame()
    assert first["set_low"].tolist() == pytest.approx([1.0, 0.93, 0.86])
    assert first["set_high"].tolist() == pytest.approx([1.0, 1.07, 1.14])
    # Month 1 is two changes away: twice the reach; the average, (1 + 2) / 2 of it.
    second = honest_did(study, bounds=[1.0], effect=1).to_frame()
    assert second["set_low"].item() == pytest.approx(1.4 - 0.14)
    average = honest_did(study, bounds=[1.0], effect="average").to_frame()
    assert average["set_high"].item() == pytest.approx(1.2 + 0.105)
    weighted = honest_did(study, bounds=[1.0], effect={0: 0.5, 1: 0.5}).to_frame()
    pd.testing.assert_frame_equal(weighted, average)


def test_intervals_hold_their_sets_and_at_bound_0_the_estimate(study: EffectTable) -> None:
    table = honest_did(study, bounds=[0.0, 0.5, 1.0])
    assert (table.conf_low < table.set_low).all()
    assert (table.conf_high > table.set_high).all()
    smooth = honest_did(study, bounds=[0.5], restriction="smoothness")
    assert smooth.conf_low[0] < smooth.set_low[0] < smooth.set_high[0] < smooth.conf_high[0]


def test_smoothness_says_where_the_estimates_break_the_bound(study: EffectTable) -> None:
    # Before exposure 0.1, 0.05, -0.02, 0: changes of slope -0.02 and 0.09.
    table = honest_did(study, bounds=[0.08, 0.1], restriction="smoothness")
    assert np.isnan(table.set_low).tolist() == [True, False]
    assert any("bend by more than the bound" in note for note in table.notes)


def test_every_stratum_has_its_own_rows_and_support(study: EffectTable) -> None:
    other = replace(study, estimate=study.estimate + np.array([0, 0, 0, 5.0, 5.0]))
    both = stack([study, other], key="race_ethnicity", labels=["white", "black"])
    table = honest_did(both, bounds=[0.0, 1.0])
    assert table.keys["race_ethnicity"].tolist() == ["white", "white", "black", "black"]
    alone = honest_did(study, bounds=[0.0, 1.0])
    assert table.conf_low[:2] == pytest.approx(alone.conf_low)
    assert table.conf_low[2:] == pytest.approx(alone.conf_low + 5)
    # The smallest of the five rows, 100 to 104.
    assert (table.support["n_members"] == 100).all()


def test_rows_in_any_order_and_a_base_row_change_nothing(study: EffectTable) -> None:
    mixed = study.select(np.ones(5, dtype=bool))
    order = np.array([3, 0, 4, 2, 1])
    mixed = replace(
        mixed,
        keys=study.keys.iloc[order].reset_index(drop=True),
        estimate=study.estimate[order],
        covariance=study.covariance[np.ix_(order, order)],
        support=study.support.iloc[order].reset_index(drop=True),
    )
    with_base = stack([mixed, mixed.select(np.arange(5) == 0)]).select(np.arange(6) < 6)
    keys = with_base.keys.assign(event_time=[*mixed.keys["event_time"], -1]).drop(columns="unit")
    estimate = np.append(mixed.estimate, 0.0)
    with_base = replace(with_base, keys=keys, estimate=estimate)
    expected = honest_did(study, bounds=[1.0]).to_frame()
    for table in (mixed, with_base):
        found = honest_did(table, bounds=[1.0]).to_frame()
        pd.testing.assert_frame_equal(found, expected)


def test_months_of_anticipation_count_as_after_exposure() -> None:
    rng = np.random.default_rng(3)
    covariance = random_covariance(rng, 4)
    values = np.array([0.1, -0.1]), np.array([0.3, 0.9])
    plain = event_study(*values, covariance)
    early = event_study(*values, covariance, anticipation_months=1)
    assert early.keys["event_time"].tolist() == [-4, -3, -1, 0]
    found = honest_did(early, bounds=[1.0], effect=0)
    assert found.conf_low == pytest.approx(honest_did(plain, bounds=[1.0], effect=1).conf_low)
    # The average from exposure on leaves the month of anticipation out.
    average = honest_did(early, bounds=[1.0], effect="average")
    assert average.conf_low == pytest.approx(found.conf_low)


@pytest.mark.parametrize("restriction", ["relative_magnitudes", "smoothness"])
def test_the_interval_first_holds_0_at_the_breakdown_value(
    study: EffectTable, restriction: str
) -> None:
    found = breakdown_value(study, restriction=restriction)
    value = float(found["breakdown"].item())
    assert found["sign"].item() == 1
    just = honest_did(
        study, bounds=[0.999 * value, 1.001 * value], restriction=restriction
    ).conf_low
    assert just[0] > 0 > just[1]
    negative = replace(study, estimate=-study.estimate)
    mirrored = breakdown_value(negative, restriction=restriction)
    assert mirrored["sign"].item() == -1
    assert mirrored["breakdown"].item() == pytest.approx(value, rel=1e-5)


def test_breakdown_value_is_missing_where_the_sign_is_not_told_at_all(study: EffectTable) -> None:
    nothing = replace(study, estimate=0.1 * study.estimate)
    found = breakdown_value(nothing)
    assert np.isnan(found["breakdown"].item())
    assert found["sign"].item() == 0


def test_from_a_panel_to_bounds_with_notes_and_counties() -> None:
    rng = np.random.default_rng(0)
    members, months = 600, 8
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(members), months),
            "month": np.tile(np.arange(months), members),
        }
    )
    cohort = rng.choice([4.0, 5.0, np.nan], members, p=[0.3, 0.3, 0.4])
    frame["cohort"] = cohort[frame["member_id"]]
    frame["county"] = rng.integers(0, 30, members)[frame["member_id"]]
    effect = 1.0 * (frame["month"] >= frame["cohort"])
    frame["visits"] = rng.poisson(1.0 + effect)
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    for cluster in ("member", "county"):
        att_gt = group_time_att(moments, outcome="visits", base_period="universal", cluster=cluster)
        event_times = aggregate(att_gt, by="event_time")
        table = honest_did(event_times, bounds=[0.0, 0.5])
        # A true effect of 1 and parallel trends: the interval at bound 0 holds it.
        assert table.conf_low[0] < 1 < table.conf_high[0]
        assert table.notes[: len(event_times.notes)] == event_times.notes
        assert table.method.options["cluster"] == cluster
        assert table.estimand.unit == "visits per member-period"
    varying = aggregate(group_time_att(moments, outcome="visits"), by="event_time")
    with pytest.raises(EstimationError, match="base_period='universal'"):
        honest_did(varying, bounds=[1.0])


def test_what_is_refused(study: EffectTable) -> None:
    with pytest.raises(EstimationError, match="relative_magnitudes"):
        honest_did(study, bounds=[1.0], restriction="linear")  # type: ignore[arg-type]
    with pytest.raises(EstimationError, match="2 of 3 `bounds` are negative or not finite"):
        honest_did(study, bounds=[-1.0, np.nan, 1.0])
    with pytest.raises(EstimationError, match="0 of 0 `bounds`"):
        honest_did(study, bounds=[])
    with pytest.raises(EstimationError, match="conf_level"):
        honest_did(study, bounds=[1.0], conf_level=95)
    with pytest.raises(EstimationError, match="grid_points"):
        honest_did(study, bounds=[1.0], grid_points=2)
    with pytest.raises(EstimationError, match="outside 0 to 1"):
        honest_did(study, bounds=[1.0], effect=7)
    with pytest.raises(EstimationError, match="weights that are all 0"):
        honest_did(study, bounds=[1.0], effect={0: 0.0})
    with pytest.raises(EstimationError, match="neither an event time"):
        honest_did(study, bounds=[1.0], effect="last")  # type: ignore[arg-type]
    with pytest.raises(EstimationError, match="no key `event_time`"):
        honest_did(replace(study, keys=pd.DataFrame({"month": range(5)})), bounds=[1.0])
    with pytest.raises(EstimationError, match="ratios"):
        honest_did(replace(study, estimand=replace(study.estimand, scale="ratio")), bounds=[1.0])


def test_the_base_month_is_the_one_the_method_names(study: EffectTable) -> None:
    # Against month -2: the month before exposure then counts as after the base month.
    named = replace(
        study,
        keys=pd.DataFrame({"event_time": [-5, -4, -3, -1, 0]}),
        method=replace(study.method, options={"reference_event_time": -2}),
    )
    found = honest_did(named, bounds=[1.0], effect=0)
    assert found.conf_low == pytest.approx(honest_did(study, bounds=[1.0], effect=1).conf_low)


def test_a_base_month_with_an_estimate_of_its_own_is_refused(study: EffectTable) -> None:
    whole = replace(study, keys=pd.DataFrame({"event_time": [-3, -2, -1, 0, 1]}))
    with pytest.raises(EstimationError, match="the base month -1 has an estimate other than 0"):
        honest_did(whole, bounds=[1.0])


def test_what_is_refused_of_the_rows(study: EffectTable) -> None:
    with pytest.raises(EstimationError, match="not one month after the one before"):
        honest_did(study.select(np.array([True, False, True, True, True])), bounds=[1.0])
    with pytest.raises(EstimationError, match="no effect before the base month -1"):
        honest_did(study.select(np.arange(5) > 2), bounds=[1.0])
    with pytest.raises(EstimationError, match="no effect after the base month -1"):
        honest_did(study.select(np.arange(5) < 3), bounds=[1.0])
    with pytest.raises(EstimationError, match="not one month after"):
        honest_did(
            replace(study, keys=pd.DataFrame({"event_time": [-3, -3, -2, 0, 1]})), bounds=[1]
        )
    unknown = study.covariance.copy()
    unknown[0, :] = unknown[:, 0] = np.nan
    with pytest.raises(EstimationError, match="1 of 5 effects have no standard error"):
        honest_did(replace(study, covariance=unknown), bounds=[1.0])
    cancelling = study.covariance.copy()
    cancelling[3:, 3:] = [[0.02, -0.02], [-0.02, 0.02]]
    cancelling[:3, 3:] = cancelling[3:, :3] = 0.0
    for restriction in ("relative_magnitudes", "smoothness"):
        with pytest.raises(EstimationError, match="the effect asked about has no sampling error"):
            honest_did(
                replace(study, covariance=cancelling),
                bounds=[0.0, 1.0],
                effect="average",
                restriction=restriction,
            )
    apart = stack([study.select(np.arange(5) < 3), study.select(np.arange(5) >= 3)])
    with pytest.raises(EstimationError, match="stacked tables"):
        honest_did(apart, bounds=[1.0])
    influence = pd.DataFrame(np.ones((5, 5)))
    with pytest.raises(EstimationError, match="5 effects and 5 clusters"):
        honest_did(replace(study, cluster_influence=influence), bounds=[1.0])
    with pytest.raises(EstimationError, match="no sampling error of its own"):
        honest_did(replace(study, covariance=np.ones((5, 5))), bounds=[0.0])


def test_nothing_is_printed(study: EffectTable, caplog: pytest.LogCaptureFixture) -> None:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), caplog.at_level(logging.DEBUG):
        honest_did(study, bounds=[0.5, 1.0])
        honest_did(study, bounds=[0.5, 1.0], restriction="smoothness")
    assert (out.getvalue(), err.getvalue(), caplog.records) == ("", "", [])
