"""Size with few unequal counties, and power where the power statement says it is."""

from __future__ import annotations

import numpy as np
import pytest
from county_panels import county_panel

from calaim_eval.estimate import (
    aggregate,
    cluster_intervals,
    cluster_jackknife,
    group_time_att,
    power_before_exposure,
    randomization_test,
)
from calaim_eval.moments import CellMoments, reduce_panel
from calaim_eval.results import EffectTable

PANELS = 300
COUNTIES, START, MONTHS = 12, 5, 8

pytestmark = pytest.mark.slow


def overall(moments: CellMoments) -> EffectTable:
    # The last month before exposure against all later ones, as the placebo does.
    return aggregate(group_time_att(moments, outcome="visits", cluster="county"))


def moments_of(seed: int, effect: float) -> CellMoments:
    frame = county_panel(
        seed,
        counties=COUNTIES,
        phase_1=5,
        members=400,
        months=MONTHS,
        start=START,
        shock=0.15,
        effect=effect,
    )
    return reduce_panel(frame, outcomes=["visits"], cluster="county", unbalanced="cell_means")


def test_size_of_jackknife_t_and_of_randomization() -> None:
    # No effect: 5 % tests. Binomial(300, 0.05) is above 26 with probability 0.003.
    by_jackknife, by_lot, plain = 0, 0, 0
    for seed in range(PANELS):
        moments = moments_of(seed, effect=0.0)
        table = overall(moments)
        plain += table.to_frame()["p_value"].iloc[0] < 0.05
        intervals = cluster_intervals(cluster_jackknife(moments, overall))
        by_jackknife += intervals["p_value"].iloc[0] < 0.05
        if seed < 100:
            found = randomization_test(moments, overall, draws=99, rng=np.random.default_rng(seed))
            by_lot += found["p_value"].iloc[0] <= 0.05
    assert by_jackknife <= 26
    # Binomial(100, 0.05) is above 12 with probability 0.0015.
    assert by_lot <= 12
    assert plain > by_jackknife


def test_power_at_the_smallest_detectable_effect() -> None:
    # The same months on both sides of the placebo as of the study.
    statements = [
        power_before_exposure(
            moments_of(seed, effect=0.0), outcome="visits", follow_up_months=3, cluster="county"
        ).to_frame()
        for seed in range(100, 150)
    ]
    mde = float(np.sqrt(np.mean([s["mde"].iloc[0] ** 2 for s in statements])))
    rejected = 0
    for seed in range(PANELS):
        table = overall(moments_of(1_000 + seed, effect=mde))
        rejected += cluster_intervals(table)["p_value"].iloc[0] < 0.05
    # Binomial(300, 0.8) lies within 0.72 to 0.88 with probability 0.9995.
    assert 0.72 <= rejected / PANELS <= 0.88
