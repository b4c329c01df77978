"""Nursing facility lines, and the days on leave from one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.code_patterns import listed

if TYPE_CHECKING:
    from ibis import Value

    from calaim_eval.panel.claim_lines import ClaimLines

BILL_TYPE = listed("snf_days", "bill type")
REVENUE = listed("snf_days", "revenue")
LEAVE = listed("snf_days", "leave of absence")


def is_nursing(lines: ClaimLines) -> Value:
    """Line of a nursing facility's bill or with its revenue, other than a day on leave."""
    is_facility = lines.has(BILL_TYPE) | lines.has(REVENUE)
    return lines.is_institutional & is_facility & ~lines.has(LEAVE)


def is_leave(lines: ClaimLines) -> Value:
    """Leave of absence on days of its own, not those of the whole claim."""
    start, end = lines["claim_line_start_date"], lines["claim_line_end_date"]
    is_part = (start != lines["claim_start_date"]) | (end != lines["claim_end_date"])
    return lines.is_institutional & lines.has(LEAVE) & is_part.fill_null(False)
