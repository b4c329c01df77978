"""Observation stays."""

from __future__ import annotations

STAYS = """
  member| claim| type| bill| rev | hcpcs| start     | end       | admit     | discharge | at
  -------+------+-----+-----+-----+------+-----------+-----------+-----------+-----------+---
  1     | 1a   | inst| 131 | 0762| G0378| 2024-03-05| 2024-03-06|           |           | A
  1     | 1b   | inst| 131 | 0762|      | 2024-03-07| 2024-03-07|           |           | A
  1     | 1c   | inst| 131 | 0762|      | 2024-03-09| 2024-03-09|           |           | A
  2     | 2a   | inst| 131 | 0760|      | 2024-03-05| 2024-03-05|           |           | A
  2     | 2b   | inst| 131 | 0762|      | 2024-03-05| 2024-03-05|           |           | B
  3     | 3a   | inst| 131 | 0762|      | 2024-03-04| 2024-03-05|           |           | A
  3     | 3b   | inst| 111 | 0120|      | 2024-03-06| 2024-03-09| 2024-03-06| 2024-03-09| B
  4     | 4a   | inst| 131 | 0762|      | 2024-03-09| 2024-03-10|           |           | A
  4     | 4b   | inst| 111 | 0120|      | 2024-03-06| 2024-03-09| 2024-03-06| 2024-03-09| A
  5     | 5a   | inst| 131 | 0762|      | 2024-03-05| 2024-03-05|           |           | A
  5     | 5b   | prof|     |     | 99218| 2024-03-05| 2024-03-05|           |           |
  5     | 5c   | prof|     |     | 99217| 2024-03-06| 2024-03-06|           |           |
  6     | 6a   | prof|     |     | 99219| 2024-03-31| 2024-03-31|           |           |
  6     | 6b   | prof|     |     | 99217| 2024-04-01| 2024-04-01|           |           |
  7     | 7a   | prof|     |     | 99221| 2024-03-05| 2024-03-05|           |           |
  8     | 8a   | inst| 111 | 0762|      | 2024-03-05| 2024-03-05|           |           | A
  9     | 9a   | inst| 131 | 0762|      | 2024-03-07| 2024-03-07|           |           | B
  9     | 9b   | inst| 111 | 0120|      | 2024-03-06| 2024-03-09| 2024-03-06| 2024-03-09| A
"""


def test_observation_stays(spec):
    built = spec(medical_claim=STAYS)
    # 2 two hospitals. 3 led to an admission, 9 lies within one; 4 began on the day of discharge.
    # 5 the physicians' claims are the same stay; 6 theirs alone, in the month it began. 7 a code of
    # inpatient care, 8 an inpatient bill.
    assert built.values("observation_stays") == {
        1: {"2024-03": 2},
        2: {"2024-03": 2},
        4: {"2024-03": 1},
        5: {"2024-03": 1},
        6: {"2024-03": 1},
    }
