"""The time axis: months, or any other regular period, as whole numbers and back."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError

INTEGER = "integer"
"""Frequency name of an axis of plain whole numbers (years, waves)."""

MISSING = np.iinfo(np.int64).min
"""Ordinal of a missing period: never exposed."""


def period_frequency(values: pd.Series) -> str:
    """Frequency of a column of periods: a pandas period alias, ``"M"`` for dates, or integer."""
    if isinstance(values.dtype, pd.PeriodDtype):
        return _period_alias(values.dtype)
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or _holds_dates(values):
        return "M"
    return INTEGER


def period_ordinals(values: pd.Series, *, column: str, frequency: str) -> np.ndarray:
    """Periods as int64 ordinals of `frequency`; `MISSING` where missing; shape of `values`."""
    given = period_frequency(values)
    if given == INTEGER and values.isna().all():
        return np.full(len(values), MISSING, dtype=np.int64)
    if given != frequency and not (given == "M" and frequency not in (INTEGER, "M")):
        raise TableError(
            f"column `{column}` holds {_words(given)} and the months hold {_words(frequency)}. "
            "Give both as dates, as periods of one frequency, or as whole numbers."
        )
    if frequency == INTEGER:
        return _integer_ordinals(values, column=column)
    if isinstance(values.dtype, pd.PeriodDtype):
        periods = pd.PeriodIndex(values)
    else:
        # Of a frame with a time zone, months are those of its own calendar.
        periods = pd.DatetimeIndex(pd.to_datetime(values)).tz_localize(None).to_period(frequency)
    ordinals = np.asarray(periods.asi8, dtype=np.int64).copy()
    ordinals[np.asarray(periods.isna())] = MISSING
    return ordinals


def month_index(ordinals: np.ndarray, frequency: str) -> pd.Index:
    """Ordinals as the index of a time axis: `pd.PeriodIndex` or an index of int64."""
    if frequency == INTEGER:
        return pd.Index(np.asarray(ordinals, dtype=np.int64), name="month")
    return pd.PeriodIndex.from_ordinals(ordinals, freq=frequency, name="month")


def index_ordinals(months: pd.Index) -> np.ndarray:
    """Ordinals of a time axis made by `month_index`; int64."""
    if isinstance(months, pd.PeriodIndex):
        return np.asarray(months.asi8, dtype=np.int64)
    return np.asarray(months, dtype=np.int64)


def index_frequency(months: pd.Index) -> str:
    """Frequency of a time axis made by `month_index`."""
    return _period_alias(months.dtype) if isinstance(months, pd.PeriodIndex) else INTEGER


def refuse_year_month_codes(ordinals: np.ndarray, frequency: str) -> None:
    """Refuse whole numbers such as 202312, 202401: they are not one apart."""
    looks_coded = (ordinals > 190_000) & (ordinals < 210_013)
    looks_coded &= (ordinals % 100 >= 1) & (ordinals % 100 <= 12)
    if frequency == INTEGER and ordinals.size and looks_coded.all():
        raise TableError(
            f"the months are whole numbers of the form YYYYMM ({ordinals[0]} to {ordinals[-1]}), "
            "so December and January would be 89 apart. Give dates: "
            'pd.to_datetime(frame["month"].astype(str), format="%Y%m"), and the cohort alike.'
        )


def period_labels(ordinals: np.ndarray, frequency: str) -> pd.Series:
    """Ordinals as key values: first days (datetime64), or nullable whole numbers."""
    missing = ordinals == MISSING
    filled = np.where(missing, 0, ordinals)
    if frequency == INTEGER:
        return pd.Series(pd.array(filled, dtype="Int64")).mask(missing)
    starts = pd.PeriodIndex.from_ordinals(filled, freq=frequency).to_timestamp()
    return pd.Series(starts.astype("datetime64[s]")).mask(missing)


def label_ordinals(labels: pd.Series, frequency: str) -> np.ndarray:
    """Inverse of `period_labels`."""
    return period_ordinals(labels, column="cohort", frequency=frequency)


def _period_alias(dtype: pd.PeriodDtype) -> str:
    """``"M"``, ``"Q-DEC"`` ...: the alias periods are made with (dates have another, ``"ME"``)."""
    return str(dtype).removeprefix("period[").removesuffix("]")


def _integer_ordinals(values: pd.Series, *, column: str) -> np.ndarray:
    """Whole numbers, missing kept; anything else is refused with a count."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    unreadable = int((np.isnan(numbers) & values.notna().to_numpy()).sum())
    known = numbers[~np.isnan(numbers)]
    uneven = int((~np.isfinite(known) | (known != np.floor(known))).sum())
    if unreadable or uneven:
        raise TableError(
            f"column `{column}`: {unreadable + uneven:,} of {len(values):,} values are not whole "
            "periods. Give dates, pandas Periods or whole numbers; never exposed is missing, not "
            "infinity."
        )
    ordinals = np.full(len(values), MISSING, dtype=np.int64)
    ordinals[~np.isnan(numbers)] = known.astype(np.int64)
    return ordinals


def _holds_dates(values: pd.Series) -> bool:
    """Whether an object column holds date objects (Arrow date32 arrives that way)."""
    if values.dtype != object:
        return "date" in str(values.dtype)
    kind = pd.api.types.infer_dtype(values, skipna=True)
    return kind in ("date", "datetime", "datetime64", "period")


def _words(frequency: str) -> str:
    """A frequency in words."""
    return "whole numbers" if frequency == INTEGER else f"periods of frequency {frequency!r}"


def present_months(ordinals: np.ndarray, frequency: str) -> pd.Index:
    """The distinct months, in order."""
    distinct = np.unique(ordinals)
    if not distinct.size:
        raise TableError("no member month is at risk; check the `at_risk` column.")
    refuse_year_month_codes(distinct, frequency)
    return month_index(distinct, frequency)
