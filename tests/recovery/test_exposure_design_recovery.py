"""Use peaks at eligibility and falls by itself: the design must not take the fall for effect."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.design import design_exposure
from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import reduce_panel
from calaim_eval.panel import MemberMonths

EFFECT = -0.1
MONTHS = pd.date_range("2021-01-01", periods=30, freq="MS")
N_MEMBERS = 4000


def crisis_panel(seed: int) -> tuple[MemberMonths, pd.DataFrame]:
    """Use peaks in each member's month of eligibility; half are served within four months."""
    rng = np.random.default_rng(seed)
    month, eligible = np.arange(len(MONTHS)), rng.integers(8, 20, N_MEMBERS)
    is_served = rng.random(N_MEMBERS) < 0.5
    served = np.where(is_served, eligible + rng.integers(0, 5, N_MEMBERS), len(MONTHS))
    level = rng.gamma(0.6, 0.25, N_MEMBERS)[:, None] + 0.3
    crisis = np.exp(-np.abs(month - eligible[:, None]) / 2)
    visits = rng.poisson(level + crisis + EFFECT * (month >= served[:, None]))
    ids = np.array([f"m{i:05d}" for i in range(N_MEMBERS)])
    is_covered = (rng.random(visits.shape) < 0.98).ravel()
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(ids, len(MONTHS)),
            "month": np.tile(MONTHS, N_MEMBERS),
            "covered_days": 28,
            "ed_visits": visits.ravel(),
            "race_ethnicity": "unknown",
        }
    )[is_covered]
    exposures = pd.DataFrame(
        {
            "member_id": ids,
            "service": "ecm",
            "identified_month": MONTHS[eligible],
            "service_month": pd.Series(MONTHS[np.minimum(served, 29)]).where(is_served),
        }
    )
    return MemberMonths.from_frames(frame, exposures), frame


@pytest.mark.slow
def test_the_effect_is_recovered_where_before_and_after_is_far_off():
    estimates, errors, before_after = [], [], []
    for seed in range(20):
        panel, frame = crisis_panel(seed)
        design = design_exposure(panel, lookback_months=3, follow_up_months=6)
        att_gt = group_time_att(
            reduce_panel(design, outcomes=["ed_visits"], unbalanced="cell_means"),
            outcome="ed_visits",
        )
        row = aggregate(att_gt, by="overall").to_frame().iloc[0]
        estimates.append(row["estimate"])
        errors.append(row["std_error"])
        exposed = frame.merge(design.members.dropna(subset="cohort")[["member_id", "cohort"]])
        is_after = exposed["month"] >= exposed["cohort"]
        since = exposed["month"] >= exposed["cohort"] - pd.DateOffset(months=3)
        means = exposed[since].groupby(is_after[since])["ed_visits"].mean()
        before_after.append(means[True] - means[False])
    mean, chance = np.mean(estimates), np.std(estimates, ddof=1) / np.sqrt(len(estimates))
    assert abs(mean - EFFECT) < 3 * chance
    assert np.mean(before_after) < 3 * EFFECT
    covered = np.abs(np.array(estimates) - EFFECT) < 1.96 * np.array(errors)
    assert covered.sum() >= 16  # of 20; 95 % coverage gives fewer less than once in 300
