"""Re-estimates without a county: those of a panel without its members."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from county_panels import county_panel
from weighted_members import awkward_panel

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import aggregate, group_time_att, leave_one_cluster_out, pre_post
from calaim_eval.estimate.inference.cluster_moments import (
    matched_rows,
    with_cohorts,
    without_cluster,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable


def study(moments: CellMoments) -> EffectTable:
    effects = group_time_att(moments, outcome="visits", cluster="county")
    return aggregate(effects, by="event_time")


def paid(moments: CellMoments) -> EffectTable:
    return aggregate(group_time_att(moments, outcome="paid_usd", cluster="county"))


@pytest.mark.parametrize("estimate", [study, paid])
@pytest.mark.parametrize("cells", [None, "risk"])
@pytest.mark.parametrize("stratum", [None, "group"])
def test_is_the_estimate_without_the_countys_members(estimate, cells, stratum) -> None:
    frame = awkward_panel(seed=4, members=240)
    names = {"outcomes": ["visits", "paid_usd"], "covariate_cells": cells, "stratum": stratum}
    moments = reduce_panel(frame, cluster="county", **names, unbalanced="cell_means")
    found = leave_one_cluster_out(moments, estimate)
    for position, county in enumerate(found.clusters):
        rest = reduce_panel(
            frame[frame["county"] != county], cluster="county", **names, unbalanced="cell_means"
        )
        plain = estimate(rest)
        row = matched_rows(found.table.keys, plain.keys)
        expected = np.where(row >= 0, plain.estimate[row], np.nan)
        assert found.estimates[position] == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)


def test_also_for_pre_post_and_its_errors_by_county() -> None:
    frame = awkward_panel(seed=5, members=240)

    def estimate(moments: CellMoments) -> EffectTable:
        return pre_post(
            moments, outcome="visits", months_before=2, months_after=2, cluster="county"
        )

    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    fewer = estimate(without_cluster(moments, 3))
    county = moments.clusters.labels[3]
    plain = estimate(
        reduce_panel(
            frame[frame["county"] != county],
            outcomes=["visits"],
            cluster="county",
            unbalanced="cell_means",
        )
    )
    assert fewer.estimate == pytest.approx(plain.estimate, abs=1e-12)
    assert fewer.covariance == pytest.approx(plain.covariance, abs=1e-12)


def test_within_member_products_are_not_invented() -> None:
    moments = reduce_panel(
        county_panel(1), outcomes=["visits"], cluster="county", unbalanced="cell_means"
    )
    by_member = aggregate(group_time_att(without_cluster(moments, 0), outcome="visits"))
    assert np.isfinite(by_member.estimate).all()
    assert np.isnan(by_member.std_error).all()


def test_with_cohorts_of_its_own_is_the_same_and_of_others_is_relabelling() -> None:
    frame = county_panel(2)
    moments = reduce_panel(
        frame, outcomes=["visits"], cluster="county", stratum="group", unbalanced="cell_means"
    )
    labels = moments.clusters.labels
    first = frame.groupby("county")["cohort"].first()
    own = with_cohorts(moments, pd.Series(first[labels].to_numpy()).astype("Int64"))
    assert study(own).estimate == pytest.approx(study(moments).estimate, abs=1e-12)
    assert study(own).covariance == pytest.approx(study(moments).covariance, abs=1e-12)
    swapped = {county: 4.0 if np.isnan(first[county]) else np.nan for county in first.index}
    other = frame.assign(cohort=frame["county"].map(swapped))
    plain = study(
        reduce_panel(
            other, outcomes=["visits"], cluster="county", stratum="group", unbalanced="cell_means"
        )
    )
    rebuilt = study(with_cohorts(moments, pd.Series([swapped[c] for c in labels]).astype("Int64")))
    assert rebuilt.keys.equals(plain.keys)
    assert rebuilt.estimate == pytest.approx(plain.estimate, abs=1e-12)
    assert rebuilt.covariance == pytest.approx(plain.covariance, abs=1e-12)


def test_table_orders_by_change_and_withholds_small_counties() -> None:
    frame = county_panel(3, members=400)
    small = frame["county"] == "county 05"
    few = frame.loc[small, "member_id"].unique()[4:]
    frame = frame[~frame["member_id"].isin(few)]
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")

    def overall(m: CellMoments) -> EffectTable:
        return aggregate(group_time_att(m, outcome="visits", cluster="county"))

    found = leave_one_cluster_out(moments, overall)
    table = found.to_frame()
    assert len(table) == 8
    assert table.loc[table["is_withheld"], "county"].tolist() == ["county 05"]
    assert table.loc[table["is_withheld"], ["estimate_without", "change"]].isna().all(axis=None)
    shown = table.loc[~table["is_withheld"], "change"].abs()
    assert shown.is_monotonic_decreasing
    assert not {"n_members", "n_events", "member_months"} & set(table.columns)
    data = found.plot().data
    assert "county 05" not in set(data["county"])
    assert len(data) == 7


@pytest.mark.parametrize("stratum", [None, "group"])
@pytest.mark.parametrize("by", ["overall", "cohort", "event_time", "month"])
def test_withholds_counties_with_few_members_of_the_cohort_of_the_row(by, stratum) -> None:
    # County 00: 3 members exposed in month 3, the others in 4; county 01: none in 3; county 02: 30.
    frame = county_panel(3, members=900)
    for county, early in (("county 00", 3), ("county 02", 30)):
        for _, own in frame[frame["county"] == county].groupby("group"):
            first = own["member_id"].unique()[:early]
            frame.loc[frame["member_id"].isin(first), "cohort"] = 3.0
    moments = reduce_panel(
        frame, outcomes=["visits"], cluster="county", stratum=stratum, unbalanced="cell_means"
    )

    def effects(m: CellMoments) -> EffectTable:
        return aggregate(group_time_att(m, outcome="visits", cluster="county"), by=by)

    table = leave_one_cluster_out(moments, effects).to_frame()
    is_small = table["county"] == "county 00"
    if by == "overall":
        is_small &= False
    if by == "cohort":
        is_small &= table["cohort"] == 3
    if stratum is None:
        # Three of each group: six of all, still fewer than 11.
        assert (frame.loc[frame["cohort"] == 3].groupby("county")["member_id"].nunique()).min() == 6
    assert table["is_withheld"].tolist() == is_small.tolist()
    assert table.loc[is_small, ["estimate_without", "change"]].isna().all(axis=None)


def test_plot_draws_with_and_without_keys() -> None:
    frame = county_panel(3, members=400)
    for stratum in (None, "group"):
        moments = reduce_panel(
            frame, outcomes=["visits"], cluster="county", stratum=stratum, unbalanced="cell_means"
        )
        drawn = leave_one_cluster_out(
            moments,
            lambda m: aggregate(group_time_att(m, outcome="visits", cluster="county")),
        ).plot()
        drawn._build()


def test_a_county_that_holds_all_exposed_leaves_nothing_to_estimate() -> None:
    frame = county_panel(1, phase_1=1)
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    found = leave_one_cluster_out(moments, study)
    lost = np.isnan(found.estimates).all(axis=1)
    assert found.clusters[lost].tolist() == ["county 00"]
    assert "no member is first exposed" in found.reasons[0]


@pytest.mark.parametrize(
    ("cluster", "counties", "message"),
    [(None, 8, "keep no cluster sums"), ("county", 2, "2 clusters by county; at least 3")],
)
def test_refuses_moments_without_enough_clusters(cluster, counties, message) -> None:
    frame = county_panel(1, counties=counties, phase_1=1)
    moments = reduce_panel(frame, outcomes=["visits"], cluster=cluster, unbalanced="cell_means")
    with pytest.raises(EstimationError, match=message):
        leave_one_cluster_out(moments, study)


def test_refuses_rows_that_cannot_be_told_apart() -> None:
    moments = reduce_panel(
        county_panel(1), outcomes=["visits"], cluster="county", unbalanced="cell_means"
    )

    def doubled(m: CellMoments) -> EffectTable:
        table = study(m)
        return table.combine(np.eye(len(table)), keys=pd.DataFrame({"row": [0] * len(table)}))

    with pytest.raises(EstimationError, match="rows repeat"):
        leave_one_cluster_out(moments, doubled)
