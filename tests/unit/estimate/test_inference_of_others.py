"""Leaving out counties and permuting them, with other estimators and with the county roll-out."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from county_panels import county_panel
from hand_panel import hand_panel

from calaim_eval.design import design_county_phase, design_exposure
from calaim_eval.errors import DesignError
from calaim_eval.estimate import (
    aggregate,
    cluster_intervals,
    cluster_jackknife,
    count_effects,
    group_time_att,
    leave_one_cluster_out,
    power_before_exposure,
    randomization_test,
    sun_abraham,
    two_way_fixed_effects,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable


def by_sun_abraham(moments: CellMoments) -> EffectTable:
    return sun_abraham(moments, outcome="visits", cluster="county")


def by_counts(moments: CellMoments) -> EffectTable:
    return count_effects(moments, outcome="visits", cluster="county")


def by_two_way(moments: CellMoments) -> EffectTable:
    return two_way_fixed_effects(moments, outcome="visits", cluster="county")


@pytest.mark.parametrize("estimate", [by_sun_abraham, by_counts, by_two_way])
def test_is_the_estimate_of_the_panel_without_the_county(estimate) -> None:
    frame = county_panel(4, gap=0.0, members=120)
    found = leave_one_cluster_out(
        reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means"),
        estimate,
    )
    for position, county in enumerate(found.clusters):
        rest = frame[frame["county"] != county]
        plain = estimate(
            reduce_panel(rest, outcomes=["visits"], cluster="county", unbalanced="cell_means")
        )
        assert plain.keys.equals(found.table.keys)
        assert found.estimates[position] == pytest.approx(plain.estimate, abs=1e-9)


def test_ratios_are_permuted_on_the_log_scale() -> None:
    frame = county_panel(4, counties=5, phase_1=2, members=100)
    moments = reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")
    table = by_counts(moments)
    row = randomization_test(moments, by_counts).iloc[0]
    assert table.estimand.scale == "ratio"
    expected = np.log(table.estimate[0]) / (table.std_error[0] / table.estimate[0])
    assert row["statistic"] == pytest.approx(expected)
    assert row["n_assignments"] == comb(5, 2) - 1
    ranks = row["p_value"] * comb(5, 2)
    assert ranks == pytest.approx(round(ranks))


PHASE_1, PHASE_2 = ("Alameda", "Kern", "Los Angeles"), ("Fresno", "Butte", "Yolo", "Merced")


def rollout() -> str:
    """Two members a county; visits by chance in 2021 and 2022."""
    rng = np.random.default_rng(2)
    rows = []
    for county in PHASE_1 + PHASE_2:
        for i in range(2):
            months = rng.choice(np.arange(18), 6, replace=False)
            visits = " ".join(f"{2021 + m // 12}-{m % 12 + 1:02d}:1" for m in months)
            rows.append(f"{county[:4]}{i} | {county} | 2021-01..2022-12 | | {visits}")
    return "member | county | covered | service | ed\n" + "\n".join(rows)


def overall(moments: CellMoments) -> EffectTable:
    effects = group_time_att(
        moments, outcome="ed_visits", comparison="never_exposed", cluster="county"
    )
    return aggregate(effects)


def test_county_rollout_from_design_to_inference() -> None:
    moments = reduce_panel(
        design_county_phase(hand_panel(rollout())), outcomes=["ed_visits"], unbalanced="cell_means"
    )
    row = randomization_test(moments, overall).iloc[0]
    assert row["n_assignments"] == comb(7, 3) - 1
    assert 1 / 35 <= row["p_value"] <= 1
    table = cluster_jackknife(moments, overall)
    assert table.cluster_influence.index.name == "county"
    assert set(table.cluster_influence.index) == set(PHASE_1 + PHASE_2)
    assert cluster_intervals(table)["df"].iloc[0] == 6
    before = power_before_exposure(
        moments, outcome="ed_visits", follow_up_months=6, cluster="county", take_up=[1, 0.01]
    )
    assert before.to_frame()["mde_on_served"].iloc[1] == pytest.approx(
        100 * before.to_frame()["mde"].iloc[0]
    )
    assert "2021-01 to 2021-12" in before.assumptions[0]


def test_enrollment_designs_know_no_assignment_of_counties() -> None:
    table = """
        member | county  | covered          | service | ed
        -------+---------+------------------+---------+------------
        a      | Alameda | 2021-01..2023-12 | 2022-08 | 2022-06:5
        b      | Alameda | 2021-01..2023-12 |         | 2022-06:5
        c      | Kern    | 2021-01..2023-12 | 2022-08 | 2022-06:5
        d      | Kern    | 2021-01..2023-12 |         | 2022-06:5
        e      | Fresno  | 2021-01..2023-12 | 2022-09 | 2022-06:5
        f      | Fresno  | 2021-01..2023-12 |         | 2022-06:5
    """
    design = design_exposure(hand_panel(table), service="ecm", eligibility="high_ed_use")
    moments = reduce_panel(
        design, outcomes=["ed_visits"], cluster="county", unbalanced="cell_means"
    )
    with pytest.raises(DesignError, match="exposure was not assigned by cluster"):
        randomization_test(moments, overall)
