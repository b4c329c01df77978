"""Members are served after a rise in use that falls back by itself: matching must see through it.

Use has a level, and spells that come and go. Service is likelier after high use in the last three
months. Those served then fall back more than the rest, which a comparison by eligibility month
takes for an effect; members matched on the same three months fall back as much.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.design import design_exposure, design_matched
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import reduce_panel
from calaim_eval.panel import MemberMonths

EFFECT = -0.15
MONTHS = pd.date_range("2021-01-01", periods=20, freq="MS")
N_MEMBERS = 6000
SETTINGS = {"lookback_months": 3, "follow_up_months": 2}


def spell_panel(seed: int) -> MemberMonths:
    """Eligible in month 4 or 5; hazard of service a function of the last three months' visits."""
    rng = np.random.default_rng(seed)
    n_months = len(MONTHS)
    level = rng.gamma(2.0, 0.15, N_MEMBERS)
    spell = rng.random(N_MEMBERS) < 0.3
    eligible = rng.integers(4, 6, N_MEMBERS)
    served = np.full(N_MEMBERS, 99)
    visits = np.zeros((N_MEMBERS, n_months), dtype=int)
    for month in range(n_months):
        spell = np.where(spell, rng.random(N_MEMBERS) < 0.6, rng.random(N_MEMBERS) < 0.15)
        recent = visits[:, max(month - 3, 0) : month].sum(axis=1)
        hazard = 0.01 + 0.03 * np.minimum(recent, 5)
        may_be = (month > eligible) & (served == 99)
        served = np.where(may_be & (rng.random(N_MEMBERS) < hazard), month, served)
        rate = level + 1.2 * spell + 0.2
        visits[:, month] = rng.poisson(np.maximum(rate + EFFECT * (served <= month), 0.0))
    ids = np.array([f"m{i:05d}" for i in range(N_MEMBERS)])
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(ids, n_months),
            "month": np.tile(MONTHS, N_MEMBERS),
            "covered_days": 28,
            "ed_visits": visits.ravel(),
            "race_ethnicity": "unknown",
        }
    )
    exposures = pd.DataFrame(
        {
            "member_id": ids,
            "service": "ecm",
            "identified_month": MONTHS[eligible],
            "service_month": pd.Series(MONTHS[np.minimum(served, n_months - 1)]).where(served < 99),
        }
    )
    return MemberMonths.from_frames(frame, exposures)


def at_exposure(design, *, cluster: str) -> pd.Series:
    """Effect in the month of exposure."""
    moments = reduce_panel(design, outcomes=["ed_visits"], unbalanced="cell_means")
    effects = group_time_att(moments, outcome="ed_visits", cluster=cluster)
    return aggregate(effects, by="event_time").to_frame().set_index("event_time").loc[0]


@pytest.mark.slow
def test_matching_recovers_the_effect_where_eligibility_cells_alone_do_not():
    naive, matched, errors = [], [], []
    for seed in range(20):
        panel = spell_panel(seed)
        naive.append(at_exposure(design_exposure(panel, **SETTINGS), cluster="member")["estimate"])
        design = design_matched(
            panel,
            rng=np.random.default_rng(seed),
            match_on=["ed_visits"],
            use_in="each_month",
            exact=[],
            caliper=0.1,
            **SETTINGS,
        )
        row = at_exposure(design, cluster="matched_group")
        matched.append(row["estimate"])
        errors.append(row["std_error"])
    chance = np.std(matched, ddof=1) / np.sqrt(len(matched))
    assert np.mean(naive) < EFFECT - 0.1
    assert abs(np.mean(matched) - EFFECT) < 3 * chance
    covered = np.abs(np.array(matched) - EFFECT) < 1.96 * np.array(errors)
    assert covered.sum() >= 16  # of 20; 95 % coverage gives fewer less than once in 300
