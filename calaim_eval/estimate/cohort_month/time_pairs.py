"""Which months are compared with which for each cohort, and who stands for the comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError, require_choice
from calaim_eval.moments.periods import MISSING, index_ordinals

Comparison = Literal["not_yet_exposed", "never_exposed"]
BasePeriod = Literal["varying", "universal"]
SIDE = {"not_yet_exposed": "members not yet exposed", "never_exposed": "members never exposed"}


@dataclass(frozen=True, slots=True, eq=False)
class TimePairs:
    """Cohort, month and base month of each effect; positions in the cohorts and the months.

    Attributes
    ----------
    cohort, month, base : np.ndarray
        Shape (k,).
    comparison : np.ndarray
        Cohorts that stand for the comparison; shape (k, C), bool.
    """

    cohort: np.ndarray
    month: np.ndarray
    base: np.ndarray
    comparison: np.ndarray

    def take(self, rows: np.ndarray) -> TimePairs:
        """Some of the pairs."""
        return TimePairs(
            self.cohort[rows], self.month[rows], self.base[rows], self.comparison[rows]
        )


def time_pairs(
    cohorts: np.ndarray,
    axis: np.ndarray,
    *,
    comparison: Comparison,
    base_period: BasePeriod,
    anticipation_months: int,
) -> TimePairs:
    """All pairs of the cohorts that have a month before exposure (less anticipation).

    Base month: the last month more than `anticipation_months` before the cohort; with a varying
    base, months before the cohort are compared with the month before them.
    """
    found: list[tuple[int, int, int]] = []
    for position, cohort in enumerate(cohorts):
        if cohort == MISSING or cohort > axis[-1]:
            continue
        before = np.flatnonzero(axis + anticipation_months < cohort)
        if not before.size:
            continue
        last = int(before[-1])
        first = 1 if base_period == "varying" else 0
        for month in range(first, len(axis)):
            is_short = base_period == "varying" and axis[month] < cohort
            found.append((position, month, month - 1 if is_short else last))
    triples = np.array(found, dtype=np.int64).reshape(-1, 3)
    exposed, later, earlier = triples.T
    return TimePairs(
        exposed,
        later,
        earlier,
        _comparison_cohorts(
            cohorts,
            axis,
            cohort=exposed,
            latest=axis[np.maximum(later, earlier)] + anticipation_months,
            comparison=comparison,
            anticipation_months=anticipation_months,
        ),
    )


def _comparison_cohorts(
    cohorts: np.ndarray,
    axis: np.ndarray,
    *,
    cohort: np.ndarray,
    latest: np.ndarray,
    comparison: Comparison,
    anticipation_months: int,
) -> np.ndarray:
    """Cohorts not exposed (nor anticipating) up to the later of the two months; (k, C)."""
    never = (cohorts == MISSING) | (cohorts > axis[-1] + anticipation_months)
    if comparison == "never_exposed":
        return np.broadcast_to(never, (len(cohort), len(cohorts))).copy()
    not_yet: np.ndarray = never[None, :] | (cohorts[None, :] > latest[:, None])
    not_yet[np.arange(len(cohort)), cohort] = False
    return not_yet


def require_pair_options(comparison: str, base_period: str, anticipation_months: int) -> None:
    """Refuse options that mean nothing, listing those that do."""
    require_choice("comparison", comparison, ("not_yet_exposed", "never_exposed"))
    require_choice("base_period", base_period, ("varying", "universal"))
    if anticipation_months < 0:
        raise EstimationError(
            f"anticipation_months: {anticipation_months} is negative; give 0 or more."
        )


def require_comparison(cohorts: list[np.ndarray], months: pd.Index, comparison: str) -> None:
    """Refuse at once what can't be identified in any stratum."""
    first, last = months[0], months[-1]
    axis = index_ordinals(months)
    exposed = [c[(c != MISSING) & (c <= axis[-1])] for c in cohorts]
    if not any(c.size for c in exposed):
        raise DesignError(
            f"no member is first exposed by {last}: there is nobody to estimate an effect on. "
            "Check that `cohort` holds the month of first exposure, missing for never exposed."
        )
    if all((c <= axis[0]).all() for c in exposed):
        raise DesignError(
            f"every exposed cohort begins in {first} or before: no month before exposure is "
            "observed. Begin the panel earlier."
        )
    has_never = any(((c == MISSING) | (c > axis[-1])).any() for c in cohorts)
    if comparison == "never_exposed" and not has_never:
        raise DesignError(
            f"every member is exposed by {last}: comparison='never_exposed' has no members. "
            "Use comparison='not_yet_exposed', or add members who were eligible and not exposed."
        )
