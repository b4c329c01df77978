"""Monthly series of a frame with one row per period."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate.period_frame import (
    are_counts,
    finite_numbers,
    frame_periods,
    refuse_repeated,
    require_frame,
)
from calaim_eval.estimate.series.monthly_series import (
    EXPOSED,
    NEVER_EXPOSED,
    Comparison,
    MonthlySeries,
    SeriesPanel,
    paired_series,
)
from calaim_eval.moments.cell_index import row_codes
from calaim_eval.moments.periods import month_index


def series_of_frame(
    frame: pd.DataFrame,
    *,
    outcome: str,
    month: str,
    member_months: str | None,
    stratum: tuple[str, ...],
    comparison: Comparison,
) -> SeriesPanel:
    """Series of a frame with one row per period (and stratum)."""
    columns = [outcome, month, *stratum, *([member_months] if member_months else [])]
    require_frame(frame, columns, call="interrupted_time_series")
    _refuse_never_exposed(comparison)
    ordinals, frequency = frame_periods(frame[month], month)
    value = finite_numbers(frame[outcome], outcome)
    at_risk = None if member_months is None else _member_months(frame[member_months])
    is_count = are_counts(value)
    labels = frame[list(stratum)].reset_index(drop=True)
    code, first = (
        row_codes(labels) if stratum else (np.zeros(len(frame), dtype=np.int64), np.zeros(1, int))
    )
    months = np.arange(ordinals.min(), ordinals.max() + 1)
    place = ordinals - months[0]
    refuse_repeated(code * len(months) + place, "a period of a stratum", "period")
    found = [
        _one_series(
            labels.iloc[int(example)].to_dict(),
            place[code == row],
            value[code == row],
            None if at_risk is None else at_risk[code == row],
            size=len(months),
            is_count=is_count,
        )
        for row, example in enumerate(first)
    ]
    return paired_series(month_index(months, frequency), found, comparison, is_count=is_count)


def _one_series(
    labels: dict[str, object],
    place: np.ndarray,
    value: np.ndarray,
    at_risk: np.ndarray | None,
    *,
    size: int,
    is_count: bool,
) -> MonthlySeries:
    """Rows of one stratum on the common months."""
    total, risk, events = np.full(size, np.nan), np.zeros(size), np.zeros(size)
    total[place] = value
    if at_risk is not None:
        risk[place] = at_risk
        events = np.nan_to_num(total) if is_count else np.full(size, np.nan)
    return MonthlySeries(
        labels=labels,
        side=EXPOSED,
        total=total,
        at_risk=None if at_risk is None else risk,
        cells_at_risk=risk[None, :],
        events=events,
    )


def _member_months(values: pd.Series) -> np.ndarray:
    """Member-months of a frame; none negative."""
    at_risk = finite_numbers(values, str(values.name))
    if (at_risk < 0).any():
        raise TableError(
            f"`{values.name}` is negative in {int((at_risk < 0).sum()):,} of {len(at_risk):,} "
            "rows; it counts covered member-months."
        )
    return at_risk


def _refuse_never_exposed(comparison: Comparison) -> None:
    """A frame has no cohorts to find the never exposed by."""
    if comparison == NEVER_EXPOSED:
        raise EstimationError(
            f"comparison={NEVER_EXPOSED!r} needs cell moments. With a frame name the comparison "
            "stratum: stratum='arm', comparison={'arm': 'comparison'}."
        )
