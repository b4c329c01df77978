"""Which cell-months count effects compare, which averages they make, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from calaim_eval.errors import require_choice
from calaim_eval.estimate.cell_grid import CellGrid
from calaim_eval.estimate.cell_rows import CellRows
from calaim_eval.estimate.cohort_month.time_pairs import SIDE, Comparison
from calaim_eval.estimate.counts.multiplicative_fit import Link
from calaim_eval.estimate.exposure_terms import AverageBy
from calaim_eval.moments.periods import MISSING
from calaim_eval.results import Estimand, Method
from calaim_eval.results.estimand import Scale

By = AverageBy
Weights = Literal["given", "estimated"]
SmallSample = Literal["none", "crv1"]
MonthEffects = Literal["by_cell", "common"]
REFERENCE = (
    "Wooldridge JM (2023). Simple approaches to nonlinear difference-in-differences with panel "
    "data. The Econometrics Journal 26(3):C31-C66. doi:10.1093/ectj/utad016"
)
GIVEN = (
    "Standard errors take as given who was exposed when; they leave out the chance in the mix of "
    "exposed member-months."
)
UNEXPECTED = (
    "Share of the exposed member-months without an expected rate (no month before exposure, or "
    "nobody unexposed in the month), set aside"
)
NO_EVENTS = (
    "Share of the exposed member-months whose members before exposure and comparison have no month "
    "with events in common, set aside"
)
ZERO_EXPECTED = (
    "Share of the exposed member-months with no event before exposure, or none of the comparison "
    "in the month; they count, with an expected rate of 0. Many of them say that the covariate "
    "cells are too fine for so rare an outcome"
)
SMALL_CELLS = (
    "Growth without exposure is estimated from few comparison events (in each covariate cell by "
    "itself, unless month_effects='common'): by chance more events are expected than should be, "
    "and ratios and differences are too low. Pool cells, use month_effects='common' if growth is "
    "alike in all, or read `group_time_att` and `relative_effect`. Expected events are too many "
    "(first order, Poisson counts; overdispersed ones more) by"
)
NO_RATIO = "Terms left out because no event is expected in them, so that no ratio can be taken"
NOTHING_EXPECTED = (
    "there is no event in the member-months before exposure and of the comparison, so the expected "
    "rate is 0. Pool strata or lengthen the panel."
)
NO_EXPOSED_EVENTS = (
    "Terms without any event among the exposed (ratio 0, difference minus the expected rate), "
    "whose standard error can't be estimated"
)


@dataclass(frozen=True, slots=True)
class CountTerms:
    """What is asked for; options are checked."""

    by: By
    scale: Scale
    link: Link
    comparison: Comparison
    anticipation_months: int
    min_event_time: int | None
    max_event_time: int | None
    weights: Weights
    small_sample: SmallSample
    month_effects: MonthEffects = "by_cell"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("by", ("overall", "event_time", "cohort", "month", "cohort_month")),
            ("scale", ("ratio", "difference")),
            ("link", ("log", "identity")),
            ("weights", ("given", "estimated")),
            ("small_sample", ("none", "crv1")),
            ("month_effects", ("by_cell", "common")),
        ):
            require_choice(name, getattr(self, name), allowed)

    def fitted_and_targets(
        self, rows: CellRows
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Fitted rows, target rows, months since exposure, and rows exposed or anticipating; (n,).

        The last are no comparison for anyone. Months since exposure are 0 for the never exposed.
        """
        grid = rows.grid
        cohort, month = grid.cohorts[rows.cohort], grid.axis[rows.month]
        last, lead = grid.axis[-1], self.anticipation_months
        is_missing = cohort == MISSING
        since = month - np.where(is_missing, month, cohort)
        before = is_missing | (since < -lead)
        ever = ~is_missing & (cohort <= last)
        if self.comparison == "never_exposed":
            never = is_missing | (cohort > last + lead)
            before = never | (~is_missing & (month == self._base_months(grid)[rows.cohort]))
        target = ever & ~before
        if self.by in ("overall", "cohort", "month"):
            target &= since >= 0
        if self.comparison == "not_yet_exposed":
            target &= since >= -lead
        if self.min_event_time is not None:
            target &= since >= self.min_event_time
        if self.max_event_time is not None:
            target &= since <= self.max_event_time
        return before, target, since, ever & (since >= -lead)

    def _base_months(self, grid: CellGrid) -> np.ndarray:
        """Last month of the panel before each cohort's exposure, less anticipation; (C,)."""
        place = np.searchsorted(grid.axis + self.anticipation_months, grid.cohorts) - 1
        return np.where(place >= 0, grid.axis[place], MISSING)

    def estimand(self, outcome: str, unit: str) -> Estimand:
        """What the numbers are, in words."""
        side = SIDE[self.comparison]
        change = "the relative change" if self.link == "log" else "the change"
        join = "divided by" if self.scale == "ratio" else "minus"
        return Estimand(
            name="Rate ratio" if self.scale == "ratio" else "ATT",
            contrast=f"rate of exposed members, {join} the rate they would have had by {change} "
            f"of {side}",
            unit=f"{outcome}: rate with exposure to rate without" if self.is_ratio else unit,
            scale=self.scale,
        )

    @property
    def is_ratio(self) -> bool:
        """Rates are divided, not subtracted."""
        return self.scale == "ratio"

    def method(self, options: Mapping[str, Any]) -> Method:
        """How it was computed."""
        name = "Poisson quasi-likelihood" if self.link == "log" else "least squares"
        own = {field: getattr(self, field) for field in self.__dataclass_fields__}
        return Method(
            f"Extended two-way fixed effects ({name}), from cell moments",
            MappingProxyType({**options, **own}),
            REFERENCE,
        )
