"""The running-median rule of completeness, by hand and against a plain loop over the same words."""

from __future__ import annotations

import statistics

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calaim_eval.quality import QualityRules
from calaim_eval.quality.check import _completeness_counts
from calaim_eval.quality.completeness import judge_completeness, judge_plan

RULES = QualityRules()


def flags(lines, *, members=1_000.0, arriving=(), rules=RULES, usual=0.0) -> list[str]:
    n = len(lines)
    judged = judge_plan(
        np.full(n, members),
        np.array(lines, dtype=float),
        np.array([i in arriving for i in range(n)]),
        rules=rules,
        usual=usual,
    )
    return list(judged["flag"])


def test_a_month_without_lines_is_a_gap_and_its_neighbours_are_not():
    lines = [100] * 24
    lines[10] = 0
    assert flags(lines) == ["ok"] * 10 + ["gap"] + ["ok"] * 13


def test_less_than_half_is_a_drop_more_than_twice_a_surge():
    lines = [100] * 24
    lines[8], lines[9], lines[15], lines[16] = 49, 50, 201, 200
    found = flags(lines)
    assert (found[8], found[9], found[15], found[16]) == ("drop", "ok", "surge", "ok")


def test_a_plan_whose_months_differ_much_by_nature_is_not_flagged():
    # Median about 100, median absolute deviation about 20: four robust deviations are over 100.
    lines = [55, 80, 100, 120, 145] * 5
    lines[20] = 45
    assert set(flags([100] * 20 + [45] + [100] * 4)) == {"ok", "drop"}
    assert set(flags(lines)) == {"ok"}


def test_the_first_months_are_held_against_those_that_follow():
    assert flags([0, 0, 30, *[100] * 21])[:4] == ["gap", "gap", "drop", "ok"]


def test_a_long_gap_does_not_become_the_plans_own_level():
    lines = [100] * 20 + [0] * 14 + [100] * 2
    assert flags(lines) == ["ok"] * 20 + ["gap"] * 14 + ["ok"] * 2


def test_a_level_that_lasts_is_taken_as_the_plans_own():
    found = flags([100] * 15 + [300] * 10)
    assert found == ["ok"] * 15 + ["surge"] * 6 + ["ok"] * 4


def test_few_expected_lines_are_not_judged():
    assert set(flags([49] * 10 + [0] + [49] * 3)) == {"too small"}
    assert flags([50] * 10 + [0] + [50] * 3)[10] == "gap"


def test_months_still_arriving_are_not_judged():
    found = flags([100] * 12 + [60, 20], arriving=(12, 13))
    assert found[-2:] == ["still arriving"] * 2


def test_a_kind_of_claim_nobody_sends_is_absent_only_where_others_send_it():
    assert set(flags([0] * 12, usual=100.0)) == {"absent"}
    assert set(flags([0] * 12, usual=0.0)) == {"too small"}


def _by_the_words(members, lines, rules) -> list[str]:
    """The rule of the page, written as plainly as it is said; lists and the standard library."""
    rate = [1_000 * n / m for n, m in zip(lines, members, strict=True)]
    told: list[str] = []
    unflagged: list[int] = []
    for t, r in enumerate(rate):
        base = [rate[i] for i in unflagged[-12:]]
        if len(unflagged) < 6:
            base += rate[t + 1 : t + 1 + 12 - len(unflagged)]
        word = "too small"
        if base:
            median = statistics.median(base)
            mad = statistics.median(abs(b - median) for b in base)
            if median * members[t] / 1_000 >= rules.min_expected_lines:
                word = "ok"
                is_far = abs(r - median) > 4 * 1.4826 * mad
                if lines[t] == 0:
                    word = "gap"
                elif r < rules.drop_share * median and is_far:
                    word = "drop"
                elif r > rules.surge_share * median and is_far:
                    word = "surge"
        told.append(word)
        if word in ("ok", "too small"):
            unflagged.append(t)
        elif word != "gap" and told[-6:] == [word] * 6:
            # The new level: only these six months count from here on, and a new run begins.
            unflagged = list(range(t - 5, t + 1))
            told[-1] = f"{word}!"
    return [word.rstrip("!") for word in told]


@given(
    lines=st.lists(
        st.sampled_from([0, 20, 45, 60, 90, 100, 110, 140, 230, 400]), min_size=2, max_size=40
    ).filter(any),
    members=st.sampled_from([400, 1_000, 2_000]),
)
@settings(max_examples=300, deadline=None)
def test_the_rule_is_the_one_in_words(lines, members):
    assert flags(lines, members=float(members)) == _by_the_words(
        [members] * len(lines), lines, RULES
    )


def test_the_frame_has_every_plan_month_and_feed_and_counts_the_flagged():
    months = list(range(24_264, 24_288))
    lines = pd.DataFrame(
        [("institutional", "A", m, 0 if m == 24_270 else 90) for m in months]
        + [("professional", "A", m, 300) for m in months]
        + [("professional", "B", m, 300) for m in months]
        + [("institutional", "C", m, 90) for m in months],
        columns=["feed", "plan", "month", "n_lines"],
    )
    member_months = pd.DataFrame(
        [(plan, m, 1_000) for plan in "ABC" for m in months],
        columns=["plan", "month", "n_member_months"],
    )
    judged = judge_completeness(lines[lines["n_lines"] > 0], member_months, rules=RULES)
    assert len(judged) == 2 * 3 * 24
    at = judged.set_index(["feed", "plan", "month"])
    assert at.loc[("institutional", "A", 24_270), "flag"] == "gap"
    assert at.loc[("professional", "A", 24_270), "per_1000"] == 300.0
    assert set(at.loc[("institutional", "B")]["flag"]) == {"absent"}
    assert set(at.loc[("professional", "C")]["flag"]) == {"absent"}
    counts = _completeness_counts(judged)
    summed = counts.groupby("check")[["n", "of"]].sum()
    assert summed.loc["encounter_gaps"].tolist() == [1, 4 * 24]
    assert summed.loc["encounter_drops"].tolist() == [0, 4 * 24]
    assert summed.loc["encounters_absent"].tolist() == [2, 6]


@pytest.mark.parametrize("share", [0.3, 0.7])
def test_the_limit_is_the_one_of_the_study_file(share):
    lines = [100] * 24
    lines[12] = 40
    expected = "drop" if share == 0.7 else "ok"
    assert flags(lines, rules=QualityRules(drop_share=share))[12] == expected
