"""The naive regression: against dummy columns, its identities, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dummy_regressions import dummies, event_time_columns, exposed, ols
from weighted_members import awkward_panel

from calaim_eval.errors import DesignError, EstimationError, TableError
from calaim_eval.estimate import (
    aggregate,
    group_time_att,
    two_way_fixed_effects,
    two_way_fixed_effects_from_members,
)
from calaim_eval.moments import reduce_panel


@pytest.fixture(scope="module")
def balanced() -> pd.DataFrame:
    return awkward_panel(seed=3, members=60, gap=0.0)


@pytest.fixture(scope="module")
def gaps() -> pd.DataFrame:
    return awkward_panel(seed=4, members=60)


def cells(frame: pd.DataFrame, outcome: str = "visits", **options):
    return reduce_panel(frame, outcomes=[outcome], **options, unbalanced="cell_means")


def member_effects(frame: pd.DataFrame) -> np.ndarray:
    return dummies(frame["member_id"], frame["month"])


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
    table = two_way_fixed_effects(cells(frame), outcome="visits", small_sample="none")
    assert table.estimate == pytest.approx([2.0])
    # Influence: (change - mean change) / 2 of each member: 0.25, 0.25, 0.25, 0.25.
    assert table.std_error == pytest.approx([0.5])
    corrected = two_way_fixed_effects(cells(frame), outcome="visits")
    # G = 4, N = 8, K = 1 term + 2 months.
    assert corrected.std_error == pytest.approx([0.5 * np.sqrt(4 / 3 * 7 / 5)])
    assert not table.estimand.is_causal
    assert table.support.to_numpy().tolist() == [[2, 2, 2.0]]


@pytest.mark.parametrize("cluster", ["member", "county"])
@pytest.mark.parametrize("outcome", ["visits", "paid_usd"])
def test_member_effects_from_balanced_cells(
    balanced: pd.DataFrame, cluster: str, outcome: str
) -> None:
    column = balanced["member_id" if cluster == "member" else "county"].to_numpy()
    columns = event_time_columns(balanced, [*range(-5, -1), *range(4)])
    moments = cells(balanced, outcome, cluster="county")
    for by, terms in (("overall", exposed(balanced)[:, None]), ("event_time", columns)):
        expected, covariance, _ = ols(
            balanced[outcome].to_numpy(), terms, member_effects(balanced), column
        )
        table = two_way_fixed_effects(
            moments, outcome=outcome, by=by, cluster=cluster, small_sample="none"
        )
        assert table.estimate == pytest.approx(expected, rel=1e-7)
        assert table.covariance == pytest.approx(covariance, rel=1e-6, abs=1e-9 * covariance.max())


def test_month_effects_of_each_covariate_cell(balanced: pd.DataFrame) -> None:
    own_months = dummies(balanced["member_id"], balanced["risk"] + balanced["month"].astype(str))
    expected, covariance, _ = ols(
        balanced["visits"].to_numpy(),
        exposed(balanced)[:, None],
        own_months,
        balanced["member_id"].to_numpy(),
    )
    table = two_way_fixed_effects(
        cells(balanced, covariate_cells="risk"), outcome="visits", small_sample="none"
    )
    assert table.estimate == pytest.approx(expected)
    assert table.covariance == pytest.approx(covariance)


def test_cohort_effects_take_gaps(gaps: pd.DataFrame) -> None:
    cohort_effects = dummies(gaps["cohort"].fillna(-1), gaps["month"])
    expected, covariance, _ = ols(
        gaps["visits"].to_numpy(),
        exposed(gaps)[:, None],
        cohort_effects,
        gaps["member_id"].to_numpy(),
    )
    table = two_way_fixed_effects(
        cells(gaps), outcome="visits", fixed_effects="cohort", small_sample="none"
    )
    assert table.estimate == pytest.approx(expected)
    assert table.covariance == pytest.approx(covariance)
    corrected = two_way_fixed_effects(cells(gaps), outcome="visits", fixed_effects="cohort")
    n, members = len(gaps), gaps["member_id"].nunique()
    n_effects = np.linalg.matrix_rank(cohort_effects)
    factor = members / (members - 1) * (n - 1) / (n - 1 - n_effects)
    assert corrected.covariance == pytest.approx(factor * covariance)


def test_members_with_gaps_covariates_and_weights(gaps: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    frame = gaps.assign(age=rng.normal(size=len(gaps)), share=rng.uniform(1, 3, len(gaps)))
    columns = np.column_stack([exposed(frame), frame["age"]])
    expected, covariance, _ = ols(
        frame["visits"].to_numpy(),
        columns,
        member_effects(frame),
        frame["county"].to_numpy(),
        frame["share"].to_numpy(),
    )
    table = two_way_fixed_effects_from_members(
        frame.sample(frac=1, random_state=1),
        outcome="visits",
        covariates=["age"],
        weight="share",
        cluster="county",
        small_sample="none",
    )
    assert table.estimate == pytest.approx(expected[:1])
    assert table.covariance == pytest.approx(covariance[:1, :1])
    influence = table.cluster_influence.to_numpy()
    assert influence.T @ influence == pytest.approx(table.covariance)


def test_classical_errors(gaps: pd.DataFrame) -> None:
    effects = member_effects(gaps)
    _, _, residual = ols(
        gaps["visits"].to_numpy(), exposed(gaps)[:, None], effects, gaps["member_id"].to_numpy()
    )
    left = len(gaps) - 1 - np.linalg.matrix_rank(effects)
    table = two_way_fixed_effects_from_members(gaps, outcome="visits", errors="independent")
    projected = exposed(gaps) - effects @ np.linalg.pinv(effects) @ exposed(gaps)
    expected = np.sqrt(residual @ residual / left / (projected @ projected))
    assert table.std_error == pytest.approx([expected])
    assert any("independent" in note for note in table.notes)


def test_cells_and_members_are_one(balanced: pd.DataFrame) -> None:
    from_cells = two_way_fixed_effects(
        cells(balanced, cluster="county"), outcome="visits", by="event_time", cluster="county"
    )
    from_members = two_way_fixed_effects_from_members(
        balanced, outcome="visits", by="event_time", cluster="county"
    )
    assert from_cells.estimate == pytest.approx(from_members.estimate)
    assert from_cells.covariance == pytest.approx(from_members.covariance)
    assert from_cells.keys.equals(from_members.keys)
    assert from_cells.support.equals(from_members.support)


def test_event_times_beyond_the_ends_stand_together(balanced: pd.DataFrame) -> None:
    table = two_way_fixed_effects(
        cells(balanced),
        outcome="visits",
        by="event_time",
        min_event_time=-3,
        max_event_time=1,
        small_sample="none",
    )
    since = (balanced["month"] - balanced["cohort"]).clip(-3, 1).to_numpy()
    columns = np.stack([(since == e).astype(float) for e in (-3, -2, 0, 1)], axis=1)
    expected, covariance, _ = ols(
        balanced["visits"].to_numpy(),
        columns,
        member_effects(balanced),
        balanced["member_id"].to_numpy(),
    )
    assert table.keys["event_time"].tolist() == [-3, -2, 0, 1]
    assert table.estimate == pytest.approx(expected)
    assert table.covariance == pytest.approx(covariance)


def test_one_cohort_is_group_time_att() -> None:
    frame = awkward_panel(seed=9, members=80, gap=0.0)
    frame = frame[(frame["cohort"] != 5) & frame["month"].isin([2, 3])]
    moments = cells(frame)
    naive = two_way_fixed_effects(moments, outcome="visits", small_sample="none")
    modern = aggregate(group_time_att(moments, outcome="visits"))
    assert naive.estimate == pytest.approx(modern.estimate)
    assert naive.std_error == pytest.approx(modern.std_error)


def test_strata_are_apart_and_joint(balanced: pd.DataFrame) -> None:
    moments = cells(balanced, stratum="group", cluster="county")
    joint = two_way_fixed_effects(moments, outcome="visits", per=1000, cluster="county")
    for row, value in enumerate(["x", "y"]):
        alone = two_way_fixed_effects_from_members(
            balanced[balanced["group"] == value], outcome="visits", cluster="county", per=1000
        )
        assert joint.keys["group"][row] == value
        assert joint.estimate[row] == pytest.approx(alone.estimate[0])
        assert joint.std_error[row] == pytest.approx(alone.std_error[0])
    influence = joint.cluster_influence.to_numpy()
    assert joint.covariance[0, 1] == pytest.approx(influence[:, 0] @ influence[:, 1])
    assert joint.estimand.unit == "visits per 1,000 member-periods"


def test_a_stratum_without_exposed_is_left_out_and_said(balanced: pd.DataFrame) -> None:
    frame = balanced.assign(cohort=balanced["cohort"].mask(balanced["group"] == "y"))
    table = two_way_fixed_effects(cells(frame, stratum="group"), outcome="visits")
    assert table.keys["group"].tolist() == ["x"]
    assert any("left out: y." in note for note in table.notes)


def test_negative_weights_are_said() -> None:
    # Exposed in month 1 of 0..4 or in month 4: the early cohort's last month is fitted above 1.
    cohort = np.repeat([1.0, 4.0], 10)
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(20), 5),
            "month": np.tile(np.arange(5), 20),
            "cohort": np.repeat(cohort, 5),
        }
    )
    frame["visits"] = np.random.default_rng(0).poisson(2, len(frame))
    table = two_way_fixed_effects(cells(frame), outcome="visits")
    assert any("negative weight: less than a quarter" in note for note in table.notes)
    late = frame["month"] - 1 >= 3
    own = (exposed(frame) > 0) & late & (frame["cohort"] == 1)
    left = exposed(frame)
    left = left - member_effects(frame) @ np.linalg.pinv(member_effects(frame)) @ left
    assert (left[own] < 0).all()


def test_members_exposed_throughout_are_said(balanced: pd.DataFrame) -> None:
    frame = balanced.assign(cohort=balanced["cohort"].replace(3.0, 0.0))
    for table in (
        two_way_fixed_effects(cells(frame), outcome="visits"),
        two_way_fixed_effects_from_members(frame, outcome="visits"),
    ):
        assert any("exposed from the first month on" in note for note in table.notes)
    table = two_way_fixed_effects(cells(balanced), outcome="visits")
    assert not any("first month on" in note for note in table.notes)


def test_single_member_has_no_error() -> None:
    frame = awkward_panel(seed=5, members=30, gap=0.0)
    one = frame.loc[frame["cohort"].notna(), "member_id"].iloc[0]
    frame = frame[frame["cohort"].isna() | (frame["member_id"] == one)]
    assert np.isnan(two_way_fixed_effects(cells(frame), outcome="visits").std_error).all()
    table = two_way_fixed_effects_from_members(frame, outcome="visits")
    assert np.isnan(table.std_error).all()


def test_gaps_are_refused_with_what_would_be_lost(gaps: pd.DataFrame) -> None:
    with pytest.raises(EstimationError, match=r"less than a quarter of the member-months") as error:
        two_way_fixed_effects(cells(gaps), outcome="visits")
    assert "3 of 3 cells" in str(error.value)
    assert "two_way_fixed_effects_from_members" in str(error.value)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"by": "cohort"}, "by: 'cohort' is not one of"),
        ({"small_sample": "hc1"}, "small_sample: 'hc1'"),
        ({"fixed_effects": "county"}, "fixed_effects: 'county'"),
        ({"min_event_time": -2}, "go with by='event_time'"),
        ({"by": "event_time", "min_event_time": 2, "max_event_time": 1}, "is after"),
        ({"cluster": "county"}, "keep cluster sums for none"),
    ],
)
def test_options_that_mean_nothing(
    balanced: pd.DataFrame, option: dict[str, object], message: str
) -> None:
    with pytest.raises(EstimationError, match=message):
        two_way_fixed_effects(cells(balanced), outcome="visits", **option)


def test_what_is_not_identified(balanced: pd.DataFrame) -> None:
    both = (
        lambda frame, **o: two_way_fixed_effects(cells(frame), outcome="visits", **o),
        lambda frame, **o: two_way_fixed_effects_from_members(frame, outcome="visits", **o),
    )
    nobody = balanced.assign(cohort=np.nan)
    late = balanced.assign(cohort=balanced["cohort"] + 100)
    always = balanced.assign(cohort=0.0)
    at_once = balanced.assign(cohort=3.0)
    ever = balanced[balanced["cohort"].notna()]
    for estimate in both:
        for frame in (nobody, late):
            with pytest.raises(DesignError, match="no member is exposed"):
                estimate(frame)
        with pytest.raises(DesignError, match="every member is exposed in every month"):
            estimate(always)
        with pytest.raises(DesignError, match="`exposed` can't be told"):
            estimate(at_once)
        with pytest.raises(DesignError, match="Without never-exposed members"):
            estimate(ever, by="event_time")
        with pytest.raises(DesignError, match="reference_event_time=-9: no member"):
            estimate(balanced, by="event_time", reference_event_time=-9)


def test_an_outcome_that_does_not_vary(balanced: pd.DataFrame) -> None:
    for value in (0, 7, 12.5):
        frame = balanced.assign(visits=value)
        with pytest.raises(EstimationError, match="the same in all"):
            two_way_fixed_effects(cells(frame), outcome="visits")
        with pytest.raises(EstimationError, match="the same in all"):
            two_way_fixed_effects_from_members(frame, outcome="visits")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: pd.concat([f, f.iloc[[0]]]), "repeat the key"),
        (lambda f: f.assign(month=f["month"] + 0.5), "not whole periods"),
        (lambda f: f.assign(visits=f["visits"].where(f.index > 0)), "missing or infinite in 1"),
        (lambda f: f.assign(visits=f["visits"].where(f.index > 0, np.inf)), "missing or infinite"),
        (lambda f: f.assign(cohort=f["cohort"].where(f.index > 0, 6)), "not constant within"),
        (lambda f: f.drop(columns="cohort"), "lacks `cohort`"),
        (lambda f: f.iloc[:0], "has no rows"),
        (lambda f: f.assign(share=0.0), "`share` is missing, infinite or not above 0"),
        (
            lambda f: f.assign(share=f["share"].where(f.index > 3, 0.0)),
            "not above 0 in fewer than 11 of",
        ),
        (lambda f: f.assign(county=None), "`county` is missing for some"),
        (lambda f: [], "must be a pandas data frame"),
    ],
)
def test_frames_that_are_refused(balanced: pd.DataFrame, change, message: str) -> None:
    frame = change(balanced.assign(share=1.0))
    with pytest.raises(TableError, match=message):
        two_way_fixed_effects_from_members(
            frame, outcome="visits", weight="share", cluster="county"
        )


def test_one_cluster_is_refused(balanced: pd.DataFrame) -> None:
    with pytest.raises(EstimationError, match="one cluster only"):
        two_way_fixed_effects_from_members(
            balanced.assign(county="Kings"), outcome="visits", cluster="county"
        )


def test_no_result_holds_an_id_however_the_cluster_is_named(balanced: pd.DataFrame) -> None:
    frame = balanced.assign(person="id-" + balanced["member_id"].astype(str))
    by_member = two_way_fixed_effects_from_members(frame, outcome="visits")
    for cluster in ("member_id", "person"):
        table = two_way_fixed_effects_from_members(frame, outcome="visits", cluster=cluster)
        assert table.cluster_influence is None
        assert table.method.options["cluster"] == "member"
        assert table.covariance == pytest.approx(by_member.covariance)
        assert not any("id-" in note or "clusters" in note for note in table.notes)


def test_no_message_names_a_member(balanced: pd.DataFrame) -> None:
    frame = balanced.assign(member_id="secret-" + balanced["member_id"].astype(str))
    with pytest.raises(TableError) as error:
        two_way_fixed_effects_from_members(pd.concat([frame, frame.iloc[[0]]]), outcome="visits")
    assert "secret" not in str(error.value)
