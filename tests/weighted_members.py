"""Plain estimators on weighted members, and their influence by numerical derivative.

Nothing here uses the package: an estimate is written out on a frame of member months with one
weight per member, and the influence of member i is its derivative in that weight, so that the
member-clustered covariance is the sum of squares over members.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

Estimator = Callable[[np.ndarray], np.ndarray]


def awkward_panel(seed: int, *, members: int = 120, gap: float = 0.15) -> pd.DataFrame:
    """Unbalanced monthly counts: cohorts 3, 5 and never; covariate cells a, b; strata, counties."""
    rng = np.random.default_rng(seed)
    n_months = 7
    one = pd.DataFrame(
        {
            "member_id": range(members),
            "cohort": rng.choice([3.0, 5.0, np.nan], members, p=[0.3, 0.3, 0.4]),
            "risk": rng.choice(["a", "b"], members),
            "group": rng.choice(["x", "y"], members),
            "county": rng.choice([f"county {i}" for i in range(12)], members),
            "level": rng.gamma(2.0, 0.5, members),
        }
    )
    frame = one.loc[np.repeat(one.index, n_months)].reset_index(drop=True)
    frame["month"] = np.tile(np.arange(n_months), members)
    frame["visits"] = rng.poisson(frame["level"] + 0.3 * (frame["month"] >= frame["cohort"]))
    frame["paid_usd"] = np.round(1e4 + 300 * frame["level"] * rng.gamma(1.0, 1.0, len(frame)), 2)
    return frame[rng.random(len(frame)) >= gap].reset_index(drop=True)


def mean(frame: pd.DataFrame, weight: np.ndarray, rows: pd.Series, outcome: str) -> float:
    """Weighted mean of an outcome over member months."""
    w = weight[frame.loc[rows, "member_id"]]
    return float((w * frame.loc[rows, outcome]).sum() / w.sum())


def att(
    frame: pd.DataFrame,
    weight: np.ndarray,
    *,
    cohort: int,
    month: int,
    base: int,
    outcome: str = "visits",
    cells: str | None = None,
) -> float:
    """ATT(g, t) against the not yet exposed, within cells, averaged over exposed member months."""
    cell = pd.Series("all", index=frame.index) if cells is None else frame[cells]
    exposed = frame["cohort"] == cohort
    later = frame["cohort"].isna() | (frame["cohort"] > max(month, base))
    later &= ~exposed
    total, mass = 0.0, 0.0
    for value in cell.unique():
        own = exposed & (cell == value)
        other = later & (cell == value)
        sets = [s & (frame["month"] == m) for s in (own, other) for m in (month, base)]
        if not all(s.any() for s in sets):
            continue
        y1, y0, c1, c0 = (mean(frame, weight, s, outcome) for s in sets)
        size = weight[frame.loc[sets[0], "member_id"]].sum()
        total += size * (y1 - y0 - c1 + c0)
        mass += size
    return total / mass


def cohort_size(frame: pd.DataFrame, weight: np.ndarray, cohort: int) -> float:
    """Weighted number of members of a cohort."""
    return float(weight[frame.loc[frame["cohort"] == cohort, "member_id"].unique()].sum())


def influence(estimator: Estimator, members: int, step: float = 1e-5) -> np.ndarray:
    """Derivative of the estimates in each member's weight; shape (members, k)."""
    rows = []
    for member in range(members):
        up, down = np.ones(members), np.ones(members)
        up[member] += step
        down[member] -= step
        rows.append((estimator(up) - estimator(down)) / (2 * step))
    return np.array(rows)


def clustered(psi: np.ndarray, cluster: np.ndarray | None = None) -> np.ndarray:
    """Raw sandwich: cross-product of influence added up by cluster; shape (k, k)."""
    if cluster is not None:
        psi = pd.DataFrame(psi).groupby(cluster).sum().to_numpy()
    return psi.T @ psi
