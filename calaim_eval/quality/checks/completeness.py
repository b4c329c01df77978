"""Completeness by plan and month, and how much of the last months has arrived."""

from __future__ import annotations

from calaim_eval.quality.checks.declaration import Check

CHECKS = (
    Check(
        "encounters_absent",
        "A plan sends no lines of a kind that other plans send",
        "plans",
        "plans that are large enough to judge",
        "Ask the plan for the missing kind of encounters, or leave the plan out.",
        warn_above=0.0,
        columns=("plan",),
    ),
    Check(
        "encounter_gaps",
        "A plan has no lines at all in a month",
        "plan-months",
        "plan-months that are large enough to judge",
        "Ask the plan for the months that are missing, or end the window before them.",
        warn_above=0.0,
        columns=("plan", "claim_start_date"),
        of_fills=("plan", "dispensing_date"),
    ),
    Check(
        "encounter_drops",
        "A plan's lines per 1,000 member-months fall far below its own running median",
        "plan-months",
        "plan-months that are large enough to judge",
        "Ask the plan whether a submission was rejected, or whether payment or coding changed.",
        warn_above=0.0,
        columns=("plan", "claim_start_date"),
        of_fills=("plan", "dispensing_date"),
    ),
    Check(
        "encounter_surges",
        "A plan's lines per 1,000 member-months rise far above its own running median",
        "plan-months",
        "plan-months that are large enough to judge",
        "Look for a file that was loaded twice, or a change of coding.",
        warn_above=0.0,
        columns=("plan", "claim_start_date"),
        of_fills=("plan", "dispensing_date"),
    ),
    Check(
        "months_incomplete",
        "Claims of months the study analyses are still arriving",
        "months",
        "months the study analyses",
        "Raise `run_out_months` in the study file, or wait for a later extract.",
        warn_above=0.0,
        columns=("claim_start_date", "paid_date"),
        of_fills=("dispensing_date", "paid_date"),
    ),
    Check(
        "payments_end_early",
        "Payments end before they should",
        "months",
        "months from the first month to the extract",
        "Ask on which day the claims were really drawn, and correct `extract_date`.",
        warn_above=0.0,
        columns=("paid_date",),
    ),
)
