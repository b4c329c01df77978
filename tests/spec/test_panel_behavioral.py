"""Mental health and substance use visits."""

from __future__ import annotations

import re

from calaim_eval.panel.code_patterns import code_pattern
from calaim_eval.tables.classify import program_codes

VISITS = """
  member | claim | type | bill | rev  | hcpcs | mod1 | start      | at | by | dx
  -------+-------+------+------+------+-------+------+------------+----+----+------
  1      | 1a    | prof |      |      | 90834 |      | 2024-03-05 |    | X  | F329
  1      | 1b    | prof |      |      | 90837 |      | 2024-03-05 |    | X  | F329
  1      | 1c    | prof |      |      | 90834 |      | 2024-03-05 |    | Y  | F329
  2      | 2a    | prof |      |      | 90834 |      | 2024-03-05 |    | X  | I10
  3      | 3a    | prof |      |      | 90834 |      | 2024-03-05 |    | X  | F1020
  4      | 4a    | prof |      |      | H0020 |      | 2024-03-05 |    | X  | Z711
  5      | 5a    | prof |      |      | H0014 | U6   | 2024-03-05 |    | X  | F1020
  5      | 5b    | prof |      |      | H0014 |      | 2024-03-06 |    | X  | F1020
  6      | 6a    | inst | 771  | 0900 | 90834 |      | 2024-03-05 | F  |    | F329
  7      | 7a    | inst | 131  | 0900 | 90834 |      | 2024-03-05 | H  |    | F329
  8      | 8a    | prof |      |      | T1017 |      | 2024-03-05 |    | X  | F209
  9      | 9a    | prof |      |      | 90834 |      | 2024-03-05 |    | X  | F17210
  10     | 10a   | prof |      |      | G2067 |      | 2024-03-05 |    | X  | F1120
  10     | 10b   | prof |      |      | G2061 |      | 2024-03-06 |    | X  | F1120
  11     | 11a   | prof |      |      | 99213 |      | 2024-03-05 |    | X  | F329
"""


def test_codes_and_diagnoses_of_behavioral_visits(spec):
    built = spec(medical_claim=VISITS)
    # 1: one per professional and day. 2 no diagnosis for it, 7 a hospital's bill, 9 tobacco,
    # 11 an office visit.
    assert built.values("behavioral_health_visits") == {
        1: {"2024-03": 2},
        6: {"2024-03": 1},
        8: {"2024-03": 1},
    }
    # 5: a sobering center is a Community Support, and the code alone is no listed treatment.
    # 10: an online assessment is none either.
    assert built.values("substance_use_visits") == {
        3: {"2024-03": 1},
        4: {"2024-03": 1},
        10: {"2024-03": 1},
    }
    assert built.values("community_support_services") == {5: {"2024-03": 1}}


def test_no_program_code_can_be_a_behavioral_visit():
    listed = [
        code_pattern("bh_visit", "mental health CPT"),
        code_pattern("bh_visit", "mental health HCPCS"),
        code_pattern("sud_visit", "SUD HCPCS/CPT"),
    ]
    codes = set(program_codes()["hcpcs"])
    assert not [code for code in codes for pattern in listed if re.search(pattern, code)]
