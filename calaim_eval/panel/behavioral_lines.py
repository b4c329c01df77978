"""Behavioral health lines: codes of mental health and substance use care, and their diagnoses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.code_patterns import listed
from calaim_eval.panel.visit_lines import is_visit_form

if TYPE_CHECKING:
    from ibis import Value

    from calaim_eval.panel.claim_lines import ClaimLines

MENTAL_HEALTH = listed("bh_visit", "diagnosis")
SUBSTANCE_USE = listed("sud_visit", "diagnosis")
CPT = listed("bh_visit", "mental health CPT")
HCPCS = listed("bh_visit", "mental health HCPCS")
TREATMENT = listed("sud_visit", "SUD HCPCS/CPT")


def is_mental_health_visit(lines: ClaimLines) -> Value:
    """Mental health code with a principal diagnosis of mental health."""
    is_code = lines.has(CPT) | lines.has(HCPCS)
    return is_visit_form(lines) & is_code & lines.has(MENTAL_HEALTH)


def is_substance_use_visit(lines: ClaimLines) -> Value:
    """Substance use code; or a mental health code with a principal diagnosis of substance use."""
    is_code = lines.has(CPT) | lines.has(HCPCS)
    is_treatment = lines.has(TREATMENT) | (is_code & lines.has(SUBSTANCE_USE))
    return is_visit_form(lines) & is_treatment
