"""Which rows each term of a regression is about: exposed at all, or months since exposure."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError, require_choice
from calaim_eval.moments.periods import MISSING, period_labels

NEVER = np.iinfo(np.int64).min
"""Event time of rows of members who are not exposed in the panel."""

By = Literal["overall", "event_time"]
AverageBy = Literal["overall", "event_time", "cohort", "month", "cohort_month"]


def event_times(cohort: np.ndarray, month: np.ndarray, *, last: int) -> np.ndarray:
    """Months since exposure; `NEVER` for never exposed and for cohorts after the last month."""
    is_never = (cohort == MISSING) | (cohort > last)
    return np.where(is_never, NEVER, month - np.where(is_never, 0, cohort))


def is_exposed(event_time: np.ndarray) -> np.ndarray:
    """Rows from the month of exposure on."""
    return np.asarray(event_time >= 0)


def exposure_terms(
    event_time: np.ndarray,
    *,
    by: By,
    reference_event_time: int,
    min_event_time: int | None,
    max_event_time: int | None,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Keys of the terms and which rows each is about, shape (n, k) bool.

    Event times beyond the ends stand together at the ends.
    """
    require_exposure(event_time)
    if by == "overall":
        return pd.DataFrame(index=[0]), is_exposed(event_time)[:, None]
    ever = event_time != NEVER
    binned = np.where(ever, np.clip(event_time, min_event_time, max_event_time), NEVER)
    present = np.unique(binned[ever])
    if reference_event_time not in present:
        raise DesignError(
            f"reference_event_time={reference_event_time}: no member is observed then; the event "
            f"times are {present.min()} to {present.max()}."
        )
    labels = present[present != reference_event_time]
    if not labels.size:
        raise DesignError(
            "there is one event time only, the reference: nothing is left to estimate. Widen "
            "`min_event_time` and `max_event_time`."
        )
    return pd.DataFrame({"event_time": labels}), binned[:, None] == labels[None, :]


def averages(
    by: AverageBy,
    *,
    event_time: np.ndarray,
    cohort: np.ndarray,
    month: np.ndarray,
    frequency: str,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Keys of the averages of effects and which exposed rows each holds, (e, m) bool.

    `event_time`, `cohort` and `month` (ordinals) are those of the rows; shape (e,).
    """
    if by == "overall":
        return pd.DataFrame(index=[0]), np.ones((len(event_time), 1), dtype=bool)
    if by == "cohort_month":
        pairs, code = np.unique(np.stack([cohort, month], 1), axis=0, return_inverse=True)
        keys = {
            "cohort": period_labels(pairs[:, 0], frequency),
            "month": period_labels(pairs[:, 1], frequency),
        }
        return pd.DataFrame(keys), code.reshape(-1, 1) == np.arange(len(pairs))
    values = {"event_time": event_time, "cohort": cohort, "month": month}[by]
    labels = np.unique(values)
    named = labels if by == "event_time" else period_labels(labels, frequency)
    return pd.DataFrame({by: named}), values[:, None] == labels[None, :]


def term_names(keys: pd.DataFrame) -> list[str]:
    """Names of terms as errors print them."""
    if "event_time" not in keys:
        return ["exposed"]
    return [f"event_time {label}" for label in keys["event_time"]]


def require_exposure(event_time: np.ndarray) -> None:
    """Refuse rows of which all, or none, are exposed."""
    exposed = is_exposed(event_time)
    if not exposed.any():
        raise DesignError(
            "no member is exposed in any month of the panel: there is nobody to estimate an "
            "effect on. Check that `cohort` holds the month of first exposure, missing for never "
            "exposed."
        )
    if exposed.all():
        raise DesignError(
            "every member is exposed in every month: nothing shows what they would have had. "
            "Begin the panel earlier, or add members who were not exposed."
        )


def require_terms(
    by: str, min_event_time: int | None, max_event_time: int | None, small_sample: str
) -> None:
    """Refuse options that mean nothing, listing those that do."""
    require_choice("by", by, ("overall", "event_time"))
    require_choice("small_sample", small_sample, ("crv1", "none"))
    if by == "overall" and (min_event_time, max_event_time) != (None, None):
        raise EstimationError(
            "`min_event_time` and `max_event_time` go with by='event_time'; by='overall' has one "
            "term."
        )
    if None not in (min_event_time, max_event_time) and min_event_time > max_event_time:  # type: ignore[operator]
        raise EstimationError(
            f"min_event_time={min_event_time} is after max_event_time={max_event_time}."
        )


def used_rows(term: np.ndarray, exposed: np.ndarray, month: np.ndarray) -> np.ndarray:
    """Rows that are compared with those of `term` (n,): not exposed, in the same months (codes)."""
    of_term = np.zeros(int(month.max()) + 1, dtype=bool)
    of_term[month[term]] = True
    return np.asarray(~term & ~exposed & of_term[month])
