"""Rows of a disparity table: what each is about, and who stands behind it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from calaim_eval.equity.disparity_estimates import (
    PICKS,
    USES_REFERENCE,
    MeasuredGroups,
    MeasureRow,
    fixed_reference,
    joint_covariance,
    measure_row,
)
from calaim_eval.equity.disparity_formulas import Measure
from calaim_eval.equity.disparity_table import DisparityTable
from calaim_eval.equity.equal_groups import generator, rates_around, rates_if_equal
from calaim_eval.results import ALL, EffectTable, Estimand, Method
from calaim_eval.results.effect_table import fewest_degrees, stack
from calaim_eval.results.smallest_support import SUPPORT_COLUMNS, smallest_support


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
    covariance = joint_covariance(case)
    rows = [
        measure_row(case, name, measure, covariance, equal, around[measure.unit == "ratio"])
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


def _table(
    case: MeasuredGroups,
    rows: list[MeasureRow],
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
        degrees=_degrees(case, slopes),
    )


def _degrees(case: MeasuredGroups, slopes: np.ndarray) -> np.ndarray | None:
    """Fewest degrees of freedom of the groups a measure depends on; shape (m,)."""
    degrees = case.groups.degrees
    return None if degrees is None else fewest_degrees(degrees, slopes[:, : len(degrees)] != 0)


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


def _keys(case: MeasuredGroups, rows: list[MeasureRow], keys: Mapping[str, object]) -> pd.DataFrame:
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
    if name in PICKS:
        return "lowest rate"
    if name not in USES_REFERENCE:
        return str(case.words["reference"]) if "order" in case.words else "mean"
    if case.reference.rule == "best":
        return f"best ({case.groups.names[fixed_reference(case).position]})"
    return str(case.words["reference"])


def _is_averaged(row: MeasureRow) -> bool:
    """Whether the averaging weights enter the measure."""
    return not row.measure.by_group and row.name not in (
        *PICKS,
        "population_attributable_risk",
        "population_attributable_fraction",
    )


def _support(case: MeasuredGroups, rows: list[MeasureRow]) -> pd.DataFrame:
    """Support of the smaller side: the group or its reference; else the smallest group.

    What compares with the mean or the rest would give a hidden group away by subtraction.
    """
    support = case.groups.support[list(SUPPORT_COLUMNS)].to_numpy(dtype=float)
    at = fixed_reference(case).position
    smallest = smallest_support(support)[None, :]
    found = []
    for row in rows:
        if not row.measure.by_group:
            found.append(smallest)
            continue
        side = support[[at]] if at >= 0 else smallest
        own = support[row.rows]
        found.append(smallest_support(np.stack([own, np.broadcast_to(side, own.shape)])))
    values = np.concatenate(found) if found else np.zeros((0, len(SUPPORT_COLUMNS)))
    return pd.DataFrame(values, columns=list(SUPPORT_COLUMNS))


def _notes(case: MeasuredGroups, rows: list[MeasureRow], draws: int) -> tuple[str, ...]:
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
            "rate, where a group has no event or a line falls to 0; `if_equal` is left out."
        )
    missing = [r.name for r in rows if not np.isfinite(r.estimate).all()]
    if missing:
        notes.append(
            f"{', '.join(f'`{n}`' for n in missing)}: not defined where a rate below the line or "
            "under a logarithm is 0, or a line of rates falls below 0."
        )
    if case.reference.rule == "best":
        notes.append(
            "The best of several groups is partly luck: compare `bias_corrected`, and name a "
            "reference where there is one."
        )
    return tuple(notes)
