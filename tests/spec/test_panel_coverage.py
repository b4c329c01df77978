"""Coverage rules: which months are in the panel, and whose plan, county and status they carry."""

from __future__ import annotations

import pytest


def test_any_day_first_day_all_days(spec):
    spans = """
      member | start      | end
      -------+------------+-----------
      1      | 2024-01-15 | 2024-03-31
      2      | 2024-02-01 | 2024-02-28
      3      | 2024-02-01 | 2024-02-29
    """
    rules = ("any_day", "first_day", "all_days")
    built = {rule: spec(eligibility=spans, month_rule=rule) for rule in rules}
    months = {rule: [each.months(m) for m in (1, 2, 3)] for rule, each in built.items()}
    assert months == {
        "any_day": [["2024-01", "2024-02", "2024-03"], ["2024-02"], ["2024-02"]],
        "first_day": [["2024-02", "2024-03"], ["2024-02"], ["2024-02"]],
        "all_days": [["2024-02", "2024-03"], [], ["2024-02"]],
    }


def test_overlapping_repeated_and_touching_spans_are_one_row_a_month(spec):
    built = spec(
        eligibility="""
          member | start      | end
          -------+------------+-----------
          1      | 2024-01-01 | 2024-02-10
          1      | 2024-01-20 | 2024-02-29
          1      | 2024-01-01 | 2024-02-09
          2      | 2024-01-01 | 2024-01-15
          2      | 2024-01-16 | 2024-01-31
          3      | 2024-01-01 | 2024-01-05
          3      | 2024-01-10 | 2024-01-12
        """
    )
    assert built.values("covered_days") == {
        1: {"2024-01": 31, "2024-02": 29},
        2: {"2024-01": 31},
        3: {"2024-01": 8},
    }
    assert built.reasons("eligibility") == {"used": 7}


def test_open_end_runs_to_the_end_of_the_window(spec):
    built = spec(
        window=("2024-01", "2024-03"),
        eligibility="""
          member | start      | end
          -------+------------+-----------
          1      | 2023-06-01 |
          2      | 2024-02-10 | 9999-12-31
          3      | 2023-01-01 | 2023-12-31
          4      | 2024-04-01 |
        """,
    )
    assert built.months(1) == ["2024-01", "2024-02", "2024-03"]
    assert built.values("covered_days")[2] == {"2024-02": 20, "2024-03": 31}
    assert built.reasons("eligibility") == {"used": 2, "outside the window": 2}


def test_coverage_ends_with_death_and_begins_with_birth(spec):
    built = spec(
        eligibility="""
          member | start      | end
          -------+------------+-----------
          1      | 2024-01-01 | 2024-12-31
          1      | 2024-06-01 | 2024-07-31
          2      | 2024-01-01 | 2024-02-29
          3      | 2024-01-01 | 2024-01-31
        """,
        person="""
          member | birth      | death
          -------+------------+-----------
          1      | 1960-05-05 | 2024-03-10
          2      | 2024-02-20 |
          3      | 2024-06-01 |
        """,
    )
    assert built.values("covered_days") == {
        1: {"2024-01": 31, "2024-02": 29, "2024-03": 10},
        2: {"2024-02": 10},
    }
    assert built.reasons("eligibility") == {
        "used": 2,
        "begins after death": 1,
        "ends before birth": 1,
    }
    notices = built.reasons("eligibility", "notice")
    assert notices["runs past death, cut at death"] == 1
    assert notices["begins before birth, cut at birth"] == 1


def test_age_is_in_completed_years_on_the_first_of_the_month(spec):
    built = spec(
        window=("2024-02", "2024-04"),
        eligibility="""
          member | start      | end
          -------+------------+----
          1      | 2024-01-01 |
          2      | 2024-01-01 |
          3      | 2024-01-01 |
        """,
        person="""
          member | birth
          -------+-----------
          1      | 2000-03-01
          2      | 2000-03-02
          3      | 2000-02-29
        """,
    )
    assert built.values("age_years") == {
        1: {"2024-02": 23, "2024-03": 24, "2024-04": 24},
        2: {"2024-02": 23, "2024-03": 23, "2024-04": 24},
        3: {"2024-02": 23, "2024-03": 24, "2024-04": 24},
    }


PAYERS = """
  member | start      | end        | payer      | scope   | dual
  -------+------------+------------+------------+---------+-----
  1      | 2024-01-01 | 2024-01-31 |            |         |
  2      | 2024-01-01 | 2024-01-31 | medicaid   | full    | 00
  3      | 2024-01-01 | 2024-01-31 | commercial |         |
  4      | 2024-01-01 | 2024-01-31 | medicaid   | limited |
  5      | 2024-01-01 | 2024-02-29 | medicaid   | full    | 02
  6      | 2024-01-01 | 2024-02-29 | medicaid   | full    |
  6      | 2024-02-10 | 2024-02-20 | medicare   |         |
"""


def test_payer_scope_and_medicare(spec):
    built = spec(eligibility=PAYERS)
    assert built.values("covered_days") == {
        1: {"2024-01": 31},
        2: {"2024-01": 31},
        6: {"2024-01": 31},
    }
    assert built.reasons("eligibility") == {
        "used": 3,
        "payer type not in the study": 2,
        "limited benefits": 1,
        "month with Medicare (dual)": 1,
    }
    assert built.reasons("member_month") == {"used": 3, "month with Medicare (dual)": 3}


def test_duals_kept_and_limited_benefits_counted_when_the_study_says_so(spec):
    built = spec(eligibility=PAYERS, exclude_duals=False, benefit_scope="any")
    assert built.values("is_dual") == {
        5: {"2024-01": True, "2024-02": True},
        6: {"2024-02": True},
    }
    assert set(built.values("covered_days")) == {1, 2, 4, 5, 6}
    assert 4 not in built.values("is_full_scope")


SEVERAL_PLANS = """
  member | start      | end        | plan  | county  | aid | recorded
  -------+------------+------------+-------+---------+-----+-----------
  1      | 2024-01-01 | 2024-01-10 | Alpha | Kern    | M1  | 2024-01-01
  1      | 2024-01-11 | 2024-01-31 | Beta  | Kings   | M1  | 2024-01-01
  2      | 2024-01-01 | 2024-01-31 | Alpha | Kern    | M1  | 2024-01-01
  2      | 2024-01-01 | 2024-01-31 | Beta  | Kings   | M1  | 2024-02-15
  3      | 2024-01-01 | 2024-01-31 | Beta  | Kings   | M1  | 2024-01-01
  3      | 2024-01-01 | 2024-01-31 | Alpha | Kern    | M1  | 2024-01-01
  4      | 2024-01-01 | 2024-01-12 | Alpha | Kern    | M1  | 2024-01-01
  4      | 2024-01-13 | 2024-01-18 | Alpha | Kern    | M2  | 2024-01-01
  4      | 2024-01-19 | 2024-01-31 | Beta  | Kings   | M1  | 2024-01-01
  5      | 2024-01-01 | 2024-01-31 |       |         |     | 2024-01-01
  5      | 2024-01-01 | 2024-01-31 | Zeta  |         | M1  | 2024-01-01
  6      | 2024-01-01 | 2024-01-20 | Alpha | Kern    | M1  | 2024-01-01
  6      | 2024-01-05 | 2024-01-20 | Alpha | Kern    | M1  | 2024-01-01
  6      | 2024-01-11 | 2024-01-31 | Beta  | Kings   | M1  | 2024-01-01
"""


def test_plan_of_a_month_with_several(spec):
    built = spec(eligibility=SEVERAL_PLANS)
    plans = {m: each["2024-01"] for m, each in built.values("plan").items()}
    # 1 most days; 2 tied, latest recorded; 3 tied, alphabetical; 4 Alpha has 18 days over two aid
    # codes; 5 a known plan before a missing one; 6 overlapping spans of a plan count a day once:
    # Alpha 20 days, Beta 21.
    assert plans == {1: "Beta", 2: "Beta", 3: "Alpha", 4: "Alpha", 5: "Zeta", 6: "Beta"}
    counties = {m: each["2024-01"] for m, each in built.values("county").items()}
    assert counties == {1: "Kings", 2: "Kings", 3: "Kern", 4: "Kern", 6: "Kings"}
    assert built.values("aid_code")[4] == {"2024-01": "M1"}


def test_latest_recorded_plan_wins_where_the_study_says_so(spec):
    built = spec(
        eligibility="""
          member | start      | end        | plan  | recorded
          -------+------------+------------+-------+-----------
          1      | 2024-01-01 | 2024-01-31 | Alpha | 2024-01-01
          1      | 2024-01-20 | 2024-01-31 | Beta  | 2024-03-01
        """,
        plan_rule="latest_recorded",
    )
    assert built.values("plan") == {1: {"2024-01": "Beta"}}


def test_county_of_the_person_stands_in_for_a_missing_one(spec):
    built = spec(
        window=("2024-01", "2024-01"),
        eligibility="""
          member | start      | end | county
          -------+------------+-----+-------
          1      | 2024-01-01 |     |
          2      | 2024-01-01 |     | Kern
        """,
        person="""
          member | birth      | county
          -------+------------+-------
          1      | 1990-01-01 | Fresno
          2      | 1990-01-01 | Fresno
        """,
    )
    assert built.values("county") == {1: {"2024-01": "Fresno"}, 2: {"2024-01": "Kern"}}


def test_a_month_is_retroactive_when_it_was_recorded_after_it_ended(spec):
    built = spec(
        window=("2024-01", "2024-03"),
        eligibility="""
          member | start      | end        | recorded
          -------+------------+------------+-----------
          1      | 2024-01-01 | 2024-03-31 | 2024-02-29
          2      | 2024-01-01 | 2024-03-31 | 2024-03-01
          3      | 2024-01-01 | 2024-01-31 | 2023-12-01
          3      | 2024-01-01 | 2024-01-31 | 2024-12-01
          4      | 2024-01-01 | 2024-01-31 |
        """,
    )
    assert built.values("is_retroactive") == {
        1: {"2024-01": True},
        2: {"2024-01": True, "2024-02": True},
    }
    frame = built.panel.to_frame(["member_id", "is_retroactive"])
    assert frame.loc[frame["member_id"] == "4", "is_retroactive"].isna().all()


def test_member_without_a_person_row_is_kept_as_unknown(spec):
    built = spec(
        window=("2024-01", "2024-01"),
        eligibility="""
          member | start      | end
          -------+------------+----
          1      | 2024-01-01 |
          2      | 2024-01-01 |
        """,
        person="""
          member | birth      | death
          -------+------------+------
          1      | 1990-01-01 |
          9      | 1990-01-01 |
        """,
    )
    assert built.values("race_ethnicity") == {
        1: {"2024-01": "unknown"},
        2: {"2024-01": "unknown"},
    }
    assert built.reasons("person") == {"used": 1, "no month in the panel": 1}


@pytest.mark.parametrize("n_buckets", [1, 3])
def test_buckets_do_not_change_the_panel(spec, n_buckets):
    built = spec(eligibility=SEVERAL_PLANS, n_buckets=n_buckets)
    assert built.panel.n_member_months == 6
    assert built.reasons("eligibility") == {"used": 14}
