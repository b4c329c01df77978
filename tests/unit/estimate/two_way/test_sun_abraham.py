"""Sun and Abraham: the saturated regression, and the same as effects by cohort and month."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dummy_regressions import dummies, ols
from weighted_members import awkward_panel

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import aggregate, group_time_att, sun_abraham
from calaim_eval.estimate.two_way.two_way_fit import crv1_factor
from calaim_eval.moments import CellMoments, reduce_panel


def cells(frame: pd.DataFrame, **options) -> CellMoments:
    return reduce_panel(frame, outcomes=["visits"], **options, unbalanced="cell_means")


def saturated(
    frame: pd.DataFrame, unit: str, cohorts: list[float]
) -> tuple[list[tuple[float, int]], np.ndarray, np.ndarray]:
    """Interactions of cohort and event time beside unit and month effects, written out."""
    since = frame["month"] - frame["cohort"]
    terms = [
        (cohort, int(event_time))
        for cohort in cohorts
        for event_time in sorted(since[frame["cohort"] == cohort].unique())
        if event_time != -1
    ]
    columns = np.stack(
        [((frame["cohort"] == c) & (since == e)).to_numpy(dtype=float) for c, e in terms], axis=1
    )
    estimate, covariance, _ = ols(
        frame["visits"].to_numpy(),
        columns,
        dummies(frame[unit].fillna(-1), frame["month"]),
        frame["member_id"].to_numpy(),
    )
    return terms, estimate, covariance


def shares(
    frame: pd.DataFrame, terms: list[tuple[float, int]], event_times: list[int]
) -> np.ndarray:
    """Weights of the interactions in each event time: sizes of the cohorts; (m, k)."""
    size = frame.groupby("cohort")["member_id"].nunique()
    weights = np.array([[size[c] * (e == own) for c, e in terms] for own in event_times])
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("gap", "unit"), [(0.0, "member_id"), (0.15, "cohort")])
def test_saturated_regression(gap: float, unit: str) -> None:
    frame = awkward_panel(seed=3, members=60, gap=gap)
    terms, estimate, covariance = saturated(frame, unit, [3.0, 5.0])
    event_times = [e for e in range(-5, 4) if e != -1]
    weights = shares(frame, terms, event_times)
    table = sun_abraham(cells(frame), outcome="visits", shares="fixed")
    assert table.keys["event_time"].tolist() == list(range(-5, 4))
    kept = table.select(table.keys["event_time"] != -1)
    assert kept.estimate == pytest.approx(weights @ estimate)
    assert kept.covariance == pytest.approx(weights @ covariance @ weights.T)
    base = table.select(table.keys["event_time"] == -1)
    assert base.estimate == [0]
    assert np.isnan(base.std_error).all()


def test_small_sample_factor_counts_interactions_and_months() -> None:
    frame = awkward_panel(seed=3, members=60, gap=0.0)
    raw = sun_abraham(cells(frame), outcome="visits")
    corrected = sun_abraham(cells(frame), outcome="visits", small_sample="crv1")
    # Two cohorts with 6 event times beside the base, and 7 months.
    factor = crv1_factor(60, 60 * 7, 2 * 6 + 7)
    assert corrected.std_error == pytest.approx(raw.std_error * np.sqrt(factor), nan_ok=True)


@pytest.mark.parametrize("gap", [0.0, 0.15])
@pytest.mark.parametrize("cluster", ["member", "county"])
def test_the_same_as_effects_by_cohort_and_month(gap: float, cluster: str) -> None:
    frame = awkward_panel(seed=5, members=120, gap=gap)
    moments = cells(frame, stratum="group", covariate_cells="risk", cluster="county")
    effects = group_time_att(
        moments,
        outcome="visits",
        comparison="never_exposed",
        base_period="universal",
        cluster=cluster,
        per=1000,
    )
    for by in ("event_time", "overall"):
        expected = aggregate(effects, by=by)
        table = sun_abraham(moments, outcome="visits", by=by, cluster=cluster, per=1000)
        assert table.estimate == pytest.approx(expected.estimate)
        assert table.covariance == pytest.approx(expected.covariance, nan_ok=True)
        assert table.keys.astype(str).equals(expected.keys.astype(str))
        assert table.support.equals(expected.support)


def test_last_cohort_as_comparison() -> None:
    frame = awkward_panel(seed=3, members=60, gap=0.0)
    frame = frame[frame["cohort"].notna()]
    table = sun_abraham(cells(frame), outcome="visits", comparison="last_exposed", shares="fixed")
    early = frame[frame["month"] < 5]
    terms, estimate, covariance = saturated(early, "member_id", [3.0])
    event_times = [-3, -2, 0, 1]
    weights = shares(early, terms, event_times)
    kept = table.select(table.keys["event_time"] != -1)
    assert kept.keys["event_time"].tolist() == event_times
    assert kept.estimate == pytest.approx(weights @ estimate)
    assert kept.covariance == pytest.approx(weights @ covariance @ weights.T)


def test_anticipation_moves_the_base() -> None:
    frame = awkward_panel(seed=3, members=60)
    table = sun_abraham(cells(frame), outcome="visits", anticipation_months=1)
    assert table.keys["event_time"][table.estimate == 0].tolist() == [-2]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"by": "cohort"}, "by: 'cohort'"),
        ({"comparison": "not_yet_exposed"}, "comparison: 'not_yet_exposed'"),
        ({"shares": "known"}, "shares: 'known'"),
        ({"small_sample": "hc1"}, "small_sample: 'hc1'"),
        ({"anticipation_months": -1}, "anticipation_months: -1"),
        ({"cluster": "county"}, "keep cluster sums for none"),
    ],
)
def test_options_that_mean_nothing(option: dict[str, object], message: str) -> None:
    moments = cells(awkward_panel(seed=3, members=30))
    with pytest.raises(EstimationError, match=message):
        sun_abraham(moments, outcome="visits", **option)


def test_what_is_not_identified() -> None:
    frame = awkward_panel(seed=3, members=40)
    ever = frame[frame["cohort"].notna()]
    with pytest.raises(DesignError, match="use comparison='last_exposed'"):
        sun_abraham(cells(ever), outcome="visits")
    for nobody in (np.nan, 0.0, 90.0):
        for comparison in ("never_exposed", "last_exposed"):
            with pytest.raises(DesignError, match="no cohort first exposed between 0 and 6"):
                sun_abraham(
                    cells(frame.assign(cohort=nobody)), outcome="visits", comparison=comparison
                )
    with pytest.raises(EstimationError, match="the same in all"):
        sun_abraham(cells(frame.assign(visits=1)), outcome="visits")


def test_cohorts_without_a_base_are_said() -> None:
    frame = awkward_panel(seed=3, members=60)
    frame["cohort"] = frame["cohort"].replace(3.0, 0.0)
    table = sun_abraham(cells(frame), outcome="visits")
    assert any(note.startswith("Cohorts set aside") for note in table.notes)
