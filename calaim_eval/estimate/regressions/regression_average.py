"""Average effects of an exposure on the scale of the outcome, from a log-linear model."""

from __future__ import annotations

import numpy as np

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.regressions.regression_fit import Fit


def average_effects(
    fit: Fit, columns: list[int], *, on_exposed: bool
) -> tuple[np.ndarray, np.ndarray]:
    r"""Average difference in the expected rate, and its gradient in the coefficients.

    For an indicator x: the mean over member-months of :math:`\mu(x=1) - \mu(x=0)` at each row's
    covariates; for a number: of the derivative :math:`\beta\mu`. Averages are weighted by the time
    at risk (times the weights of the rows), in a stratum over its own rows.

    Parameters
    ----------
    columns : list of int
        Positions among the terms of the rows.
    on_exposed : bool
        Over rows with the indicator only.

    Returns
    -------
    tuple[np.ndarray, np.ndarray]
        Shapes (q,) and (q, 1 + p).
    """
    rows = fit.rows
    x = np.column_stack([np.ones(len(rows)), rows.values])
    score = x @ fit.coef
    found, gradients = [], []
    for column in columns:
        given, beta = rows.values[:, column], fit.coef[1 + column]
        is_indicator = bool(np.isin(given, (0.0, 1.0)).all())
        weight = _weight(fit, column, is_indicator=is_indicator, on_exposed=on_exposed)
        if is_indicator:
            with_it = weight * np.exp(score + beta * (1 - given))
            without = weight * np.exp(score - beta * given)
            found.append(with_it.sum() - without.sum())
            gradient = (with_it - without) @ x
            gradient[1 + column] = with_it.sum()
        else:
            mean = weight * np.exp(score)
            found.append(beta * mean.sum())
            gradient = beta * (mean @ x)
            gradient[1 + column] += mean.sum()
        gradients.append(gradient)
    return np.array(found), np.array(gradients)


def _weight(fit: Fit, column: int, *, is_indicator: bool, on_exposed: bool) -> np.ndarray:
    """Share of each row in the average; shape (n,)."""
    rows = fit.rows
    term = rows.terms[column]
    chosen = np.ones(len(rows), dtype=bool)
    if term.stratum is not None:
        chosen = rows.stratum == list(rows.labels["stratum"]).index(term.stratum)
    if on_exposed:
        if not is_indicator:
            raise EstimationError(
                f"quantity='average_effect_on_exposed': `{term.name}` is no indicator of 0 and 1. "
                "Use quantity='average_effect'."
            )
        chosen = chosen & (rows.values[:, column] == 1)
    weight = np.where(chosen, rows.mass, 0.0)
    return np.asarray(weight / weight.sum())
