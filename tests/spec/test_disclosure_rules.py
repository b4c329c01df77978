"""The rules of suppression: tables drawn with what a reader sees of them.

`shown` is ``yes`` or blank (hidden). Policy calhhs_ddg_2: counts of 1 to 10 are hidden.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from disclosure_tables import effect_table, rate_table, read_ascii

from calaim_eval.disclosure import release
from calaim_eval.results import RateTable

NUMBERS = {"numerator", "denominator", "n_members", "n_events", "shown"}


def shown_rows(name: str, results: dict) -> list[str]:
    frame = release(results).tables[name].frame
    return ["" if hidden else "yes" for hidden in frame["is_suppressed"]]


def rates_from(text: str, **options) -> tuple[RateTable, list[str]]:
    drawn = read_ascii(text)
    keys = drawn[[c for c in drawn if c not in NUMBERS]]
    numbers = {c: drawn[c].astype(float) for c in drawn if c in NUMBERS - {"shown"}}
    table = rate_table(
        keys,
        numbers["numerator"],
        numbers.get("denominator"),
        n_members=numbers.get("n_members"),
        **options,
    )
    return table, list(drawn["shown"])


def check_rates(text: str, **options) -> None:
    table, expected = rates_from(text, **options)
    assert shown_rows("t", {"t": table}) == expected


def check_effects(text: str, **others: str) -> None:
    tables, expected = {}, {}
    for name, each in {"t": text, **others}.items():
        drawn = read_ascii(each)
        keys = drawn[[c for c in drawn if c not in NUMBERS]]
        events = drawn["n_events"].astype(float) if "n_events" in drawn else None
        tables[name] = effect_table(keys, drawn["n_members"].astype(float), events)
        expected[name] = list(drawn["shown"])
    for name, rows in expected.items():
        assert shown_rows(name, tables) == rows


def test_counts_of_1_to_10_are_hidden_and_zero_is_shown():
    check_rates("""
          service | numerator | shown
          --------+-----------+------
          meals   | 0         | yes
          housing | 1         |
          respite | 10        |
          asthma  | 11        | yes
        """)


def test_many_events_of_few_members_are_hidden():
    check_rates(
        """
          outcome | numerator | denominator | n_members | shown
          --------+-----------+-------------+-----------+------
          ed      | 240       | 5000        | 10        |
          stays   | 240       | 5000        | 11        | yes
          jail    | 0         | 5000        | 0         | yes
        """,
        kind="rate",
    )


def test_denominators_of_1_to_10_are_hidden_even_over_no_event():
    check_rates(
        """
          county | numerator | denominator | shown
          -------+-----------+-------------+------
          Alpine | 0         | 9           |
          Sierra | 0         | 11          | yes
          Modoc  | 0         | 0           | yes
        """,
        kind="proportion",
    )


def test_few_members_left_out_of_a_proportion_are_hidden_and_none_is_shown():
    check_rates(
        """
          county | numerator | denominator | shown
          -------+-----------+-------------+------
          Fresno | 95        | 100         |
          Kern   | 89        | 100         | yes
          Yolo   | 60        | 60          | yes
        """,
        kind="proportion",
    )


def test_a_rate_may_leave_few_out():
    check_rates(
        """
          county | numerator | denominator | shown
          -------+-----------+-------------+------
          Fresno | 95        | 100         | yes
        """,
        kind="rate",
    )


def test_organizations_are_not_persons():
    check_rates(
        """
          type   | numerator | denominator | shown
          -------+-----------+-------------+------
          cbo    | 3         | 9           | yes
          county | 1         | 9           | yes
        """,
        kind="proportion",
        about="organizations",
    )


def test_one_small_group_needs_a_second_hidden_beside_the_total():
    check_rates(
        """
          race_ethnicity | numerator | shown
          ---------------+-----------+------
          hispanic       | 900       | yes
          white          | 300       | yes
          other          | 40        |
          nhpi           | 4         |
          all            | 1244      | yes
        """,
        margins=("race_ethnicity",),
    )


def test_two_small_groups_that_add_up_to_less_than_11_need_a_third():
    check_rates(
        """
          race_ethnicity | numerator | shown
          ---------------+-----------+------
          hispanic       | 900       | yes
          other          | 40        |
          mena           | 3         |
          nhpi           | 4         |
          all            | 947       | yes
        """,
        margins=("race_ethnicity",),
    )


def test_two_small_groups_that_add_up_to_11_protect_each_other():
    check_rates(
        """
          race_ethnicity | numerator | shown
          ---------------+-----------+------
          hispanic       | 900       | yes
          other          | 40        | yes
          mena           | 5         |
          nhpi           | 6         |
          all            | 951       | yes
        """,
        margins=("race_ethnicity",),
    )


def test_a_total_that_adds_up_is_a_margin_though_nobody_said_so():
    check_rates("""
          race_ethnicity | numerator | shown
          ---------------+-----------+------
          white          | 300       | yes
          other          | 40        |
          nhpi           | 4         |
          all            | 344       | yes
        """)


def test_groups_that_overlap_have_no_margin():
    check_rates("""
          population | numerator | shown
          -----------+-----------+------
          homeless   | 300       | yes
          high_use   | 4         |
          reentry    | 90        | yes
          all        | 344       | yes
        """)


def test_groups_to_keep_readable_are_hidden_last():
    check_rates(
        """
          race_ethnicity | numerator | shown
          ---------------+-----------+------
          aian           | 15        | yes
          nhpi           | 14        | yes
          black          | 16        | yes
          white          | 300       |
          mena           | 3         |
          all            | 348       | yes
        """,
        margins=("race_ethnicity",),
    )


def test_a_zero_protects_nothing():
    check_rates(
        """
          race_ethnicity | numerator | shown
          ---------------+-----------+------
          mena           | 5         |
          declined       | 0         | yes
          aian           | 70        |
          all            | 75        | yes
        """,
        margins=("race_ethnicity",),
    )


def test_few_members_lost_between_two_stages_are_hidden():
    # 100 served minus 96 closed is 4 people; so one of the two must go.
    table, _ = rates_from(
        """
          stage      | numerator | denominator | shown
          -----------+-----------+-------------+------
          identified | 300       | 300         | yes
          served     | 100       | 300         |
          closed     | 96        | 300         |
        """,
        kind="proportion",
    )
    assert shown_rows("t", {"t": table}).count("") == 1
    assert shown_rows("t", {"t": table})[0] == "yes"


def test_a_small_group_is_small_in_every_table():
    members, split = rates_from(
        """
          race_ethnicity | numerator | denominator | shown
          ---------------+-----------+-------------+------
          white          | 700       | 1000        |
          black          | 292       | 1000        | yes
          nhpi           | 8         | 1000        |
          all            | 1000      | 1000        | yes
        """,
        kind="proportion",
        margins=("race_ethnicity",),
        names=("members", "all_members"),
    )
    use, expected = rates_from(
        """
          race_ethnicity | numerator | denominator | n_members | shown
          ---------------+-----------+-------------+-----------+------
          white          | 900       | 8000        | 400       | yes
          black          | 400       | 3000        | 150       | yes
          nhpi           | 0         | 96          | 0         |
        """,
        kind="rate",
        names=("visits", "member_months"),
    )
    results = {"members": members, "use": use}
    assert shown_rows("use", results) == expected
    assert shown_rows("members", results) == split


def test_one_quantity_in_two_tables_is_hidden_in_both():
    by_race, _ = rates_from(
        """
          race_ethnicity | numerator | shown
          ---------------+-----------+------
          white          | 300       |
          nhpi           | 4         |
          all            | 304       |
        """,
        margins=("race_ethnicity",),
    )
    again, _ = rates_from(
        """
          race_ethnicity | service | numerator | shown
          ---------------+---------+-----------+------
          white          | all     | 300       |
          black          | all     | 80        |
        """
    )
    released = release({"by_race": by_race, "again": again})
    hidden = {
        (name, row.race_ethnicity): row.is_suppressed
        for name in ("by_race", "again")
        for row in released.tables[name].frame.itertuples()
    }
    assert hidden["by_race", "nhpi"]
    # Either the total goes, or white goes in both tables: never in one alone.
    assert hidden["by_race", "white"] == hidden["again", "white"]
    assert hidden["by_race", "white"] or hidden["by_race", "all"]
    assert not hidden["again", "black"]


def test_estimates_of_few_members_or_few_events_are_hidden():
    check_effects("""
          event_time | n_members | n_events | shown
          -----------+-----------+----------+------
          -1         | 500       | 40       | yes
          0          | 500       | 10       |
          1          | 500       | 0        | yes
          2          | 10        | 40       |
          3          | 11        | 40       | yes
        """)


def test_a_gap_is_hidden_with_either_of_its_estimates():
    check_effects(
        """
          outcome | race_ethnicity | n_members | shown
          --------+----------------+-----------+------
          ed      | white          | 500       | yes
          ed      | black          | 100       | yes
          ed      | nhpi           | 6         |
          stays   | white          | 9         |
          stays   | black          | 100       | yes
        """,
        gap="""
          outcome | race_ethnicity | reference | n_members | shown
          --------+----------------+-----------+-----------+------
          ed      | black          | white     | 100       | yes
          ed      | nhpi           | white     | 100       |
          stays   | black          | white     | 100       |
        """,
    )


def test_a_gap_hidden_for_its_own_sake_hides_the_estimate_of_its_group():
    check_effects(
        """
          outcome | race_ethnicity | n_members | shown
          --------+----------------+-----------+------
          ed      | white          | 500       | yes
          ed      | nhpi           | 100       |
        """,
        gap="""
          outcome | race_ethnicity | reference | n_members | shown
          --------+----------------+-----------+-----------+------
          ed      | nhpi           | white     | 6         |
        """,
    )


def test_one_hidden_estimate_beside_the_average_needs_a_second():
    check_effects("""
          race_ethnicity | n_members | shown
          ---------------+-----------+------
          all            | 900       | yes
          white          | 700       | yes
          aian           | 30        | yes
          multiple       | 60        |
          nhpi           | 8         |
        """)


def test_two_hidden_estimates_of_too_few_members_need_a_third():
    check_effects(
        """
          outcome | race_ethnicity | n_members | shown
          --------+----------------+-----------+------
          ed      | white          | 700       | yes
          ed      | multiple       | 60        |
          ed      | nhpi           | 4         |
          ed      | mena           | 5         |
        """,
        overall="""
          outcome | anchor        | n_members | shown
          --------+---------------+-----------+------
          ed      | first_service | 700       | yes
        """,
    )


def test_one_side_does_not_follow_from_the_other_and_the_difference():
    check_effects("""
          side       | race_ethnicity | n_members | n_events | shown
          -----------+----------------+-----------+----------+------
          exposed    | white          | 60        | 0        | yes
          comparison | white          | 80        | 5        |
          difference | white          | 60        | 0        |
          exposed    | black          | 60        | 40       | yes
          comparison | black          | 80        | 50       | yes
          difference | black          | 60        | 40       | yes
        """)


def test_without_an_average_one_hidden_estimate_is_enough():
    check_effects("""
          race_ethnicity | n_members | shown
          ---------------+-----------+------
          white          | 700       | yes
          multiple       | 60        | yes
          nhpi           | 8         |
        """)


@pytest.mark.parametrize("policy", ["calhhs_ddg_1", "calhhs_ddg_2", "cms_11"])
def test_every_policy_hides_1_to_10(policy):
    table = rate_table(pd.DataFrame({"service": [f"s{n}" for n in range(13)]}), np.arange(13))
    frame = release({"t": table}, policy=policy).tables["t"].frame
    assert list(np.flatnonzero(frame["is_suppressed"])) == list(range(1, 11))
