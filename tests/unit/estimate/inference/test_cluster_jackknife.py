"""CRV3 and Student's t intervals: by hand, by brute force, and what is refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from county_panels import county_panel
from scipy import stats

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import (
    aggregate,
    cluster_intervals,
    cluster_jackknife,
    group_time_att,
    wild_bootstrap_p_values,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable, Estimand, Method


def overall(moments: CellMoments) -> EffectTable:
    return aggregate(group_time_att(moments, outcome="visits", cluster="county"))


def study(moments: CellMoments) -> EffectTable:
    effects = group_time_att(moments, outcome="visits", cluster="county")
    return aggregate(effects, by="event_time")


def test_two_months_and_four_counties_by_hand() -> None:
    # One member a county and month; changes 2 and 6 in the exposed, 1 and 3 in the others.
    changes = {"a": 2, "b": 6, "c": 1, "d": 3}
    frame = pd.DataFrame(
        [
            {"member_id": c, "county": c, "month": m, "cohort": 1.0 if c in "ab" else None}
            | {"visits": change * m}
            for c, change in changes.items()
            for m in (0, 1)
        ]
    )
    table = cluster_jackknife(
        reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means"), overall
    )
    # 4 - 2 = 2; without a, b, c, d: 6 - 2, 2 - 2, 4 - 3, 4 - 1.
    assert table.estimate == pytest.approx([2.0])
    assert table.covariance[0, 0] == pytest.approx(3 / 4 * (2**2 + 2**2 + 1 + 1))
    row = cluster_intervals(table).iloc[0]
    reach = stats.t.ppf(0.975, 3) * np.sqrt(7.5)
    assert row["df"] == 3
    assert [row["conf_low"], row["conf_high"]] == pytest.approx([2 - reach, 2 + reach])
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(2 / np.sqrt(7.5), 3))
    own = table.to_frame().iloc[0]
    assert [own["conf_low"], own["conf_high"]] == pytest.approx([2 - reach, 2 + reach])


@pytest.mark.parametrize("center", ["estimate", "mean"])
@pytest.mark.parametrize("stratum", [None, "group"])
def test_covariance_is_that_of_refitted_panels(stratum, center) -> None:
    frame = county_panel(6)
    names = {"outcomes": ["visits"], "cluster": "county", "stratum": stratum}
    table = cluster_jackknife(
        reduce_panel(frame, **names, unbalanced="cell_means"), study, center=center
    )
    refits = np.array(
        [
            study(
                reduce_panel(frame[frame["county"] != c], **names, unbalanced="cell_means")
            ).estimate
            for c in sorted(frame["county"].unique())
        ]
    )
    around = table.estimate if center == "estimate" else refits.mean(axis=0)
    changes = refits - around
    assert table.covariance == pytest.approx(7 / 8 * changes.T @ changes, abs=1e-12)
    influence = table.cluster_influence.to_numpy()
    assert influence.T @ influence == pytest.approx(table.covariance, abs=1e-14)
    assert table.method.options["std_error"] == "CRV3"
    assert table.method.options["cluster"] == "county"


def test_a_county_outside_a_stratum_is_not_one_of_its_clusters() -> None:
    frame = county_panel(6)
    frame = frame[(frame["county"] != "county 07") | (frame["group"] == "x")]
    moments = reduce_panel(
        frame, outcomes=["visits"], cluster="county", stratum="group", unbalanced="cell_means"
    )
    table = cluster_jackknife(moments, overall)
    alone = cluster_jackknife(
        reduce_panel(
            frame[frame["group"] == "y"],
            outcomes=["visits"],
            cluster="county",
            unbalanced="cell_means",
        ),
        overall,
    )
    is_y = (table.keys["group"] == "y").to_numpy()
    assert table.std_error[is_y] == pytest.approx(alone.std_error)
    assert cluster_intervals(table)["df"].tolist() == [7, 6]


def test_row_lost_without_a_county_has_no_error_and_a_note() -> None:
    frame = county_panel(6)
    alone = (frame["group"] == "y") & (frame["cohort"].notna()) & (frame["county"] != "county 00")
    moments = reduce_panel(
        frame[~alone],
        outcomes=["visits"],
        cluster="county",
        stratum="group",
        unbalanced="cell_means",
    )
    table = cluster_jackknife(moments, overall)
    assert table.keys["group"].tolist() == ["x", "y"]
    assert np.isfinite(table.std_error).tolist() == [True, False]
    assert any("1 of 2 effects can't be estimated without some county" in n for n in table.notes)
    assert np.isnan(cluster_intervals(table)["conf_low"].iloc[1])
    assert np.isnan(wild_bootstrap_p_values(table, weights="rademacher")["p_value"].iloc[1])


def test_base_month_stays_without_error() -> None:
    moments = reduce_panel(
        county_panel(6), outcomes=["visits"], cluster="county", unbalanced="cell_means"
    )

    def universal(m: CellMoments) -> EffectTable:
        effects = group_time_att(m, outcome="visits", cluster="county", base_period="universal")
        return aggregate(effects, by="event_time")

    table = cluster_jackknife(moments, universal)
    is_base = (table.keys["event_time"] == -1).to_numpy()
    assert np.isnan(table.std_error[is_base]).all()
    assert np.isfinite(table.std_error[~is_base]).all()


def test_refuses_a_single_exposed_county_and_unknown_options() -> None:
    moments = reduce_panel(
        county_panel(1, phase_1=1), outcomes=["visits"], cluster="county", unbalanced="cell_means"
    )
    with pytest.raises(EstimationError, match="a single county holds all exposed"):
        cluster_jackknife(moments, overall)
    with pytest.raises(EstimationError, match="'median' is not one of 'estimate', 'mean'"):
        cluster_jackknife(moments, overall, center="median")


def ratio_table(estimate: float, psi: np.ndarray) -> EffectTable:
    support = pd.DataFrame({"n_members": [99], "n_events": [99], "member_months": [99.0]})
    return EffectTable(
        keys=pd.DataFrame({"row": [0]}),
        estimate=np.array([estimate]),
        covariance=np.array([[psi @ psi]]),
        support=support,
        estimand=Estimand("Ratio", "a over b", "ratio", scale="ratio"),
        method=Method("by hand"),
        cluster_influence=pd.DataFrame({0: psi}),
    )


def test_ratio_intervals_are_on_the_log_scale() -> None:
    psi = np.array([0.2, -0.1, 0.3, -0.4])
    row = cluster_intervals(ratio_table(1.5, psi)).iloc[0]
    se_log = np.sqrt(psi @ psi) / 1.5
    reach = stats.t.ppf(0.975, 3) * se_log
    assert [row["conf_low"], row["conf_high"]] == pytest.approx(
        [1.5 * np.exp(-reach), 1.5 * np.exp(reach)]
    )
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(np.log(1.5) / se_log, 3))


def test_intervals_need_clusters() -> None:
    moments = reduce_panel(county_panel(1), outcomes=["visits"], unbalanced="cell_means")
    with pytest.raises(EstimationError, match="keeps no cluster influence"):
        cluster_intervals(aggregate(group_time_att(moments, outcome="visits")))
    with pytest.raises(EstimationError, match="conf_level: 95 is not between 0 and 1"):
        cluster_intervals(ratio_table(1.5, np.ones(3)), conf_level=95)
