"""Smallest detectable effects: against statsmodels, by hand, and how dilution works."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from county_panels import county_panel
from scipy import stats
from statsmodels.stats.power import NormalIndPower, TTestPower

from calaim_eval.errors import EstimationError
from calaim_eval.estimate import aggregate, group_time_att, power
from calaim_eval.estimate.detectable_effects.power_table import detectable_distance, power_of
from calaim_eval.moments import reduce_panel
from calaim_eval.results import EffectTable, Estimand, Method

Z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)


def table_of(
    std_error: list[float],
    *,
    n_clusters: int = 0,
    n_members: int = 1_000,
    scale: str = "difference",
) -> EffectTable:
    k = len(std_error)
    support = {"n_members": [n_members] * k, "n_events": [500] * k, "member_months": [9e3] * k}
    covariance = np.diag(np.square(std_error))
    influence = None
    if n_clusters:
        signs = np.resize([1.0, -1.0], n_clusters) / np.sqrt(n_clusters)
        influence = pd.DataFrame(signs[:, None] * np.array(std_error))
    return EffectTable(
        keys=pd.DataFrame({"group": [f"g{i}" for i in range(k)]}),
        estimate=np.full(k, 123.0),
        covariance=covariance,
        support=pd.DataFrame(support),
        estimand=Estimand("ATT", "a minus b", "visits", scale=scale),
        method=Method("by hand", {"cluster": "county" if n_clusters else "member"}),
        cluster_influence=influence,
    )


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("distance", [0.0, 0.5, 1.7, 2.8, 4.5])
def test_power_is_statsmodels(distance: float, alpha: float) -> None:
    normal = power_of(np.array([distance]), np.array([np.inf]), alpha)[0]
    expected = NormalIndPower().power(distance, nobs1=1, alpha=alpha, ratio=0)
    assert normal == pytest.approx(expected, abs=1e-10)
    for n_clusters in (3, 6, 20, 58, 400):
        own = power_of(np.array([distance]), np.array([n_clusters - 1.0]), alpha)[0]
        expected = TTestPower().power(distance / np.sqrt(n_clusters), n_clusters, alpha)
        assert own == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("target", [0.5, 0.8, 0.9])
def test_detectable_effects_are_statsmodels(target: float) -> None:
    own = detectable_distance(np.array([np.inf]), 0.05, target)[0]
    assert own == pytest.approx(stats.norm.ppf(0.975) + stats.norm.ppf(target), abs=1e-12)
    # z + z leaves out that a test may also reject on the wrong side.
    wrong_side = stats.norm.cdf(-stats.norm.ppf(0.975) - own)
    reached = NormalIndPower().power(own, nobs1=1, alpha=0.05, ratio=0)
    assert reached == pytest.approx(target + wrong_side, abs=1e-10)
    for n_clusters in (4, 12, 58):
        # Its power at our solution: its own solver stops some 1e-5 away.
        own = detectable_distance(np.array([n_clusters - 1.0]), 0.05, target)[0]
        reached = TTestPower().power(own / np.sqrt(n_clusters), n_clusters, 0.05)
        assert reached == pytest.approx(target, abs=1e-9)


def test_smallest_effect_share_and_power_by_hand() -> None:
    found = power(table_of([0.5, 2.0]), effect=-3.0, comparison_mean=[7.0, 14.0]).to_frame()
    assert found["mde"].tolist() == pytest.approx([0.5 * Z, 2.0 * Z])
    assert found["mde_share"].tolist() == pytest.approx([0.5 * Z / 7, 2.0 * Z / 14])
    expected = [stats.norm.cdf(6 - 1.959964), stats.norm.cdf(1.5 - 1.959964)]
    # The other tail adds stats.norm.cdf(-1.5 - 1.96) = 0.00027.
    assert found["power"].tolist() == pytest.approx(expected, abs=3e-4)
    assert "mde_on_served_share" not in found
    assert "clusters_needed" not in found


def test_dilution_multiplies_what_the_service_must_do() -> None:
    found = power(
        table_of([0.5]), take_up=[1.0, 0.1, 0.01], effect=3.0, served_mean=60.0
    ).to_frame()
    assert found["mde"].tolist() == pytest.approx([0.5 * Z] * 3)
    assert found["mde_on_served"].tolist() == pytest.approx([0.5 * Z, 5 * Z, 50 * Z])
    assert found["mde_on_served_share"].tolist() == pytest.approx(
        [0.5 * Z / 60, 5 * Z / 60, 50 * Z / 60]
    )
    assert found["effect_on_all"].tolist() == pytest.approx([3.0, 0.3, 0.03])
    assert found["power"].is_monotonic_decreasing
    # 1,000 members have an error of 0.5: n (Z * 0.5 / effect)^2, to the next ten.
    needed = [1_000 * (Z * 0.5 / effect) ** 2 for effect in (3.0, 0.3, 0.03)]
    assert found["members_needed"].tolist() == [np.ceil(n / 10) * 10 for n in needed]


def test_counties_use_student_t_and_ask_for_counties() -> None:
    found = power(table_of([0.5], n_clusters=12), effect=1.2).to_frame().iloc[0]
    assert found["df"] == 11
    reached = TTestPower().power(found["mde"] / 0.5 / np.sqrt(12), 12, 0.05)
    assert reached == pytest.approx(0.8, abs=1e-9)
    assert found["mde"] > 0.5 * Z
    # Per county the effect is 1.2 / (0.5 * sqrt(12)) standard deviations.
    needed = TTestPower().solve_power(1.2 / (0.5 * np.sqrt(12)), None, 0.05, 0.8)
    assert found["clusters_needed"] == np.ceil(needed)
    assert "members_needed" not in found


def test_small_groups_do_not_show_their_members() -> None:
    found = power(table_of([0.5], n_members=10), effect=1.0).to_frame()
    assert "members_needed" not in found
    shown = power(table_of([0.5], n_members=1_003), effect=1.0).to_frame()
    assert shown["members_needed"].iloc[0] % 10 == 0
    assert not {"n_members", "n_events", "member_months"} & set(shown.columns)


def test_estimates_are_never_looked_at() -> None:
    table = table_of([0.5, 1.0])
    other = table.combine(np.diag([-1.0, 1.0]), keys=table.keys)
    pd.testing.assert_frame_equal(power(table).to_frame(), power(other).to_frame())


def test_rows_without_error_stay_missing_and_only_they() -> None:
    frame = county_panel(2)
    effects = group_time_att(
        reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means"),
        outcome="visits",
        base_period="universal",
    )
    table = aggregate(effects, by="event_time")
    found = power(table, effect=0.5).to_frame()
    is_base = found["event_time"] == -1
    assert (
        found.loc[is_base, ["mde", "mde_on_served", "power", "members_needed"]]
        .isna()
        .all(axis=None)
    )
    assert found.loc[~is_base, ["mde", "power", "members_needed"]].notna().all(axis=None)


def test_says_what_it_assumes_and_draws() -> None:
    found = power(table_of([0.5, 1.0]), take_up=[1.0, 0.05], effect=1.0)
    text = " ".join(found.assumptions)
    assert "independent of one another" in text
    assert "take-up times the effect on the served" in text
    assert "take-up" not in " ".join(power(table_of([0.5])).assumptions)
    assert "Student's t" in power(table_of([0.5], n_clusters=9)).assumptions[0]
    curves = found.plot().data
    at_mde = curves[(curves["effect_on_served"] / curves["effect_on_served"].max()) == 1]
    assert (at_mde["power"] > 0.99).all()
    found.plot()._build()
    assert "<ul><li>" in found._repr_html_()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"take_up": 1.5}, "not above 0 and at most 1"),
        ({"take_up": 0.0}, "Give shares, not percentages"),
        ({"take_up": float("nan")}, "not above 0 and at most 1"),
        ({"take_up": []}, "not above 0 and at most 1"),
        ({"effect": 0.0}, "an effect other than 0"),
        ({"effect": float("inf")}, "an effect other than 0"),
        ({"alpha": 5.0}, "alpha lies between 0 and 1"),
        ({"target_power": 0.01}, "between alpha and 1"),
        ({"comparison_mean": [1.0, 2.0, 3.0]}, r"shape \(3,\)"),
        ({"comparison_mean": -1.0}, "0 or more"),
        ({"served_mean": float("nan")}, "`served_mean`"),
    ],
)
def test_refuses_what_means_nothing(options: dict, message: str) -> None:
    with pytest.raises(EstimationError, match=message):
        power(table_of([0.5, 1.0]), **options)


def test_refuses_ratios_and_tables_without_errors() -> None:
    with pytest.raises(EstimationError, match="ratio scale"):
        power(table_of([0.5], scale="ratio"))
    with pytest.raises(EstimationError, match="none of the 2 rows has a standard error"):
        power(table_of([0.0, 0.0]))
