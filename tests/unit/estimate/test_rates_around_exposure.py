"""Rates before and after: by brute force, and adding up to the effects stated elsewhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from weighted_members import awkward_panel, clustered, influence, mean

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate import (
    aggregate,
    group_time_att,
    group_time_rates,
    pre_post,
    pre_post_rates,
)
from calaim_eval.moments import reduce_panel

MEMBERS = 60


def moments_of(frame, **more):
    return reduce_panel(
        frame,
        outcomes=["visits", "paid_usd"],
        covariate_cells="risk",
        cluster="county",
        unbalanced="cell_means",
        **more,
    )


def plain_rates(frame, weight) -> np.ndarray:
    """Exposed before, after; comparison before, after: windows of two months, written out."""
    w = weight[frame["member_id"]]
    rates = {"exposed": [], "comparison": []}
    for first, last in ((-2, -1), (0, 1)):
        visits = months = standard = 0.0
        for cohort in (3, 5):
            window = frame["month"].between(cohort + first, cohort + last)
            for cell in ("a", "b"):
                own = window & (frame["cohort"] == cohort) & (frame["risk"] == cell)
                later = frame["cohort"].isna() | (frame["cohort"] > cohort + 1)
                visits += (w[own] * frame.loc[own, "paid_usd"]).sum()
                months += w[own].sum()
                other = window & later & (frame["risk"] == cell)
                standard += w[own].sum() * mean(frame, weight, other, "paid_usd")
        rates["exposed"].append(visits / months)
        rates["comparison"].append(standard / months)
    return np.array([*rates["exposed"], *rates["comparison"]])


@pytest.mark.parametrize("cluster", ["member", "county"])
def test_rates_before_and_after_are_brute_force(cluster):
    frame = awkward_panel(seed=17, members=MEMBERS)
    table = pre_post_rates(
        moments_of(frame),
        outcome="paid_usd",
        months_before=2,
        months_after=2,
        cluster=cluster,
        per=12,
    )
    assert table.keys.to_dict("list") == {
        "side": ["exposed", "exposed", "comparison", "comparison"],
        "period": ["before", "after", "before", "after"],
    }
    psi = influence(lambda w: plain_rates(frame, w), members=MEMBERS)
    county = frame.groupby("member_id")["county"].first().reindex(range(MEMBERS)).to_numpy()
    groups = None if cluster == "member" else county
    np.testing.assert_allclose(table.estimate, 12 * plain_rates(frame, np.ones(MEMBERS)))
    scale = np.outer(table.std_error, table.std_error)
    expected = 144 * clustered(psi, groups)
    np.testing.assert_allclose(table.covariance / scale, expected / scale, atol=1e-6)
    assert not table.estimand.is_causal


EFFECT = np.array([-1.0, 1.0, 1.0, -1.0])
"""Exposed before, after; comparison before, after."""


@pytest.mark.parametrize("cluster", ["member", "county"])
@pytest.mark.parametrize("outcome", ["visits", "paid_usd"])
def test_changes_of_the_rates_are_those_of_pre_post(cluster, outcome):
    moments = moments_of(awkward_panel(seed=3), stratum="group")
    options = {"outcome": outcome, "months_before": 2, "months_after": 2, "cluster": cluster}
    rates = pre_post_rates(moments, **options)
    whole = pre_post(moments, **options).select(
        pre_post(moments, **options).keys["side"] == "difference"
    )
    found = rates.combine(np.kron(np.eye(2), EFFECT), keys=whole.keys)
    np.testing.assert_allclose(found.estimate, whole.estimate, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, whole.covariance, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("cluster", ["member", "county"])
@pytest.mark.parametrize("comparison", ["not_yet_exposed", "never_exposed"])
@pytest.mark.parametrize("outcome", ["visits", "paid_usd"])
def test_rates_behind_the_average_effect_add_up_to_it(cluster, comparison, outcome):
    moments = moments_of(awkward_panel(seed=5), stratum="group")
    att_gt = group_time_att(
        moments, outcome=outcome, comparison=comparison, cluster=cluster, per=1000
    )
    rates = group_time_rates(att_gt, max_event_time=2)
    whole = aggregate(att_gt, max_event_time=2)
    found = rates.combine(np.kron(np.eye(2), EFFECT), keys=whole.keys)
    np.testing.assert_allclose(found.estimate, whole.estimate, rtol=1e-9)
    np.testing.assert_allclose(found.covariance, whole.covariance, rtol=1e-6)
    assert rates.support["n_members"].min() > 0


def test_exposed_rates_of_a_panel_drawn_by_hand():
    """Two exposed in month 2 and one never: 1 and 3 visits before, 2 and 2 after; 1 then 4."""
    frame = pd.DataFrame(
        {
            "member_id": np.repeat([1, 2, 3], 2),
            "month": [1, 2] * 3,
            "cohort": [2.0] * 4 + [np.nan] * 2,
            "visits": [1, 2, 3, 2, 1, 4],
        }
    )
    moments = reduce_panel(frame, outcomes=["visits"])
    for table in (
        group_time_rates(group_time_att(moments, outcome="visits")),
        pre_post_rates(moments, outcome="visits", months_before=1, months_after=1),
    ):
        assert table.estimate.tolist() == [2, 2, 1, 4]
        assert table.support["n_members"].tolist() == [2, 2, 1, 1]
        assert table.support["n_events"].tolist() == [4, 4, 1, 4]
        assert table.support["member_months"].tolist() == [2, 2, 1, 1]


def test_what_is_refused():
    moments = moments_of(awkward_panel(seed=3))
    with pytest.raises(EstimationError, match="each window needs at least one month"):
        pre_post_rates(moments, outcome="visits", months_before=0)
    with pytest.raises(DesignError, match="12 months before"):
        pre_post_rates(moments, outcome="visits")
    with pytest.raises(EstimationError, match="min 50"):
        group_time_rates(group_time_att(moments, outcome="visits"), min_event_time=50)
