"""Paid amounts and payment dates."""

from __future__ import annotations

from calaim_eval.quality.checks.declaration import Check

CHECKS = (
    Check(
        "amounts_negative",
        "The paid amount of a line that counts is negative",
        "lines",
        "final lines in the window",
        "Ask whether these are reversals; reversals should be voids.",
        warn_above=0.001,
        columns=("paid_amount",),
    ),
    Check(
        "amounts_zero",
        "The paid amount is zero",
        "lines",
        "final lines in the window",
        "Ask which providers are paid by capitation; dollars of their care are not in the files.",
        warn_above=0.5,
        columns=("paid_amount",),
    ),
    Check(
        "amounts_missing",
        "The paid amount is missing",
        "lines",
        "final lines in the window",
        "Ask for amounts, or leave `paid_usd` out of the outcomes.",
        warn_above=0.1,
        columns=("paid_amount",),
    ),
    Check(
        "payment_dates_missing",
        "The payment date is missing",
        "lines",
        "final lines in the window",
        "Ask for it: without it nobody can tell how complete the last months are.",
        warn_above=0.05,
        columns=("paid_date",),
    ),
)
