"""Imputation: against fits and weights written out, its identities, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dummy_regressions import dummies, event_time_columns, exposed, imputed, ols
from weighted_members import awkward_panel

from calaim_eval.errors import DesignError, EstimationError, TableError
from calaim_eval.estimate import (
    aggregate,
    group_time_att,
    imputation_att,
    imputation_att_from_members,
    pre_trend_test,
)
from calaim_eval.moments import reduce_panel


@pytest.fixture(scope="module")
def balanced() -> pd.DataFrame:
    return awkward_panel(seed=3, members=60, gap=0.0)


@pytest.fixture(scope="module")
def gaps() -> pd.DataFrame:
    """Members with gaps, each of the exposed with a month before exposure."""
    frame = awkward_panel(seed=4, members=60)
    before = (exposed(frame) == 0) & frame["cohort"].notna()
    return frame[frame["cohort"].isna() | frame["member_id"].isin(frame["member_id"][before])]


def cells(frame: pd.DataFrame, outcome: str = "visits", **options):
    return reduce_panel(frame, outcomes=[outcome], **options, unbalanced="cell_means")


def written_out(
    frame: pd.DataFrame,
    effects: np.ndarray,
    averages: np.ndarray,
    *,
    outcome: str = "visits",
    variance: str = "conservative",
    cluster: str = "member_id",
    **fit,
) -> tuple[np.ndarray, np.ndarray]:
    """Averages (n, m columns of weights) of imputed effects and their covariance.

    The weights v of every outcome in an average are rows of ``W' (I - P)``; residuals of the
    exposed are about the mean of their cohort and month, members weighing by v squared.
    """
    y = frame[outcome].to_numpy(dtype=float)
    projection = imputed(frame, effects, **fit)
    effect = y - projection @ y
    loads = averages - projection.T @ averages
    scores = np.zeros((frame[cluster].nunique(), averages.shape[1]))
    code = pd.factorize(frame[cluster])[0]
    is_exposed = exposed(frame) > 0
    for term, weight in enumerate(averages.T):
        estimate = weight @ effect
        about = effect.copy()
        for _, rows in frame[is_exposed].groupby(["cohort", "month"]):
            own = frame.index.get_indexer(rows.index)
            squares = weight[own] ** 2
            if squares.sum() == 0:
                continue
            mean = squares @ effect[own] / squares.sum()
            about[own] = effect[own] - (estimate if variance == "two_stage" else mean)
            if variance == "leave_one_out":
                about[own] /= np.where(squares < squares.sum(), 1 - squares / squares.sum(), 1)
        np.add.at(scores[:, term], code, loads[:, term] * about)
    return averages.T @ effect, scores.T @ scores


def average_weights(frame: pd.DataFrame, by: str, weight: np.ndarray | None = None) -> np.ndarray:
    """Weights of the exposed rows in each average; shape (n, m)."""
    w = (np.ones(len(frame)) if weight is None else weight) * exposed(frame)
    if by == "overall":
        return (w / w.sum())[:, None]
    values = {
        "event_time": frame["month"] - frame["cohort"],
        "cohort": frame["cohort"],
        "month": frame["month"].astype(float),
    }[by].to_numpy()
    labels = np.unique(values[w > 0])
    columns = np.stack([w * (values == label) for label in labels], axis=1)
    return columns / columns.sum(axis=0)


def test_two_cohorts_two_months_by_hand() -> None:
    # Exposed: 1 -> 3 and 2 -> 5, change 2.5; comparison: 1 -> 1 and 0 -> 1, change 0.5.
    frame = pd.DataFrame(
        {
            "member_id": np.repeat([1, 2, 3, 4], 2),
            "month": [2020, 2021] * 4,
            "cohort": [2021.0] * 4 + [np.nan] * 4,
            "visits": [1, 3, 2, 5, 1, 1, 0, 1],
        }
    )
    for table in (
        imputation_att(cells(frame), outcome="visits"),
        imputation_att_from_members(frame, outcome="visits"),
    ):
        assert table.estimate == pytest.approx([2.0])
        assert table.std_error == pytest.approx([0.5])
        assert table.support.to_numpy().tolist() == [[2, 2, 2.0]]
    # Of two members each, leaving one out doubles the exposed deviations: 4 + 4 + 1 + 1 of 1/16.
    table = imputation_att(cells(frame), outcome="visits", variance="leave_one_out")
    assert table.std_error == pytest.approx([np.sqrt(10) / 4])


def test_all_months_before_exposure_are_the_base() -> None:
    # Cohort 3 of months 1..3: its level is the mean of months 1 and 2.
    frame = pd.DataFrame(
        {
            "member_id": np.repeat([1, 2, 3, 4], 3),
            "month": [1, 2, 3] * 4,
            "cohort": [3.0] * 6 + [np.nan] * 6,
            "visits": [1, 3, 9, 3, 1, 7, 0, 2, 4, 2, 4, 6],
        }
    )
    table = imputation_att(cells(frame), outcome="visits")
    # Exposed 8 - 2 = 6; never exposed 5 - (1 + 3) / 2 = 3.
    assert table.estimate == pytest.approx([3.0])


@pytest.mark.parametrize("variance", ["conservative", "leave_one_out", "two_stage"])
@pytest.mark.parametrize("by", ["overall", "event_time", "cohort", "month"])
def test_balanced_panel_written_out(balanced: pd.DataFrame, variance: str, by: str) -> None:
    expected, covariance = written_out(
        balanced,
        dummies(balanced["member_id"], balanced["month"]),
        average_weights(balanced, by),
        variance=variance,
    )
    options = {"outcome": "visits", "by": by, "variance": variance}
    for table in (
        imputation_att(cells(balanced), **options),
        imputation_att_from_members(balanced, **options),
    ):
        assert table.estimate == pytest.approx(expected)
        assert table.covariance == pytest.approx(covariance)


@pytest.mark.parametrize("variance", ["conservative", "leave_one_out"])
def test_members_with_gaps_covariates_and_weights(gaps: pd.DataFrame, variance: str) -> None:
    rng = np.random.default_rng(0)
    frame = gaps.assign(age=rng.normal(size=len(gaps)), share=rng.uniform(1, 3, len(gaps)))
    frame = frame.reset_index(drop=True)
    weight = frame["share"].to_numpy()
    expected, covariance = written_out(
        frame,
        dummies(frame["member_id"], frame["month"]),
        average_weights(frame, "event_time", weight),
        covariates=frame[["age"]].to_numpy(),
        weight=weight,
        cluster="county",
        variance=variance,
    )
    table = imputation_att_from_members(
        frame,
        outcome="visits",
        by="event_time",
        covariates=["age"],
        weight="share",
        cluster="county",
        variance=variance,
    )
    assert table.estimate == pytest.approx(expected)
    assert table.covariance == pytest.approx(covariance)


@pytest.mark.parametrize("variance", ["conservative", "leave_one_out"])
def test_cohort_effects_take_gaps(gaps: pd.DataFrame, variance: str) -> None:
    frame = gaps.reset_index(drop=True)
    expected, covariance = written_out(
        frame,
        dummies(frame["cohort"].fillna(-1), frame["month"]),
        average_weights(frame, "event_time"),
        variance=variance,
    )
    table = imputation_att(
        cells(frame),
        outcome="visits",
        by="event_time",
        fixed_effects="cohort",
        variance=variance,
    )
    assert table.estimate == pytest.approx(expected)
    assert table.covariance == pytest.approx(covariance)


def test_month_effects_of_each_covariate_cell(balanced: pd.DataFrame) -> None:
    own_months = balanced["risk"] + balanced["month"].astype(str)
    expected, covariance = written_out(
        balanced,
        dummies(balanced["member_id"], own_months),
        average_weights(balanced, "event_time"),
    )
    table = imputation_att(
        cells(balanced, covariate_cells="risk"), outcome="visits", by="event_time"
    )
    assert table.estimate == pytest.approx(expected)
    assert table.covariance == pytest.approx(covariance)


def test_leads_are_a_regression_on_rows_not_exposed(balanced: pd.DataFrame) -> None:
    before = balanced[exposed(balanced) == 0]
    expected, covariance, _ = ols(
        before["visits"].to_numpy(),
        event_time_columns(before, [-2, -1]),
        dummies(before["member_id"], before["month"]),
        before["member_id"].to_numpy(),
    )
    for table in (
        imputation_att(cells(balanced), outcome="visits", by="event_time", leads=2),
        imputation_att_from_members(balanced, outcome="visits", by="event_time", leads=2),
    ):
        assert table.keys["event_time"].tolist() == [-2, -1, 0, 1, 2, 3]
        assert table.estimate[:2] == pytest.approx(expected)
        assert table.covariance[:2, :2] == pytest.approx(covariance)
        wald = expected @ np.linalg.solve(covariance, expected)
        test = pre_trend_test(table)
        assert test["statistic"].iloc[0] == pytest.approx(wald)
        assert test["df"].iloc[0] == 2


def test_leads_and_effects_are_joint(balanced: pd.DataFrame) -> None:
    table = imputation_att(
        cells(balanced, cluster="county"),
        outcome="visits",
        by="event_time",
        leads=1,
        cluster="county",
        per=100,
    )
    influence = table.cluster_influence.to_numpy()
    assert influence.T @ influence == pytest.approx(table.covariance)
    other = imputation_att_from_members(
        balanced, outcome="visits", by="event_time", leads=1, cluster="county", per=100
    )
    assert table.covariance == pytest.approx(other.covariance)
    assert table.support.equals(other.support)


def test_one_month_before_exposure_is_group_time_att() -> None:
    frame = awkward_panel(seed=9, members=80, gap=0.0)
    frame = frame[(frame["cohort"] != 5) & frame["month"].isin([2, 3])]
    moments = cells(frame)
    table = imputation_att(moments, outcome="visits")
    modern = aggregate(group_time_att(moments, outcome="visits"))
    assert table.estimate == pytest.approx(modern.estimate)
    assert table.std_error == pytest.approx(modern.std_error)


def test_anticipation_leaves_months_out(balanced: pd.DataFrame) -> None:
    since = balanced["month"] - balanced["cohort"]
    kept = balanced[~since.between(-2, -1)]
    one = imputation_att(cells(balanced), outcome="visits", by="event_time", anticipation_months=2)
    two = imputation_att_from_members(kept, outcome="visits", by="event_time")
    assert one.estimate == pytest.approx(two.estimate)
    assert one.covariance == pytest.approx(two.covariance)


def test_event_times_asked_for(balanced: pd.DataFrame) -> None:
    moments = cells(balanced)
    whole = imputation_att(moments, outcome="visits", by="event_time")
    part = imputation_att(
        moments, outcome="visits", by="event_time", min_event_time=1, max_event_time=2
    )
    assert part.keys["event_time"].tolist() == [1, 2]
    assert part.estimate == pytest.approx(whole.estimate[1:3])
    assert part.covariance == pytest.approx(whole.covariance[1:3, 1:3])


def test_strata_are_apart(balanced: pd.DataFrame) -> None:
    joint = imputation_att(cells(balanced, stratum="group"), outcome="visits")
    for row, value in enumerate(["x", "y"]):
        alone = imputation_att_from_members(balanced[balanced["group"] == value], outcome="visits")
        assert joint.estimate[row] == pytest.approx(alone.estimate[0])
        assert joint.std_error[row] == pytest.approx(alone.std_error[0])
    assert joint.covariance[0, 1] == 0


def test_months_nobody_is_unexposed_in_are_set_aside_and_said(balanced: pd.DataFrame) -> None:
    ever = balanced[balanced["cohort"].notna()]
    for table in (
        imputation_att(cells(ever), outcome="visits", by="month"),
        imputation_att_from_members(ever, outcome="visits", by="month"),
    ):
        # From month 5 on cohorts 3 and 5 are both exposed.
        assert table.keys["month"].tolist() == [3, 4]
        assert any("without an imputed value" in note for note in table.notes)


def test_members_without_a_month_before_are_set_aside(balanced: pd.DataFrame) -> None:
    first = balanced["cohort"].eq(3) & balanced["member_id"].mod(2).eq(0)
    frame = balanced[~(first & (balanced["month"] < 3))]
    kept = frame[~first.loc[frame.index]]
    table = imputation_att_from_members(frame, outcome="visits")
    assert table.estimate == pytest.approx(
        imputation_att_from_members(kept, outcome="visits").estimate
    )
    assert any("without an imputed value" in note for note in table.notes)


def test_single_member_cohorts(balanced: pd.DataFrame) -> None:
    one = balanced.loc[balanced["cohort"].eq(5), "member_id"].iloc[0]
    frame = balanced[~balanced["cohort"].eq(5) | balanced["member_id"].eq(one)]
    for table in (
        imputation_att(cells(frame), outcome="visits", by="cohort"),
        imputation_att_from_members(frame, outcome="visits", by="cohort"),
    ):
        assert np.isfinite(table.std_error[0])
        assert np.isnan(table.std_error[1])
        assert any("single member" in note for note in table.notes)


def test_gaps_are_refused_with_a_way_out(gaps: pd.DataFrame) -> None:
    with pytest.raises(EstimationError, match="imputation_att_from_members"):
        imputation_att(cells(gaps), outcome="visits")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"by": "year"}, "by: 'year' is not one of"),
        ({"variance": "exact"}, "variance: 'exact'"),
        ({"leads": -1}, "leads: -1 is negative"),
        ({"anticipation_months": -1}, "anticipation_months: -1 is negative"),
        ({"leads": 2}, "goes with by='event_time'"),
        ({"cluster": "county"}, "keep cluster sums for none"),
        ({"fixed_effects": "none"}, "fixed_effects: 'none'"),
    ],
)
def test_options_that_mean_nothing(
    balanced: pd.DataFrame, option: dict[str, object], message: str
) -> None:
    with pytest.raises(EstimationError, match=message):
        imputation_att(cells(balanced), outcome="visits", **option)


def test_what_is_not_identified(balanced: pd.DataFrame) -> None:
    both = (
        lambda frame, **o: imputation_att(cells(frame), outcome="visits", **o),
        lambda frame, **o: imputation_att_from_members(frame, outcome="visits", **o),
    )
    for estimate in both:
        for nobody in (np.nan, 100.0):
            with pytest.raises(DesignError, match="no member is exposed"):
                estimate(balanced.assign(cohort=nobody))
        with pytest.raises(DesignError, match="nothing to impute from"):
            estimate(balanced.assign(cohort=0.0))
        with pytest.raises(DesignError, match="no exposed member-month can be imputed"):
            estimate(balanced.assign(cohort=3.0))
        with pytest.raises(DesignError, match="no exposed member-month can be imputed"):
            estimate(balanced, min_event_time=50)
        with pytest.raises(DesignError, match="before the panel begins"):
            estimate(balanced, by="event_time", leads=6)
        # With a lead for every month before exposure the never exposed alone tell the months,
        # and the level of each cohort is one more than its months.
        with pytest.raises(DesignError, match="can't be told"):
            estimate(balanced[balanced["cohort"] != 3], by="event_time", leads=5)


def test_an_outcome_that_does_not_vary(balanced: pd.DataFrame) -> None:
    frame = balanced.assign(visits=3)
    with pytest.raises(EstimationError, match="the same in all"):
        imputation_att(cells(frame), outcome="visits")
    with pytest.raises(EstimationError, match="the same in all"):
        imputation_att_from_members(frame, outcome="visits")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: pd.concat([f, f.iloc[[0]]]), "repeat the key"),
        (lambda f: f.assign(month=f["month"] + 0.5), "not whole periods"),
        (lambda f: f.assign(visits=f["visits"].where(f.index > 0)), "missing or infinite in 1"),
        (lambda f: f.assign(age=np.inf), "`age` is missing or infinite"),
        (lambda f: f.assign(cohort=f["cohort"].fillna(-np.inf)), "not whole periods"),
    ],
)
def test_frames_that_are_refused(balanced: pd.DataFrame, change, message: str) -> None:
    frame = change(balanced.assign(age=1.0 * balanced["visits"]))
    with pytest.raises(TableError, match=message):
        imputation_att_from_members(frame, outcome="visits", covariates=["age"])


def test_covariates_the_effects_explain(balanced: pd.DataFrame) -> None:
    frame = balanced.assign(season=balanced["month"] % 3)
    with pytest.raises(EstimationError, match=r"`season` can't be told .* drop it"):
        imputation_att_from_members(frame, outcome="visits", covariates=["season"])
