"""What the naive regression estimates, in terms and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from calaim_eval.estimate.exposure_terms import By, exposure_terms, is_exposed
from calaim_eval.estimate.two_way.two_way_fit import TwoWayFit
from calaim_eval.estimate.words import share_words
from calaim_eval.results import Estimand, Method

SmallSample = Literal["crv1", "none"]
REFERENCE = (
    "Goodman-Bacon A (2021). Difference-in-differences with variation in treatment timing. "
    "Journal of Econometrics 225(2):254-277. doi:10.1016/j.jeconom.2021.03.014"
)
NAIVE = (
    "Two-way fixed effects are the naive benchmark, not an effect: with several cohorts, members "
    "exposed earlier serve as comparison for those exposed later, and effects that grow or differ "
    "enter with wrong, even negative, weights. See bacon_decomposition; report group_time_att."
)
ALWAYS = (
    "Share of the member-months of members exposed from the first month on, who enter as comparison"
)
NEGATIVE = "Share of the exposed member-months whose effect enters with a negative weight"


@dataclass(frozen=True, slots=True)
class TwoWayTerms:
    """Which terms are estimated, as given."""

    by: By
    reference_event_time: int
    min_event_time: int | None
    max_event_time: int | None

    def of(self, event_time: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
        """Keys and rows of the terms."""
        return exposure_terms(
            event_time,
            by=self.by,
            reference_event_time=self.reference_event_time,
            min_event_time=self.min_event_time,
            max_event_time=self.max_event_time,
        )

    def options(self) -> dict[str, object]:
        """Options of the terms as a methods section names them."""
        if self.by == "overall":
            return {"by": self.by}
        return {
            "by": self.by,
            "reference_event_time": self.reference_event_time,
            "min_event_time": self.min_event_time,
            "max_event_time": self.max_event_time,
        }


def weight_words(
    fit: TwoWayFit,
    terms: TwoWayTerms,
    event_time: np.ndarray,
    weight: np.ndarray,
    *,
    is_always: np.ndarray,
) -> list[tuple[str, str]]:
    """How much of the exposed weighs negatively (one coefficient only), or is always exposed."""
    whole = float(weight.sum())
    found = []
    if is_always.any():
        found.append((ALWAYS, share_words(float(weight[is_always].sum()), whole)))
    exposed = is_exposed(event_time)
    negative = exposed & (fit.partialled[:, 0] < -1e-12)
    if terms.by == "overall" and negative.any():
        of_exposed = float(weight[exposed].sum())
        found.append((NEGATIVE, share_words(float(weight[negative].sum()), of_exposed)))
    return found


def naive_estimand(terms: TwoWayTerms, unit: str) -> Estimand:
    """What the coefficient is, in words."""
    since = (
        "being exposed"
        if terms.by == "overall"
        else f"each number of months since exposure, against {terms.reference_event_time}"
    )
    return Estimand(
        name="Two-way fixed effects coefficient",
        contrast=f"regression coefficient of {since}, beside member and month effects",
        unit=unit,
        is_causal=False,
    )


def naive_method(source: str, options: Mapping[str, Any]) -> Method:
    """How it was computed."""
    return Method(
        f"Two-way fixed effects (naive benchmark), {source}", MappingProxyType(options), REFERENCE
    )
