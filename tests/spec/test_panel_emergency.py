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
