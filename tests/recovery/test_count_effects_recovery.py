"""Rate ratios recover a known effect where rates move by factors, and fail as told elsewhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.estimate import count_effects
from calaim_eval.moments import reduce_panel

PANELS, MEMBERS, MONTHS = 400, 400, 8
RATIO = 0.8
LEVEL = {3.0: 2.0, 5.0: 1.5, -1.0: 1.0}
SEASON = np.array([1.0, 1.1, 1.3, 1.2, 1.5, 1.6, 1.4, 1.8])

pytestmark = pytest.mark.slow


def panel(rng: np.random.Generator, *, moves: str) -> pd.DataFrame:
    """Overdispersed counts with gaps; the exposed start higher; the effect is a factor."""
    cohort = rng.choice(list(LEVEL), MEMBERS, p=[0.25, 0.25, 0.5])
    frailty = rng.gamma(2.0, 0.5, MEMBERS)
    level = 0.5 * np.array([LEVEL[g] for g in cohort])
    rate = level[:, None] * SEASON if moves == "by factors" else level[:, None] + SEASON - 1
    month = np.arange(MONTHS)
    exposed = (cohort[:, None] >= 0) & (month >= cohort[:, None])
    visits = rng.poisson(frailty[:, None] * rate * np.where(exposed, RATIO, 1.0))
    frame = pd.DataFrame(
        {
            "member_id": np.repeat(np.arange(MEMBERS), MONTHS),
            "month": np.tile(month, MEMBERS),
            "cohort": np.repeat(np.where(cohort < 0, np.nan, cohort), MONTHS),
            "visits": visits.ravel(),
        }
    )
    return frame[rng.random(len(frame)) >= 0.1]


def draws(moves: str, **options: str) -> tuple[np.ndarray, np.ndarray]:
    """Log ratios and their errors over the panels; (PANELS,) each."""
    found = []
    for seed in range(PANELS):
        frame = panel(np.random.default_rng(seed), moves=moves)
        moments = reduce_panel(frame, outcomes=["visits"], unbalanced="cell_means")
        effect = count_effects(moments, outcome="visits", **options)
        found.append((np.log(effect.estimate[0]), effect.std_error[0] / effect.estimate[0]))
    estimate, error = np.array(found).T
    return estimate, error


@pytest.mark.parametrize("comparison", ["not_yet_exposed", "never_exposed"])
@pytest.mark.parametrize("weights", ["given", "estimated"])
def test_bias_coverage_and_errors(comparison: str, weights: str) -> None:
    estimate, error = draws("by factors", comparison=comparison, weights=weights)
    off = estimate - np.log(RATIO)
    # A log ratio of sums has a bias of the order of its variance, 1/n.
    assert abs(off.mean()) < 3.5 * off.std() / np.sqrt(PANELS) + off.var()
    covered = np.mean(np.abs(off) <= 1.959964 * error)
    assert abs(covered - 0.95) < 3.5 * np.sqrt(0.95 * 0.05 / PANELS)
    # The standard deviation of 400 draws is known to 1/sqrt(800).
    assert np.sqrt(np.mean(error**2)) == pytest.approx(off.std(), rel=3.5 / np.sqrt(2 * PANELS))


def test_the_wrong_link_is_biased_and_the_right_one_is_not() -> None:
    for moves, right, wrong in (
        ("by factors", "log", "identity"),
        ("by amounts", "identity", "log"),
    ):
        for link, is_right in ((right, True), (wrong, False)):
            estimate, _ = draws(moves, link=link)
            off = estimate - np.log(RATIO)
            bias = abs(off.mean()) / (off.std() / np.sqrt(PANELS))
            assert (bias < 3.5 + off.var() / (off.std() / np.sqrt(PANELS))) == is_right
