"""Formulas of measures over ordered groups: slope, relative index, concentration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calaim_eval.equity.disparity_formulas import Formula, Kind, Measure, Reference, Unit

Model = Literal["linear", "logit", "log"]
_MAX_STEPS = 100


def midpoint_ranks(share: np.ndarray) -> np.ndarray:
    """Middle of each group's part of the ranked population, 0 to 1; shape (k,)."""
    return np.asarray(np.cumsum(share) - share / 2)


def end_rates(r: np.ndarray, share: np.ndarray, *, model: Model, top: float) -> np.ndarray:
    """Rates the model predicts at rank 0 and rank 1; shape (..., 2).

    Weighted by population: least squares, or the quasi-likelihood of shares of `top` (logit) or of
    counts (log). Complex rates are followed, so that the result can be differentiated.
    """
    x = np.column_stack([np.ones_like(share), midpoint_ranks(share)])
    ends = np.array([[1.0, 0.0], [1.0, 1.0]])
    if model == "linear":
        weighted = x.T * share
        slope = np.linalg.solve(weighted @ x, weighted)
        return np.asarray(r @ slope.T @ ends.T)
    flat = (r / top).reshape(-1, r.shape[-1])
    coefficients = _fit(flat, x, share, model=model)
    predicted = top * _level(coefficients @ ends.T, model)
    return np.asarray(predicted.reshape(*r.shape[:-1], 2))


def _fit(y: np.ndarray, x: np.ndarray, share: np.ndarray, *, model: Model) -> np.ndarray:
    """Coefficients by Newton's steps, canonical link; shape (b, 2), NaN where it fails."""
    mean = y @ share
    inside = (mean.real > 0) & ((mean.real < 1) | (model == "log"))
    safe = np.where(inside, mean, 0.5)
    start = np.log(safe / (1 - safe)) if model == "logit" else np.log(safe)
    b = np.stack([start, 0.0 * start], axis=-1)
    done = np.zeros(len(y), dtype=bool)
    with np.errstate(all="ignore"):
        for _ in range(_MAX_STEPS):
            step = _newton(y, x, share, b, model=model)
            b = b + step
            small = np.max(np.abs(step.real), axis=-1) < 1e-11
            # The imaginary part (the derivative) settles one step after the real one.
            if (small & done | ~np.isfinite(b).all(axis=-1)).all():
                break
            done = small
    b[~(done & inside)] = np.nan
    return b


def _newton(
    y: np.ndarray, x: np.ndarray, share: np.ndarray, b: np.ndarray, *, model: Model
) -> np.ndarray:
    """One Newton step of each fit; shape (b, 2), solved by hand as 2 by 2."""
    level = _level(b @ x.T, model)
    spread = share * (level * (1 - level) if model == "logit" else level)
    left, right = (share * (y - level)) @ x, x[:, 1]
    m00, m01, m11 = spread.sum(axis=-1), spread @ right, spread @ right**2
    determinant = m00 * m11 - m01**2
    return np.stack(
        [
            (m11 * left[:, 0] - m01 * left[:, 1]) / determinant,
            (m00 * left[:, 1] - m01 * left[:, 0]) / determinant,
        ],
        axis=-1,
    )


def _level(eta: np.ndarray, model: Model) -> np.ndarray:
    """Rate of a linear predictor."""
    return _logistic(eta) if model == "logit" else np.exp(eta)


def _logistic(eta: np.ndarray) -> np.ndarray:
    """Inverse of the logit."""
    return np.asarray(1 / (1 + np.exp(-eta)))


def absolute_concentration(r: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Population-weighted sum of (2 rank - 1) times the rate."""
    return np.asarray(np.sum(p * (2 * midpoint_ranks(p) - 1) * r, axis=-1))


@dataclass(frozen=True, slots=True)
class RankedMeasure:
    """A measure over ranks as a function of two numbers.

    Attributes
    ----------
    source : {"ends", "concentration"}
        The two numbers: the rates at ranks 0 and 1, or the absolute concentration and the mean.
    formula : callable
        Of the two numbers, each of any shape; holds for complex ones.
    """

    label: str
    kind: Kind
    unit: Unit
    source: Literal["ends", "concentration"]
    formula: Callable[[np.ndarray, np.ndarray], np.ndarray]


def _end_ratio(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """High end over low end; NaN where a line leads to a rate of 0 or below, which has no ratio."""
    return np.asarray(np.where((low.real > 0) & (high.real > 0), high / low, np.nan))


def ranked_measures(limits: tuple[float, float] | None) -> dict[str, RankedMeasure]:
    """Measures over ranks, those of bounded rates where `limits` are given."""
    measures = {
        "slope_index": RankedMeasure(
            "rate at the advantaged end minus at the disadvantaged end",
            "absolute",
            "rate",
            "ends",
            lambda low, high: high - low,
        ),
        "relative_index": RankedMeasure(
            "rate at the advantaged end over the disadvantaged end",
            "relative",
            "ratio",
            "ends",
            _end_ratio,
        ),
        "absolute_concentration": RankedMeasure(
            "absolute concentration index", "absolute", "rate", "concentration", lambda c, mean: c
        ),
        "relative_concentration": RankedMeasure(
            "concentration index", "relative", "none", "concentration", lambda c, mean: c / mean
        ),
    }
    if limits is not None:
        low, high = limits
        measures["wagstaff_concentration"] = RankedMeasure(
            "concentration index of a bounded rate (Wagstaff)",
            "relative",
            "none",
            "concentration",
            lambda c, mean: c * (high - low) / ((high - mean) * (mean - low)),
        )
        measures["erreygers_concentration"] = RankedMeasure(
            "concentration index of a bounded rate (Erreygers)",
            "absolute",
            "none",
            "concentration",
            lambda c, mean: 4 * c / (high - low),
        )
    return measures


def ordered_formulas(
    *, model: Model, top: float, limits: tuple[float, float] | None
) -> dict[str, Measure]:
    """Measures over ordered groups as formulas of rates and shares."""
    return {
        name: Measure(
            each.label, each.kind, each.unit, _as_formula(each, model, top), is_smooth=True
        )
        for name, each in ranked_measures(limits).items()
    }


def _as_formula(measure: RankedMeasure, model: Model, top: float) -> Formula:
    """A formula of rates and shares in the shape of all formulas."""

    def formula(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
        if measure.source == "concentration":
            return measure.formula(absolute_concentration(r, p), np.sum(p * r, axis=-1))
        ends = end_rates(r, p, model=model, top=top)
        return measure.formula(ends[..., 0], ends[..., 1])

    return formula
