"""Event studies written down as a table: estimates, covariance, and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.results import SUPPORT_COLUMNS, EffectTable, Estimand, Method


def event_study(
    before: np.ndarray, after: np.ndarray, covariance: np.ndarray, **options: object
) -> EffectTable:
    """Study against the month -1 (less anticipation), which has no row."""
    base = -1 - int(str(options.get("anticipation_months", 0)))
    times = [*range(base - len(before), base), *range(base + 1, base + 1 + len(after))]
    size = len(times)
    return EffectTable(
        keys=pd.DataFrame({"event_time": times}),
        estimate=np.concatenate([before, after]).astype(float),
        covariance=np.asarray(covariance, dtype=float),
        support=pd.DataFrame({c: np.arange(size) + 100 for c in SUPPORT_COLUMNS}),
        estimand=Estimand("ATT", "exposed minus comparison", "visits per member-month"),
        method=Method("Event study", options),
    )


def random_covariance(rng: np.random.Generator, size: int) -> np.ndarray:
    """Positive definite, variances of about 0.01, estimates correlated as against one base."""
    root = rng.normal(size=(size, size + 4)) * rng.uniform(0.5, 2.0, size=(size, 1))
    return 0.01 * (root @ root.T / (size + 4) + 0.5)
