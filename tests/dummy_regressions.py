"""Regressions with a dummy column for every effect, written out; nothing here is the package."""

from __future__ import annotations

import numpy as np
import pandas as pd


def dummies(*codes: pd.Series) -> np.ndarray:
    """A column for every level of every grouping, side by side (of deficient rank)."""
    return np.hstack([pd.get_dummies(c).to_numpy(dtype=float) for c in codes])


def event_time_columns(frame: pd.DataFrame, event_times: list[int]) -> np.ndarray:
    """A column for each event time."""
    since = (frame["month"] - frame["cohort"]).to_numpy(dtype=float)
    return np.stack([(since == event_time).astype(float) for event_time in event_times], axis=1)


def exposed(frame: pd.DataFrame) -> np.ndarray:
    """1 from the month of exposure on."""
    return (frame["month"] >= frame["cohort"]).to_numpy(dtype=float)


def ols(
    y: np.ndarray,
    columns: np.ndarray,
    effects: np.ndarray,
    cluster: np.ndarray,
    weight: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of `columns`, their raw cluster sandwich, and the residuals."""
    w = np.ones(len(y)) if weight is None else weight
    root = np.sqrt(w)[:, None]
    full = np.hstack([columns, effects])
    inverse = np.linalg.pinv((root * full).T @ (root * full))
    coefficient = inverse @ (full.T @ (w * y))
    residual = y - full @ coefficient
    scores = pd.DataFrame(full * (w * residual)[:, None]).groupby(np.asarray(cluster)).sum()
    covariance = inverse @ (scores.to_numpy().T @ scores.to_numpy()) @ inverse
    k = columns.shape[1]
    return coefficient[:k], covariance[:k, :k], residual


def imputed(
    frame: pd.DataFrame,
    effects: np.ndarray,
    covariates: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    *,
    outcome: str = "visits",
) -> np.ndarray:
    """The matrix P with untouched values P y, fitted on the rows not exposed; shape (n, n)."""
    full = effects if covariates is None else np.hstack([effects, covariates])
    w = np.ones(len(frame)) if weight is None else weight
    not_exposed = exposed(frame) == 0
    root = np.sqrt(w * not_exposed)[:, None]
    return np.asarray(full @ np.linalg.pinv(root * full) * root.T)
