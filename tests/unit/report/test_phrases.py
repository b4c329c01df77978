"""Sentences: direction, unit, interval, uncertainty, and what is withheld."""

import dataclasses
import math

import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.report import completeness, phrases
from calaim_eval.report.phrases import NOT_SHOWN, difference_words
from calaim_eval.results import ALL
from tests.unit.report.made_up_quarter import proportions

UNIT = "ED visits per 1,000 member-months"


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((-28.4, -38.0, -18.8), f"28.4 fewer {UNIT} (95% interval 18.8 to 38.0 fewer)"),
        ((62.0, 40.0, 84.0), f"62.0 more {UNIT} (95% interval 40.0 to 84.0 more)"),
        (
            (-3.0, -8.0, 2.0),
            f"no clear change: 3.00 fewer {UNIT}, with an interval from 8.00 fewer to 2.00 more",
        ),
        ((math.nan, math.nan, math.nan), "could not be estimated"),
    ],
)
def test_words_of_a_difference(numbers, words):
    assert difference_words(*numbers, unit=UNIT) == words


def test_an_interval_that_touches_zero_is_not_clear():
    assert difference_words(-4.0, -8.0, 0.0, unit=UNIT).startswith("no clear change")


def test_amounts_are_lower_or_higher():
    words = difference_words(-41.0, -90.0, -2.0, unit="USD per member-month", is_amount=True)
    assert words == "41.0 USD per member-month lower (95% interval 2.0 to 90.0 lower)"


def test_effect_sentence_gives_the_released_numbers(released):
    text = phrases.effect_sentence(released, outcome="ed_visits")
    assert text.startswith("Emergency department visits after the first service: 28.4 fewer")
    assert text.endswith("than expected without the program.")


def test_an_unclear_effect_claims_nothing(released):
    text = phrases.effect_sentence(released, outcome="paid_usd")
    assert "no clear change" in text
    assert "than expected" not in text


def test_pre_post_is_said_to_be_not_causal(released):
    text = phrases.pre_post_sentence(released, outcome="ed_visits")
    assert "This is not causal" in text
    assert "Among comparison members:" in text


def test_gaps_count_all_groups_and_those_not_shown(released):
    frame = released.tables["effect_gap"].frame
    rows = frame[frame["outcome"] == "ed_visits"]
    shown = rows[~rows["is_suppressed"]]
    clear = ((shown["conf_low"] > 0) | (shown["conf_high"] < 0)).sum()
    text = phrases.gaps_sentence(released, outcome="ed_visits")
    assert f"{len(shown)} groups compared with White" in text
    assert ("none has a clearly different effect" in text) == (clear == 0)
    assert f"{len(rows) - len(shown)} groups are {NOT_SHOWN}" in text


def test_access_sentence_gives_share_counts_and_range(released):
    frame = released.tables["access_funnel"].frame
    row = frame[(frame["race_ethnicity"] == ALL) & (frame["stage"] == "served")].iloc[0]
    text = phrases.access_sentence(released)
    assert f"({row['numerator']:,.0f} of {row['denominator']:,.0f} members identified" in text
    assert "By race and ethnicity it runs from" in text
    assert NOT_SHOWN in text


def test_a_withheld_number_is_said_to_be_not_shown(quarter_results):
    small = quarter_results["delivery_members"]
    text = phrases.delivery_sentence(
        release({"delivery_members": small}, quarter="2024Q4"), organization_type="tribal"
    )
    assert text == f"Tribal organization, members served: {NOT_SHOWN}."


def test_absent_items_are_said_to_be_absent():
    empty = release({}, quarter="2024Q4")
    for sentence in (
        phrases.access_sentence(empty),
        phrases.closure_sentence(empty),
        phrases.coverage_sentence(empty),
        phrases.delivery_sentence(empty),
        phrases.members_sentence(empty),
        phrases.effect_sentence(empty, outcome="ed_visits"),
        phrases.gaps_sentence(empty, outcome="ed_visits"),
        phrases.pre_post_sentence(empty, outcome="ed_visits"),
    ):
        assert sentence.startswith("**Not in this release")


def test_completeness_follows_its_rules(released, quarter_results):
    full = completeness(released)
    share = full.n_withheld / full.n_rows
    assert full.absent == ()
    assert full.light == ("complete" if share <= 0.10 else "partly complete")
    without_core = {k: v for k, v in quarter_results.items() if k != "effect_overall"}
    light = completeness(release(without_core, quarter="2024Q4"))
    assert light.light == "incomplete"
    assert "overall effects" in light.words
    without_other = {k: v for k, v in quarter_results.items() if k != "coverage"}
    assert completeness(release(without_other, quarter="2024Q4")).light == "partly complete"


def test_what_is_compared_is_said_in_the_words_of_the_design(released):
    text = phrases.contrast_sentence(released)
    assert text == "What is compared: members served minus what they would have had."
    assert phrases.contrast_sentence(release({}, quarter="2024Q4")) == ""


def test_the_question_of_the_study_is_quoted(released):
    assert phrases.question_sentence(released) == "The question: Does it work, and for whom?"


def test_tied_services_are_named_together():
    keys = pd.DataFrame({"service": ["ecm", "respite", "medical_meals"]})
    summary = proportions("Coverage", keys, [40, 1, 1], [58] * 3, ("counties_active", "counties"))
    text = phrases.coverage_sentence(
        release(
            {"coverage_summary": dataclasses.replace(summary, about="organizations")},
            quarter="2024Q4",
        )
    )
    assert "most counties for Enhanced Care Management (40 of 58 counties)" in text
    assert text.endswith("(1 of 58 counties each).")
    assert "Respite" in text
    assert "eals" in text


def test_the_period_is_stated_where_the_release_has_it():
    one = release(
        {}, quarter="2024Q4", provenance={"first_month": "2021-01", "last_month": "2024-12"}
    )
    assert phrases.period_sentence(one) == (
        "The numbers cover all months of the study, January 2021 to December 2024."
    )
    assert phrases.period_sentence(release({}, quarter="2024Q4")) == ""


def test_counts_in_completeness_are_those_of_the_release(released):
    """What repeats the withheld rows of effects, use or access is not counted."""
    tests = {
        "effect_bounds",
        "placebo_dates",
        "negative_control",
        "matched_balance",
        "matched_event_study",
        "county_phase_checks",
        "use_disparity",
        "access_gap",
        "access_gap_ratio",
        "access_times",
        "access_standardized",
    }
    assert tests <= set(released.tables)
    counted = [t for name, t in released.tables.items() if name not in tests]
    frames = pd.concat([t.frame[["is_suppressed"]] for t in counted])
    found = completeness(released)
    assert (found.n_rows, found.n_withheld) == (len(frames), int(frames["is_suppressed"].sum()))
