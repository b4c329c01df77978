"""Does the effect of ECM differ with integration? A truth where it is twice as big."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import effect_gap
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.integration import effect_by_integration, integration_level
from calaim_eval.moments import reduce_panel

PANELS = 150
COUNTIES, MEMBERS, MONTHS, START = 20, 40, 6, 3
LOWER, HIGHER = -0.1, -0.2
"""Visits a month; counties differ around these by a standard deviation of 0.2."""

pytestmark = pytest.mark.slow


def panel(seed: int) -> pd.DataFrame:
    """Members of ten badly and ten well integrated counties, two in five served."""
    rng = np.random.default_rng(seed)
    names = [f"county {g:02}" for g in range(COUNTIES)]
    closure = np.where(np.arange(COUNTIES) % 2 == 0, 0.7, 0.3)
    level = integration_level(
        pd.DataFrame({"county": names, "closure": closure, "n_referrals": 40}), cut=0.5
    )
    effect = np.where(closure > 0.5, HIGHER, LOWER) + rng.normal(0, 0.2, COUNTIES)
    at = np.repeat(np.arange(COUNTIES), MEMBERS)
    is_served = rng.random(len(at)) < 0.4
    members = pd.DataFrame(
        {
            "member_id": np.arange(len(at)),
            "county": np.array(names)[at],
            "cohort": np.where(is_served, float(START), np.nan),
        }
    )
    members["integration"] = members["county"].map(level)
    frame = members.loc[members.index.repeat(MONTHS)].reset_index(drop=True)
    frame["month"] = np.tile(np.arange(MONTHS), len(at))
    after = (frame["month"] >= START).to_numpy()
    gain = np.where(after & np.repeat(is_served, MONTHS), np.repeat(effect[at], MONTHS), 0.0)
    frame["ed_visits"] = rng.poisson(np.maximum(1.0 + 0.1 * after + gain, 0.0))
    return frame


def test_the_difference_is_found_and_its_interval_covers_when_counties_are_the_clusters():
    found, by_county, by_member = [], 0, 0
    for seed in range(PANELS):
        moments = reduce_panel(
            panel(seed), outcomes=["ed_visits"], stratum="integration", cluster="county"
        )
        row = effect_by_integration(moments, outcome="ed_visits").to_frame().iloc[2]
        by_county += row["conf_low"] <= HIGHER - LOWER <= row["conf_high"]
        found.append(row["estimate"])
        att = group_time_att(
            moments, outcome="ed_visits", comparison="never_exposed", cluster="member"
        )
        gap = effect_gap(aggregate(att), reference="lower", stratum="integration")
        alone = gap.to_frame().iloc[0]
        by_member += alone["conf_low"] <= HIGHER - LOWER <= alone["conf_high"]
    error = np.std(found) / np.sqrt(PANELS)
    assert abs(np.mean(found) - (HIGHER - LOWER)) < 4 * error
    # 95 % less three Monte Carlo errors; members as clusters do not know that counties differ.
    assert by_county / PANELS >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / PANELS)
    assert by_member < by_county
