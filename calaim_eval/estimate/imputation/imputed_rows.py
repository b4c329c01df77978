"""What exposed rows would have been, imputed from the rows not exposed, and what that weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calaim_eval.estimate.two_way.two_way_effects import TwoWayEffects, sums_by
from calaim_eval.estimate.two_way.two_way_fit import TwoWayFit, fit_two_way


@dataclass(frozen=True, slots=True, eq=False)
class ImputedRows:
    r"""Effects :math:`\hat\tau = y - \hat\alpha - \hat\beta - x'\hat\delta` of exposed rows.

    Attributes
    ----------
    fitted_rows : np.ndarray
        Positions of the rows not exposed, which the model is fitted on; shape (f,).
    target_rows : np.ndarray
        Positions of the exposed rows whose effects can be told; shape (e,).
    unit, month : np.ndarray
        Codes of all rows; shape (n,).
    weight : np.ndarray
        Of all rows; shape (n,).
    covariates : np.ndarray
        Of all rows; shape (n, p).
    effects : TwoWayEffects
        Over the fitted rows.
    fit : TwoWayFit
        Coefficients of the covariates over the fitted rows.
    untouched : np.ndarray
        What each row would be without exposure; NaN where it can't be told; shape (n,).
    effect : np.ndarray
        Of the target rows; shape (e,).
    """

    fitted_rows: np.ndarray
    target_rows: np.ndarray
    unit: np.ndarray
    month: np.ndarray
    weight: np.ndarray
    covariates: np.ndarray
    effects: TwoWayEffects
    fit: TwoWayFit
    untouched: np.ndarray
    effect: np.ndarray

    def loads(self, weights: np.ndarray) -> np.ndarray:
        r"""Load of every row's outcome on averages of the effects; shape (n, m).

        Takes the weights of the target rows in each average, shape (e, m). Exposed rows load with
        their weight; the others with what they contribute to the imputed values,
        :math:`-W Z (Z'WZ)^{-1} Z_1' w`.
        """
        target, fitted = self.target_rows, self.fitted_rows
        n_units, n_months = self.effects.unit_weight.size, self.effects.month_component.size
        of_unit, of_month = self.effects.solve(
            sums_by(self.unit[target], weights, n_units),
            sums_by(self.month[target], weights, n_months),
        )
        implied = of_unit[self.unit[fitted]] + of_month[self.month[fitted]]
        if self.covariates.shape[1]:
            wanted = self.covariates[target].T @ weights
            wanted -= (self.weight[fitted, None] * self.covariates[fitted]).T @ implied
            implied = implied + self.fit.partialled @ (self.fit.inverse @ wanted)
        found = np.zeros((len(self.unit), weights.shape[1]))
        found[fitted] = -self.weight[fitted, None] * implied
        found[target] = weights
        return found


def impute_rows(
    effects: TwoWayEffects,
    *,
    is_fitted: np.ndarray,
    is_target: np.ndarray,
    unit: np.ndarray,
    month: np.ndarray,
    weight: np.ndarray,
    y: np.ndarray,
    covariates: np.ndarray,
    names: Sequence[str] = (),
) -> ImputedRows:
    """Fit the rows not exposed, impute the others; `effects` are those of the fitted rows."""
    fitted = np.flatnonzero(is_fitted)
    fit = fit_two_way(
        effects, y[fitted], covariates[fitted], names, n_covariates=covariates.shape[1]
    )
    without = y[fitted] - covariates[fitted] @ fit.coefficient
    of_unit, of_month = effects.fit(without[:, None])
    known = effects.identifies(unit, month)
    untouched = np.where(
        known,
        of_unit[unit, 0] + of_month[month, 0] + covariates @ fit.coefficient,
        np.nan,
    )
    target = np.flatnonzero(is_target & known)
    return ImputedRows(
        fitted_rows=fitted,
        target_rows=target,
        unit=unit,
        month=month,
        weight=weight,
        covariates=covariates,
        effects=effects,
        fit=fit,
        untouched=untouched,
        effect=y[target] - untouched[target],
    )
