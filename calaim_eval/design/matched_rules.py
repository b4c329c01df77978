"""The rules of the matched design and their names in the ledger."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.design.exposure_rules import (
    AGE,
    EXPOSED_BEFORE,
    EXPOSED_NOT_ELIGIBLE,
    NEVER_ELIGIBLE,
    NOT_COVERED,
    OTHER_POPULATION,
    ExposureRules,
)
from calaim_eval.design.index_month import is_outside_age
from calaim_eval.design.ledger import first_reason
from calaim_eval.design.risk_months import RiskMonths

EARLY = "exposed before the look-back can be observed"
LATE = "exposed too late to be followed"
INDEX_NOT_COVERED = "not covered in the month of exposure"
INDEX_GAP = "not covered in every month of the look-back before exposure"
UNKNOWN = "exposed, a matching variable not known before exposure"
NOBODY = "exposed, nobody of the same groups eligible, covered and not yet exposed in that month"
FAR = "exposed, nobody alike within the caliper"
ALL_USED = "exposed, everybody alike already matched to others"
NOT_CHOSEN = "eligible and not yet exposed, nobody's match"

REASONS = (
    NEVER_ELIGIBLE,
    EXPOSED_NOT_ELIGIBLE,
    OTHER_POPULATION,
    EXPOSED_BEFORE,
    NOT_COVERED,
    AGE,
    EARLY,
    LATE,
    INDEX_NOT_COVERED,
    INDEX_GAP,
    UNKNOWN,
    NOBODY,
    FAR,
    ALL_USED,
    NOT_CHOSEN,
)


def broken_by_member(
    candidates: pd.DataFrame,
    found: pd.DataFrame,
    *,
    months: pd.PeriodIndex,
    min_age: int | None,
    max_age: int | None,
    population_of_focus: str | None,
) -> np.ndarray:
    """First rule about the member, not the index month, each candidate breaks; ``""`` for none."""
    eligible = candidates["eligible"].to_numpy()
    exposed = candidates["exposed"].to_numpy()
    is_eligible = ~np.isnan(eligible)
    rules = ExposureRules(months, 0, 0, min_age, max_age, population_of_focus)
    return first_reason(
        [
            (EXPOSED_NOT_ELIGIBLE, ~is_eligible & ~np.isnan(exposed)),
            (NEVER_ELIGIBLE, ~is_eligible),
            (OTHER_POPULATION, ~rules.in_population(candidates)),
            (EXPOSED_BEFORE, exposed < eligible),
            (NOT_COVERED, ~found["is_covered"].to_numpy()),
            (AGE, is_outside_age(found["age_years"], min_age=min_age, max_age=max_age)),
        ],
        len(candidates),
    )


@dataclass(frozen=True, slots=True, eq=False)
class RiskRules:
    """Who is at risk in an index month: the same for exposed and comparison members.

    Attributes
    ----------
    months : pd.PeriodIndex
        Months analyzed.
    use : RiskMonths
        Coverage and use of the candidates.
    eligible, exposed : np.ndarray
        Month numbers; exposed NaN = never in the window; shape (n,).
    fixed : np.ndarray
        Matching variables that do not change, e.g. age at eligibility; shape (n, q).
    lookback_months, follow_up_months, anticipation_months : int
    by_month : bool
        Use in each month of the look-back, not its mean.
    since_eligibility : bool
        Whether months since eligibility is a matching variable (the last one).
    """

    months: pd.PeriodIndex
    use: RiskMonths
    eligible: np.ndarray
    exposed: np.ndarray
    fixed: np.ndarray
    lookback_months: int
    follow_up_months: int
    anticipation_months: int
    by_month: bool
    since_eligibility: bool

    def index_months(self) -> np.ndarray:
        """Months of exposure with a look-back and a follow-up inside the window, in order."""
        first = self.months[0].ordinal + self.lookback_months
        last = self.months[-1].ordinal - self.follow_up_months + 1
        exposed = self.exposed[(self.exposed >= first) & (self.exposed <= last)]
        return np.unique(exposed).astype(np.int64)

    def at_risk(self, rows: np.ndarray, month: int) -> np.ndarray:
        """Those of `rows` eligible by, covered in and before, and not exposed before `month`."""
        rows = rows[(self.eligible[rows] <= month) & ~(self.exposed[rows] < month)]
        rows = rows[self.use.is_covered(rows, month) & np.isfinite(self.fixed[rows]).all(axis=1)]
        back = self.lookback_months
        return np.asarray(rows[self.use.n_known(rows, month - back, month - 1) == back])

    def values(self, rows: np.ndarray, month: int) -> np.ndarray:
        """Matching variables of members as of an index month; shape (len(rows), p).

        Only months before `month` (and before its anticipation months) are looked at.
        """
        first, last = month - self.lookback_months, month - self.anticipation_months - 1
        if self.by_month:
            columns = [self.use.mean_use(rows, m, m) for m in range(first, last + 1)]
        else:
            columns = [self.use.mean_use(rows, first, last)]
        columns.append(self.fixed[rows])
        if self.since_eligibility:
            columns.append(month - self.eligible[rows, None])
        return np.hstack(columns)

    def broken_at_exposure(self, rows: np.ndarray) -> np.ndarray:
        """First rule about the index month each exposed member of `rows` breaks, ``""`` = none."""
        index = self.exposed[rows]
        first = self.months[0].ordinal + self.lookback_months
        last = self.months[-1].ordinal - self.follow_up_months + 1
        is_inside = (index >= first) & (index <= last)
        covered = np.zeros(len(rows), dtype=bool)
        whole = np.zeros(len(rows), dtype=bool)
        known = np.zeros(len(rows), dtype=bool)
        for month in np.unique(index[is_inside]).astype(np.int64):
            at = np.flatnonzero(index == month)
            span = (rows[at], month - self.lookback_months, month - 1)
            covered[at] = self.use.is_covered(rows[at], month)
            whole[at] = self.use.n_covered(*span) == self.lookback_months
            known[at] = self.use.n_known(*span) == self.lookback_months
        return first_reason(
            [
                (EARLY, index < first),
                (LATE, index > last),
                (INDEX_NOT_COVERED, ~covered),
                (INDEX_GAP, ~whole),
                (UNKNOWN, ~known),
            ],
            len(rows),
        )
