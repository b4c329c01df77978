"""Index stays and what follows them: planned readmissions, pregnancy, enrollment, observation."""

from __future__ import annotations

LATE = "  9      | 9a    | 0300 | 131  | 2024-12-31 | 2024-12-31 |      | Z  |       |"
"""A claim at the end of the data, so that discharges can be followed."""

PLANNED = f"""
  member | claim | rev  | bill | start      | end        | left | at | dx    | drg
  -------+-------+------+------+------------+------------+------+----+-------+----
  1      | 1a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | C509  |
  1      | 1b    | 0120 | 111  | 2024-03-20 | 2024-03-21 | 01   | A  | Z5111 |
  1      | 1c    | 0120 | 111  | 2024-03-28 | 2024-03-30 | 01   | A  | A419  |
  2      | 2a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | C509  |
  2      | 2b    | 0120 | 111  | 2024-03-10 | 2024-03-12 | 01   | A  | A419  |
  2      | 2c    | 0120 | 111  | 2024-03-20 | 2024-03-21 | 01   | A  | Z5112 |
  3      | 3a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | S7200 | 481
  3      | 3b    | 0120 | 111  | 2024-03-10 | 2024-03-20 | 01   | B  | S7200 | 945
  4      | 4a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | N186  | 6831
  4      | 4b    | 0120 | 111  | 2024-03-10 | 2024-03-20 | 01   | A  | N186  | 4402
  5      | 5a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | C509  |
  5      | 5b    | 0120 | 111  | 2024-05-05 | 2024-05-06 | 01   | A  | Z5111 |
{LATE}
"""


def test_an_index_stay_whose_first_readmission_was_planned_is_none(spec):
    built = spec(medical_claim=PLANNED, window=("2024-01", "2024-11"))
    # 1: the chemotherapy drops the stay before it, and is followed by a real readmission itself.
    # 2: the first readmission counts; the second, planned, drops the stay in the middle.
    # 3, 4: nobody said what the DRGs are. 5: not within 30 days.
    assert built.values("index_stays_30d") == {
        1: {"2024-03": 2},
        2: {"2024-03": 2},
        3: {"2024-03": 2},
        4: {"2024-03": 2},
        5: {"2024-03": 1, "2024-05": 1},
    }
    assert built.values("readmissions_30d") == {
        1: {"2024-03": 1},
        2: {"2024-03": 1},
        3: {"2024-03": 1},
        4: {"2024-03": 1},
    }


def test_planned_readmissions_by_diagnosis_related_group(spec):
    window = ("2024-01", "2024-11")
    medicare = spec(medical_claim=PLANNED, window=window, drg_system="ms_drg")
    assert set(medicare.values("readmissions_30d")) == {1, 2, 4}
    assert medicare.values("index_stays_30d")[3] == {"2024-03": 1}
    all_patient = spec(medical_claim=PLANNED, window=window, drg_system="apr_drg")
    assert set(all_patient.values("readmissions_30d")) == {1, 2, 3}
    assert all_patient.values("index_stays_30d")[4] == {"2024-03": 1}


def test_planned_readmissions_count_where_the_study_says_so(spec):
    built = spec(medical_claim=PLANNED, window=("2024-01", "2024-11"), planned_readmissions="count")
    assert built.values("readmissions_30d") == {
        1: {"2024-03": 2},
        2: {"2024-03": 2},
        3: {"2024-03": 1},
        4: {"2024-03": 1},
    }
    assert built.values("index_stays_30d")[1] == {"2024-03": 3}


PROCEDURES_DONE = f"""
  member | claim | rev  | bill | start      | end        | left | at | dx      | drg
  -------+-------+------+------+------------+------------+------+----+---------+----
  1      | 1a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | I509    |
  1      | 1b    | 0120 | 111  | 2024-03-10 | 2024-03-12 | 01   | A  | M1611   |
  2      | 2a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | I509    |
  2      | 2b    | 0120 | 111  | 2024-03-10 | 2024-03-12 | 01   | A  | S72001A |
  3      | 3a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | K7200   |
  3      | 3b    | 0120 | 111  | 2024-03-10 | 2024-03-20 | 01   | A  | K7200   |
  4      | 4a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | C509    |
  4      | 4b    | 0120 | 111  | 2024-03-10 | 2024-03-12 | 01   | A  | Z510    |
  5      | 5a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | I509    |
  5      | 5b    | 0120 | 111  | 2024-03-10 | 2024-03-12 | 01   | A  | M1611   |
  6      | 6a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | I509    |
  6      | 6b    | 0120 | 111  | 2024-03-10 | 2024-03-12 | 01   | A  | M1611   |
  6      | 6c    | 0360 | 131  | 2024-03-11 | 2024-03-11 |      | A  | M1611   |
  7      | 7a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | I509    |
  7      | 7b    | 0120 | 111  | 2024-03-10 | 2024-03-12 | 01   | A  |         |
  8      | 8a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | I509    |
  8      | 8b    | 0120 | 111  | 2024-03-10 | 2024-03-12 | 02   | A  | M1611   |
  8      | 8c    | 0120 | 111  | 2024-03-12 | 2024-03-15 | 01   | B  | M1611   |
{LATE}
"""
PROCEDURES = """
  member | claim | procedure
  -------+-------+----------
  1      | 1b    | 0SR9019
  2      | 2b    | 0SR9019
  3      | 3b    | 0FY00Z0
  5      | 5b    | 0HBT0ZX
  6      | 6c    | 0SR9019
  7      | 7b    | 0SR9019
  8      | 8c    | 0SR9019
  9      | none  | 0SR9019
"""
PLANNED_CODES = """
  kind                          | code
  ------------------------------+--------
  potentially_planned_procedure | 0SR9019
  always_planned_procedure      | 0FY00Z0
  always_planned_diagnosis      | Z510
  acute_diagnosis               | S72001A
  acute_diagnosis               | K7200
"""


def test_planned_readmissions_by_procedure_where_the_study_gives_lists(spec):
    window = ("2024-01", "2024-11")
    without = spec(medical_claim=PROCEDURES_DONE, window=window)
    assert set(without.values("readmissions_30d")) == set(range(1, 9))
    (note,) = [n for n in without.panel.notes if "planned" in n]
    assert "no `claim_procedure` and no `planned_readmission_code`" in note
    built = spec(
        medical_claim=PROCEDURES_DONE,
        claim_procedure=PROCEDURES,
        planned_readmission_code=PLANNED_CODES,
        window=window,
    )
    # Planned: 1 may be and is not acute; 3 always is, acute or not; 4 by diagnosis; 8 on a claim
    # of the transfer. Not: 2 is acute; 5 is not listed; 6 was outside the stay's claims; 7 has no
    # diagnosis.
    assert built.values("readmissions_30d") == {member: {"2024-03": 1} for member in (2, 5, 6, 7)}
    # The index stay before a planned readmission is none; the readmission is one itself.
    assert built.values("index_stays_30d") == {
        **{member: {"2024-03": 1} for member in (1, 3, 4, 8)},
        **{member: {"2024-03": 2} for member in (2, 5, 6, 7)},
    }
    assert built.reasons("claim_procedure") == {"used": 7, "names no claim of the member": 1}
    assert not [n for n in built.panel.notes if "planned" in n]


def test_diagnoses_of_the_list_count_without_procedures(spec):
    built = spec(
        medical_claim=PROCEDURES_DONE,
        planned_readmission_code=PLANNED_CODES,
        window=("2024-01", "2024-11"),
    )
    assert set(built.values("readmissions_30d")) == {1, 2, 3, 5, 6, 7, 8}
    (note,) = [n for n in built.panel.notes if "planned" in n]
    assert "no `claim_procedure`, for you to fill" in note


def test_lists_are_not_asked_where_planned_readmissions_count(spec):
    built = spec(
        medical_claim=PROCEDURES_DONE,
        claim_procedure=PROCEDURES,
        planned_readmission_code=PLANNED_CODES,
        window=("2024-01", "2024-11"),
        planned_readmissions="count",
    )
    assert set(built.values("readmissions_30d")) == set(range(1, 9))


PREGNANCY = f"""
  member | claim | rev  | bill | start      | end        | left | at | dx    | drg
  -------+-------+------+------+------------+------------+------+----+-------+----
  1      | 1a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | O80   |
  1      | 1b    | 0120 | 111  | 2024-03-10 | 2024-03-12 | 01   | A  | A419  |
  2      | 2a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | P073  |
  3      | 3a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | O9A2  |
  4      | 4a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A  | Q211  |
  4      | 4b    | 0120 | 111  | 2024-03-10 | 2024-03-12 | 01   | A  | O80   |
{LATE}
"""


def test_pregnancy_is_left_out_of_index_stays_where_the_study_says_so(spec):
    window = ("2024-01", "2024-11")
    every = spec(medical_claim=PREGNANCY, window=window)
    assert every.values("readmissions_30d") == {1: {"2024-03": 1}, 4: {"2024-03": 1}}
    assert set(every.values("index_stays_30d")) == {1, 2, 3, 4}
    without = spec(medical_claim=PREGNANCY, window=window, readmission_pregnancy="leave_out")
    # 4: a readmission for pregnancy is a readmission.
    assert without.values("readmissions_30d") == {4: {"2024-03": 1}}
    assert without.values("index_stays_30d") == {1: {"2024-03": 1}, 4: {"2024-03": 1}}


def test_index_stays_need_a_year_of_coverage_where_the_study_says_so(spec):
    claims = "\n".join(
        [
            "member | claim | rev  | bill | start      | end        | left | at",
            *(
                f"{member} | {member}a | 0120 | 111 | 2024-06-10 | 2024-06-15 | 01 | A"
                for member in range(1, 7)
            ),
            "9 | 9a | 0300 | 131 | 2024-12-31 | 2024-12-31 | | Z",
        ]
    )
    enrollment = """
      member | start      | end
      -------+------------+-----------
      1      | 2023-06-20 | 2024-07-01
      2      | 2023-07-01 | 2024-07-31
      3      | 2023-08-01 | 2024-07-31
      4      | 2023-06-01 | 2024-06-30
      5      | 2023-06-01 | 2023-09-30
      5      | 2023-11-01 | 2024-07-31
      6      | 2023-06-01 | 2023-08-31
      6      | 2023-10-01 | 2023-10-31
      6      | 2023-12-01 | 2024-07-31
      9      | 2023-01-01 |
    """
    built = spec(
        medical_claim=claims,
        eligibility=enrollment,
        window=("2023-01", "2024-11"),
        readmission_enrollment="hedis",
    )
    # Of June 2023 to May 2024 one month may be missing, of June and July 2024 none.
    assert set(built.values("index_stays_30d")) == {1, 2, 5}
    # 365 days before January 1 is the January before; December's follow-up is past the window.
    assert [str(m) for m in built.panel.observed_months("index_stays_30d")[[0, -1]]] == [
        "2024-01",
        "2024-10",
    ]


OBSERVED = """
  member | claim | rev  | bill | start      | end        | left | at
  -------+-------+------+------+------------+------------+------+---
  1      | 1a    | 0120 | 111  | 2024-03-01 | 2024-03-05 | 01   | A
  1      | 1b    | 0762 | 131  | 2024-03-10 | 2024-03-11 | 01   | A
  2      | 2a    | 0762 | 131  | 2024-03-01 | 2024-03-02 | 01   | A
  2      | 2b    | 0120 | 111  | 2024-03-10 | 2024-03-12 | 01   | A
  3      | 3a    | 0762 | 131  | 2024-03-01 | 2024-03-01 | 01   | A
  3      | 3b    | 0120 | 111  | 2024-03-10 | 2024-03-12 | 01   | A
  9      | 9a    | 0300 | 131  | 2024-12-31 | 2024-12-31 |      | Z
"""


def test_observation_stays_are_stays_where_the_study_says_so(spec):
    window = ("2024-01", "2024-11")
    inpatient = spec(medical_claim=OBSERVED, window=window)
    assert inpatient.values("readmissions_30d") == {}
    assert set(inpatient.values("index_stays_30d")) == {1, 2, 3}
    both = spec(medical_claim=OBSERVED, window=window, readmission_stays="inpatient_or_observation")
    # 3: an observation within one day is no index stay.
    assert both.values("readmissions_30d") == {1: {"2024-03": 1}, 2: {"2024-03": 1}}
    assert both.values("index_stays_30d") == {
        1: {"2024-03": 2},
        2: {"2024-03": 2},
        3: {"2024-03": 1},
    }
