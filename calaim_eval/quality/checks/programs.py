"""ECM and Community Supports: outside coverage, and codes that no list explains."""

from __future__ import annotations

from calaim_eval.quality.checks.declaration import Check

CHECKS = (
    Check(
        "program_records_outside_coverage",
        "Outreach or service is recorded in a month in which the member is not covered",
        "records",
        "records of outreach and service in the window",
        "Ask the plan for the member's enrollment; exposure begins at these dates all the same.",
        warn_above=0.05,
        columns=("record_date", "member_id"),
    ),
    Check(
        "program_lines_outside_coverage",
        "ECM or Community Supports lines fall in a month in which the member is not covered",
        "lines",
        "final program lines in the window",
        "Ask the plan for the member's enrollment; exposure begins at these dates all the same.",
        warn_above=0.05,
        columns=("claim_start_date", "hcpcs_code"),
    ),
    Check(
        "program_codes_unexplained",
        "A line has a procedure code of a program, but code and modifiers are in no list",
        "lines",
        "final lines with a procedure code of a program",
        "Many such codes are ordinary benefits; ask where a known modifier is missing.",
        warn_above=0.25,
        columns=("hcpcs_code", *(f"hcpcs_modifier_{i}" for i in range(1, 6))),
    ),
)
