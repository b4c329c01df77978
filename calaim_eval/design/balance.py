"""How alike exposed and comparison members were before eligibility."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.design import Design
from calaim_eval.design.member_month_parts import member_month_parts, month_numbers
from calaim_eval.errors import DesignError
from calaim_eval.panel.measures import MEASURES


def balance(
    design: Design,
    *,
    outcomes: Sequence[str] = ("ed_visits", "inpatient_stays"),
    groups: Sequence[str] = ("race_ethnicity",),
) -> pd.DataFrame:
    r"""Use before eligibility, age and groups of exposed and comparison members.

    Use before estimating. Difference-in-differences does not need equal levels, but members who
    differ much in past use are the likeliest to drift apart.

    Parameters
    ----------
    design : Design
        From `design_exposure`.
    outcomes : sequence of str
        Measures of the panel, as the mean per covered month of the look-back.
    groups : sequence of str
        Columns of ``design.members``; one row for each group.

    Returns
    -------
    pd.DataFrame
        `variable`, `level`, `mean_exposed`, `mean_comparison` (all never exposed in the window),
        `mean_comparison_in_cells` (weighted to the covariate cells of the exposed),
        `standardized_difference` (exposed minus comparison in cells, in standard deviations of
        the exposed; beyond 0.1 is usually read as imbalance). Rows of few members are not for
        release.

    Raises
    ------
    DesignError
        The design has no eligibility month of its own, nobody is never exposed, or a column is
        unknown.

    Notes
    -----
    A comparison member in a cell with :math:`e` exposed and :math:`c` comparison members weighs
    :math:`e / c`; exposed members of cells without never-exposed members are left out of both
    sides of the standardized difference. The standard deviation is that of the exposed, so that
    weighting does not change the yardstick [1]_.

    References
    ----------
    .. [1] Stuart EA (2010). Matching methods for causal inference. Stat Sci 25(1):1-21.
       doi:10.1214/09-STS313
    """
    _check(design, outcomes, groups)
    members = design.members.reset_index(drop=True)
    is_exposed = members["cohort"].notna().to_numpy()
    weight = _cell_weights(members, is_exposed, list(design.covariate_cells))
    values = _variables(design, members, outcomes, groups)
    return pd.DataFrame(
        [
            {"variable": variable, "level": level, **_compare(x, is_exposed, weight)}
            for variable, level, x in values
        ]
    )


def _check(design: Design, outcomes: Sequence[str], groups: Sequence[str]) -> None:
    """Raise DesignError where there is nothing to compare."""
    if design.kind != "exposure":
        raise DesignError(
            "balance: in the county roll-out members have no month of eligibility of their own.\n"
            "  Look at the event study's months before phase 1 instead."
        )
    if design.n_comparison == 0:
        raise DesignError("balance: every member of the design is exposed in the window.")
    unknown = [c for c in groups if c not in design.members.columns]
    unknown += [c for c in outcomes if c not in MEASURES]
    if unknown:
        raise DesignError(
            f"balance: {', '.join(f'`{c}`' for c in unknown)} not found. Groups: columns of the "
            f"design's members; outcomes: {', '.join(f'`{c}`' for c in MEASURES)}."
        )


def _cell_weights(members: pd.DataFrame, is_exposed: np.ndarray, cells: list[str]) -> np.ndarray:
    """Weight of each member: 1 or 0 if exposed, exposed per comparison member of the cell else."""
    cell = members.groupby(cells, sort=False).ngroup().to_numpy() if cells else 0 * is_exposed
    n_exposed = np.bincount(cell, weights=is_exposed)[cell]
    n_comparison = np.bincount(cell, weights=~is_exposed)[cell]
    with np.errstate(divide="ignore", invalid="ignore"):
        weight: np.ndarray = np.where(is_exposed, n_comparison > 0, n_exposed / n_comparison)
    return weight.astype(float)


def _variables(
    design: Design, members: pd.DataFrame, outcomes: Sequence[str], groups: Sequence[str]
) -> list[tuple[str, str, np.ndarray]]:
    """Name, level and values of every variable compared."""
    use = _lookback_means(design, members, outcomes)
    values = [(f"{o} per month before eligibility", "", use[o].to_numpy()) for o in outcomes]
    if "age_years" in members.columns:
        age = members["age_years"].to_numpy(dtype=float, na_value=np.nan)
        values.append(("age_years", "", age))
    for name in groups:
        labels = members[name].astype(str)
        values += [(name, g, (labels == g).to_numpy(dtype=float)) for g in sorted(set(labels))]
    return values


def _lookback_means(design: Design, members: pd.DataFrame, outcomes: Sequence[str]) -> pd.DataFrame:
    """Mean of each outcome over the look-back of each member, in the order of `members`."""
    ids = pd.Index(members["member_id"])
    eligible = month_numbers(members["eligibility_month"])
    total = np.zeros((len(ids), len(outcomes)))
    known = np.zeros((len(ids), len(outcomes)))
    for part in member_month_parts(design.panel, outcomes, member_ids=ids):
        row = ids.get_indexer(part["member_id"])
        since = part["month_number"].to_numpy() - eligible[row]
        inside = (since >= -design.lookback_months) & (since < 0)
        for column, outcome in enumerate(outcomes):
            value = part[outcome].to_numpy(dtype=float, na_value=np.nan)[inside]
            is_known = ~np.isnan(value)
            at = row[inside][is_known]
            total[:, column] += np.bincount(at, weights=value[is_known], minlength=len(ids))
            known[:, column] += np.bincount(at, minlength=len(ids))
    means = np.divide(total, known, out=np.full_like(total, np.nan), where=known > 0)
    return pd.DataFrame(means, columns=list(outcomes))


def _compare(x: np.ndarray, is_exposed: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Means of the two sides and their standardized difference."""
    known = ~np.isnan(x)
    exposed, comparison = known & is_exposed, known & ~is_exposed
    in_cells = _mean(x[comparison], weight[comparison])
    matched = _mean(x[exposed], weight[exposed])
    spread = float(np.std(x[exposed], ddof=1)) if exposed.sum() > 1 else np.nan
    return {
        "mean_exposed": _mean(x[exposed], np.ones(int(exposed.sum()))),
        "mean_comparison": _mean(x[comparison], np.ones(int(comparison.sum()))),
        "mean_comparison_in_cells": in_cells,
        "standardized_difference": (matched - in_cells) / spread if spread > 0 else np.nan,
    }


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Weighted mean; NaN without weight."""
    total = weights.sum()
    return float((values * weights).sum() / total) if total > 0 else float("nan")
