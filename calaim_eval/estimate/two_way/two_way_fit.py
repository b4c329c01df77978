"""A linear regression with unit and month effects, on member months or on cells alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.two_way.two_way_effects import TwoWayEffects

SINGULAR = 1e-9
"""Share of a column left beside the effects and the other columns below which it is collinear."""


@dataclass(frozen=True, slots=True, eq=False)
class TwoWayFit:
    r"""Coefficients beside two-way effects, with what their covariance needs.

    Attributes
    ----------
    coefficient : np.ndarray
        Shape (k,).
    inverse : np.ndarray
        :math:`(\tilde X' W \tilde X)^{-1}`; shape (k, k).
    partialled : np.ndarray
        :math:`\tilde X`, the columns less their fitted effects; shape (n, k).
    fitted : np.ndarray
        Fitted values, effects included; shape (n,).
    """

    coefficient: np.ndarray
    inverse: np.ndarray
    partialled: np.ndarray
    fitted: np.ndarray

    @property
    def row_loads(self) -> np.ndarray:
        """Load of each row's residual times its weight on each coefficient; shape (n, k)."""
        return np.asarray(self.partialled @ self.inverse)


def fit_two_way(
    effects: TwoWayEffects,
    y: np.ndarray,
    columns: np.ndarray,
    names: Sequence[str],
    *,
    n_covariates: int = 0,
) -> TwoWayFit:
    """Weighted least squares of `y` (n,) on `columns` (n, k) and the effects.

    Parameters
    ----------
    names : Sequence[str]
        Of the columns, for errors; the last `n_covariates` are covariates.

    Raises
    ------
    DesignError
        A term of exposure can't be told from the effects or the other columns.
    EstimationError
        Only covariates can't.
    """
    partialled = effects.residual(columns)
    normal = partialled.T @ (effects.weight[:, None] * partialled)
    _require_rank(normal, effects.weight @ columns**2, names, n_covariates)
    inverse = np.linalg.inv(normal)
    y_left = effects.residual(y[:, None])[:, 0]
    coefficient = inverse @ (partialled.T @ (effects.weight * y_left))
    fitted = y - y_left + partialled @ coefficient
    return TwoWayFit(coefficient, inverse, partialled, fitted)


def crv1_factor(n_clusters: int, n_rows: float, n_coefficients: int) -> float:
    """Small-sample factor G/(G-1) × (N-1)/(N-K); NaN where it is not defined."""
    if n_clusters < 2 or n_rows <= n_coefficients:
        return float("nan")
    return n_clusters / (n_clusters - 1) * (n_rows - 1) / (n_rows - n_coefficients)


def _require_rank(
    normal: np.ndarray, size: np.ndarray, names: Sequence[str], n_covariates: int
) -> None:
    """Refuse columns that the effects or one another explain."""
    lost = np.diag(normal) <= SINGULAR * size
    if not lost.any():
        scale = 1 / np.sqrt(np.diag(normal))
        values, vectors = np.linalg.eigh(scale[:, None] * normal * scale)
        lost = (np.abs(vectors[:, values < SINGULAR]) > 1e-3).any(axis=1)
    if not lost.any():
        return
    named = [name for name, is_lost in zip(names, lost, strict=True) if is_lost]
    more = f" and {len(named) - 6} more" if len(named) > 6 else ""
    words = ", ".join(f"`{name}`" for name in named[:6]) + more
    words += f" can't be told from the fixed effects and the other terms ({len(named)} of "
    words += f"{len(names)} terms)."
    if lost[: len(names) - n_covariates].any():
        raise DesignError(
            f"{words} Without never-exposed members that is so by construction: add them, put "
            "event times together with `min_event_time` and `max_event_time`, or lengthen the "
            "panel."
        )
    raise EstimationError(
        f"{words} A covariate that does not change within members, or only with the calendar, is "
        "in the fixed effects already: drop it."
    )
