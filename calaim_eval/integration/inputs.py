"""Reading the frames the integration measures take: columns, days, quarters, code lists."""

from __future__ import annotations

import datetime as dt
import math
import numbers
import re
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from typing import TypeAlias

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.schema.fields import FIELDS
from calaim_eval.tables.ledger import USED, RowLedger

Day: TypeAlias = str | dt.date | pd.Timestamp

TEXT = pd.StringDtype(na_value=np.nan)
UNKNOWN = "unknown"
_ISO_DAY = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T]\d.*)?")
# Year first, or month/day/year as `read_tables` takes it.
_DAY_TEXT = r"\d{4}-\d{1,2}(-\d{1,2})?(\D|$)|\d{1,2}/\d{1,2}/\d{4}(\D|$)"


def take_columns(
    frame: pd.DataFrame, *, table: str, required: Sequence[str], optional: Sequence[str] = ()
) -> pd.DataFrame:
    """Copy of the named columns: codes as text, days as datetimes, numbers as floats.

    Optional columns that are absent come back empty. Whatever cannot be read as its declared
    type is an error here: a value silently turned into a missing one would move the measures.
    """
    if not isinstance(frame, pd.DataFrame):
        raise TableError(
            f"table `{table}`: expected a pandas DataFrame, got `{type(frame).__name__}`.\n"
            f"  Convert it first, or read it with read_tables() and pass tables.frame({table!r})."
        )
    missing = [column for column in required if column not in frame.columns]
    if missing:
        raise TableError(_missing_columns(frame, table=table, missing=missing))
    if frame.empty:
        raise TableError(
            f"table `{table}` has no rows.\n"
            f"  Leave the table out if the study has none; an empty one would be read as zeros."
        )
    taken = {}
    for column in (*required, *optional):
        if column in frame.columns:
            taken[column] = _read_column(frame[column], table=table, column=column)
        else:
            taken[column] = _empty_column(column, frame.index)
    return pd.DataFrame(taken).reset_index(drop=True)


def check_values(frame: pd.DataFrame, *, table: str, column: str) -> None:
    """Raise where a column holds something its code list does not have; missing is allowed."""
    allowed = FIELDS[column].values
    outside = frame[column].notna() & ~frame[column].isin(list(allowed))
    if outside.any():
        raise TableError(
            f"table `{table}`, column `{column}`: {int(outside.sum()):,} of {len(frame):,} rows "
            f"hold a value that is not in the code list.\n"
            f"  Allowed: {', '.join(f'`{value}`' for value in allowed)}. Recode them, or leave "
            "them missing."
        )


def check_unique(frame: pd.DataFrame, *, table: str, key: Sequence[str]) -> None:
    """Raise where rows repeat the key of the table."""
    repeated = frame.duplicated(list(key))
    if repeated.any():
        names = ", ".join(f"`{column}`" for column in key)
        raise TableError(
            f"table `{table}`: {int(repeated.sum()):,} of {len(frame):,} rows repeat the key "
            f"({names}).\n  Keep one row of each; read_tables() does it and counts the rest."
        )


def quarter_days(quarter: str | pd.Period) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last day of a calendar quarter written like ``"2024Q4"``."""
    try:
        period = pd.Period(quarter, freq="Q-DEC")
    except (ValueError, TypeError) as error:
        raise EstimationError(
            "`quarter` is not a calendar quarter.\n  Write it as year and quarter, e.g. '2024Q4'."
        ) from error
    return period.start_time.normalize(), period.end_time.normalize()


def as_day(value: Day, *, name: str) -> pd.Timestamp:
    """Read an option that is a day."""
    try:
        day = pd.Timestamp(value)
    except (ValueError, TypeError) as error:
        raise EstimationError(
            f"`{name}` is not a day.\n  Write it as year-month-day, e.g. '2024-12-31'."
        ) from error
    if pd.isna(day):
        raise EstimationError(f"`{name}` is missing.\n  Give a day, e.g. '2024-12-31'.")
    return day.tz_localize(None).normalize()


def local_days(moments: pd.Series) -> pd.Series:
    """Days as the calendar of the place shows them: without a time zone and a time of day."""
    if isinstance(moments.dtype, pd.DatetimeTZDtype):
        moments = moments.dt.tz_localize(None)
    return moments.dt.normalize()


def iso_days(values: pd.Series) -> pd.Series:
    """Days out of dates, or text of year-month-day; missing where it could be read otherwise."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return local_days(values)
    found = [_iso_text(each) for each in values]
    text = pd.Series(found, values.index, dtype=object)
    return pd.to_datetime(text, format="%Y-%m-%d", errors="coerce")


def as_text(values: pd.Series) -> pd.Series:
    """Identifiers and codes as text, as `read_tables` has them.

    A whole number has no point, however the frame holds it, and there are no blanks around; blanks
    alone are missing.
    """
    found = values.astype(object).where(values.notna(), np.nan)
    if pd.api.types.infer_dtype(found, skipna=True) not in ("string", "integer"):
        found = pd.Series([_without_point(each) for each in found], values.index, dtype=object)
    text = found.astype(TEXT).str.strip()
    return text.where(text != "")


def names_as_text(names: Collection[object]) -> list[str]:
    """Identifiers a caller names, as the tables are read: text, none missing."""
    return [*as_text(pd.Series([*names], dtype=object)).dropna()]


def set_aside(
    reasons: Mapping[str, pd.Series], *, table: str, stage: str, ledger: RowLedger | None
) -> np.ndarray:
    """Rows to keep; every other row is counted under the first reason that applies to it.

    Returns
    -------
    np.ndarray
        Boolean, shape (n_rows,).
    """
    masks = [np.asarray(mask, dtype=bool) for mask in reasons.values()]
    is_kept: np.ndarray = ~np.logical_or.reduce(masks)
    if ledger is not None:
        is_open = np.ones(len(is_kept), dtype=bool)
        for reason, mask in zip(reasons, masks, strict=True):
            ledger.add(table, reason, int((mask & is_open).sum()), stage=stage)
            is_open &= ~mask
        ledger.add(table, USED, int(is_kept.sum()), stage=stage)
    return is_kept


def _read_column(values: pd.Series, *, table: str, column: str) -> pd.Series:
    """One column in the type the schema declares."""
    dtype = FIELDS[column].dtype
    if dtype in ("date", "month"):
        read = local_days(pd.to_datetime(_told_days(values), errors="coerce"))
    elif dtype in ("integer", "number"):
        read = pd.to_numeric(values, errors="coerce").astype(float)
    else:
        return as_text(values)
    unread = read.isna() & values.notna()
    if unread.any():
        raise TableError(
            f"table `{table}`, column `{column}`: {int(unread.sum()):,} of {len(values):,} values "
            f"cannot be read as a {dtype}.\n"
            "  Write days as year-month-day and numbers without units; leave unknown ones empty."
        )
    return read


def _told_days(values: pd.Series) -> pd.Series:
    """Days as given; missing where a number or the order of day and month leaves them open."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values
    is_number = values.map(lambda each: isinstance(each, numbers.Number)).astype(bool)
    is_text = values.map(lambda each: isinstance(each, str)).astype(bool)
    is_open = is_text & ~values.where(is_text, "").str.strip().str.match(_DAY_TEXT)
    return values.mask(is_number | is_open)


def _iso_text(value: object) -> str | None:
    """Year, month and day of a date or of text that begins with them; a time may follow."""
    if isinstance(value, dt.date):
        return None if pd.isna(value) else value.isoformat()[:10]
    fits = _ISO_DAY.fullmatch(value.strip()) if isinstance(value, str) else None
    return fits[1] if fits else None


def _without_point(value: object) -> object:
    """A whole number as an integer; anything else as it is."""
    is_decimal = isinstance(value, float | np.floating | Decimal) and math.isfinite(value)
    return int(value) if is_decimal and value == int(value) else value  # type: ignore[call-overload]


def _empty_column(column: str, index: pd.Index) -> pd.Series:
    """Column of missing values in the type the schema declares."""
    dtype = FIELDS[column].dtype
    if dtype in ("date", "month"):
        return pd.Series(pd.NaT, index=index, dtype="datetime64[s]")
    if dtype in ("integer", "number"):
        return pd.Series(np.nan, index=index, dtype=float)
    return pd.Series(np.nan, index=index, dtype=TEXT)


def _missing_columns(frame: pd.DataFrame, *, table: str, missing: list[str]) -> str:
    """Say which columns are absent, and which present ones look like them."""
    present = [str(column) for column in frame.columns]
    lines = [f"table `{table}` lacks {', '.join(f'column `{column}`' for column in missing)}."]
    for column in missing:
        close = get_close_matches(column, present, n=1, cutoff=0.6)
        if close:
            lines.append(f"  It has `{close[0]}`; rename it to `{column}`.")
    if "race_ethnicity" in missing:
        lines.append("  read_tables() derives `race_ethnicity` from the recorded codes.")
    if len(lines) == 1:
        lines.append(f"  It has {', '.join(f'`{column}`' for column in present[:12])}.")
    return "\n".join(lines)
