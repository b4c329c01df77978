"""Which averages of imputed effects are asked for, and the words that go with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError, require_choice
from calaim_eval.estimate.exposure_terms import NEVER
from calaim_eval.estimate.words import share_words
from calaim_eval.results import Estimand, Method

By = Literal["overall", "event_time", "cohort", "month"]
Variance = Literal["conservative", "leave_one_out", "two_stage"]
BORUSYAK = (
    "Borusyak K, Jaravel X, Spiess J (2024). Revisiting event-study designs: robust and efficient "
    "estimation. Review of Economic Studies 91(6):3253-3285. doi:10.1093/restud/rdae007"
)
GARDNER = (
    "Gardner J (2022). Two-stage differences in differences. arXiv:2207.05943 "
    "(doi:10.48550/arXiv.2207.05943)"
)
CONDITIONAL = (
    "Standard errors take as given who was exposed when; they leave out the chance in the mix of "
    "cohorts."
)
ALONE = (
    "Cohorts of a single member add nothing to the standard error of the exposed: it is too small"
)
UNIMPUTED = (
    "Share of the exposed member-months without an imputed value (no month before exposure, or "
    "nobody unexposed in the month), set aside"
)


@dataclass(frozen=True, slots=True)
class ImputationTerms:
    """Averages of imputed effects, as asked for."""

    by: By
    leads: int
    anticipation_months: int
    min_event_time: int | None
    max_event_time: int | None
    variance: Variance

    def __post_init__(self) -> None:
        for name, given, allowed in (
            ("by", self.by, ("overall", "event_time", "cohort", "month")),
            ("variance", self.variance, ("conservative", "leave_one_out", "two_stage")),
        ):
            require_choice(name, given, allowed)
        for name, number in (
            ("leads", self.leads),
            ("anticipation_months", self.anticipation_months),
        ):
            if number < 0:
                raise EstimationError(f"{name}: {number} is negative; give 0 or more.")
        if self.leads and self.by != "event_time":
            raise EstimationError(
                f"leads={self.leads} goes with by='event_time': leads are the months before "
                "exposure in an event study."
            )

    def is_fitted(self, event_time: np.ndarray) -> np.ndarray:
        """Rows the model is fitted on: not exposed, nor about to be."""
        return np.asarray((event_time == NEVER) | (event_time < -self.anticipation_months))

    def is_target(self, event_time: np.ndarray) -> np.ndarray:
        """Exposed rows within the event times asked for."""
        chosen = event_time >= 0
        if self.min_event_time is not None:
            chosen &= event_time >= self.min_event_time
        if self.max_event_time is not None:
            chosen &= event_time <= self.max_event_time
        return np.asarray(chosen)

    def lead_columns(self, event_time: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
        """Keys of the leads, earliest first, and which fitted rows each holds, (f, leads) bool."""
        last = -self.anticipation_months - 1
        labels = np.arange(last - self.leads + 1, last + 1)
        columns = event_time[:, None] == labels[None, :]
        empty = int((~columns.any(axis=0)).sum())
        if empty:
            raise DesignError(
                f"leads={self.leads}: {empty} of them come before the panel begins. Ask for fewer "
                "leads, or begin the panel earlier."
            )
        return pd.DataFrame({"event_time": labels}), columns

    def options(self) -> dict[str, object]:
        """Options as a methods section names them."""
        return {
            "by": self.by,
            "leads": self.leads,
            "anticipation_months": self.anticipation_months,
            "min_event_time": self.min_event_time,
            "max_event_time": self.max_event_time,
            "variance": self.variance,
        }


def weights_within(member: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weights that sum to 1 within each average; `member` (e, m) says which rows it holds."""
    weights = member * weight[:, None]
    return np.asarray(weights / weights.sum(axis=0))


def require_fitted_and_target(is_fitted: np.ndarray, event_time: np.ndarray) -> None:
    """Refuse rows of which none is exposed, or none is left to impute from."""
    if not (event_time >= 0).any():
        raise DesignError(
            "no member is exposed in any month of the panel: there is nobody to estimate an "
            "effect on. Check that `cohort` holds the month of first exposure, missing for never "
            "exposed."
        )
    if not is_fitted.any():
        raise DesignError(
            "no member-month is before exposure (less `anticipation_months`): there is nothing to "
            "impute from. Begin the panel earlier, or add members who were not exposed."
        )


def require_targets(n_targets: int) -> None:
    """Refuse when no effect is left."""
    if not n_targets:
        raise DesignError(
            "no exposed member-month can be imputed: exposed members have no month before "
            "exposure, nobody is unexposed in the months after it, or none lies within "
            "`min_event_time` and `max_event_time`. Begin the panel earlier, add members exposed "
            "later or never, or widen the event times."
        )


def lost_words(targets: np.ndarray, used: np.ndarray, weight: np.ndarray) -> list[tuple[str, str]]:
    """What part of the exposed rows (mask) was not imputed; `used` holds positions."""
    whole = float(weight[targets].sum())
    lost = whole - float(weight[used].sum())
    return [(UNIMPUTED, share_words(lost, whole))] if lost > 1e-9 * whole else []


def imputation_estimand(unit: str) -> Estimand:
    """The effect on the exposed."""
    return Estimand(
        name="ATT",
        contrast="exposed members, minus what they would have had by their own level and the "
        "months of members not yet exposed",
        unit=unit,
    )


def imputation_method(source: str, terms: ImputationTerms, options: Mapping[str, Any]) -> Method:
    """How it was computed."""
    name = "Imputation (Borusyak, Jaravel and Spiess)"
    if terms.variance == "two_stage":
        name = "Two-stage difference-in-differences (Gardner)"
    return Method(
        f"{name}, {source}",
        MappingProxyType({**options, **terms.options()}),
        GARDNER if terms.variance == "two_stage" else BORUSYAK,
    )
