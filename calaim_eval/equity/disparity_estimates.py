"""One disparity measure: estimate, error, bias, and what equal groups would give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from calaim_eval.equity.disparity_formulas import (
    Measure,
    Reference,
    best_rate,
    curvature_bias,
    gradient,
)
from calaim_eval.equity.disparity_table import TESTED
from calaim_eval.equity.group_rates import GroupRates

AHN = (
    "Ahn J, Harper S, Yu M, Feuer EJ, Liu B, Luta G (2018). JCO Clin Cancer Inform 2:1-19. "
    "doi:10.1200/CCI.18.00031"
)
PICKS = frozenset({"range_difference", "range_ratio"})
USES_REFERENCE = frozenset(
    {
        "rate_difference",
        "rate_ratio",
        "population_attributable_risk",
        "population_attributable_fraction",
        "mean_difference",
        "index_of_disparity",
    }
)
_SPREAD = frozenset({"between_group_sd", "coefficient_of_variation"})


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredGroups:
    """Groups with all that a measure of them depends on.

    Attributes
    ----------
    share, weights : np.ndarray
        Shares of the population and averaging weights; shape (k,), each sums to 1.
    words : Mapping[str, object]
        Options as given.
    sampled_shares : bool
        Shares vary as those of a simple random sample.
    """

    groups: GroupRates
    share: np.ndarray
    weights: np.ndarray
    reference: Reference
    words: Mapping[str, object]
    stratum: str
    sampled_shares: bool = False
    reference_doi: str = AHN


@dataclass(frozen=True, slots=True, eq=False)
class MeasureRow:
    """One measure's values: one a group, or one over all."""

    name: str
    measure: Measure
    rows: np.ndarray
    estimate: np.ndarray
    gradient: np.ndarray
    std_error: np.ndarray
    extras: np.ndarray


def joint_covariance(case: MeasuredGroups) -> np.ndarray:
    """Covariance of rates, and of shares where they are sampled; shape (k, k) or (2k, 2k)."""
    v = case.groups.covariance
    if not case.sampled_shares:
        return v
    p, k = case.share, len(case.share)
    joint = np.zeros((2 * k, 2 * k))
    joint[:k, :k] = v
    joint[k:, k:] = (np.diag(p) - np.outer(p, p)) / case.groups.population.sum()
    return joint


def _function(
    case: MeasuredGroups, measure: Measure, reference: Reference
) -> Callable[[np.ndarray], np.ndarray]:
    """The measure as a function of rates, or of rates and shares, in the last axis."""
    k = len(case.share)
    follows = np.array_equal(case.weights, case.share)

    def value(x: np.ndarray) -> np.ndarray:
        if x.shape[-1] == k:
            return measure.formula(x, case.share, case.weights, reference)
        r, p = x[..., :k], x[..., k:]
        return measure.formula(r, p, p if follows else case.weights, reference)

    return value


def measure_row(
    case: MeasuredGroups,
    name: str,
    measure: Measure,
    covariance: np.ndarray,
    equal: np.ndarray,
    around: np.ndarray,
) -> MeasureRow:
    """Estimate, error, bias and null of one measure."""
    rate = case.groups.rate
    full = rate if len(covariance) == len(rate) else np.concatenate([rate, case.share])
    f = _function(case, measure, case.reference)
    fixed = _function(case, measure, fixed_reference(case))
    rows = _rows(case, measure)
    picks = name in PICKS or (name in USES_REFERENCE and case.reference == _anew(case))
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = _column(f(rate[None, :]).real, rows)[0]
        slope = gradient(fixed, full)[rows]
        drawn = _column(f(around).real, rows)
        null = _column(_function(case, measure, _anew_or(case))(equal).real, rows)
        variance = np.einsum("ij,jk,ik->i", slope, covariance, slope)
        if name == "between_group_variance":
            variance = variance + _second_order(case)
        error = np.sqrt(np.where(np.isfinite(variance) & (variance > 0), variance, np.nan))
        is_ratio = measure.unit == "ratio"
        if picks and case.words.get("selection") == "in_interval":
            error = estimate * np.log(drawn).std(axis=0) if is_ratio else drawn.std(axis=0)
        bias = _bias(
            case, name, measure, fixed, covariance, full, estimate, drawn, rows, picks=picks
        )
    error[_without_error(case, measure, rows)] = np.nan
    extras = np.column_stack(
        [
            estimate - bias,
            *_null(estimate, null, name, is_ratio=is_ratio, by_group=measure.by_group),
        ]
    )
    return MeasureRow(name, measure, rows, estimate, slope, error, extras)


def _anew(case: MeasuredGroups) -> Reference:
    """The best group, picked anew."""
    return Reference("best", -1, case.reference.sign)


def _anew_or(case: MeasuredGroups) -> Reference:
    """The best group picked anew where the reference is the best; else the reference."""
    return _anew(case) if case.reference.rule == "best" else case.reference


def fixed_reference(case: MeasuredGroups) -> Reference:
    """The reference, with the best group held where it is."""
    ref, rate = case.reference, case.groups.rate
    if ref.rule != "best" or ref.position >= 0:
        return ref
    at = int(np.flatnonzero(rate == best_rate(rate, ref.sign))[0])
    return Reference("best", at, ref.sign)


def _rows(case: MeasuredGroups, measure: Measure) -> np.ndarray:
    """Positions of a measure's values: the groups but the reference, or the one over all."""
    if not measure.by_group:
        return np.array([0])
    k = len(case.share)
    return np.array([i for i in range(k) if i != fixed_reference(case).position])


def _column(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Values of the rows; shape (b, m)."""
    return values.reshape(len(values), -1)[:, rows]


def _second_order(case: MeasuredGroups) -> float:
    """Part of the variance of a quadratic form that does not vanish where groups are equal."""
    w = case.weights
    av = (np.diag(w) - np.outer(w, w)) @ case.groups.covariance
    return float(2 * np.trace(av @ av))


def _bias(
    case: MeasuredGroups,
    name: str,
    measure: Measure,
    f: Callable[[np.ndarray], np.ndarray],
    covariance: np.ndarray,
    at: np.ndarray,
    estimate: np.ndarray,
    drawn: np.ndarray,
    rows: np.ndarray,
    *,
    picks: bool,
) -> np.ndarray:
    """Bias of the estimate; shape (m,)."""
    if name in _SPREAD:
        w, v = case.weights, case.groups.covariance
        extra = float(np.trace((np.diag(w) - np.outer(w, w)) @ v))
        mean = float(w @ case.groups.rate)
        unit = 1.0 if name == "between_group_sd" else 100 / mean
        variance = (estimate / unit) ** 2
        return np.asarray(estimate - unit * np.sqrt(np.maximum(variance - extra, 0.0)))
    if picks or not measure.is_smooth:
        if measure.unit == "ratio":
            return np.asarray(estimate - estimate**2 / np.exp(np.log(drawn).mean(axis=0)))
        return np.asarray(drawn.mean(axis=0) - estimate)
    if name in ("rate_difference", "population_attributable_risk"):
        return np.zeros(len(rows))
    return np.asarray(curvature_bias(f, at, covariance)[rows])


def _null(
    estimate: np.ndarray, null: np.ndarray, name: str, *, is_ratio: bool, by_group: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Average of the measure if all groups were equal, and how often it is then as large."""
    with np.errstate(divide="ignore", invalid="ignore"):
        average = null.mean(axis=0)
        signed = by_group or name in TESTED
        size, draws = (np.log(estimate), np.log(null)) if is_ratio else (estimate, null)
        if signed:
            middle = np.median(draws, axis=0)
            size, draws = np.abs(size - middle), np.abs(draws - middle)
        # An undefined draw (a rate of 0 below the line) counts as large.
        larger = ((draws >= size * (1 - 1e-12)) | np.isnan(draws)).sum(axis=0)
    average = np.where(np.isfinite(average), average, np.nan)
    share = (1 + larger) / (1 + len(null))
    return average, np.where(np.isfinite(estimate), share, np.nan)


def _without_error(case: MeasuredGroups, measure: Measure, rows: np.ndarray) -> np.ndarray:
    """Rows about a group, or compared with a group, without an event to judge its error by."""
    if not measure.by_group:
        return np.zeros(len(rows), dtype=bool)
    has, at = case.groups.has_error, fixed_reference(case).position
    return np.asarray(~has[rows] | (at >= 0 and not has[at]))
