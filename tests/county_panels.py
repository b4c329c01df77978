"""A county roll-out by hand: counties of phase 1 are exposed together, the others never."""

from __future__ import annotations

import numpy as np
import pandas as pd


def county_panel(
    seed: int,
    *,
    counties: int = 8,
    phase_1: int = 3,
    members: int = 200,
    months: int = 6,
    start: int = 4,
    gap: float = 0.1,
    shock: float = 0.3,
    effect: float = 0.0,
) -> pd.DataFrame:
    """Unbalanced member months; county sizes are unequal and counties share monthly shocks."""
    rng = np.random.default_rng(seed)
    share = np.linspace(1.0, 2.5, counties)
    county = rng.choice(counties, members, p=share / share.sum())
    county[: 2 * counties] = np.tile(np.arange(counties), 2)
    one = pd.DataFrame(
        {
            "member_id": np.arange(members),
            "county": [f"county {c:02d}" for c in county],
            "cohort": np.where(county < phase_1, float(start), np.nan),
            "group": rng.choice(["x", "y"], members),
            "plan": rng.choice(["north", "south", "west", "east"], members),
            "level": rng.gamma(2.0, 0.5, members),
        }
    )
    frame = one.loc[np.repeat(one.index, months)].reset_index(drop=True)
    frame["month"] = np.tile(np.arange(months), members)
    shocks = rng.normal(0.0, shock, (counties, months))
    code = frame["county"].str[-2:].astype(int).to_numpy()
    is_exposed = frame["month"] >= frame["cohort"]
    rate = frame["level"] * np.exp(shocks[code, frame["month"]]) + effect * is_exposed
    frame["visits"] = rng.poisson(np.clip(rate, 0.0, None))
    frame["paid_usd"] = np.round(1e4 + 300 * rate * rng.gamma(1.0, 1.0, len(frame)), 2)
    kept = (rng.random(len(frame)) >= gap) | (frame["member_id"] < 2 * counties)
    return frame[kept].reset_index(drop=True)


def two_by_two(frame: pd.DataFrame, *, start: int, outcome: str = "visits") -> float:
    """Change of the exposed less change of the others, all months before and after pooled."""
    is_exposed = frame["cohort"].notna()
    is_after = frame["month"] >= start
    mean = frame[outcome].groupby([is_exposed, is_after]).mean()
    return float(mean[True, True] - mean[True, False] - mean[False, True] + mean[False, False])
