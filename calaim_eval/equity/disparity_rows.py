"""Rows of a disparity table: estimates, variances, bias, and what equal groups would give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.equity.disparity_formulas import (
    Measure,
    Reference,
    best_rate,
    curvature_bias,
    gradient,
)
from calaim_eval.equity.disparity_table import SIGNED, DisparityTable
from calaim_eval.equity.equal_groups import generator, rates_around, rates_if_equal
from calaim_eval.equity.group_rates import GroupRates
from calaim_eval.results import ALL, EffectTable, Estimand, Method
from calaim_eval.results.effect_table import SUPPORT_COLUMNS, stack

AHN = (
    "Ahn J, Harper S, Yu M, Feuer EJ, Liu B, Luta G (2018). JCO Clin Cancer Inform 2:1-19. "
    "doi:10.1200/CCI.18.00031"
)
_PICKS = frozenset({"range_difference", "range_ratio"})
_USES_REFERENCE = frozenset(
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
class _Row:
    """One measure's values: one a group, or one over all."""

    name: str
    measure: Measure
    rows: np.ndarray
    estimate: np.ndarray
    gradient: np.ndarray
    std_error: np.ndarray
    extras: np.ndarray


def measured_rows(
    case: MeasuredGroups,
    measures: Mapping[str, Measure],
    *,
    keys: Mapping[str, object],
    draws: int,
    rng: np.random.Generator | None,
) -> DisparityTable:
    """All measures of one set of groups."""
    random = generator(rng)
    equal = rates_if_equal(case.groups, draws=draws, rng=random)
    around = {
        logs: rates_around(case.groups, draws=draws, rng=random, logs=logs)
        for logs in (False, True)
    }
    covariance = _joint(case)
    rows = [
        _measured(case, name, measure, covariance, equal, around[measure.unit == "ratio"])
        for name, measure in measures.items()
    ]
    differences = [r for r in rows if r.measure.unit != "ratio"]
    ratios = [r for r in rows if r.measure.unit == "ratio"]
    extras = np.concatenate([r.extras for r in (*differences, *ratios)])
    notes = (*case.groups.notes, *_notes(case, rows, draws))
    return DisparityTable(
        differences=_table(case, differences, covariance, keys=keys, notes=notes, is_ratio=False),
        ratios=_table(case, ratios, covariance, keys=keys, notes=notes, is_ratio=True),
        extras=pd.DataFrame(extras, columns=["bias_corrected", "if_equal", "p_value_if_equal"]),
    )


def stacked(tables: list[DisparityTable]) -> DisparityTable:
    """Tables of several sets of groups under one another; covariances between sets are unknown."""
    if len(tables) == 1:
        return tables[0]
    firsts = [t.extras.iloc[: len(t.differences)] for t in tables]
    lasts = [t.extras.iloc[len(t.differences) :] for t in tables]
    return DisparityTable(
        stack([t.differences for t in tables]),
        stack([t.ratios for t in tables]),
        pd.concat([*firsts, *lasts], ignore_index=True),
    )


def _joint(case: MeasuredGroups) -> np.ndarray:
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


def _measured(
    case: MeasuredGroups,
    name: str,
    measure: Measure,
    covariance: np.ndarray,
    equal: np.ndarray,
    around: np.ndarray,
) -> _Row:
    """Estimate, error, bias and null of one measure."""
    rate = case.groups.rate
    full = rate if len(covariance) == len(rate) else np.concatenate([rate, case.share])
    f = _function(case, measure, case.reference)
    fixed = _function(case, measure, _fixed(case))
    rows = _rows(case, measure)
    picks = name in _PICKS or (name in _USES_REFERENCE and case.reference == _anew(case))
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
    return _Row(name, measure, rows, estimate, slope, error, extras)


def _anew(case: MeasuredGroups) -> Reference:
    """The best group, picked anew."""
    return Reference("best", -1, case.reference.sign)


def _anew_or(case: MeasuredGroups) -> Reference:
    """The best group picked anew where the reference is the best; else the reference."""
    return _anew(case) if case.reference.rule == "best" else case.reference


def _fixed(case: MeasuredGroups) -> Reference:
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
    return np.array([i for i in range(k) if i != _fixed(case).position])


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
        signed = by_group or name in SIGNED
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
    has, at = case.groups.has_error, _fixed(case).position
    return np.asarray(~has[rows] | (at >= 0 and not has[at]))


def _table(
    case: MeasuredGroups,
    rows: list[_Row],
    covariance: np.ndarray,
    *,
    keys: Mapping[str, object],
    notes: tuple[str, ...],
    is_ratio: bool,
) -> EffectTable:
    """An EffectTable of the rows with their joint covariance."""
    estimate = np.concatenate([r.estimate for r in rows]) if rows else np.zeros(0)
    slopes = np.concatenate([r.gradient for r in rows]) if rows else np.zeros((0, len(covariance)))
    error = np.concatenate([r.std_error for r in rows]) if rows else np.zeros(0)
    unit = "rate ratio" if is_ratio else "see `unit`"
    with np.errstate(invalid="ignore"):
        joint = _scaled(slopes @ covariance @ slopes.T, error)
    return EffectTable(
        keys=_keys(case, rows, keys),
        estimate=np.where(np.isfinite(estimate), estimate, np.nan),
        covariance=joint,
        support=_support(case, rows),
        estimand=Estimand(
            f"{case.groups.label}: disparity by {case.stratum}",
            _contrast(case),
            unit,
            scale="ratio" if is_ratio else "difference",
            is_causal=False,
        ),
        method=Method(
            "Disparity measures; delta method on the joint covariance of the rates",
            dict(case.words),
            case.reference_doi,
        ),
        notes=notes,
    )


def _contrast(case: MeasuredGroups) -> str:
    """What is compared, in words."""
    framing = "higher is better" if case.reference.sign > 0 else "lower is better"
    words = case.words
    return (
        f"groups of {case.stratum} compared with '{words['reference']}', averaged with "
        f"weights '{words['weights']}'; {framing}"
    )


def _scaled(covariance: np.ndarray, error: np.ndarray) -> np.ndarray:
    """The covariance with the standard errors of the rows on its diagonal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = error / np.sqrt(np.diag(covariance))
        result: np.ndarray = covariance * np.outer(factor, factor)
    np.fill_diagonal(result, error**2)
    return result


def _keys(case: MeasuredGroups, rows: list[_Row], keys: Mapping[str, object]) -> pd.DataFrame:
    """What each row is about."""
    units = {
        "rate": case.groups.unit,
        "squared rate": f"squared ({case.groups.unit})",
        "percent": "percent",
        "ratio": "rate ratio",
        "none": "none",
    }
    listed = [
        {
            **keys,
            case.stratum: case.groups.names[i] if r.measure.by_group else ALL,
            "reference": _reference_name(case, r.name),
            "measure": r.name,
            "kind": r.measure.kind,
            "weights": case.words["weights"] if _is_averaged(r) else "none",
            "unit": units[r.measure.unit],
        }
        for r in rows
        for i in r.rows
    ]
    columns = [*keys, case.stratum, "reference", "measure", "kind", "weights", "unit"]
    return pd.DataFrame(listed, columns=columns)


def _reference_name(case: MeasuredGroups, name: str) -> str:
    """Reference of a measure: for the best, which group it is."""
    if name in _PICKS:
        return "lowest rate"
    if name not in _USES_REFERENCE:
        return str(case.words["reference"]) if "order" in case.words else "mean"
    if case.reference.rule == "best":
        return f"best ({case.groups.names[_fixed(case).position]})"
    return str(case.words["reference"])


def _is_averaged(row: _Row) -> bool:
    """Whether the averaging weights enter the measure."""
    return not row.measure.by_group and row.name not in (
        *_PICKS,
        "population_attributable_risk",
        "population_attributable_fraction",
    )


def _support(case: MeasuredGroups, rows: list[_Row]) -> pd.DataFrame:
    """Support of the smaller side: the group or its reference; else the smallest group.

    What compares with the mean or the rest would give a hidden group away by subtraction.
    """
    support = case.groups.support[list(SUPPORT_COLUMNS)].to_numpy(dtype=float)
    at = _fixed(case).position
    smallest = support.min(axis=0)[None, :]
    found = []
    for row in rows:
        if not row.measure.by_group:
            found.append(smallest)
            continue
        side = support[[at]] if at >= 0 else smallest
        found.append(np.minimum(support[row.rows], side))
    values = np.concatenate(found) if found else np.zeros((0, len(SUPPORT_COLUMNS)))
    return pd.DataFrame(values, columns=list(SUPPORT_COLUMNS))


def _notes(case: MeasuredGroups, rows: list[_Row], draws: int) -> tuple[str, ...]:
    """What a reader of the table must know."""
    notes = [
        "Measures that cannot be negative are above 0 by chance alone: read them beside "
        f"`if_equal` (from {draws:,} draws with one common rate) and not by their p-value."
    ]
    undefined = [
        r.name for r in rows if np.isnan(r.extras[:, 1]).any() and np.isfinite(r.estimate).all()
    ]
    if undefined:
        notes.append(
            f"{', '.join(f'`{n}`' for n in undefined)}: not defined in some draws with one common "
            "rate, where a group has no event; `if_equal` is left out."
        )
    missing = [r.name for r in rows if not np.isfinite(r.estimate).all()]
    if missing:
        notes.append(
            f"{', '.join(f'`{n}`' for n in missing)}: not defined where a rate below the line or "
            "under a logarithm is 0."
        )
    if case.reference.rule == "best":
        notes.append(
            "The best of several groups is partly luck: compare `bias_corrected`, and name a "
            "reference where there is one."
        )
    return tuple(notes)
