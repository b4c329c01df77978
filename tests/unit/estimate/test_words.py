"""Notes leave the restricted folder: they carry no exact count or share of few members."""

from __future__ import annotations

import pytest

from calaim_eval.design import ledger
from calaim_eval.estimate.words import count_words, share_words
from calaim_eval.results.share_words import share_words as share_of_design


@pytest.mark.parametrize("count", range(1, 11))
def test_1_to_10_are_one_word(count):
    assert count_words(count, "members") == "fewer than 11 members"
    assert ledger.count_words(count) == "fewer than 11"


def test_a_small_count_does_not_follow_from_two_notes():
    # 80 in all less 42 and 34 is 4: rounded, anything from 0 to 14 would do.
    assert [count_words(n, "members") for n in (80, 42, 34)] == [
        "about 80 members",
        "about 40 members",
        "about 30 members",
    ]
    assert ledger.count_words(1234) == "about 1,230"


@pytest.mark.parametrize(
    ("part", "words"),
    [(1, "less than a quarter"), (5, "a quarter to a half"), (18, "half or more")],
)
def test_the_share_of_a_group_is_a_band(part, words):
    assert share_words(part, 18) == words


@pytest.mark.parametrize(("part", "whole"), [(3, 1000), (995, 1000), (4, 9)])
def test_a_share_of_a_design_is_withheld_where_it_rests_on_few(part, whole):
    assert share_of_design(part, whole) == "a share that rests on fewer than 11 members"


def test_a_share_of_a_design_has_whole_percent():
    assert share_of_design(299, 10_000) == "about 3 %"
    assert share_of_design(50, 10_000) == "less than 1 %"
