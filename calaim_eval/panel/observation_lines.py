"""Observation lines: the kinds of claim line an observation stay is built from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.code_patterns import listed
from calaim_eval.panel.inpatient_lines import BILL_TYPE

if TYPE_CHECKING:
    from ibis import Value

    from calaim_eval.panel.claim_lines import ClaimLines

REVENUE = listed("observation_stay", "facility")
PROCEDURE = listed("observation_stay", "HCPCS")


def is_observation_facility(lines: ClaimLines) -> Value:
    """Observation revenue or procedure on a facility's bill that is no inpatient bill."""
    is_observation = lines.has(REVENUE) | lines.has(PROCEDURE)
    return lines.is_institutional & ~lines.has(BILL_TYPE) & is_observation


def is_observation_professional(lines: ClaimLines) -> Value:
    """Observation procedure on a professional's claim."""
    return lines.is_professional & lines.has(PROCEDURE)
