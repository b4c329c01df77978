"""Which codes can be right: shapes, ranges and short lists, each with its source.

A code that passes may still be wrong; one that fails cannot be right.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ibis import Value

ICD_10_FROM = date(2015, 10, 1)
"""First day of ICD-10-CM (CMS); days before it carry ICD-9-CM codes and are not judged."""

# CPT categories I to III, PLA (U), MAAA (M) and administration (A) codes; HCPCS level II and III.
PROCEDURE = r"^([0-9]{5}|[0-9]{4}[AFMTU]|[A-Z][0-9]{4})$"
MODIFIER = r"^[0-9A-Z]{2}$"
# Letter, digit, digit or A/B, then up to four letters or digits; written without the point.
DIAGNOSIS = r"^[A-Z][0-9][0-9AB][0-9A-Z]{0,4}$"
# NUBC: 0001 total, 002x HIPPS, 0100 to 0999, 100x behavioral, 210x alternative, 310x adult care.
REVENUE = r"^(0001|002[0-9]|0[1-9][0-9]{2}|100[0-9]|210[0-9]|310[0-9])$"
# Facility 1 to 8, care 1 to 9, frequency a digit or letter; a leading zero may be there.
BILL_TYPE = r"^0?[1-8][1-9][0-9A-Z]$"
DRUG = r"^[0-9]{11}$"
NO_DRUG = "0" * 11

# CMS place of service code set, as updated to 2024 (66: PACE center, from August 2024).
_PLACES = (
    *range(1, 28),
    *range(31, 35),
    41,
    42,
    *range(49, 59),
    60,
    61,
    62,
    65,
    66,
    71,
    72,
    81,
    99,
)
PLACES_OF_SERVICE = tuple(f"{code:02d}" for code in _PLACES)
# NUBC patient discharge status (form locator 17) as CMS prints it in MLN SE1411 and SE21001.
DISCHARGE_STATUS = tuple(
    f"{code:02d}"
    for code in (
        *range(1, 8),
        9,
        20,
        21,
        30,
        *range(40, 44),
        50,
        51,
        *range(61, 67),
        69,
        70,
        *range(81, 96),
    )
)
# ISO/IEC 7812: an NPI is checked as if the prefix 80840 stood before it; the prefix adds 24.
NPI = r"^[12][0-9]{9}$"
_PREFIX_SUM = 24


def is_npi(code: Value) -> Value:
    """Whether a text is ten digits, begins with 1 or 2, and its last digit checks (Luhn)."""
    has_shape = code.re_search(NPI)
    digits = [has_shape.ifelse(code.substr(place, 1), "0").cast("int64") for place in range(10)]
    total = sum(_luhn(digit) if place % 2 == 0 else digit for place, digit in enumerate(digits))
    return has_shape & ((total + _PREFIX_SUM) % 10 == 0)


def _luhn(digit: Value) -> Value:
    """A doubled digit, its own digits added."""
    return (digit >= 5).ifelse(digit * 2 - 9, digit * 2)
