"""Permutation tests of one number of a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_ROUNDING = 1e-9


def permutation_test(
    statistic: Callable[[np.ndarray], float],
    n: int,
    *,
    mean: float,
    n_permutations: int,
    seed: int,
) -> tuple[float, float]:
    """Distance of a number from its exact mean under permutation, and two-sided p.

    Parameters
    ----------
    statistic : callable
        Takes an order of the n organizations, ``arange(n)`` for what was seen.
    n : int
    mean : float
        Exact mean over all orders.
    n_permutations : int
        0: both are NaN.
    seed : int

    Returns
    -------
    z, p_value : float
        Both NaN where no order changes the number. p is the share of orders, the one seen
        among them, that are as far from the mean; so it is never too small: ``P(p <= a) <= a``.
    """
    if not n_permutations:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    seen = statistic(np.arange(n))
    drawn = np.array([statistic(rng.permutation(n)) for _ in range(n_permutations)])
    spread = float(np.sqrt(((drawn - mean) ** 2).mean()))
    if np.ptp(np.append(drawn, seen)) == 0 or spread == 0:
        return float("nan"), float("nan")
    n_as_far = 1 + (np.abs(drawn - mean) >= abs(seen - mean) * (1 - _ROUNDING)).sum()
    return (seen - mean) / spread, float(n_as_far / (n_permutations + 1))
