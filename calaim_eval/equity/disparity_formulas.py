r"""Formulas of disparity measures, each written once.

A formula takes rates of shape (..., k), shares of the population (k,), averaging weights (k,) and a
`Reference`, and gives shape (..., k) for measures of each group or (...) for measures over all.
Formulas hold for complex rates, so that `gradient` can differentiate them to machine precision:
:math:`f'(x) = \operatorname{Im} f(x + ih) / h`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["absolute", "relative"]
Unit = Literal["rate", "squared rate", "percent", "ratio", "none"]
STEP = 1e-30


@dataclass(frozen=True, slots=True)
class Reference:
    """What rates are compared with.

    Attributes
    ----------
    rule : {"group", "best", "mean", "rest"}
        A named group, the group with the best rate, the rate of all groups together, or of all
        other groups.
    position : int
        Row of the named group, or of the best group where it is held fixed; -1: picked anew.
    sign : int
        1 where a higher rate is favourable, -1 where it is adverse.
    """

    rule: Literal["group", "best", "mean", "rest"]
    position: int
    sign: int


Formula = Callable[[np.ndarray, np.ndarray, np.ndarray, Reference], np.ndarray]


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure: what it is, and how it behaves.

    Attributes
    ----------
    by_group : bool
        One value a group, else one over all.
    is_smooth : bool
        Twice differentiable in the rates, so that its bias has a formula.
    needs_reference : tuple[str, ...]
        Rules of reference it is defined for.
    """

    label: str
    kind: Kind
    unit: Unit
    formula: Formula
    by_group: bool = False
    is_smooth: bool = False
    needs_reference: tuple[str, ...] = ("group", "best", "mean", "rest")


def reference_rate(r: np.ndarray, p: np.ndarray, ref: Reference) -> np.ndarray:
    """Rate each group is compared with; same shape as `r`."""
    if ref.rule == "rest":
        return np.asarray((np.sum(p * r, axis=-1, keepdims=True) - p * r) / (1 - p))
    if ref.rule == "mean":
        level = np.sum(p * r, axis=-1, keepdims=True)
    elif ref.position >= 0:
        level = r[..., ref.position : ref.position + 1]
    else:
        level = best_rate(r, ref.sign)[..., None]
    return np.broadcast_to(level, r.shape)


def best_rate(r: np.ndarray, sign: int) -> np.ndarray:
    """The most favourable rate (`sign` 1: the highest); shape (...).

    A rate of 0 has no logarithm and is NaN in draws on the log scale: it ranks as 0.
    """
    level = np.where(np.isnan(r.real), 0.0, r.real)
    at = np.argmax(sign * level, axis=-1)[..., None]
    return np.asarray(np.take_along_axis(r, at, axis=-1)[..., 0])


def gradient(formula: Callable[[np.ndarray], np.ndarray], at: np.ndarray) -> np.ndarray:
    """Derivative of a formula by complex steps.

    Parameters
    ----------
    formula : callable
        Takes shape (b, k), gives (b,) or (b, m).
    at : np.ndarray
        Shape (k,).

    Returns
    -------
    np.ndarray
        Shape (m, k), with m = 1 where the formula gives one value.
    """
    steps = at[None, :] + 1j * STEP * np.eye(len(at))
    values = np.asarray(formula(steps).imag / STEP)
    return np.asarray(values.reshape(len(at), -1).T)


def curvature_bias(
    formula: Callable[[np.ndarray], np.ndarray], at: np.ndarray, covariance: np.ndarray
) -> np.ndarray:
    r"""Second-order bias :math:`\tfrac12 \operatorname{tr}(H V)` of a smooth formula; shape (m,).

    Differences of the derivative along the principal directions of `covariance`; NaN where a step
    leaves the rates the formula is defined for.
    """
    values, vectors = np.linalg.eigh(covariance)
    scale = float(np.max(np.abs(at)))
    total = np.zeros(gradient(formula, at).shape[0])
    for value, vector in zip(values, vectors.T, strict=True):
        if value > 0:
            h = 1e-5 * scale
            change = gradient(formula, at + h * vector) - gradient(formula, at - h * vector)
            total += 0.5 * value * (change @ vector) / (2 * h)
    return total


def _mean(r: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Weighted mean over groups, kept as an axis."""
    return np.asarray(np.sum(w * r, axis=-1, keepdims=True))


def _size(x: np.ndarray) -> np.ndarray:
    """Absolute value, differentiable off 0 for complex arguments."""
    return np.where(x.real < 0, -x, x)


def _log(x: np.ndarray) -> np.ndarray:
    """Logarithm, NaN below 0: the complex one would step to another branch."""
    return np.asarray(np.log(np.where(x.real < 0, np.nan, x)))


def _difference(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
    """Rate of a group minus the reference's."""
    return np.asarray(r - reference_rate(r, p, ref))


def _ratio(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
    """Rate of a group over the reference's."""
    return np.asarray(r / reference_rate(r, p, ref))


def _range_difference(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
    """Highest rate minus lowest."""
    return np.asarray(best_rate(r, 1) - best_rate(r, -1))


def _range_ratio(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
    """Highest rate over lowest."""
    return np.asarray(best_rate(r, 1) / best_rate(r, -1))


def _attributable_risk(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
    """What the rate of all would improve by if every group had the reference's."""
    return np.asarray(ref.sign * (reference_rate(r, p, ref)[..., 0] - _mean(r, p)[..., 0]))


def _attributable_fraction(
    r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference
) -> np.ndarray:
    """Attributable risk in percent of the rate of all."""
    return np.asarray(100 * _attributable_risk(r, p, w, ref) / _mean(r, p)[..., 0])


def _mean_difference(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
    """Average distance of the groups from the reference."""
    return np.asarray(np.sum(w * _size(_difference(r, p, w, ref)), axis=-1))


def _index_of_disparity(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
    """Average distance from the reference in percent of the reference."""
    return np.asarray(100 * _mean_difference(r, p, w, ref) / reference_rate(r, p, ref)[..., 0])


def _between_variance(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
    """Average squared distance from the weighted mean."""
    return np.asarray(np.sum(w * (r - _mean(r, w)) ** 2, axis=-1))


def _between_sd(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
    """Square root of the between-group variance."""
    return np.asarray(np.sqrt(_between_variance(r, p, w, ref)))


def _variation(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
    """Between-group standard deviation in percent of the mean."""
    return np.asarray(100 * _between_sd(r, p, w, ref) / _mean(r, w)[..., 0])


def _theil(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
    """Average of x log x, x the rate over the mean; a rate of 0 adds 0 and has no derivative."""
    x = r / _mean(r, w)
    is_zero = r.real == 0
    at_zero = r * np.where(r.imag == 0, 0.0, np.nan)
    terms = np.where(is_zero, at_zero, w * x * _log(np.where(is_zero, 1, x)))
    return np.asarray(np.sum(terms, axis=-1))


def _log_deviation(r: np.ndarray, p: np.ndarray, w: np.ndarray, ref: Reference) -> np.ndarray:
    """Average of -log x, x the rate over the mean."""
    return np.asarray(np.sum(-w * _log(r / _mean(r, w)), axis=-1))


DISPARITY_FORMULAS: dict[str, Measure] = {
    "rate_difference": Measure(
        "rate of the group minus the reference's",
        "absolute",
        "rate",
        _difference,
        by_group=True,
        is_smooth=True,
    ),
    "rate_ratio": Measure(
        "rate of the group over the reference's",
        "relative",
        "ratio",
        _ratio,
        by_group=True,
        is_smooth=True,
    ),
    "range_difference": Measure("highest minus lowest rate", "absolute", "rate", _range_difference),
    "range_ratio": Measure("highest over lowest rate", "relative", "ratio", _range_ratio),
    "population_attributable_risk": Measure(
        "improvement of the rate of all if every group had the reference's",
        "absolute",
        "rate",
        _attributable_risk,
        is_smooth=True,
        needs_reference=("group", "best"),
    ),
    "population_attributable_fraction": Measure(
        "the same in percent of the rate of all",
        "relative",
        "percent",
        _attributable_fraction,
        is_smooth=True,
        needs_reference=("group", "best"),
    ),
    "mean_difference": Measure(
        "average distance from the reference", "absolute", "rate", _mean_difference
    ),
    "index_of_disparity": Measure(
        "average distance from the reference in percent of it",
        "relative",
        "percent",
        _index_of_disparity,
        needs_reference=("group", "best", "mean"),
    ),
    "between_group_variance": Measure(
        "average squared distance from the mean",
        "absolute",
        "squared rate",
        _between_variance,
        is_smooth=True,
    ),
    "between_group_sd": Measure(
        "square root of the between-group variance", "absolute", "rate", _between_sd, is_smooth=True
    ),
    "coefficient_of_variation": Measure(
        "between-group standard deviation in percent of the mean",
        "relative",
        "percent",
        _variation,
        is_smooth=True,
    ),
    "theil": Measure("Theil index", "relative", "none", _theil, is_smooth=True),
    "mean_log_deviation": Measure(
        "mean log deviation", "relative", "none", _log_deviation, is_smooth=True
    ),
}
