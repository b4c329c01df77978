"""How often intervals of a change in a gap, and of its parts, hold the truth; simulated panels.

Small groups (40 exposed, 60 not), visits that cluster in members by a gamma level, an effect that
differs by group, and a trend that differs by group too. Bounds are the level claimed less three
standard errors of the simulation.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from calaim_eval.equity import disparity_change
from calaim_eval.estimate import pre_post_rates
from calaim_eval.moments import reduce_panel

LEVEL = {"black": 0.8, "white": 0.5}
TREND = {"black": 0.9, "white": 0.8}
EFFECT = {"black": -0.12, "white": -0.05}
EXPOSED, OTHERS, WINDOW = 40, 60, 3


def expected_rates(group: str) -> tuple[float, float, float]:
    """Rates per member-month before, without the program and after."""
    before = LEVEL[group]
    without = before + LEVEL[group] * (TREND[group] - 1)
    return before, without, without + EFFECT[group]


def truth() -> dict[tuple[str, str], float]:
    """Each part in each scale."""
    black, white = (np.array(expected_rates(g)) for g in ("black", "white"))
    parts = {}
    for scale, (b, n, a) in (("difference", black - white), ("ratio", np.log(black / white))):
        named = (b, n, a, a - b, n - b, a - n)
        names = (
            "gap_before",
            "gap_without_program",
            "gap_after",
            "change",
            "change_without_program",
            "effect_gap",
        )
        back = np.exp if scale == "ratio" else float
        parts |= {(name, scale): float(back(v)) for name, v in zip(names, named, strict=True)}
    return parts


def panel(rng: np.random.Generator) -> pd.DataFrame:
    """Members of two groups over six months; exposure in the fourth."""
    frames = []
    for group in LEVEL:
        n = EXPOSED + OTHERS
        is_exposed = np.arange(n) < EXPOSED
        person = rng.gamma(2.0, 0.5, n)
        for month in range(2 * WINDOW):
            after = month >= WINDOW
            mean = LEVEL[group] * (TREND[group] if after else 1) + np.where(
                is_exposed & after, EFFECT[group], 0
            )
            frames.append(
                pd.DataFrame(
                    {
                        "member_id": [f"{group}{i}" for i in range(n)],
                        "race_ethnicity": group,
                        "month": month,
                        "cohort": np.where(is_exposed, float(WINDOW), np.nan),
                        "visits": rng.poisson(person * mean),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def coverage(n: int, seed: int) -> pd.Series:
    """Share of intervals that hold the truth, by part and scale."""
    rng = np.random.default_rng(seed)
    known = pd.Series(truth())
    held = []
    for _ in range(n):
        moments = reduce_panel(panel(rng), outcomes=["visits"], stratum="race_ethnicity")
        rates = pre_post_rates(moments, outcome="visits", months_before=WINDOW, months_after=WINDOW)
        frame = disparity_change(rates, reference="white").to_frame()
        frame = frame.set_index(["part", "scale"]).loc[known.index]
        held.append((frame["conf_low"] <= known) & (known <= frame["conf_high"]))
    return pd.concat(held, axis=1).mean(axis=1)


def least(n: int, level: float = 0.95) -> float:
    return level - 3 * np.sqrt(level * (1 - level) / n)


def test_intervals_hold_in_small_groups():
    found = coverage(100, seed=31)
    assert len(found) == 12
    assert (found >= least(100)).all(), found


@pytest.mark.slow
def test_intervals_hold_over_many_panels():
    found = coverage(1500, seed=32)
    assert (found >= least(1500)).all(), found
