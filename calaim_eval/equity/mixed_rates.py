"""A rate with some factors of one population and the rest of another, and their fair averages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import factorial

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError

STEP = 1e-6
"""Relative step of a central difference, where the rate is a function of the caller."""

RateFunction = Callable[[pd.DataFrame], float]


@dataclass(frozen=True, slots=True, eq=False)
class MixedRates:
    """Rates of the q = 2^P mixtures of P factors, in order of `mixtures(P)`.

    Attributes
    ----------
    value : np.ndarray
        Shape (q,).
    gradient : np.ndarray
        In the factors of the group (0) and of the reference (1); shape (q, 2, P, m).
    """

    value: np.ndarray
    gradient: np.ndarray

    def log(self) -> MixedRates:
        """Logarithms of the rates; EstimationError where one is not positive."""
        wrong = int((~(self.value > 0)).sum())
        if wrong:
            raise EstimationError(
                f'scale="ratio": {wrong} of {len(self.value)} rates with factors of both groups '
                'are not above 0, so no ratio is defined.\n  Use scale="difference".'
            )
        return MixedRates(np.log(self.value), self.gradient / self.value[:, None, None, None])


def mixtures(n_factors: int) -> np.ndarray:
    """Whether each factor is the group's (else the reference's); shape (2^P, P), bool."""
    number = np.arange(2**n_factors)
    return np.asarray((number[:, None] >> np.arange(n_factors)[None, :]) & 1, dtype=bool)


def product_rates(group: np.ndarray, reference: np.ndarray) -> MixedRates:
    """Rates that are the sum over m cells of the product of P factors; inputs (P, m)."""
    cells, gradient = product_cells(group, reference)
    return MixedRates(cells.sum(axis=1), gradient)


def product_cells(group: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The product of the factors in each cell and its gradient; (q, m) and (q, 2, P, m)."""
    own = mixtures(len(group))
    mixed = np.where(own[:, :, None], group, reference)
    others = np.stack([np.delete(mixed, j, axis=1).prod(axis=1) for j in range(len(group))], axis=1)
    sides = np.stack([own, ~own], axis=1)[:, :, :, None]
    return mixed.prod(axis=1), sides * others[:, None, :, :]


def function_rates(
    group: np.ndarray, reference: np.ndarray, *, names: Sequence[str], rate: RateFunction
) -> MixedRates:
    """Rates that are any function of a frame with P columns and m rows; gradient by differences."""

    def at(values: np.ndarray) -> float:
        result = float(rate(pd.DataFrame(values.T, columns=list(names))))
        if not np.isfinite(result):
            raise EstimationError(
                "das_gupta: `rate` is not a finite number for one of the mixtures of factors.\n"
                "  It is called with the factors of both groups exchanged one by one; check that "
                "none of them is divided by 0."
            )
        return result

    own = mixtures(len(group))
    value, gradient = np.empty(len(own)), np.zeros((len(own), 2, *group.shape))
    for q, mask in enumerate(own):
        mixed = np.where(mask[:, None], group, reference)
        value[q] = at(mixed)
        for place in np.ndindex(*mixed.shape):
            step = STEP * max(abs(float(mixed[place])), STEP)
            up, down = mixed.copy(), mixed.copy()
            up[place] += step
            down[place] -= step
            side = 0 if mask[place[0]] else 1
            gradient[(q, side, *place)] = (at(up) - at(down)) / (2 * step)
    return MixedRates(value, gradient)


def standardizing_weights(n_factors: int) -> np.ndarray:
    r"""Weights that average each factor's own side over the mixtures of the others.

    Returns
    -------
    np.ndarray
        Shape (2, P, 2^P): rows of `[0]` hold the factor at the group, of `[1]` at the reference.
        Their difference gives the effect of the factor:
        :math:`|S|!\,(P - |S| - 1)!/P!` for a set :math:`S` of other factors at the group.
    """
    own = mixtures(n_factors)
    weights = np.zeros((2, n_factors, len(own)))
    for j in range(n_factors):
        size = own.sum(axis=1) - own[:, j]
        share = np.array(
            [factorial(s) * factorial(n_factors - s - 1) / factorial(n_factors) for s in size]
        )
        weights[0, j] = np.where(own[:, j], share, 0.0)
        weights[1, j] = np.where(own[:, j], 0.0, share)
    return weights


def effect_weights(n_factors: int) -> np.ndarray:
    """Weights of the whole gap and of each factor's effect; shape (1 + P, 2^P)."""
    at_group, at_reference = standardizing_weights(n_factors)
    whole = np.zeros(2**n_factors)
    whole[-1], whole[0] = 1.0, -1.0
    return np.vstack([whole, at_group - at_reference])
