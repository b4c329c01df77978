"""Level = unit effect and month effect, multiplied (log link) or added, on rows of sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.two_way.two_way_effects import TwoWayEffects, sums_by, two_way_effects
from calaim_eval.estimate.two_way.two_way_fit import TwoWayFit, fit_two_way

Link = Literal["log", "identity"]
CONVERGED = 1e-11
"""Largest change of a log rate at which the fit has converged; Newton steps square the error."""
MOST_STEPS = 200
EffectsOf = Callable[[np.ndarray], TwoWayEffects]
Smoother = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class LevelModel:
    r"""Unit and month effects fitted on n rows: rates without exposure, in these rows or others.

    Attributes
    ----------
    effects : TwoWayEffects
        Normal equations at the fit: weights are fitted events (log link) or member-months.
    of_unit, of_month : np.ndarray
        Effects, of log rates under the log link; shape (n_units,), (n_months,).
    link : {"log", "identity"}
    """

    effects: TwoWayEffects
    of_unit: np.ndarray
    of_month: np.ndarray
    link: Link

    def rate(self, unit: np.ndarray, month: np.ndarray) -> np.ndarray:
        """Expected outcome per member-month; the shape of `unit`."""
        level = self.of_unit[unit] + self.of_month[month]
        return np.asarray(np.exp(level) if self.link == "log" else level)

    def loads(self, unit: np.ndarray, month: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Load of each fitted row's residual on weighted sums of rates elsewhere; (n, m).

        `weights` (e, m) act on the rates of rows with these units and months, shape (e,).
        """
        slope = self.rate(unit, month) if self.link == "log" else np.ones(len(unit))
        gradient = slope[:, None] * weights
        of_unit, of_month = self.effects.solve(
            sums_by(unit, gradient, len(self.of_unit)),
            sums_by(month, gradient, len(self.of_month)),
        )
        return np.asarray(of_unit[self.effects.unit] + of_month[self.effects.month])


def fit_levels(
    unit: np.ndarray,
    month: np.ndarray,
    at_risk: np.ndarray,
    total: np.ndarray,
    *,
    n_units: int,
    n_months: int,
    link: Link,
) -> LevelModel:
    """Unit and month effects of ``total / at_risk``; rows as `is_separated` leaves them.

    Takes arrays of shape (n,), codes and sums; ``total`` is not negative under the log link.
    """

    def effects_of(weight: np.ndarray) -> TwoWayEffects:
        return two_way_effects(unit, month, weight, n_units=n_units, n_months=n_months)

    if link == "identity":
        effects = effects_of(at_risk)
        working = total / at_risk
    else:
        log_rate = _log_rates(at_risk, total, lambda w, z: _two_way_fitted(effects_of(w), z))
        effects, working = _working(effects_of, at_risk, total, log_rate)
    of_unit, of_month = effects.fit(working[:, None])
    return LevelModel(effects, of_unit[:, 0], of_month[:, 0], link)


def fit_log_terms(
    unit: np.ndarray,
    month: np.ndarray,
    at_risk: np.ndarray,
    total: np.ndarray,
    columns: np.ndarray,
    names: Sequence[str],
    *,
    n_units: int,
    n_months: int,
) -> tuple[TwoWayFit, TwoWayEffects]:
    """Log link with terms, `columns` (n, k), beside the effects: the fit at convergence.

    ``fit.fitted`` are log rates; ``fit.row_loads`` act on the residuals of the sums.

    Raises
    ------
    DesignError
        A term can't be told from the effects or the other terms.
    """

    def effects_of(weight: np.ndarray) -> TwoWayEffects:
        return two_way_effects(unit, month, weight, n_units=n_units, n_months=n_months)

    def fitted(weight: np.ndarray, z: np.ndarray) -> np.ndarray:
        return fit_two_way(effects_of(weight), z, columns, names).fitted

    log_rate = _log_rates(at_risk, total, fitted)
    effects, working = _working(effects_of, at_risk, total, log_rate)
    return fit_two_way(effects, working, columns, names), effects


def is_separated(
    unit: np.ndarray, month: np.ndarray, total: np.ndarray, *, n_units: int, n_months: int
) -> np.ndarray:
    r"""Rows without events whose fitted rate under the log link would run to 0; shape (n,), bool.

    Notes
    -----
    The fit has the row and column sums of the data [1]_. A row without events can be given some
    while all sums stay, by taking them from rows with events, exactly if a chain leads back from
    its month to its unit: from a month to units with events in it, from a unit to all its months.
    So it is separated unless its unit and month are strongly connected in that directed graph;
    units and months without any event are the usual case.

    References
    ----------
    .. [1] Correia S, Guimaraes P, Zylkin T (2019). Verifying the existence of maximum likelihood
       estimates for generalized linear models. doi:10.48550/arXiv.1903.01633
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    with_events = total > 0
    start = np.concatenate([unit, n_units + month[with_events]])
    stop = np.concatenate([n_units + month, unit[with_events]])
    size = n_units + n_months
    edges = coo_array((np.ones(len(start)), (start, stop)), shape=(size, size)).tocsr()
    label = np.asarray(connected_components(edges, connection="strong")[1])
    return np.asarray(~with_events & (label[unit] != label[n_units + month]))


def _two_way_fitted(effects: TwoWayEffects, z: np.ndarray) -> np.ndarray:
    """Fitted values of `z` (n,) by the effects alone."""
    return np.asarray(z - effects.residual(z[:, None])[:, 0])


def _log_rates(at_risk: np.ndarray, total: np.ndarray, fitted: Smoother) -> np.ndarray:
    """Fitted log rates by weighted least squares, steps halved while the fit gets worse; (n,)."""
    rate = total / at_risk
    log_rate = np.log((rate + total.sum() / at_risk.sum()) / 2)
    loss = np.inf
    for _ in range(MOST_STEPS):
        expected = at_risk * np.exp(log_rate)
        try:
            step = fitted(expected, log_rate + total / expected - 1) - log_rate
        except np.linalg.LinAlgError:
            break
        if not np.isfinite(step).all():
            break
        new_loss = _loss(at_risk, total, log_rate + step)
        while new_loss > loss + 1e-12 * abs(loss) and np.abs(step).max() > CONVERGED:
            step = step / 2
            new_loss = _loss(at_risk, total, log_rate + step)
        log_rate, loss = log_rate + step, new_loss
        if np.abs(step).max() < CONVERGED:
            return np.asarray(log_rate)
    raise EstimationError(
        f"the log-link fit did not converge in {MOST_STEPS} steps over {len(total):,} cell-months: "
        "some rate runs to 0 or infinity. Pool strata or covariate cells, shorten the window, or "
        "use link='identity'."
    )


def _loss(at_risk: np.ndarray, total: np.ndarray, log_rate: np.ndarray) -> float:
    """Minus the Poisson log likelihood, up to a constant."""
    with np.errstate(over="ignore"):
        loss = float((at_risk * np.exp(log_rate) - total * log_rate).sum())
    return loss if np.isfinite(loss) else np.inf


def _working(
    effects_of: EffectsOf, at_risk: np.ndarray, total: np.ndarray, log_rate: np.ndarray
) -> tuple[TwoWayEffects, np.ndarray]:
    """Effects at the fit, and the working outcome they fit."""
    expected = at_risk * np.exp(log_rate)
    return effects_of(expected), log_rate + total / expected - 1
