"""Inpatient stays, days and readmissions."""

from __future__ import annotations

CLAIMS_OF_ONE_FACILITY = """
  member | claim | bill | rev  | start      | end        | admit      | discharge  | left | at
  -------+-------+------+------+------+------+------+------+------+---
  1      | 1a    | 111  | 0120 | 2024-03-01 | 2024-03-05 | 2024-03-01 | 2024-03-05 | 01   | A
  1      | 1b    | 111  | 0120 | 2024-03-02 | 2024-03-05 | 2024-03-02 | 2024-03-05 | 01   | A
  2      | 2a    | 112  | 0120 | 2024-03-01 | 2024-03-31 | 2024-03-01 |            | 30   | A
  2      | 2b    | 113  | 0120 | 2024-04-01 | 2024-04-30 | 2024-03-01 |            | 30   | A
  2      | 2c    | 114  | 0120 | 2024-05-01 | 2024-05-03 | 2024-03-01 | 2024-05-03 | 01   | A
  3      | 3a    | 112  | 0120 | 2024-03-01 | 2024-03-31 | 2024-03-01 |            | 30   | A
  3      | 3b    | 114  | 0120 | 2024-04-01 | 2024-04-02 | 2024-04-01 | 2024-04-02 | 01   | A
  4      | 4a    | 111  | 0120 | 2024-03-01 | 2024-03-05 | 2024-03-01 | 2024-03-05 | 01   | A
  4      | 4b    | 111  | 0120 | 2024-03-06 | 2024-03-08 | 2024-03-06 | 2024-03-08 | 01   | A
  5      | 5a    | 111  | 0120 | 2024-03-01 | 2024-03-05 | 2024-03-01 | 2024-03-05 | 01   | A
  5      | 5b    | 111  | 0120 | 2024-03-05 | 2024-03-08 | 2024-03-05 | 2024-03-08 | 01   | A
"""


def test_claims_of_one_facility_become_stays(spec):
    built = spec(medical_claim=CLAIMS_OF_ONE_FACILITY)
    # 4: discharged and back the next day at the same hospital: two stays.
    assert built.values("inpatient_stays") == {
        1: {"2024-03": 1},
        2: {"2024-03": 1},
        3: {"2024-03": 1},
        4: {"2024-03": 2},
        5: {"2024-03": 1},
    }
    # Nights in their own month: 31 in March, 30 in April, 2 in May.
    assert built.values("inpatient_days") == {
        1: {"2024-03": 4},
        2: {"2024-03": 31, "2024-04": 30, "2024-05": 2},
        3: {"2024-03": 31, "2024-04": 1},
        4: {"2024-03": 6},
        5: {"2024-03": 7},
    }


def test_interim_bills_without_a_status_are_followed(spec):
    built = spec(
        medical_claim="""
          member | claim | bill | rev  | start      | end        | left | at
          -------+-------+------+------+------------+------------+------+---
          1      | 1a    | 112  | 0120 | 2024-01-20 | 2024-01-31 |      | A
          1      | 1b    | 0113 | 0120 | 2024-02-01 | 2024-02-29 |      | A
          1      | 1c    | 114  | 0120 | 2024-03-01 | 2024-03-05 | 01   | A
          2      | 2a    | 111  | 0120 | 2024-01-20 | 2024-01-31 |      | A
          2      | 2b    | 111  | 0120 | 2024-02-01 | 2024-02-10 | 01   | A
          3      | 3a    | 112  | 0120 | 2024-01-20 | 2024-01-31 | 01   | A
          3      | 3b    | 111  | 0120 | 2024-02-01 | 2024-02-10 | 01   | A
          4      | 4a    | 112  | 0120 | 2024-01-20 | 2024-01-31 |      | A
          5      | 5a    | 111  | 0120 | 2024-12-31 | 2024-12-31 | 01   | A
        """
    )
    # 2: no interim bill. 3: a status that is there is taken at its word. 4: still a patient.
    assert built.values("inpatient_stays") == {
        1: {"2024-01": 1},
        2: {"2024-01": 1, "2024-02": 1},
        3: {"2024-01": 1, "2024-02": 1},
        4: {"2024-01": 1},
        5: {"2024-12": 1},
    }
    assert built.values("index_stays_30d") == {
        1: {"2024-03": 1},
        2: {"2024-01": 1, "2024-02": 1},
        3: {"2024-01": 1, "2024-02": 1},
    }
    assert built.values("readmissions_30d") == {2: {"2024-01": 1}, 3: {"2024-01": 1}}


def test_what_is_an_acute_inpatient_claim(spec):
    claims = """
      member | claim | bill | revenue | drg | start      | end        | facility
      -------+-------+------+---------+-----+------------+------------+---------
      1      | 1a    | 111  | 0120    |     | 2024-03-01 | 2024-03-01 | A
      2      | 2a    | 0114 | 0300    | 470 | 2024-03-01 | 2024-03-03 | A
      3      | 3a    | 111  | 0300    |     | 2024-03-01 | 2024-03-03 | A
      4      | 4a    | 121  | 0120    | 470 | 2024-03-01 | 2024-03-03 | A
      5      | 5a    | 111  | 0190    |     | 2024-03-01 | 2024-03-03 | A
      6      | 6a    | 211  | 0120    |     | 2024-03-01 | 2024-03-03 | A
    """
    assert spec(medical_claim=claims).values("inpatient_days") == {
        1: {"2024-03": 1},
        2: {"2024-03": 2},
    }
    by_bill = spec(medical_claim=claims, stay_evidence="bill_type")
    assert set(by_bill.values("inpatient_stays")) == {1, 2, 3, 5}


TRANSFERS = """
  member | claim | revenue | bill | start      | end        | left | facility
  -------+-------+---------+------+------------+------------+------+---------
  1      | 1a    | 0120    | 111  | 2024-03-01 | 2024-03-05 | 02   | A
  1      | 1b    | 0120    | 111  | 2024-03-05 | 2024-03-08 | 01   | B
  2      | 2a    | 0120    | 111  | 2024-03-01 | 2024-03-05 | 01   | A
  2      | 2b    | 0120    | 111  | 2024-03-06 | 2024-03-08 | 01   | B
  3      | 3a    | 0120    | 111  | 2024-03-01 | 2024-03-05 | 02   | A
  3      | 3b    | 0120    | 111  | 2024-03-07 | 2024-03-08 | 01   | B
  4      | 4a    | 0120    | 111  | 2024-03-01 | 2024-03-05 | 02   | A
  4      | 4b    | 0120    | 111  | 2024-03-05 | 2024-03-08 | 02   | B
  4      | 4c    | 0120    | 111  | 2024-03-09 | 2024-03-12 | 01   | A
  5      | 5a    | 0120    | 111  | 2024-03-01 | 2024-03-09 | 01   | A
  5      | 5b    | 0120    | 111  | 2024-03-03 | 2024-03-05 | 01   | B
  5      | 5c    | 0120    | 111  | 2024-03-10 | 2024-03-12 | 01   | A
"""


def test_transfers_continue_a_stay(spec):
    built = spec(medical_claim=TRANSFERS)
    # 4: there and back again is one episode. 5: B lies within A's stay; the next day's admission is
    # to A, which discharged the day before, so it is a new stay.
    assert built.values("inpatient_stays") == {
        1: {"2024-03": 1},
        2: {"2024-03": 1},
        3: {"2024-03": 2},
        4: {"2024-03": 1},
        5: {"2024-03": 2},
    }
    assert built.values("inpatient_days") == {
        1: {"2024-03": 7},
        2: {"2024-03": 7},
        3: {"2024-03": 5},
        4: {"2024-03": 11},
        5: {"2024-03": 10},
    }


def test_a_transfer_must_be_coded_where_the_study_says_so(spec):
    built = spec(medical_claim=TRANSFERS, transfer_rule="dates_and_status")
    stays = {member: each["2024-03"] for member, each in built.values("inpatient_stays").items()}
    # 2 was discharged home. An admission on the day of discharge overlaps the stay before it.
    assert stays == {1: 1, 2: 2, 3: 2, 4: 1, 5: 2}


def test_no_transfer_days(spec):
    built = spec(medical_claim=TRANSFERS, transfer_days=0)
    stays = {member: each["2024-03"] for member, each in built.values("inpatient_stays").items()}
    assert stays == {1: 1, 2: 2, 3: 2, 4: 2, 5: 2}


READMISSIONS = """
  member | claim | revenue | bill | start      | end        | left | facility
  -------+-------+---------+------+------------+------------+------+---------
  1      | 1a    | 0120    | 111  | 2024-03-01 | 2024-03-05 | 01   | A
  1      | 1b    | 0120    | 111  | 2024-04-04 | 2024-04-06 | 01   | A
  1      | 1c    | 0120    | 111  | 2024-05-06 | 2024-05-08 | 01   | A
  1      | 1d    | 0120    | 111  | 2024-06-08 | 2024-06-09 | 01   | A
  2      | 2a    | 0120    | 111  | 2024-03-01 | 2024-03-05 | 07   | A
  2      | 2b    | 0120    | 111  | 2024-03-10 | 2024-03-12 | 02   | A
  2      | 2c    | 0120    | 111  | 2024-03-20 | 2024-03-22 | 20   | A
  3      | 3a    | 0120    | 111  | 2024-03-01 | 2024-03-01 | 01   | A
  3      | 3b    | 0120    | 111  | 2024-03-10 | 2024-03-12 | 30   | A
  3      | 3c    | 0120    | 111  | 2024-03-20 | 2024-03-22 | 01   | A
  4      | 4a    | 0120    | 111  | 2024-03-01 | 2024-03-05 | 01   | A
  4      | 4b    | 0120    | 111  | 2024-03-06 | 2024-03-08 | 01   | A
  4      | 4c    | 0120    | 111  | 2024-03-09 | 2024-03-10 | 01   | B
  5      | 5a    | 0120    | 111  | 2024-03-01 | 2024-03-05 | 01   | A
  5      | 5b    | 0120    | 111  | 2024-03-15 | 2024-03-17 | 01   | A
  9      | 9a    | 0300    | 131  | 2024-11-30 | 2024-11-30 |      | A
"""
PERSONS = """
  member | birth      | death
  -------+------------+-----------
  1      | 1990-01-01 |
  2      | 1990-01-01 |
  3      | 1990-01-01 |
  4      | 1959-03-05 |
  5      | 1990-01-01 | 2024-03-05
  9      | 1990-01-01 |
"""


def test_readmissions_within_thirty_days(spec):
    built = spec(medical_claim=READMISSIONS, person=PERSONS)
    # 1: day 30 counts, also after a readmission; day 31 does not. 2: against advice, transferred,
    # died: none is an index stay. 3: same-day and not yet discharged neither. 4: next day at the
    # same hospital is a readmission; the transfer after it is the same episode. 5: dead at
    # discharge, whatever the claims after it say.
    assert built.values("readmissions_30d") == {
        1: {"2024-03": 1, "2024-04": 1},
        4: {"2024-03": 1},
    }


def test_readmissions_of_an_age_group(spec):
    built = spec(medical_claim=READMISSIONS, person=PERSONS, readmission_ages=(18, 64))
    # 4 turned 65 on the day of discharge.
    assert set(built.values("readmissions_30d")) == {1}


def test_readmissions_are_missing_where_they_cannot_be_followed(spec):
    built = spec(medical_claim=READMISSIONS)
    # Claims end on November 30: discharges up to October 31 can be followed for 30 days.
    frame = built.panel.to_frame(["month", "readmissions_30d"])
    known = frame[frame["readmissions_30d"].notna()]["month"]
    assert known.max().strftime("%Y-%m") == "2024-10"
    assert [str(m) for m in built.panel.observed_months("readmissions_30d")[[0, -1]]] == [
        "2024-01",
        "2024-10",
    ]
    assert (
        "`index_stays_30d`, `readmissions_30d` are missing from 2024-11 to 2024-12: the claims end "
        "before 30 days of follow-up."
    ) in built.panel.notes


def test_nights_and_admissions_outside_coverage_are_counted_not_joined(spec):
    built = spec(
        eligibility="""
          member | start      | end
          -------+------------+-----------
          1      | 2024-01-01 | 2024-03-31
          1      | 2024-05-01 | 2024-05-31
        """,
        medical_claim="""
          member | claim | revenue | bill | start      | end        | left | facility
          -------+-------+---------+------+------------+------------+------+---------
          1      | 1a    | 0120    | 111  | 2023-12-30 | 2024-01-03 | 01   | A
          1      | 1b    | 0120    | 111  | 2024-03-30 | 2024-05-03 | 01   | A
          1      | 1c    | 0120    | 111  | 2024-04-10 | 2024-04-12 | 01   | B
        """,
    )
    assert built.values("inpatient_days") == {1: {"2024-01": 2, "2024-03": 2, "2024-05": 2}}
    assert built.values("inpatient_stays") == {1: {"2024-03": 1}}
    assert built.reasons("inpatient_days", "events") == {
        "used": 6,
        "outside coverage": 30,
        "outside the window": 2,
    }
    assert built.reasons("inpatient_stays", "events") == {"used": 1, "outside the window": 1}


def test_a_transfer_the_same_or_the_next_day_and_back_again(spec):
    claims = """
      member | claim | rev  | bill | start      | end        | left | at | biller
      -------+-------+------+------+------------+------------+------+----+-----------
      1      | 1a    | 0120 | 111  | 2024-03-30 | 2024-04-02 | 02   | A  |
      1      | 1b    | 0120 | 111  | 2024-04-02 | 2024-04-02 | 02   | B  |
      1      | 1c    | 0120 | 111  | 2024-04-02 | 2024-04-05 | 01   | A  |
      2      | 2a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 02   | A  |
      2      | 2b    | 0120 | 111  | 2024-03-06 | 2024-03-08 | 02   | B  |
      2      | 2c    | 0120 | 111  | 2024-03-09 | 2024-03-11 | 02   | C  |
      2      | 2d    | 0120 | 111  | 2024-03-13 | 2024-03-14 | 01   | A  |
      3      | 3a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 02   | A  |
      3      | 3b    | 0120 | 111  | 2024-03-05 | 2024-03-09 | 01   | P  | 283Q00000X
      4      | 4a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 02   | P  | 273R00000X
      4      | 4b    | 0120 | 111  | 2024-03-05 | 2024-03-09 | 01   | A  |
      5      | 5a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 02   | A  | 282N00000X
    """
    built = spec(medical_claim=claims)
    # 1: A to B to A within one day. 2: three in a chain, then a gap of two days.
    assert built.values("inpatient_stays") == {
        1: {"2024-03": 1},
        2: {"2024-03": 2},
        3: {"2024-03": 1},
        4: {"2024-03": 1},
        5: {"2024-03": 1},
    }
    assert built.values("inpatient_days")[1] == {"2024-03": 2, "2024-04": 4}
    assert built.values("inpatient_days_of_stays") == {
        1: {"2024-03": 6},
        2: {"2024-03": 11},
        3: {"2024-03": 8},
        4: {"2024-03": 8},
        5: {"2024-03": 4},
    }
    # 3 began on a medical ward: it is a medical stay.
    assert built.values("inpatient_stays_psychiatric") == {4: {"2024-03": 1}}


def test_psychiatric_stays_are_missing_where_nobody_sends_taxonomies(spec):
    built = spec(medical_claim=TRANSFERS)
    assert built.panel.to_frame()["inpatient_stays_psychiatric"].isna().all()
    assert (
        "`inpatient_stays_psychiatric` is missing throughout: no claim carries a "
        "`billing_taxonomy_code`."
    ) in built.panel.notes


def test_stays_for_sensitive_conditions(spec):
    built = spec(
        medical_claim="""
          member | claim | rev  | bill | start      | end        | left | at | dx
          -------+-------+------+------+------------+------------+------+----+------
          1      | 1a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | J441
          2      | 2a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | J441
          3      | 3a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 02   | A  | I219
          3      | 3b    | 0120 | 111  | 2024-03-05 | 2024-03-09 | 01   | B  | E1010
          4      | 4a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | E1010
          5      | 5a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | E101
          6      | 6a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | J441
        """,
        person="""
          member | birth
          -------+-----------
          1      | 1984-03-01
          2      | 1984-03-02
          3      | 1990-01-01
          4      | 1990-01-01
          5      | 1990-01-01
        """,
        acsc_diagnosis="""
          code  | condition  | youngest | oldest
          ------+------------+----------+-------
          J441  | copd       | 40       |
          E1010 | diabetes   |          |
          E1010 | diabetes 2 | 18       | 64
        """,
    )
    # 2 turns 40 the day after; 3 came with another diagnosis; 5 another code; 6 age unknown.
    assert built.values("acsc_stays") == {1: {"2024-03": 1}, 4: {"2024-03": 1}}


def test_stays_for_sensitive_conditions_are_missing_without_their_table(spec):
    built = spec(medical_claim=TRANSFERS)
    assert built.panel.to_frame()["acsc_stays"].isna().all()
    assert any("no `acsc_diagnosis`, a table for you to fill" in n for n in built.panel.notes)
