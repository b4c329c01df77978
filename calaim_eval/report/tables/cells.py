"""How an estimate is written into the cell of a table."""

from __future__ import annotations

import pandas as pd

from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    interval,
    number,
    signed,
    unbroken,
)

LARGEST_RATIO = 100
"""An interval of a ratio that ends beyond it says no more than that nothing is known."""


def effect_cell(
    row: pd.Series | None, *, decimals: int, is_signed: bool = True, scale: float = 1.0
) -> str:
    """``−28.4 (−38.0 to −18.8)``: an estimate, `scale` times as large, with its interval.

    Without a row or an interval it is not defined: it rests on no event, and is not zero.
    """
    bounds = bounds_cell(row, decimals=decimals, is_signed=is_signed, scale=scale)
    if row is None or bounds in (SUPPRESSED_MARK, UNDEFINED_MARK):
        return bounds
    value = scale * row["estimate"]
    written = signed(value, decimals=decimals) if is_signed else number(value, decimals=decimals)
    return f"{written} ({bounds})"


def ratio_cell(row: pd.Series | None) -> str:
    """``0.91 (0.84 to 0.99)``: a ratio with its interval; one that ends nowhere says so."""
    text = effect_cell(row, decimals=2, is_signed=False)
    if row is None or row["is_suppressed"] or not row["conf_high"] > LARGEST_RATIO:
        return text
    ends = unbroken(f"{number(row['conf_low'], decimals=2)} to over {LARGEST_RATIO}")
    return f"{number(row['estimate'], decimals=2)} ({ends})"


def bounds_cell(
    row: pd.Series | None, *, decimals: int, is_signed: bool = True, scale: float = 1.0
) -> str:
    """``−38.0 to −18.8``: the interval alone."""
    if row is None:
        return UNDEFINED_MARK
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    low, high = scale * row["conf_low"], scale * row["conf_high"]
    return unbroken(interval(low, high, decimals=decimals, is_signed=is_signed))


def estimate_cell(row: pd.Series, *, decimals: int) -> str:
    """``−28.4``: the estimate alone, where it has an interval."""
    if row["is_suppressed"]:
        return SUPPRESSED_MARK
    if pd.isna(row["conf_low"]):
        return UNDEFINED_MARK
    return signed(row["estimate"], decimals=decimals)
