"""Days in a nursing facility."""

from __future__ import annotations

MONTHLY = """
  member | claim | bill | rev  | start      | end        | line_start | line_end   | left | at
  -------+-------+------+------+------------+------------+------------+------------+------+---
  1      | 1a    | 212  | 0191 | 2024-01-20 | 2024-01-31 |            |            | 30   | N
  1      | 1b    | 214  | 0191 | 2024-02-01 | 2024-02-10 |            |            | 01   | N
  2      | 2a    | 211  | 0120 | 2024-03-05 | 2024-03-05 |            |            | 01   | N
  3      | 3a    | 211  | 0120 | 2024-03-01 | 2024-03-10 |            |            |      | N
  4      | 4a    | 211  | 0120 | 2024-03-01 | 2024-03-10 |            |            | 30   | N
  4      | 4a    | 211  | 0183 | 2024-03-01 | 2024-03-10 | 2024-03-04 | 2024-03-05 | 30   | N
  5      | 5a    | 211  | 0120 | 2024-03-01 | 2024-03-10 |            |            | 30   | N
  5      | 5a    | 211  | 0183 | 2024-03-01 | 2024-03-10 |            |            | 30   | N
  6      | 6a    | 211  | 0120 | 2024-03-01 | 2024-03-10 |            |            | 30   | N
  6      | 6b    | 111  | 0120 | 2024-03-04 | 2024-03-07 |            |            | 01   | H
  7      | 7a    | 111  | 0191 | 2024-03-01 | 2024-03-03 |            |            | 30   | H
  8      | 8a    | 131  | 0450 | 2024-03-01 | 2024-03-03 |            |            | 01   | H
  9      | 9a    | 211  | 0120 | 2024-03-01 | 2024-03-05 |            |            | 01   | N
  9      | 9b    | 211  | 0120 | 2024-03-05 | 2024-03-08 |            |            | 01   | M
  10     | 10a   | 211  | 0022 | 2023-12-25 | 2024-01-03 |            |            | 01   | N
"""


def test_nursing_days_are_covered_days_in_their_own_month(spec):
    built = spec(medical_claim=MONTHLY)
    # 1: the day of discharge does not count, the last of an interim bill does. 2: one day at least.
    # 3: nobody said the patient left. 4: two days on leave. 5: a leave line without days of its
    # own. 6: three nights in hospital, 4 to 6 March. 7: subacute care in a hospital, no acute
    # stay. 9: discharged from one and admitted to another on one day, the 8th does not count.
    assert built.values("snf_days") == {
        1: {"2024-01": 12, "2024-02": 9},
        2: {"2024-03": 1},
        3: {"2024-03": 10},
        4: {"2024-03": 8},
        5: {"2024-03": 10},
        6: {"2024-03": 7},
        7: {"2024-03": 3},
        9: {"2024-03": 7},
        10: {"2024-01": 2},
    }
    assert built.values("inpatient_days") == {6: {"2024-03": 3}}


LEVELS = """
member | claim | bill | rev  | start      | end        | line_start | line_end   | discharge  | left
-------+-------+------+------+------------+------------+------------+------------+------------+------
1      | 1a    | 211  | 0191 | 2024-03-01 | 2024-03-20 | 2024-03-01 | 2024-03-10 |            | 01
1      | 1a    | 211  | 0192 | 2024-03-01 | 2024-03-20 | 2024-03-11 | 2024-03-20 |            | 01
2      | 2a    | 211  | 0191 | 2024-03-01 | 2024-03-20 | 2024-03-01 | 2024-03-10 |            | 01
2      | 2a    | 211  | 0185 | 2024-03-01 | 2024-03-20 | 2024-03-11 | 2024-03-13 |            | 01
2      | 2a    | 211  | 0191 | 2024-03-01 | 2024-03-20 | 2024-03-14 | 2024-03-20 |            | 01
3      | 3a    | 211  | 0191 | 2024-03-01 |            | 2024-03-01 | 2024-03-10 |            | 01
3      | 3a    | 211  | 0192 | 2024-03-01 |            | 2024-03-11 | 2024-03-20 |            | 01
4      | 4a    | 211  | 0191 | 2024-03-01 | 2024-03-10 |            |            | 2024-03-11 | 01
"""


def test_the_day_of_discharge_is_the_last_of_the_claim(spec):
    built = spec(medical_claim=LEVELS)
    # 1: two levels of care, 1 to 19 March: the 10th is no day of discharge. 2: three days on leave.
    # 3: without an end of the claim its lines say it. 4: ten days of service, out on the day after.
    assert built.values("snf_days") == {
        1: {"2024-03": 19},
        2: {"2024-03": 16},
        3: {"2024-03": 19},
        4: {"2024-03": 10},
    }
