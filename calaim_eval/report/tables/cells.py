"""How an estimate is written into the cell of a table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.report.access_counts import StageCounts, last_month
from calaim_eval.report.numbers import (
    SUPPRESSED_MARK,
    UNDEFINED_MARK,
    interval,
    number,
    percent,
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


def count_cell(row: pd.Series, column: str = "numerator") -> str:
    """A count of a table of rates, or that it is withheld."""
    return SUPPRESSED_MARK if row["is_suppressed"] else number(row[column])


def known_count_cell(count: float) -> str:
    """A count that is missing where it is withheld."""
    return SUPPRESSED_MARK if np.isnan(count) else number(count)


def cumulative_cells(counts: StageCounts, *, unit: str) -> dict[str, str]:
    """``By day 30``: share who got there by the end of each stretch, the last with its interval."""
    cells = {}
    shares = counts.cumulative
    for when, share in shares.items():
        text = SUPPRESSED_MARK if np.isnan(share) else percent(share)
        if when == list(shares)[-1] and not np.isnan(share):
            bounds = interval(100 * counts.low, 100 * counts.high, decimals=0, is_signed=False)
            text = f"{text} ({unbroken(bounds)})" if bounds != UNDEFINED_MARK else text
        cells[f"By {unit} {last_month(when)}"] = text
    return cells
