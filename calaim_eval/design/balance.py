"""How alike exposed and comparison members were before, as they came and as compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from calaim_eval.design.covariate_frame import check_columns, covariate_frame
from calaim_eval.design.design import Design
from calaim_eval.design.ledger import part_words
from calaim_eval.design.weights import MemberWeights
from calaim_eval.errors import DesignError

WHERE = "balance"


def balance(
    design: Design,
    *,
    outcomes: Sequence[str] = ("ed_visits", "inpatient_stays"),
    groups: Sequence[str] = ("race_ethnicity",),
    weights: MemberWeights | None = None,
    by: str | None = None,
) -> pd.DataFrame:
    r"""Use before the index month, age and groups of exposed and comparison members.

    Use before estimating. Difference-in-differences does not need equal levels, but members who
    differ much in past use are the likeliest to drift apart.

    Parameters
    ----------
    design : Design
        From `design_exposure` or `design_matched`.
    outcomes : sequence of str
        Measures of the panel, as the mean per covered month of the look-back.
    groups : sequence of str
        Columns of ``design.members``; one row for each group.
    weights : MemberWeights, optional
        Look at these weights instead of those of the design's cells or sets.
    by : str, optional
        Column of ``design.members`` within whose groups to compare.

    Returns
    -------
    pd.DataFrame
        `by` where asked, `variable`, `level`, `n_exposed`, `n_comparison` (rows of
        ``design.members`` where the value is known, of a group those in it), `mean_exposed`,
        `mean_comparison` (all never exposed in the window, or all matches),
        `mean_comparison_in_cells` (weighted), `standardized_difference` (exposed minus weighted
        comparison, in standard deviations of the exposed; beyond 0.1 is usually read as
        imbalance), `variance_ratio` (exposed to comparison, weighted; 1 is alike, below 0.5 or
        above 2 far apart; NaN for groups), `standardized_difference_before` and
        `variance_ratio_before` (unweighted, or in the risk sets before matching). Rows of few
        members are not for release.

    Raises
    ------
    DesignError
        The design has no index month of its own, nobody is never exposed, a column is unknown, or
        the weights are those of other members.

    Notes
    -----
    Without `weights` a comparison member in a cell with :math:`e` exposed and :math:`c` comparison
    members weighs :math:`e / c`; exposed members of cells without never-exposed members are left
    out of both sides of the standardized difference. The standard deviation is that of the
    exposed, so that weighting does not change the yardstick [1]_. Before matching: the exposed at
    risk, against everybody eligible, covered and not yet exposed in the index month, months
    weighted by their exposed members; known for what the design matched on.

    References
    ----------
    .. [1] Stuart EA (2010). Matching methods for causal inference. Stat Sci 25(1):1-21.
       doi:10.1214/09-STS313
    """
    check_columns(design, outcomes, [*groups, *([by] if by else [])], where=WHERE)
    if design.n_comparison == 0:
        raise DesignError(f"{WHERE}: every member of the design is exposed in the window.")
    members = design.members.reset_index(drop=True)
    frame = covariate_frame(design, outcomes=outcomes, groups=groups).reset_index(drop=True)
    is_exposed = frame["is_exposed"].to_numpy()
    cells = [*design.covariate_cells, *([by] if by else [])]
    weight = (
        _cell_weights(members, is_exposed, cells)
        if weights is None
        else _given_weights(weights, members)
    )
    parts = members[by].astype(str) if by else pd.Series("", index=members.index)
    rows = [
        {
            **({by: part} if by else {}),
            "variable": variable,
            "level": level,
            **_compare(x[at], is_exposed[at], weight[at], is_group=bool(level)),
        }
        for part, at in _positions(parts)
        for variable, level, x in _variables(frame, outcomes, groups)
    ]
    table = pd.DataFrame(rows)
    return _with_risk_sets(table, design, outcomes) if design.kind == "matched" else table


def _positions(parts: pd.Series) -> Iterator[tuple[str, np.ndarray]]:
    """Each group with the rows in it."""
    for part in sorted(set(parts)):
        yield part, np.flatnonzero(parts == part)


def _given_weights(weights: MemberWeights, members: pd.DataFrame) -> np.ndarray:
    """Weight of each member of the design; DesignError where one has none."""
    given = weights.weights["weight"].reindex(members["member_id"])
    missing = int(given.isna().sum())
    if missing:
        raise DesignError(
            f"{WHERE}: {part_words(missing, len(members), 'members')} of the design have no "
            "weight.\n"
            "  Make the weights from covariate_frame(design)."
        )
    return np.asarray(given, dtype=float)


def _cell_weights(members: pd.DataFrame, is_exposed: np.ndarray, cells: list[str]) -> np.ndarray:
    """Weight of each member: 1 or 0 if exposed, exposed per comparison member of the cell else."""
    cell = members.groupby(cells, sort=False).ngroup().to_numpy() if cells else 0 * is_exposed
    n_exposed = np.bincount(cell, weights=is_exposed)[cell]
    n_comparison = np.bincount(cell, weights=~is_exposed)[cell]
    with np.errstate(divide="ignore", invalid="ignore"):
        weight: np.ndarray = np.where(is_exposed, n_comparison > 0, n_exposed / n_comparison)
    return weight.astype(float)


def _variables(
    frame: pd.DataFrame, outcomes: Sequence[str], groups: Sequence[str]
) -> list[tuple[str, str, np.ndarray]]:
    """Name, level and values of every variable compared."""
    values = [(_use_name(outcome), "", frame[outcome].to_numpy()) for outcome in outcomes]
    if "age_years" in frame:
        values.append(("age_years", "", frame["age_years"].to_numpy()))
    for name in groups:
        labels = frame[name]
        values += [(name, g, (labels == g).to_numpy(dtype=float)) for g in sorted(set(labels))]
    return values


def _use_name(outcome: str) -> str:
    """Row name of an outcome's mean over the look-back."""
    return f"{outcome} per month before eligibility"


def _compare(
    x: np.ndarray, is_exposed: np.ndarray, weight: np.ndarray, *, is_group: bool
) -> dict[str, float]:
    """Means of the two sides, their standardized difference and ratio of variances."""
    known = ~np.isnan(x)
    exposed, comparison = known & is_exposed, known & ~is_exposed
    in_cells = _mean(x[comparison], weight[comparison])
    matched = _mean(x[exposed], weight[exposed])
    plain = [_mean(x[side], np.ones(int(side.sum()))) for side in (exposed, comparison)]
    spread = float(np.std(x[exposed], ddof=1)) if exposed.sum() > 1 else np.nan
    counted = [side & (x > 0) if is_group else side for side in (exposed, comparison)]
    ones = np.ones(len(x))
    return {
        "n_exposed": int(counted[0].sum()),
        "n_comparison": int(counted[1].sum()),
        "mean_exposed": plain[0],
        "mean_comparison": plain[1],
        "mean_comparison_in_cells": in_cells,
        "standardized_difference": (matched - in_cells) / spread if spread > 0 else np.nan,
        "variance_ratio": np.nan if is_group else _ratio(x, exposed, comparison, weight),
        "standardized_difference_before": (plain[0] - plain[1]) / spread if spread > 0 else np.nan,
        "variance_ratio_before": np.nan if is_group else _ratio(x, exposed, comparison, ones),
    }


def _ratio(x: np.ndarray, exposed: np.ndarray, comparison: np.ndarray, weight: np.ndarray) -> float:
    """Weighted variance of the exposed over that of the comparison; NaN where one is 0."""
    top, bottom = (_variance(x[side], weight[side]) for side in (exposed, comparison))
    return top / bottom if bottom > 0 else np.nan


def _variance(values: np.ndarray, weights: np.ndarray) -> float:
    """Weighted sum of squares over the weights less their own mean weight; NaN without any."""
    total = weights.sum()
    free = total - (weights**2).sum() / total if total > 0 else 0.0
    if not free > 1e-12 * total:
        return float("nan")
    return float((weights * (values - _mean(values, weights)) ** 2).sum() / free)


def _mean(values: np.ndarray, weights: np.ndarray) -> float:
    """Weighted mean; NaN without weight."""
    total = weights.sum()
    return float((values * weights).sum() / total) if total > 0 else float("nan")


def _with_risk_sets(table: pd.DataFrame, design: Design, outcomes: Sequence[str]) -> pd.DataFrame:
    """The table with what was before matching taken from the risk sets; NaN where not known."""
    use = {_use_name(outcome): f"{outcome} per month before" for outcome in outcomes}
    table = table.assign(variable=table["variable"].replace(use))
    keys = pd.MultiIndex.from_frame(table[["variable", "level"]])
    known = design.before_matching
    if known is None or not keys.is_unique:  # several groups of `by`
        return table.assign(standardized_difference_before=np.nan, variance_ratio_before=np.nan)
    known = known.set_index(["variable", "level"]).reindex(keys).reset_index()
    spread = np.sqrt(known["variance_exposed"].where(known["variance_exposed"] > 0))
    other = known["variance_comparison"].where(known["variance_comparison"] > 0)
    ratio = (known["variance_exposed"] / other).where(known["level"] == "")
    gap = known["mean_exposed"] - known["mean_comparison"]
    return table.assign(standardized_difference_before=gap / spread, variance_ratio_before=ratio)
