"""Whose bill a visit is on: a professional's, or a health center's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ibis import Value

    from calaim_eval.panel.claim_lines import ClaimLines

HEALTH_CENTER_BILL_TYPES = ("71", "73", "77")
"""Bill types of rural health clinics and federally qualified health centers."""


def is_health_center_bill(lines: ClaimLines) -> Value:
    """Line of a health center's own bill."""
    return lines.is_institutional & lines.is_on_bill(*HEALTH_CENTER_BILL_TYPES)


def is_visit_form(lines: ClaimLines) -> Value:
    """Line of a professional's claim or of a health center's own bill."""
    return lines.is_professional | is_health_center_bill(lines)
