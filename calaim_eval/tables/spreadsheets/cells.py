"""Cells of a workbook as the text a delimited file would have."""

from __future__ import annotations

import datetime as dt
import re

ERROR = "cell with an error of the spreadsheet, such as #N/A (read as missing)"
ROUNDED = "number of more than fifteen digits, which a spreadsheet rounds (kept as it stands)"
_ERRORS = frozenset(
    ("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#SPILL!", "#CALC!")
)
_PADDED = re.compile(r"0[0\-/() ]*0")
_ROUNDED_FROM = 1e15


def cell_text(value: object, number_format: str = "") -> str:
    """A cell as text; empty where there is nothing or an error of the spreadsheet.

    Whole numbers have no decimal point, days no time of day. Where the format of a cell shows a
    number with leading zeros (``00000`` of a postal code, ``00-0000000`` of a tax number), so does
    the text.

    Examples
    --------
    >>> cell_text(1234567.0), cell_text(dt.datetime(2024, 7, 1)), cell_text(" 007 ")
    ('1234567', '2024-07-01', '007')
    >>> cell_text(12345678, "00-0000000")
    '01-2345678'
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number_text(value, number_format)
    if isinstance(value, dt.datetime):
        day, time = value.date().isoformat(), value.time()
        return day if time == dt.time() else f"{day} {time.isoformat('seconds')}"
    if isinstance(value, dt.date):
        return value.isoformat()
    text = " ".join(str(value).split())
    return "" if text in _ERRORS else text


def shows_zeros(number_format: str) -> bool:
    """Whether a format shows whole numbers with leading zeros.

    Examples
    --------
    >>> shows_zeros("00000"), shows_zeros("000-00-0000;@"), shows_zeros("0.00")
    (True, True, False)
    """
    return _PADDED.fullmatch(_shape(number_format)) is not None


def cell_remark(value: object) -> str | None:
    """What a reader should know about a cell; nothing for most."""
    if isinstance(value, str) and value.strip() in _ERRORS:
        return ERROR
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ROUNDED if abs(value) >= _ROUNDED_FROM else None
    return None


def _number_text(value: float, number_format: str) -> str:
    """A number without a decimal point it does not need, with the zeros its format shows."""
    if value != value or value in (float("inf"), float("-inf")):
        return ""
    if value != int(value):
        return repr(value)
    if value < 0 or not shows_zeros(number_format):
        return str(int(value))
    shape = _shape(number_format)
    n_places = shape.count("0")
    digits = str(int(value)).zfill(n_places)
    left = list(digits[len(digits) - n_places :])
    shown = "".join(left.pop(0) if letter == "0" else letter for letter in shape)
    return digits[: len(digits) - n_places] + shown


def _shape(number_format: str) -> str:
    """How a format shows positive numbers, without quotes."""
    return re.sub(r'[\\"]', "", number_format.split(";")[0])
