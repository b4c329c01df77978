"""How numbers are written in tables, figures and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable

SUPPRESSED_MARK = "†"
"""The one mark of every withheld cell, whatever rule withheld it."""
UNDEFINED_MARK = "–"
"""A number that does not exist (no denominator, no estimate), as opposed to one withheld."""
MINUS = "\u2212"


def decimals_for(values: Iterable[float]) -> int:
    """Decimals that give the largest of `values` about three digits: 0, 1, 2 or 3."""
    finite = [abs(float(v)) for v in values if v is not None and math.isfinite(float(v))]
    largest = max(finite, default=0.0)
    if largest >= 100:
        return 0
    if largest >= 10:
        return 1
    return 2 if largest >= 0.1 or largest == 0 else 3


def number(value: float, *, decimals: int = 0) -> str:
    """``1234.5`` as ``1,234.5``, with a true minus sign; undefined as a dash."""
    if value is None or not math.isfinite(float(value)):
        return UNDEFINED_MARK
    text = f"{abs(float(value)):,.{decimals}f}"
    is_zero = float(text.replace(",", "")) == 0
    return text if value >= 0 or is_zero else MINUS + text


def signed(value: float, *, decimals: int) -> str:
    """A difference with its sign always written."""
    text = number(value, decimals=decimals)
    if text.startswith(MINUS) or text == UNDEFINED_MARK or float(text.replace(",", "")) == 0:
        return text
    return f"+{text}"


def interval(low: float, high: float, *, decimals: int, is_signed: bool) -> str:
    """An interval as ``−12.1 to −3.4``; undefined as a dash."""
    if not (math.isfinite(float(low)) and math.isfinite(float(high))):
        return UNDEFINED_MARK
    write = signed if is_signed else number
    return f"{write(low, decimals=decimals)} to {write(high, decimals=decimals)}"


def percent(share: float, *, decimals: int = 0) -> str:
    """A share between 0 and 1 as a percentage."""
    if share is None or not math.isfinite(float(share)):
        return UNDEFINED_MARK
    return f"{100 * float(share):.{decimals}f}%"


def p_value(value: float) -> str:
    """A p value with three decimals, the smallest as ``<0.001``."""
    if value is None or not math.isfinite(float(value)):
        return UNDEFINED_MARK
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def unbroken(text: str) -> str:
    """The text with spaces that a line is not broken at."""
    return text.replace(" ", "\u00a0")


def plural(count: int, noun: str, plural_noun: str = "") -> str:
    """``1 group``, ``3 groups``."""
    return f"{count:,} {noun if count == 1 else plural_noun or noun + 's'}"
