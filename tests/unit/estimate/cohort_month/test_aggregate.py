"""Averages over cohorts and months, with the error of the cohort shares."""

from __future__ import annotations

import numpy as np
import pytest
from weighted_members import att, awkward_panel, clustered, cohort_size, influence

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import reduce_panel

MEMBERS = 80
POST = {3: [3, 4, 5, 6], 5: [5, 6]}


@pytest.fixture(scope="module")
def frame():
    return awkward_panel(seed=21, members=MEMBERS)


@pytest.fixture(scope="module")
def moments(frame):
    return reduce_panel(
        frame,
        outcomes=["visits"],
        covariate_cells="risk",
        cluster="county",
        unbalanced="cell_means",
    )


def plain(frame, weight):
    """Every average, written out; kind to list."""
    size = {g: cohort_size(frame, weight, g) for g in POST}
    effect = {
        (g, t): att(frame, weight, cohort=g, month=t, base=g - 1, cells="risk")
        for g, months in POST.items()
        for t in months
    }
    by_event = {
        e: sum(size[g] * effect[g, g + e] for g in POST if g + e in POST[g])
        / sum(size[g] for g in POST if g + e in POST[g])
        for e in range(4)
    }
    by_month = {
        t: sum(size[g] * effect[g, t] for g in POST if t in POST[g])
        / sum(size[g] for g in POST if t in POST[g])
        for t in range(3, 7)
    }
    by_cohort = {g: np.mean([effect[g, t] for t in POST[g]]) for g in POST}
    whole = sum(size[g] * len(POST[g]) for g in POST)
    return {
        "cohort_month": [sum(size[g] * effect[g, t] for g, t in effect) / whole],
        "event_time": [np.mean(list(by_event.values()))],
        "month": [np.mean(list(by_month.values()))],
        "cohort": [sum(size[g] * by_cohort[g] for g in POST) / sum(size.values())],
        "by event_time": list(by_event.values()),
        "by month": list(by_month.values()),
        "by cohort": list(by_cohort.values()),
    }


@pytest.fixture(scope="module")
def brute_force(frame):
    """Estimates and member influence of every average; kind to (estimate, influence)."""
    once = plain(frame, np.ones(MEMBERS))
    psi = influence(lambda weight: np.concatenate(list(plain(frame, weight).values())), MEMBERS)
    stops = np.cumsum([len(values) for values in once.values()])
    return {
        kind: (np.array(values), psi[:, stop - len(values) : stop])
        for (kind, values), stop in zip(once.items(), stops, strict=True)
    }


@pytest.mark.parametrize(
    "kind",
    ["cohort_month", "event_time", "month", "cohort", "by event_time", "by month", "by cohort"],
)
def test_average_and_covariance_are_brute_force(frame, moments, brute_force, kind) -> None:
    estimate, psi = brute_force[kind]
    county = frame.groupby("member_id")["county"].first().reindex(range(MEMBERS)).to_numpy()
    for cluster, groups in (("member", None), ("county", county)):
        effects = group_time_att(moments, outcome="visits", cluster=cluster)
        if kind.startswith("by "):
            table = aggregate(effects, by=kind[3:], min_event_time=0)
        else:
            table = aggregate(effects, average_over=kind)
        np.testing.assert_allclose(table.estimate, estimate, atol=1e-12)
        # 1e-6 is the error of the numerical derivative.
        expected = clustered(psi, groups)
        np.testing.assert_allclose(
            table.covariance, expected, rtol=1e-6, atol=1e-6 * expected.max()
        )


def test_balanced_event_study_keeps_one_mix_of_cohorts(moments) -> None:
    effects = group_time_att(moments, outcome="visits")
    study = aggregate(effects, by="event_time", balance_event_time=2)
    only_three = aggregate(
        effects.select(effects.keys["cohort"] == 3), by="event_time", max_event_time=2
    )
    assert study.keys["event_time"].tolist() == [-2, -1, 0, 1, 2]
    np.testing.assert_allclose(study.estimate, only_three.estimate, atol=1e-14)
    np.testing.assert_allclose(study.covariance, only_three.covariance, atol=1e-14)


def test_strata_are_joint_and_support_is_the_smaller_side(frame) -> None:
    moments = reduce_panel(
        frame, outcomes=["visits"], stratum="group", covariate_cells="risk", unbalanced="cell_means"
    )
    table = aggregate(group_time_att(moments, outcome="visits"))
    assert table.keys["group"].tolist() == ["x", "y"]
    exposed = frame[frame["cohort"].notna()].groupby("group")["member_id"].nunique()
    never = frame[frame["cohort"].isna()].groupby("group")["member_id"].nunique()
    assert (table.support["n_members"].to_numpy() <= np.maximum(exposed, never)).all()
    assert (table.support["n_members"] > 0).all()


def test_support_counts_what_is_used_by_hand() -> None:
    frame = awkward_panel(seed=30, gap=0.0)
    effects = group_time_att(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"), outcome="visits"
    )
    late = aggregate(effects, by="event_time", min_event_time=3, max_event_time=3)
    own = frame[frame["cohort"] == 3]
    never = frame[frame["cohort"].isna()]
    used = [side[side["month"].isin([2, 6])] for side in (own, never)]
    assert late.support.iloc[0].to_dict() == {
        "n_members": min(side["member_id"].nunique() for side in used),
        "n_events": min(side["visits"].sum() for side in used),
        "member_months": min(len(side) for side in used),
    }


def test_overall_is_a_combination_of_cohort_months(moments) -> None:
    effects = group_time_att(moments, outcome="visits")
    overall = aggregate(effects)
    assert overall.keys.shape == (1, 0)
    assert "estimate" in overall.to_frame()
    # Shares are estimated: the error with fixed shares is another one.
    size = moments.cells.assign(n=moments.n_members).groupby("cohort")["n"].sum()
    weight = np.where(effects.event_time >= 0, effects.keys["cohort"].map(size).astype(float), 0)
    fixed = effects.combine((weight / weight.sum())[None, :], keys=overall.keys)
    assert fixed.estimate == pytest.approx(overall.estimate, abs=1e-12)
    assert fixed.std_error[0] != pytest.approx(overall.std_error[0], rel=1e-9)


def test_refuses_options_that_mean_nothing(moments) -> None:
    effects = group_time_att(moments, outcome="visits")
    with pytest.raises(EstimationError, match="by='year' is not one of 'overall', 'event_time'"):
        aggregate(effects, by="year")
    with pytest.raises(EstimationError, match="goes with by='overall'"):
        aggregate(effects, by="month", average_over="cohort")
    with pytest.raises(EstimationError, match="the table has event times -4 to 3"):
        aggregate(effects, by="event_time", min_event_time=20)
