"""Unit weights, time weights and the effect by month of one cohort of counties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.synthetic.simplex_weights import Solver, simplex_weights

Weighting = Literal["synthetic_did", "synthetic_control", "uniform"]
ETA = 1e-6
"""Penalty of the time weights, and of the unit weights of a synthetic control, per noise level."""
LEAST_DECREASE = 1e-5
"""Where Frank-Wolfe steps stop, per noise level; both as in `synthdid` 0.0.9."""


@dataclass(frozen=True, slots=True)
class Penalties:
    """Penalties of one cohort, in the unit of the outcome.

    Attributes
    ----------
    noise : float
        Standard deviation of the month-to-month changes of the comparison before exposure.
    unit, time : float
        Zeta of the unit weights and of the time weights.
    """

    noise: float
    unit: float
    time: float


@dataclass(frozen=True, slots=True, eq=False)
class CohortFit:
    """Synthetic comparison of one cohort.

    Attributes
    ----------
    unit_weights : np.ndarray
        Of the comparison counties; sums to 1; shape (n_comparison,).
    time_weights : np.ndarray
        Of the months before exposure; sums to 1, or all 0 for a synthetic control; shape (T0,).
    effect : np.ndarray
        Effect by month, before exposure too; shape (T,).
    counterfactual : np.ndarray
        What the exposed would have had; exposed minus this is `effect`; shape (T,).
    """

    unit_weights: np.ndarray
    time_weights: np.ndarray
    effect: np.ndarray
    counterfactual: np.ndarray


def default_penalties(
    comparison: np.ndarray, n_before: int, *, n_exposed: int, n_after: int, weighting: Weighting
) -> Penalties:
    r"""Penalties of Arkhangelsky et al. (2021), eq. 5: :math:`(N_1 T_1)^{1/4} \hat\sigma`.

    `comparison` has shape (n_comparison, T); the first `n_before` months are used.
    """
    changes = np.diff(comparison[:, :n_before], axis=1)
    noise = float(changes.std(ddof=1)) if changes.size > 1 else 0.0
    if weighting != "uniform" and not noise > 1e-12 * max(float(np.abs(comparison).max()), 1e-300):
        raise EstimationError(
            f"the outcome of {len(comparison):,} comparison counties changes by the same amount in "
            f"each of {n_before} months before exposure, so weights cannot be told apart. "
            "Use another outcome, or weighting='uniform'."
        )
    eta = ETA if weighting == "synthetic_control" else (n_exposed * n_after) ** 0.25
    return Penalties(noise, eta * noise, ETA * noise)


def fit_cohort(
    exposed: np.ndarray,
    comparison: np.ndarray,
    *,
    n_before: int,
    first_after: int,
    weighting: Weighting,
    penalties: Penalties,
    solver: Solver,
) -> CohortFit:
    """Weights and effects of one cohort.

    Parameters
    ----------
    exposed : np.ndarray
        Mean rate of the exposed counties; shape (T,).
    comparison : np.ndarray
        Rates of the comparison counties; shape (n_comparison, T).
    n_before : int
        Months before exposure (less anticipation), which the weights are fitted to.
    first_after : int
        Position of the first month of exposure.
    """
    before, after = comparison[:, :n_before], comparison[:, first_after:]
    if weighting == "uniform":
        units, times = _equal(len(comparison)), _equal(n_before)
    else:
        least = LEAST_DECREASE * penalties.noise
        units = simplex_weights(
            before.T,
            exposed[:n_before],
            ridge=penalties.unit**2,
            is_centred=weighting == "synthetic_did",
            solver=solver,
            least_decrease=least,
        )
        times = np.zeros(n_before)
    if weighting == "synthetic_did":
        times = simplex_weights(
            before,
            after.mean(axis=1),
            ridge=penalties.time**2,
            is_centred=True,
            solver=solver,
            least_decrease=least,
        )
    return weighted_fit(exposed, comparison, units, times)


def weighted_fit(
    exposed: np.ndarray, comparison: np.ndarray, units: np.ndarray, times: np.ndarray
) -> CohortFit:
    """Effects by month under given weights."""
    synthetic = units @ comparison
    gap = exposed - synthetic
    shift = times @ gap[: len(times)]
    return CohortFit(units, times, gap - shift, synthetic + shift)


def _equal(size: int) -> np.ndarray:
    """Equal weights."""
    return np.full(size, 1.0 / size)
