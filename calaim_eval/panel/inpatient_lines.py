"""Inpatient lines: the kinds of claim line a stay is built from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.code_patterns import listed

if TYPE_CHECKING:
    from ibis import Value

    from calaim_eval.panel.claim_lines import ClaimLines

BILL_TYPE = listed("ip_admission", "bill type")
ACCOMMODATION = listed("ip_admission", "room and board")
DRG = listed("ip_admission", "DRG present")
PSYCHIATRIC = listed("ip_admission", "psychiatric facility")
INTERIM_FREQUENCIES = ("2", "3")
"""Frequency digits of a bill that another one of the stay follows (notes of `ip_stay`)."""


def is_inpatient(lines: ClaimLines) -> Value:
    """Line of a hospital inpatient bill (11x)."""
    return lines.is_institutional & lines.has(BILL_TYPE)


def has_stay_evidence(lines: ClaimLines) -> Value:
    """Inpatient line with room and board or a DRG."""
    return is_inpatient(lines) & (lines.has(ACCOMMODATION) | lines.has(DRG))


def is_interim_bill(lines: ClaimLines) -> Value:
    """Inpatient line of a first or a continuing interim bill (112, 113)."""
    is_interim = lines.is_on_bill(*(f"11{each}" for each in INTERIM_FREQUENCIES))
    return is_inpatient(lines) & is_interim


def is_psychiatric(lines: ClaimLines) -> Value:
    """Inpatient line billed by a psychiatric hospital or unit."""
    return is_inpatient(lines) & lines.has(PSYCHIATRIC)


STAY_LINES = (is_inpatient, has_stay_evidence, is_interim_bill)
"""Kinds of claim line that stays are built from."""
