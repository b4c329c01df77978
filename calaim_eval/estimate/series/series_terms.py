"""What a segmented regression says: level change, slope change, effect after some months."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.estimate.series.monthly_series import COMPARISON, DIFFERENCE, EXPOSED, SeriesPanel
from calaim_eval.estimate.series.segmented_fit import Model, SegmentedFit, Segments, least_variance
from calaim_eval.estimate.support import support_frame
from calaim_eval.moments.periods import index_frequency, period_labels
from calaim_eval.results.effect_table import with_undefined


@dataclass(frozen=True, slots=True, eq=False)
class SeriesTerms:
    """Terms of one series.

    Attributes
    ----------
    break_position : np.ndarray
        Which break each term is about; shape (m,).
    names : tuple[str, ...]
        ``level_change``, ``slope_change``, ``effect_after_<k>``, ``average_effect``.
    value : np.ndarray
        In the unit of the rate, or log ratios; shape (m,).
    gradient : np.ndarray
        In the coefficients; shape (m, k).
    """

    break_position: np.ndarray
    names: tuple[str, ...]
    value: np.ndarray
    gradient: np.ndarray


def series_terms(
    design: Segments,
    fit: SegmentedFit,
    *,
    model: Model,
    months_after: Sequence[Sequence[int]],
    at_risk: np.ndarray,
    is_weighted: bool,
) -> SeriesTerms:
    """Terms of every break of one series.

    Parameters
    ----------
    months_after : sequence of sequence of int
        For each break, months after it at which its effect is wanted.
    at_risk : np.ndarray
        Member-months, 1 where they are not known; shape (T,).
    """
    names, positions, gradients, values = [], [], [], []
    for position in range(len(design.breaks)):
        for name, load in _linear(design, position, months_after[position]):
            gradient = np.zeros(len(design.names))
            gradient[design.columns(position)] = load
            names.append(name)
            positions.append(position)
            gradients.append(gradient)
            values.append(float(gradient @ fit.coefficients))
        value, gradient = _average(design, fit, position, model, at_risk, is_weighted)
        names.append("average_effect")
        positions.append(position)
        gradients.append(gradient)
        values.append(value)
    return SeriesTerms(np.array(positions), tuple(names), np.array(values), np.array(gradients))


def break_months(design: Segments, position: int) -> np.ndarray:
    """Months used from a break's new line to the next break; shape (T,), bool."""
    after = design.axis >= design.begins[position]
    if position + 1 < len(design.breaks):
        after &= design.axis < design.breaks[position + 1]
    return np.asarray(after & design.used)


def _linear(
    design: Segments, position: int, months_after: Sequence[int]
) -> list[tuple[str, tuple[float, ...]]]:
    """Loads on the changes of a break of the terms that are linear in them."""
    if design.change == "level":
        return [("level_change", (1.0,))]
    first, begin = int(design.breaks[position]), int(design.begins[position])
    return [
        ("level_change", (1.0, 0.0)),
        ("slope_change", (0.0, 1.0)),
        *((f"effect_after_{k}", (1.0, float(first + k - begin))) for k in months_after),
    ]


def _average(
    design: Segments,
    fit: SegmentedFit,
    position: int,
    model: Model,
    at_risk: np.ndarray,
    is_weighted: bool,  # noqa: FBT001
) -> tuple[float, np.ndarray]:
    """Mean difference over the months of a break, or log ratio of expected events."""
    months = break_months(design, position) & fit.used
    with_break = design.matrix[months]
    without = design.without([position])[months]
    if model == "ols":
        weight = at_risk[months] if is_weighted else np.ones(int(months.sum()))
        gradient = (weight / weight.sum()) @ (with_break - without)
        return float(gradient @ fit.coefficients), gradient
    expected = at_risk[months] * np.exp(with_break @ fit.coefficients)
    otherwise = at_risk[months] * np.exp(without @ fit.coefficients)
    gradient = expected @ with_break / expected.sum() - otherwise @ without / otherwise.sum()
    return float(np.log(expected.sum() / otherwise.sum())), gradient


@dataclass(frozen=True, slots=True, eq=False)
class TermTable:
    """Terms of all series: m rows, as in an `EffectTable`."""

    keys: pd.DataFrame
    estimate: np.ndarray
    covariance: np.ndarray
    support: pd.DataFrame


def series_effects(
    panel: SeriesPanel,
    design: Segments,
    fits: Sequence[SegmentedFit],
    terms: Sequence[SeriesTerms],
    joint: np.ndarray,
    *,
    model: Model,
    rate_unit: str,
) -> TermTable:
    """Terms of all series and of their differences, with joint covariance and support.

    `joint` is the covariance of the coefficients of all series, shape (K, K).
    """
    size, n_terms = len(design.names), len(terms[0].names)
    keys, gradients, values, sides = [], [], [], []
    for own, other in panel.pairs:
        for side, signs in _signs(own, other):
            gradient = np.zeros((n_terms, size * len(fits)))
            value = np.zeros(n_terms)
            for position, sign in signs:
                gradient[:, position * size : (position + 1) * size] = (
                    sign * terms[position].gradient
                )
                value += sign * terms[position].value
            gradients.append(gradient)
            values.append(value)
            keys.append(_keys(panel, design, own, side, terms[own], model, rate_unit))
            sides += _sides(panel, design, fits, [p for p, _ in signs], terms[own])
    estimate, gradient = np.concatenate(values), np.vstack(gradients)
    covariance = gradient @ joint @ gradient.T
    undefined = np.diag(covariance) <= least_variance(fits, model)
    undefined |= np.array([both[:, 0].min() < 2 and both[:, 2].max() > 0 for both in sides])
    if model == "quasi_poisson":
        estimate = np.exp(estimate)
        covariance = estimate[:, None] * covariance * estimate
    covariance, _ = with_undefined(covariance, None, undefined)
    return TermTable(pd.concat(keys, ignore_index=True), estimate, covariance, support_frame(sides))


def _signs(own: int, other: int | None) -> list[tuple[str, list[tuple[int, float]]]]:
    """Rows of one pair of series: which series enter, with which sign."""
    rows: list[tuple[str, list[tuple[int, float]]]] = [(EXPOSED, [(own, 1.0)])]
    if other is not None:
        rows.append((COMPARISON, [(other, 1.0)]))
        rows.append((DIFFERENCE, [(own, 1.0), (other, -1.0)]))
    return rows


def _keys(
    panel: SeriesPanel,
    design: Segments,
    own: int,
    side: str,
    terms: SeriesTerms,
    model: Model,
    rate_unit: str,
) -> pd.DataFrame:
    """Labels of the terms of one series."""
    frequency = index_frequency(panel.months)
    plain = "ratio of rates" if model == "quasi_poisson" else rate_unit
    step = "month" if frequency == "M" else "period"
    units = [f"{plain} per {step}" if n == "slope_change" else plain for n in terms.names]
    keys = pd.DataFrame([panel.series[own].labels] * len(terms.names))
    keys.index = pd.RangeIndex(len(terms.names))
    breaks = period_labels(design.breaks[terms.break_position], frequency)
    return keys.assign(series=side, break_month=breaks, term=list(terms.names), unit=units)


def _sides(
    panel: SeriesPanel,
    design: Segments,
    fits: Sequence[SegmentedFit],
    positions: Sequence[int],
    terms: SeriesTerms,
) -> list[np.ndarray]:
    """Support before and after the break of each term, the smaller of the series; (2, 3) each."""
    sides = []
    for position in terms.break_position:
        of_break = []
        for series in positions:
            used = fits[series].used
            before = used & (design.axis < design.breaks[position])
            after = used & (design.axis >= design.begins[position])
            of_break.append([panel.series[series].support(each) for each in (before, after)])
        counts = np.array(of_break)
        events = np.where(counts[:, :, 1] > 0, counts[:, :, 1], np.inf).min(axis=0)
        smallest = counts.min(axis=0)
        smallest[:, 1] = np.where(np.isfinite(events), events, 0.0)
        sides.append(smallest)
    return sides
