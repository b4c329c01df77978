"""How far expected events are too many because growth is estimated from few events of a cell."""

from __future__ import annotations

import numpy as np

from calaim_eval.estimate.two_way.two_way_effects import TwoWayEffects

BANDS = (
    (0.02, ""),
    (0.05, "2 to 5 %"),
    (0.10, "5 to 10 %"),
    (0.25, "10 to 25 %"),
    (np.inf, "more than 25 %"),
)
"""Upper end of each band of the bias, and its words; none below the first."""


def small_cell_words(bias: float) -> str:
    """The bias as a band; "" where it is too small to matter."""
    return next(words for end, words in BANDS if bias < end)


def excess_expected(
    effects: TwoWayEffects, unit: np.ndarray, month: np.ndarray, expected: np.ndarray
) -> float:
    r"""Bias of the sum of expected events, as a share of it, for Poisson counts.

    Parameters
    ----------
    effects : TwoWayEffects
        Of the log-link fit: weights are its fitted events.
    unit, month, expected : np.ndarray
        Codes of the rows whose events are expected, and how many are; shape (e,).

    Returns
    -------
    float
        0.10: a tenth more are expected than should be, on average over samples.

    Notes
    -----
    The second-order term of :math:`E[\exp(x_j'\hat\beta)]`: half the variance of the log rate,
    plus its own bias, :math:`-\frac12 I^{-1} X' (\mu \circ h)` with the leverages
    :math:`h_i = x_i' I^{-1} x_i` [1]_. For a quotient of three counts, exposed before times
    comparison after over comparison before, it is one over the last.

    References
    ----------
    .. [1] Cordeiro GM, McCullagh P (1991). Bias correction in generalized linear models.
       J R Stat Soc B 53(3):629-643. doi:10.1111/j.2517-6161.1991.tb01852.x
    """
    variance = _LogRateVariance(effects)
    own = -variance(effects.unit, effects.month)[:, None] / 2
    of_unit, of_month = effects.fit(own)
    relative = variance(unit, month) / 2 + of_unit[unit, 0] + of_month[month, 0]
    return float(expected @ relative / expected.sum())


class _LogRateVariance:
    """Variance of the sum of a unit's and a month's effect, for Poisson counts."""

    def __init__(self, effects: TwoWayEffects) -> None:
        from scipy.sparse import coo_array, diags_array

        size = len(effects.month_component)
        blocks = [
            (np.repeat(months, len(months)), np.tile(months, len(months)), inverse.ravel())
            for months, inverse in effects.solved_months
        ]
        row, column, value = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        of_months = coo_array((value, (row, column)), shape=(size, size)).tocsr()
        weight = effects.unit_weight
        self.of_unit = np.divide(1.0, weight, out=np.zeros(len(weight)), where=weight > 0)
        share = (diags_array(self.of_unit) @ effects.design).tocsr()
        self.of_month = of_months.diagonal()
        self.covariance = (share @ of_months).tocsr()
        self.of_unit = self.of_unit + np.asarray(self.covariance.multiply(share).sum(axis=1))

    def __call__(self, unit: np.ndarray, month: np.ndarray) -> np.ndarray:
        """Of rows with these codes; shape (n,)."""
        joint = np.asarray(self.covariance[unit, month]).ravel()
        return np.asarray(self.of_unit[unit] + self.of_month[month] - 2 * joint)
