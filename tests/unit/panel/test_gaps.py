"""Gaps of measures in words."""

from __future__ import annotations

import pandas as pd

from calaim_eval.panel.gaps import Gap, censored_months, panel_notes

MONTHS = pd.period_range("2024-01", "2024-12", freq="M")


def gap(first: str, last: str, reason: str) -> Gap:
    """Gap of consecutive months."""
    return Gap(pd.period_range(first, last, freq="M"), reason)


def test_measures_of_one_reason_share_a_note():
    notes = panel_notes(
        {
            "a": gap("2024-01", "2024-12", "no `custody`"),
            "b": gap("2024-01", "2024-12", "no `custody`"),
            "c": gap("2024-12", "2024-12", "too late"),
            "d": gap("2024-11", "2024-12", "too late"),
        },
        MONTHS,
    )
    assert notes == (
        "`a`, `b` are missing throughout: no `custody`.",
        "`c` is missing in 2024-12: too late.",
        "`d` is missing from 2024-11 to 2024-12: too late.",
    )


def test_a_gap_at_both_ends_is_told_as_two_runs():
    both = pd.period_range("2024-01", "2024-02", freq="M").append(MONTHS[-1:])
    (note,) = panel_notes({"a": Gap(both, "why")}, MONTHS)
    assert note == "`a` is missing from 2024-01 to 2024-02 and in 2024-12: why."


def test_feeds_without_limits_are_named():
    (note,) = panel_notes({}, MONTHS, unlimited_feeds=["custody", "ems_call"])
    assert note.startswith("`custody`, `ems_call`: taken to cover the whole study area")
    assert panel_notes({}, MONTHS) == ()


def test_months_are_censored_until_every_day_can_be_followed():
    # November 30 plus 30 days is December 30.
    end = (pd.Timestamp("2024-12-30") - pd.Timestamp("1970-01-01")).days
    assert [str(m) for m in censored_months(MONTHS, end, 30)] == ["2024-12"]
    assert [str(m) for m in censored_months(MONTHS, end - 1, 30)] == ["2024-11", "2024-12"]
    assert censored_months(MONTHS, None, 30).empty
