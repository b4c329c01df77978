"""The rules a member must meet to enter the exposure design, and their names in the ledger."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.design.index_month import is_outside_age
from calaim_eval.design.ledger import first_reason
from calaim_eval.design.support import NO_COMPARISON, NO_EXPOSED

NEVER_ELIGIBLE = "never became eligible"
EXPOSED_NOT_ELIGIBLE = "exposed, never became eligible by this rule"
OTHER_POPULATION = "not in the population of focus"
EXPOSED_BEFORE = "exposed before becoming eligible"
EXPOSED_FIRST = "exposed in or before the first month of the window"
TOO_EARLY = "became eligible before the look-back can be observed"
TOO_LATE = "became eligible too late to be followed"
NOT_COVERED = "not covered in the month of eligibility"
AGE = "outside the age limits in the month of eligibility"
LOOKBACK_GAP = "not covered in every month of the look-back"

REASONS = (
    NEVER_ELIGIBLE,
    EXPOSED_NOT_ELIGIBLE,
    OTHER_POPULATION,
    EXPOSED_BEFORE,
    EXPOSED_FIRST,
    TOO_EARLY,
    TOO_LATE,
    NOT_COVERED,
    AGE,
    LOOKBACK_GAP,
    NO_EXPOSED,
    NO_COMPARISON,
)


@dataclass(frozen=True, slots=True)
class ExposureRules:
    """The rules a member must meet, in the order they are applied."""

    months: pd.PeriodIndex
    lookback_months: int
    follow_up_months: int
    min_age: int | None
    max_age: int | None
    population_of_focus: str | None

    def broken_by(self, candidates: pd.DataFrame, found: pd.DataFrame) -> np.ndarray:
        """First rule each candidate breaks, ``""`` for none."""
        first, last = self.months[0].ordinal, self.months[-1].ordinal
        eligible = candidates["eligible"].to_numpy()
        exposed = candidates["exposed"].to_numpy()
        is_eligible = ~np.isnan(eligible)
        return first_reason(
            [
                (EXPOSED_NOT_ELIGIBLE, ~is_eligible & ~np.isnan(exposed)),
                (NEVER_ELIGIBLE, ~is_eligible),
                (OTHER_POPULATION, ~self.in_population(candidates)),
                (EXPOSED_BEFORE, exposed < eligible),
                (EXPOSED_FIRST, exposed <= first),
                (TOO_EARLY, eligible < first + self.lookback_months),
                (TOO_LATE, eligible + self.follow_up_months - 1 > last),
                (NOT_COVERED, ~found["is_covered"].to_numpy()),
                (
                    AGE,
                    is_outside_age(found["age_years"], min_age=self.min_age, max_age=self.max_age),
                ),
                (LOOKBACK_GAP, found["n_lookback_covered"].to_numpy() < self.lookback_months),
            ],
            len(candidates),
        )

    def in_population(self, candidates: pd.DataFrame) -> np.ndarray:
        """Whether a member's records name the population of focus asked for."""
        if self.population_of_focus is None:
            return np.ones(len(candidates), dtype=bool)
        named = candidates["population_of_focus"].astype("string").fillna("")
        pattern = rf"(?:^|;){re.escape(self.population_of_focus)}(?:;|$)"
        is_named: np.ndarray = named.str.contains(pattern, regex=True).to_numpy(dtype=bool)
        return is_named
