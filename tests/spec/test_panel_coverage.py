"""Coverage rules: which months are in the panel, and whose plan, county and status they carry."""

from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import build_member_months, continuous_enrollment
from calaim_eval.tables import read_tables


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


def test_a_month_is_dual_by_the_list_of_dual_status_codes(spec):
    built = spec(
        exclude_duals=False,
        eligibility="""
          member | start      | end        | dual
          -------+------------+------------+-----
          1      | 2024-01-01 | 2024-01-31 | 00
          2      | 2024-01-01 | 2024-01-31 | 01
          3      | 2024-01-01 | 2024-01-31 | 08
          4      | 2024-01-01 | 2024-01-31 | 09
          5      | 2024-01-01 | 2024-01-31 | 10
          6      | 2024-01-01 | 2024-01-31 | 99
          7      | 2024-01-01 | 2024-01-31 | NA
          8      | 2024-01-01 | 2024-01-31 | N
          9      | 2024-01-01 | 2024-01-31 | XX
          10     | 2024-01-01 | 2024-01-31 | DUAL
          11     | 2024-01-01 | 2024-01-31 | 77
        """,
    )
    # Every code that says Medicare, also without Medicaid (09, XX), and codes not in the list.
    assert set(built.values("is_dual")) == {2, 3, 4, 5, 9, 10, 11}


def test_where_medicare_is_a_line_of_the_study_dual_is_with_medicaid(spec):
    built = spec(
        exclude_duals=False,
        payer_types=("medicare",),
        eligibility="""
          member | start      | end        | payer    | dual
          1      | 2024-01-01 | 2024-01-31 | medicare | 00
          2      | 2024-01-01 | 2024-01-31 | medicare | 02
          3      | 2024-01-01 | 2024-01-31 | medicare | 09
          4      | 2024-01-01 | 2024-01-31 | medicare | XX
          5      | 2024-01-01 | 2024-01-31 | medicare | 06
        """,
    )
    assert set(built.values("is_dual")) == {2, 5}


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


def test_a_span_recorded_after_the_extract_is_not_dated(tmp_path):
    """The files were cut on 30 April: nothing in them can have been recorded later."""
    spans = pd.DataFrame(
        [
            ("1", "2024-01-01", "2024-02-29", "2024-04-15"),
            ("2", "2024-01-01", "2024-02-29", "2024-05-15"),
            ("3", "2024-01-01", "2024-02-29", "2024-01-02"),
        ],
        columns=["member_id", "enrollment_start_date", "enrollment_end_date", "recorded_date"],
    )
    raw = tmp_path / "raw"
    raw.mkdir()
    spans.to_csv(raw / "eligibility.csv", index=False)
    persons = pd.DataFrame({"member_id": ["1"], "birth_date": ["1990-01-01"]})
    persons.to_csv(raw / "person.csv", index=False)
    claims = {"claim_id": "c", "claim_line_number": 1, "claim_type": "professional"}
    pd.DataFrame([{**claims, "member_id": "1", "claim_start_date": "2024-01-02"}]).to_csv(
        raw / "medical_claim.csv", index=False
    )
    tables = read_tables(raw, work_dir=tmp_path / "work", extract_date="2024-04-30")
    panel = build_member_months(tables, first_month="2024-01", last_month="2024-02")
    notices = panel.ledger.to_frame().query("table == 'eligibility' and stage == 'notice'")
    assert notices[["reason", "n_rows"]].to_numpy().tolist() == [
        ["`recorded_date` is an impossible date (read as missing)", 1]
    ]
    frame = panel.to_frame(["member_id", "is_retroactive"])
    told = {
        member: [None if pd.isna(each) else bool(each) for each in rows]
        for member, rows in frame.groupby("member_id")["is_retroactive"]
    }
    assert told == {"1": [True, True], "2": [None, None], "3": [False, False]}


CUSTODY = """
  member | booking    | release
  -------+------------+-----------
  1      | 2024-02-01 | 2024-03-31
  2      | 2024-02-02 | 2024-02-29
  3      | 2024-02-01 | 2024-02-10
  3      | 2024-02-11 | 2024-02-29
  4      | 2024-11-15 |
  5      | 2024-02-01 |
"""
LIVES = """
  member | birth      | death
  -------+------------+-----------
  5      | 1960-05-05 | 2024-03-10
"""


def test_a_month_is_in_custody_when_every_day_of_it_is(spec):
    built = spec(custody=CUSTODY, person=LIVES)
    assert built.values("is_in_custody") == {
        1: {"2024-02": True, "2024-03": True},
        3: {"2024-02": True},
        4: {"2024-12": True},
        5: {"2024-02": True},
    }
    assert built.panel.to_frame(["is_in_custody"])["is_in_custody"].notna().all()
    without = spec(person=LIVES).panel.to_frame(["is_in_custody"])
    assert without["is_in_custody"].isna().all()


def test_months_in_custody_are_left_out_when_the_study_says_so(spec):
    claims = """
      member | claim | type | hcpcs | start      | rendering
      -------+-------+------+-------+------------+----------
      1      | 1a    | prof | 99213 | 2024-02-10 | 9
      1      | 1b    | prof | 99213 | 2024-04-10 | 9
    """
    given = {"custody": CUSTODY, "person": LIVES, "medical_claim": claims}
    built = spec(**given, custody_months="leave_out")
    assert not {"2024-02", "2024-03"} & set(built.months(1))
    assert "2024-02" in built.months(2)
    assert built.months(5) == ["2024-01", "2024-03"]
    kept = spec(**given)
    assert kept.panel.n_member_months - built.panel.n_member_months == 5
    assert built.reasons("member_month")["month wholly in custody"] == 5
    assert built.reasons("medical_claim") == {"used": 1, "month wholly in custody": 1}
    # A spell is used when any of its months is in the panel.
    assert built.reasons("custody") == {"used": 3, "month wholly in custody": 3}
    assert built.values("jail_days") == {2: {"2024-02": 28}, 4: {"2024-11": 16}, 5: {"2024-03": 10}}


def test_months_in_custody_cannot_be_left_out_without_a_feed(spec):
    with pytest.raises(
        TableError, match="`custody_months` is 'leave_out', and the table `custody`"
    ):
        spec(person=LIVES, custody_months="leave_out")


def test_a_plan_move_is_another_plan_than_in_the_previous_month_of_the_panel(spec):
    built = spec(
        eligibility="""
          member | start      | end        | plan
          -------+------------+------------+------
          1      | 2024-01-01 | 2024-02-29 | Alpha
          1      | 2024-03-01 | 2024-04-30 | Beta
          1      | 2024-06-01 | 2024-06-30 | Beta
          1      | 2024-07-01 | 2024-07-31 | Alpha
          2      | 2024-01-01 | 2024-01-31 | Alpha
          2      | 2024-02-01 | 2024-02-29 |
          2      | 2024-03-01 | 2024-04-30 | Beta
          3      | 2024-01-01 | 2024-01-20 | Alpha
          3      | 2024-01-21 | 2024-02-10 | Beta
          3      | 2024-02-11 | 2024-02-29 | Alpha
        """
    )
    # 1: not after the gap, for the plan is the same. 3: Alpha has most days of both months.
    assert built.values("is_plan_move") == {1: {"2024-03": True, "2024-07": True}}
    frame = built.panel.to_frame(["member_id", "month", "is_plan_move"])
    unknown = frame[frame["is_plan_move"].isna()]
    assert [
        (m, f"{month:%m}") for m, month in zip(unknown["member_id"], unknown["month"], strict=True)
    ] == [
        ("1", "01"),
        ("2", "01"),
        ("2", "02"),
        ("2", "03"),
        ("3", "01"),
    ]


def test_lookback_counts_the_months_of_the_panel_in_the_year_before(spec):
    built = spec(
        window=("2023-01", "2024-06"),
        eligibility="""
          member | start      | end        | dual
          -------+------------+------------+-----
          1      | 2023-01-01 | 2023-03-15 |
          1      | 2023-06-10 | 2024-06-30 |
          2      | 2022-01-01 | 2023-06-30 | 02
          2      | 2023-07-01 | 2024-01-31 |
          3      | 2024-02-01 | 2024-02-29 |
        """,
    )
    assert built.values("lookback_covered_months") == {
        1: {
            "2024-01": 10,
            "2024-02": 10,
            "2024-03": 10,
            "2024-04": 10,
            "2024-05": 11,
            "2024-06": 12,
        },
        # Months with Medicare are not in the panel.
        2: {"2024-01": 6},
    }
    frame = built.panel.to_frame(["month", "lookback_covered_months"])
    assert frame.loc[frame["month"] < "2024-01-01", "lookback_covered_months"].isna().all()
    assert frame.loc[frame["month"] >= "2024-01-01", "lookback_covered_months"].notna().all()


def test_a_year_without_too_long_a_gap_is_continuous_enrollment(spec):
    spans = """
      member | start      | end        | dual
      -------+------------+------------+-----
      1      | 2022-01-01 |            |
      2      | 2022-01-01 | 2023-06-30 |
      2      | 2023-08-10 |            |
      3      | 2023-03-01 |            |
      4      | 2022-01-01 | 2023-04-30 |
      4      | 2023-05-01 | 2023-06-30 | 02
      4      | 2023-07-01 |            |
    """
    built = {
        gap: spec(window=("2023-01", "2024-03"), eligibility=spans, max_gap_months=gap)
        for gap in (0, 1, 2)
    }
    # 2: July 2023 is a gap. 3: January and February 2023 are, before the first month. 4: two
    # months with Medicare are not in the panel.
    flags = {gap: each.values("is_continuously_enrolled") for gap, each in built.items()}
    whole = {"2024-01": True, "2024-02": True, "2024-03": True}
    assert flags == {
        0: {1: whole, 3: {"2024-03": True}},
        1: {1: whole, 2: whole, 3: {"2024-02": True, "2024-03": True}},
        2: {1: whole, 2: whole, 3: whole, 4: whole},
    }
    # The same as asked for one month at a time; not known where a year is not seen.
    panel = built[1].panel
    frame = panel.to_frame(["member_id", "month", "is_continuously_enrolled"])
    is_known = frame["month"] >= "2024-01-01"
    assert frame["is_continuously_enrolled"].isna().tolist() == (~is_known).tolist()
    asked = frame.loc[is_known, ["member_id", "month"]]
    told = continuous_enrollment(panel, asked, lookback_months=12, follow_up_months=0)
    said = frame.loc[is_known, "is_continuously_enrolled"]
    assert said.tolist() == told["is_continuous"].tolist()


def test_dual_status_and_full_scope_are_by_month(spec):
    built = spec(
        exclude_duals=False,
        benefit_scope="any",
        eligibility="""
          member | start      | end        | dual | scope
          -------+------------+------------+------+--------
          1      | 2024-01-01 | 2024-02-15 | NA   | limited
          1      | 2024-02-16 | 2024-03-31 | 08   | full
          1      | 2024-04-01 | 2024-05-31 | 00   |
        """,
    )
    # A month touched by a dual or a full-scope span is dual, or full scope.
    assert built.values("is_dual") == {1: {"2024-02": True, "2024-03": True}}
    assert list(built.values("is_full_scope")[1]) == ["2024-02", "2024-03", "2024-04", "2024-05"]


def test_merged_identifiers_are_one_member_with_one_row_a_month(spec):
    built = spec(
        eligibility="""
          member | start      | end        | plan
          -------+------------+------------+------
          1      | 2024-01-01 | 2024-03-31 | Alpha
          2      | 2024-03-01 | 2024-05-31 | Beta
          3      | 2024-05-15 | 2024-06-30 | Beta
        """,
        person="""
          member | birth
          -------+-----------
          1      | 1990-01-01
          3      | 1980-01-01
        """,
        medical_claim="""
          member | claim | line | type | hcpcs | start      | rendering
          -------+-------+------+------+-------+------------+----------
          1      | 1a    | 1    | prof | 99213 | 2024-02-10 | 9
          2      | 1a    | 1    | prof | 99213 | 2024-02-10 | 9
          2      | 2a    | 1    | prof | 99213 | 2024-05-10 | 9
        """,
        member_xref="""
          member | current
          -------+--------
          1      | 2
          2      | 3
        """,
    )
    assert built.panel.n_members == 1
    assert built.months(3) == [f"2024-0{month}" for month in range(1, 7)]
    # The plan with most days, tied: the first in the alphabet.
    assert built.values("plan")[3]["2024-03"] == "Alpha"
    assert built.values("covered_days")[3]["2024-05"] == 31
    assert set(built.values("age_years")[3].values()) == {44}
    assert built.values("outpatient_visits") == {3: {"2024-02": 1, "2024-05": 1}}
    moved = "row of a merged `member_id`, moved to the current one"
    assert built.reasons("eligibility", "notice") == {moved: 2}
    assert built.reasons("medical_claim", "read") == {"used": 2, "exact duplicate": 1}


def test_a_gap_is_tolerated_in_continuous_enrollment_and_never_filled(spec):
    built = spec(
        max_gap_months=1,
        eligibility="""
          member | start      | end
          -------+------------+-----------
          1      | 2024-01-01 | 2024-03-31
          1      | 2024-05-01 | 2024-06-30
          2      | 2024-01-01 | 2024-02-29
          2      | 2024-05-01 | 2024-06-30
          3      | 2024-02-01 | 2024-06-30
          4      | 2024-01-01 | 2024-03-31
          4      | 2024-04-30 | 2024-06-30
        """,
    )
    # A gap month is in no panel: nobody is at risk in it.
    assert built.months(1) == ["2024-01", "2024-02", "2024-03", "2024-05", "2024-06"]
    assert built.months(4) == [f"2024-0{month}" for month in range(1, 7)]
    anchors = pd.DataFrame({"member_id": list("1234"), "month": pd.Timestamp("2024-03-01")})
    told = continuous_enrollment(built.panel, anchors, lookback_months=2, follow_up_months=3)
    assert told["longest_gap_months"].tolist() == [1, 2, 1, 0]
    assert told["is_continuous"].tolist() == [True, False, True, True]
    strict = continuous_enrollment(
        built.panel, anchors, lookback_months=2, follow_up_months=3, max_gap_months=0
    )
    assert strict["is_continuous"].tolist() == [False, False, False, True]
