"""Emergency department visits: what is one visit, and what is none."""

from __future__ import annotations


def test_lines_and_claims_of_one_facility_within_a_day_are_one_visit(spec):
    built = spec(
        medical_claim="""
          member | claim | bill | revenue | hcpcs | start      | line_start | facility
          -------+-------+------+---------+-------+------------+------------+---------
          1      | 1a    | 131  | 0450    | 99284 | 2024-03-05 |            | A
          1      | 1a    | 131  | 0300    |       | 2024-03-05 |            | A
          1      | 1b    | 131  | 0450    |       | 2024-03-06 |            | A
          2      | 2a    | 131  | 0450    |       | 2024-03-05 |            | A
          2      | 2b    | 131  | 0450    |       | 2024-03-05 |            | B
          3      | 3a    | 131  | 0450    |       | 2024-03-05 |            | A
          3      | 3b    | 131  | 0450    |       | 2024-03-06 |            | A
          3      | 3c    | 131  | 0450    |       | 2024-03-07 |            | A
          4      | 4a    | 131  | 0450    |       | 2024-03-05 | 2024-03-05 | A
          4      | 4a    | 131  | 0450    |       | 2024-03-05 | 2024-03-06 | A
          4      | 4a    | 131  | 0450    |       | 2024-03-05 | 2024-03-07 | A
          5      | 5a    | 0131 | 0450    |       | 2024-03-31 | 2024-03-31 | A
          5      | 5a    | 0131 | 0450    |       | 2024-03-31 | 2024-04-01 | A
        """
    )
    # 3: the third day is two days after the visit's first, so it is another visit.
    # 4: one claim over three days is one long visit. 5: a visit belongs to the month it began in.
    assert built.values("ed_visits") == {
        1: {"2024-03": 1},
        2: {"2024-03": 2},
        3: {"2024-03": 2},
        4: {"2024-03": 1},
        5: {"2024-03": 1},
    }


def test_each_start_date_is_a_visit_when_days_are_not_joined(spec):
    built = spec(
        medical_claim="""
          member | claim | bill | revenue | start      | facility
          -------+-------+------+---------+------------+---------
          1      | 1a    | 131  | 0450    | 2024-03-05 | A
          1      | 1b    | 131  | 0450    | 2024-03-06 | A
          1      | 1c    | 131  | 0459    | 2024-03-06 | A
        """,
        ed_join_days=0,
    )
    assert built.values("ed_visits") == {1: {"2024-03": 2}}


CODES = """
  member | claim | type | bill | revenue | hcpcs | place | start      | facility
  -------+-------+------+------+---------+-------+-------+------------+---------
  1      | 1a    | inst | 131  | 0451    |       |       | 2024-03-05 | A
  2      | 2a    | inst | 131  | 0456    |       |       | 2024-03-05 | A
  3      | 3a    | inst | 851  | 0981    |       |       | 2024-03-05 | A
  4      | 4a    | inst | 131  | 0510    | 99283 |       | 2024-03-05 | A
  5      | 5a    | inst | 131  | 0510    | G0382 |       | 2024-03-05 | A
  6      | 6a    | inst | 111  | 0450    |       |       | 2024-03-05 | A
  7      | 7a    | inst | 711  | 0450    |       |       | 2024-03-05 | A
  8      | 8a    | prof |      |         | 99285 | 11    | 2024-03-05 |
  9      | 9a    | prof |      |         | 12001 | 23    | 2024-03-05 |
  10     | 10a   | prof |      |         | 99281 | 22    | 2024-03-05 |
  11     | 11a   | inst |      | 0450    |       |       | 2024-03-05 | A
  12     | 12a   | prof |      |         | 99213 | 11    | 2024-03-05 |
"""


def test_codes_and_bill_types(spec):
    # 2 urgent care is left out, 6 an inpatient bill, 7 a clinic bill, 12 an office visit.
    assert set(spec(medical_claim=CODES).values("ed_visits")) == {1, 3, 4, 5, 8, 9, 10, 11}


def test_urgent_care_counts_when_the_study_says_so(spec):
    built = spec(medical_claim=CODES, ed_definition="with_urgent_care")
    assert set(built.values("ed_visits")) == {1, 2, 3, 4, 5, 8, 9, 10, 11}


def test_professional_claims_do_not_double_a_facility_visit(spec):
    built = spec(
        medical_claim="""
          member | claim | type | bill | revenue | place | start      | facility | rendering
          -------+-------+------+------+---------+-------+------------+----------+----------
          1      | 1a    | inst | 131  | 0450    |       | 2024-03-05 | A        |
          1      | 1b    | prof |      |         | 23    | 2024-03-05 |          | X
          1      | 1c    | prof |      |         | 23    | 2024-03-06 |          | Y
          2      | 2a    | inst | 131  | 0450    |       | 2024-03-05 | A        |
          2      | 2b    | prof |      |         | 23    | 2024-03-07 |          | X
          3      | 3a    | prof |      |         | 23    | 2024-03-05 |          | X
          3      | 3b    | prof |      |         | 23    | 2024-03-06 |          | Y
          3      | 3c    | prof |      |         | 23    | 2024-03-07 |          | Y
        """
    )
    assert built.values("ed_visits") == {1: {"2024-03": 1}, 2: {"2024-03": 2}, 3: {"2024-03": 2}}


ADMITTED = """
  member | claim | type | bill | revenue | place | start      | admit      | discharge  | facility
  -------+-------+------+------+---------+-------+------------+------------+------------+---------
  1      | 1a    | inst | 111  | 0120    |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | A
  1      | 1a    | inst | 111  | 0450    |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | A
  1      | 1b    | prof |      |         | 23    | 2024-03-04 |            |            |
  1      | 1c    | prof |      |         | 23    | 2024-03-09 |            |            |
  1      | 1d    | prof |      |         | 23    | 2024-03-20 |            |            |
  2      | 2a    | inst | 111  | 0120    |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | A
  2      | 2b    | inst | 131  | 0450    |       | 2024-03-05 |            |            | A
"""


def test_a_visit_that_ended_in_admission(spec):
    built = spec(medical_claim=ADMITTED)
    # 1: the physician's claims from the day before admission to discharge belong to the stay.
    # 2: a claim of its own is a visit of its own.
    assert built.values("ed_visits") == {1: {"2024-03": 1}, 2: {"2024-03": 1}}
    assert built.values("inpatient_stays") == {1: {"2024-03": 1}, 2: {"2024-03": 1}}


SPLIT = """
  member | claim | type | bill | rev  | place | start      | admit      | discharge  | left | at
  -------+-------+------+------+------+-------+------------+------------+------------+------+---
  1      | 1a    | inst | 131  | 0450 |       | 2024-03-04 |            |            | 01   | A
  1      | 1b    | inst | 111  | 0120 |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | 01   | A
  2      | 2a    | inst | 131  | 0450 |       | 2024-03-03 |            |            | 01   | A
  2      | 2b    | inst | 111  | 0120 |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | 01   | A
  3      | 3a    | inst | 131  | 0450 |       | 2024-03-05 |            |            | 01   | B
  3      | 3b    | inst | 111  | 0120 |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | 01   | A
  4      | 4a    | inst | 131  | 0450 |       | 2024-03-05 |            |            | 02   | B
  4      | 4b    | inst | 111  | 0120 |       | 2024-03-06 | 2024-03-06 | 2024-03-09 | 01   | A
  5      | 5a    | inst | 131  | 0450 |       | 2024-03-09 |            |            | 01   | A
  5      | 5b    | inst | 111  | 0120 |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | 01   | A
  6      | 6a    | inst | 131  | 0450 |       | 2024-03-06 |            |            | 01   | A
  6      | 6b    | inst | 111  | 0120 |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | 01   | A
  7      | 7a    | inst | 131  | 0450 |       | 2024-03-05 |            |            | 01   |
  7      | 7b    | inst | 111  | 0120 |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | 01   | A
  8      | 8a    | inst | 131  | 0450 |       | 2024-03-31 |            |            | 01   | A
  8      | 8b    | inst | 111  | 0120 |       | 2024-04-01 | 2024-04-01 | 2024-04-03 | 01   | A
  9      | 9a    | prof |      |      | 23    | 2024-03-31 |            |            |      |
  10     | 10a   | inst | 131  | 0450 |       | 2024-03-05 |            |            | 01   | A
  10     | 10b   | inst | 111  | 0300 |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | 01   | A
"""


def test_visits_are_split_by_whether_they_ended_in_admission(spec):
    built = spec(medical_claim=SPLIT)
    # 1 admitted the day after, 2 two days after. 3 another hospital; 4 too, but its claim says the
    # patient was transferred. 5 back on the day of discharge; 6 during the stay. 7 nobody knows
    # where. 8 a visit belongs to its own month. 9 a professional's claim alone. 10 no acute stay.
    admitted = built.values("ed_visits_admitted")
    released = built.values("ed_visits_treat_and_release")
    assert set(admitted) == {1, 4, 6, 7, 8}
    assert set(released) == {2, 3, 5, 9, 10}
    assert admitted[8] == {"2024-03": 1}
    assert {**admitted, **released} == built.values("ed_visits")


def test_an_admission_anywhere_counts_where_the_study_says_so(spec):
    built = spec(medical_claim=SPLIT, ed_admission="any_facility")
    assert set(built.values("ed_visits_admitted")) == {1, 3, 4, 6, 7, 8}


ON_STAYS = """
  member | claim | type | bill | revenue | place | start      | admit      | discharge  | facility
  -------+-------+------+------+---------+-------+------------+------------+------------+---------
  1      | 1a    | inst | 111  | 0120    |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | A
  1      | 1a    | inst | 111  | 0450    |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | A
  1      | 1b    | prof |      |         | 23    | 2024-03-05 |            |            |
  2      | 2a    | inst | 111  | 0120    |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | A
  2      | 2a    | inst | 111  | 0450    |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | A
  2      | 2b    | inst | 131  | 0450    |       | 2024-03-04 |            |            | A
  3      | 3a    | inst | 111  | 0120    |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | A
  3      | 3b    | prof |      |         | 23    | 2024-03-05 |            |            |
  4      | 4a    | inst | 111  | 0300    |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | A
  4      | 4a    | inst | 111  | 0450    |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | A
  5      | 5a    | inst | 111  | 0120    |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | A
  5      | 5a    | inst | 111  | 0456    |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | A
"""


def test_emergency_lines_on_inpatient_claims_are_part_of_the_stay(spec):
    built = spec(medical_claim=ON_STAYS)
    assert built.values("ed_visits") == {2: {"2024-03": 1}}
    assert built.values("ed_visits_admitted") == {2: {"2024-03": 1}}


def test_emergency_lines_on_inpatient_claims_count_where_the_study_says_so(spec):
    built = spec(medical_claim=ON_STAYS, ed_on_inpatient_claims="count")
    # 1: once, the physician's claim is the same visit. 2: the visit that led to the stay is there
    # already. 3: no emergency line on the stay. 4: no acute stay. 5: urgent care.
    assert built.values("ed_visits") == {1: {"2024-03": 1}, 2: {"2024-03": 1}}
    assert built.values("ed_visits_admitted") == {1: {"2024-03": 1}, 2: {"2024-03": 1}}
    assert built.values("ed_visits_treat_and_release") == {}


WEIGHTS = """
  code  | non_emergent | treatable | preventable
  ------+--------------+-----------+------------
  J069  | 0.5          | 0.25      |
  N390  | 0.1          | 0.2       | 0.3
"""
DIAGNOSES = """
  member | claim | type | bill | rev  | place | start      | admit      | discharge  | dx   | at
  -------+-------+------+------+------+-------+------------+------------+------------+------+---
  1      | 1a    | inst | 131  | 0450 |       | 2024-03-05 |            |            | J069 | A
  1      | 1b    | inst | 131  | 0450 |       | 2024-03-20 |            |            | N390 | A
  2      | 2b    | inst | 131  | 0450 |       | 2024-03-05 |            |            | N390 | A
  2      | 2a    | inst | 131  | 0450 |       | 2024-03-05 |            |            | J069 | A
  3      | 3a    | inst | 131  | 0450 |       | 2024-03-05 |            |            |      | A
  3      | 3b    | inst | 131  | 0450 |       | 2024-03-06 |            |            | N390 | A
  4      | 4a    | inst | 131  | 0450 |       | 2024-03-05 |            |            | J06  | A
  5      | 5a    | inst | 131  | 0450 |       | 2024-03-05 |            |            | J069 | A
  5      | 5b    | inst | 111  | 0120 |       | 2024-03-05 | 2024-03-05 | 2024-03-09 | J069 | A
  6      | 6a    | prof |      |      | 23    | 2024-03-05 |            |            | J069 |
"""


def test_avoidable_visits_are_a_sum_of_probabilities(spec):
    built = spec(medical_claim=DIAGNOSES, ed_avoidable_weight=WEIGHTS)
    # 1: 0.75 + 0.6. 2: one visit, its first claim by number. 3: the first claim that has a
    # diagnosis. 4: not in the table. 5: admitted.
    told = {m: round(v["2024-03"], 9) for m, v in built.values("ed_visits_avoidable").items()}
    assert told == {1: 1.35, 2: 0.75, 3: 0.6, 6: 0.75}


def test_avoidable_visits_of_a_list_with_age_limits(spec):
    built = spec(
        medical_claim="""
          member | claim | bill | rev  | start      | dx    | at
          -------+-------+------+------+------------+-------+---
          1      | 1a    | 131  | 0450 | 2024-03-05 | J06.9 | A
          1      | 1b    | 131  | 0450 | 2024-03-06 | J06.9 | B
          2      | 2a    | 131  | 0450 | 2024-03-05 | J069  | A
          3      | 3a    | 131  | 0450 | 2024-03-05 | J069  | A
          4      | 4a    | 131  | 0450 | 2024-03-05 | N390  | A
          5      | 5a    | 131  | 0450 | 2024-03-05 | N390  | A
        """,
        person="""
          member | birth
          -------+-----------
          1      | 2023-03-06
          2      | 2023-03-05
          4      | 1959-03-05
          5      | 1959-03-06
        """,
        ed_avoidable_weight="""
          code  | non_emergent | treatable | preventable | youngest | oldest
          ------+--------------+-----------+-------------+----------+-------
          J06.9 | 1            | 0         | 0           | 1        |
          N390  | 1            | 0         | 0           |          | 64
        """,
    )
    # 1 turned one on the day of the second visit. 3: age unknown. 4 turned 65 that day.
    counted = {member: {"2024-03": 1} for member in (1, 2, 5)}
    assert built.values("ed_visits_avoidable") == counted


def test_other_weights_are_another_definition_in_whatever_order(spec):
    heading, line, *rows = WEIGHTS.strip("\n").splitlines()
    shuffled = "\n".join([heading, line, *reversed(rows)])
    marks = [
        spec(medical_claim=DIAGNOSES, ed_avoidable_weight=given).panel.definitions_sha256
        for given in (WEIGHTS, shuffled, WEIGHTS.replace("0.25", "0.35"))
    ]
    assert marks[0] == marks[1] != marks[2]


def test_avoidable_visits_are_missing_without_weights(spec):
    built = spec(medical_claim=DIAGNOSES)
    assert built.panel.to_frame()["ed_visits_avoidable"].isna().all()
    assert any("`ed_avoidable_weight`, a table for you to fill" in n for n in built.panel.notes)
