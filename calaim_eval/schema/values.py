# ruff: noqa: FBT003  (Ibis names: `fill_null(False)`)
"""How one column is read: text as it comes to the declared type, in one spelling.

Everything here is an Ibis expression on one column; nothing runs. A value that cannot be read
becomes missing, and `is_recorded` tells it from one that was missing all along.
"""

from __future__ import annotations

import sys
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from calaim_eval.schema.codes import load_codes
from calaim_eval.schema.fields import FIELDS

if TYPE_CHECKING:
    import ibis

MISSING_TEXTS = ("", ".", "NULL", "null", "NaN", "nan", "None", "<NA>", "\\N")
DATE_FORMATS = "YYYY-MM-DD (a time may follow), YYYYMMDD, MM/DD/YYYY or DDMONYYYY (03FEB2022)"
OPEN_ENDED = frozenset({"enrollment_end_date", "contract_end_date", "release_date", "death_date"})
_OPEN_END = "9999-12-31"
_NAMED_MONTH_FORMS = ("%d%b%Y", "%d-%b-%Y", "%d%b%Y:%H:%M:%S")
_LARGEST_INTEGER = 2.0**63
_LARGEST_NUMBER = sys.float_info.max
_IN_THOUSANDS = r"^([+-]?)\$?\s*([+-]?\d{1,3}),(\d{3})(?:,(\d{3}))?(?:,(\d{3}))?(\.\d*)?$"
_TRUE, _FALSE = ("1", "true", "t", "yes", "y"), ("0", "false", "f", "no", "n")
_DIGITS = {
    "revenue_center_code": 4,
    "place_of_service_code": 2,
    "discharge_disposition_code": 2,
    "dual_status_code": 2,
}
_SPELLINGS = {
    "sex": {"m": "male", "f": "female", "u": "unknown"},
    "payer_type": {"medi_cal": "medicaid"},
}
_WORDS = frozenset({"service"})
_WITHOUT_POINT = ("diagnosis_code", "planned_code", "procedure_code")
_ARROW_TYPES = {
    "string": "string",
    "date": "date",
    "month": "date",
    "integer": "int64",
    "number": "float64",
    "boolean": "boolean",
}


def engine_type(field: str) -> str:
    """Ibis type of a declared column."""
    return _ARROW_TYPES[FIELDS[field].dtype]


def as_text(column: ibis.Value) -> ibis.Value:
    """A column as trimmed text; what stands for missing becomes missing."""
    if column.type().is_floating():
        whole = column.cast("int64").cast("string")
        written = _is_whole(column).ifelse(whole, column.cast("string"))
        text = column.isnan().ifelse(None, written)
    elif column.type().is_decimal():
        text = column.cast("string").re_replace(r"\.0+$", "")
    else:
        text = column.cast("string").strip()
    return text.isin(MISSING_TEXTS).ifelse(None, text)


def read_value(column: ibis.Value, field: str) -> ibis.Value:
    """A column as its declared type and spelling; what cannot be read is missing.

    Parameters
    ----------
    column : ibis.Value
        Column of any type: text from a CSV, or typed from parquet or a frame.
    field : str
        Name of the declared column.

    Returns
    -------
    ibis.Value
        Dates lose their time of day (the recorded clock counts, no time zone is applied); months
        are the first day; an open end written as 9999-12-31 is missing. Codes are upper case, with
        leading zeros put back where the system has a fixed number of digits; diagnoses and drug
        codes lose point and dashes; enumerations are lower case with underscores; California
        counties take the spelling of the code list.
    """
    dtype = FIELDS[field].dtype
    if dtype in ("date", "month"):
        return _read_date(column, field)
    if dtype == "string":
        return _read_text(as_text(column), field)
    if dtype == "boolean":
        return _read_boolean(column)
    number = _read_number(column)
    if dtype == "number":
        return number
    return _is_whole(number).ifelse(number.round().cast("int64"), None)


def is_recorded(column: ibis.Value, field: str) -> ibis.Value:
    """Whether something is recorded, be it readable or not; an open end counts as nothing."""
    text = as_text(column)
    recorded = text.notnull()
    if field in OPEN_ENDED:
        recorded = recorded & ~text.startswith(_OPEN_END).fill_null(False)
    return recorded


def _read_date(column: ibis.Value, field: str) -> ibis.Value:
    """A date out of a date, a timestamp, or text in one of `DATE_FORMATS`."""
    import ibis

    if column.type().is_date():
        day = column
    elif column.type().is_timestamp():
        day = column.date()
    else:
        text = as_text(column)
        us_order = text.re_replace(r"^(\d{1,2})/(\d{1,2})/(\d{4}).*$", r"\3-\1-\2")
        compact = text.re_replace(r"^(\d{4})(\d{2})(\d{2})$", r"\1-\2-\3")
        month = text.re_replace(r"^(\d{4})-?(\d{2})$", r"\1-\2-01")
        forms = [text.left(10), us_order, compact, *([month] if _is_month(field) else [])]
        days = [form.try_cast("date") for form in forms]
        day = ibis.coalesce(*days, _day_of_named_month(text))
    if _is_month(field):
        day = day.truncate("M")
    return day.nullif(ibis.date(_OPEN_END)) if field in OPEN_ENDED else day


def _day_of_named_month(text: ibis.Value) -> ibis.Value:
    """Day out of text with the month as a word; missing where the text is none."""
    return _try_strptime()(text, list(_NAMED_MONTH_FORMS)).date()


@cache
def _try_strptime() -> Any:
    """The engine's own function: one call, where patterns would be compiled for every column."""
    import ibis

    def try_strptime(text: str, forms: list[str]) -> datetime: ...  # type: ignore[empty-body]

    return ibis.udf.scalar.builtin(try_strptime)


def _is_month(field: str) -> bool:
    """Whether the declared column is a calendar month."""
    return FIELDS[field].dtype == "month"


def _read_number(column: ibis.Value) -> ibis.Value:
    """A finite number; a dollar sign and thousands commas in text are passed over.

    A comma elsewhere may be a decimal one, and such a number is not readable.
    """
    import ibis

    if column.type().is_numeric():
        return _if_finite(column.cast("float64"))
    text = as_text(column)
    # Numbers as most files have them are read without a pattern, which would cost more than they.
    amount = text.re_replace(_IN_THOUSANDS, r"\1\2\3\4\5\6").replace("$", "")
    numbers = (text.try_cast("float64"), amount.try_cast("float64"))
    return ibis.coalesce(*[_if_finite(number) for number in numbers])


def _if_finite(number: ibis.Value) -> ibis.Value:
    """A number; missing where it is infinite or none."""
    return (number.abs() <= _LARGEST_NUMBER).ifelse(number, None)


def _is_whole(number: ibis.Value) -> ibis.Value:
    """Whether a number is a whole one that the engine's integers hold."""
    return (number.abs() < _LARGEST_INTEGER).ifelse(number == number.round(), False)


def _read_boolean(column: ibis.Value) -> ibis.Value:
    """True or false out of 1/0, true/false, yes/no."""
    import ibis

    if column.type().is_boolean():
        return column
    text = as_text(column).lower()
    return ibis.cases((text.isin(_TRUE), True), (text.isin(_FALSE), False))


def _read_text(text: ibis.Value, field: str) -> ibis.Value:
    """Text in the spelling of its column."""
    if FIELDS[field].values or field in _WORDS:
        words = text.lower().replace(" ", "_").replace("-", "_")
        spellings = _SPELLINGS.get(field, {})
        return words.cases(*spellings.items(), else_=words) if spellings else words
    if field in ("county", "headquarters_county"):
        return _county_name(text)
    if field == "population_of_focus":
        codes = text.lower().re_replace(r"\s*[;,|]\s*", ";")
        return codes.re_replace("^;+|;+$", "").nullif("")
    if not _is_code(field):
        return text
    code = text.upper()
    if field.startswith(_WITHOUT_POINT):
        return code.replace(".", "")
    if field == "ndc_code":
        return code.replace("-", "")
    if field in _DIGITS:
        digits = _DIGITS[field]
        return (code.length() < digits).ifelse(code.lpad(digits, "0"), code)
    return code


def _is_code(field: str) -> bool:
    """Whether a text column holds codes, whose letters are upper case."""
    return field.endswith("_code") or field.startswith(("hcpcs_modifier_", "diagnosis_code_"))


def _county_name(text: ibis.Value) -> ibis.Value:
    """County name without the word County, spelled as in the code list where it is there."""
    plain = text.re_replace(r"(?i)\s+county$", "")
    listed = [(name.lower(), name) for name in load_codes("county")["county"]]
    return plain.lower().cases(*listed, else_=plain)
