"""What a reader knows of rows that overlap: each is part of all, together they hold everybody."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import rate_table

from calaim_eval.disclosure import release
from calaim_eval.disclosure.attacker import possible_values
from calaim_eval.disclosure.count_table import count_table
from calaim_eval.disclosure.system import build_system
from calaim_eval.results import load_results, save_results

COLUMN = "race_ethnicity_in_combination"


def table(counts: dict[str, float], **options):
    return rate_table(
        pd.DataFrame({COLUMN: list(counts)}), list(counts.values()), overlaps=(COLUMN,), **options
    )


def possible(counts: dict[str, float], hidden: str) -> tuple[float, float]:
    """Range of a hidden count as the system sees it."""
    system = build_system([count_table("t", table(counts))])
    value = system.value.copy()
    at = {
        dict(groups).get(COLUMN, "all"): i
        for i, (quantity, groups) in enumerate(system.cells)
        if quantity == "members"
    }
    shown = [i for name, i in at.items() if name != hidden]
    known = np.full(len(value), np.nan)
    known[shown] = value[shown]
    low, high = possible_values(system, known, [at[hidden]])
    return float(low[0]), float(high[0])


def by_hand(counts: dict[str, float], hidden: str) -> tuple[float, float]:
    """Every number the hidden row could be: no more than all, and nobody is in no row."""
    total = counts["all"]
    others = sum(n for name, n in counts.items() if name not in (hidden, "all"))
    fits = [x for x in range(int(total) + 1) if others + x >= total]
    return min(fits), max(fits)


@pytest.mark.parametrize(
    "counts",
    [
        {"black": 60, "white": 45, "aian": 7, "all": 100},
        {"black": 60, "white": 30, "aian": 14, "all": 100},
        {"black": 90, "white": 80, "aian": 5, "all": 100},
    ],
)
def test_a_hidden_row_is_at_least_what_the_others_leave_and_at_most_all(counts):
    assert possible(counts, "aian") == pytest.approx(by_hand(counts, "aian"))


def test_rows_that_overlap_have_no_sum_to_solve():
    counts = {"black": 60, "white": 45, "aian": 7, "all": 100}
    released = release({"t": table(counts)})
    shown = released.tables["t"].frame.set_index(COLUMN)
    assert shown["is_suppressed"].tolist() == [False, False, True, False]


def test_rows_that_happen_to_add_up_are_protected_as_a_sum():
    counts = {"black": 60, "white": 33, "aian": 7, "all": 100}
    shown = release({"t": table(counts)}).tables["t"].frame.set_index(COLUMN)["is_suppressed"]
    assert shown["aian"]
    assert shown.drop(index="aian").any()


def test_few_members_of_several_groups_are_not_told_by_the_sum():
    few = release({"t": table({"black": 60, "white": 43, "all": 100})}).tables["t"].frame
    assert few["is_suppressed"].any()
    many = release({"t": table({"black": 60, "white": 55, "all": 100})}).tables["t"].frame
    assert not many["is_suppressed"].any()


@pytest.mark.parametrize(("alone", "is_hidden"), [(60, False), (55, True), (30, False)])
def test_two_displays_do_not_tell_the_few_who_are_in_one_only(alone, is_hidden):
    exclusive = rate_table(
        pd.DataFrame({"race_ethnicity": ["black", "other", "all"]}),
        [alone, 100 - alone, 100],
        margins=("race_ethnicity",),
    )
    inclusive = table({"black": 60, "other": 80, "all": 100})
    found = release({"a": exclusive, "b": inclusive}).tables
    black = [
        frame.set_index(frame.columns[0]).loc["black", "is_suppressed"]
        for frame in (found["a"].frame, found["b"].frame)
    ]
    assert any(black) == is_hidden


def test_a_table_that_does_not_hold_together_is_not_tied():
    system = build_system([count_table("t", table({"black": 5, "white": 4, "all": 100}))])
    assert system.equations.shape[0] == 0


def test_stored_results_keep_what_overlaps(tmp_path):
    kept = table({"black": 60, "white": 45, "all": 100})
    save_results({"t": kept, "u": replace(kept, overlaps=())}, tmp_path)
    found = load_results(tmp_path)
    assert found["t"].overlaps == (COLUMN,)
    assert found["u"].overlaps == ()


def test_the_layout_scores_as_race_whatever_the_display():
    counts = {"aian": 150, "white": 900, "all": 1000}
    (found,) = release({"t": table(counts)}, quarter="2024Q4").scores
    variables = {part["variable"]: part["score"] for part in found["parts"]}
    assert variables["race_ethnicity_combined"] == 3
