"""Outpatient visits, ambulance trips, jail days."""

from __future__ import annotations


def test_outpatient_visits_are_one_per_provider_and_day(spec):
    built = spec(
        medical_claim="""
          member | claim | type | bill | rev  | hcpcs | place | start      | at | rendering
          -------+-------+------+------+------+-------+-------+------------+----+----------
          1      | 1a    | prof |      |      | 99213 | 11    | 2024-03-05 |    | X
          1      | 1b    | prof |      |      | 99214 | 11    | 2024-03-05 |    | X
          1      | 1c    | prof |      |      | 99203 | 11    | 2024-03-05 |    | Y
          2      | 2a    | inst | 771  | 0521 | T1015 |       | 2024-03-05 | F  | X
          2      | 2a    | inst | 771  | 0521 | 99213 |       | 2024-03-05 | F  | Y
          2      | 2b    | prof |      |      | 99213 | 50    | 2024-03-05 |    | X
          3      | 3a    | prof |      |      | T1015 | 50    | 2024-03-05 | F  | X
          3      | 3a    | prof |      |      | 99213 | 50    | 2024-03-05 | F  | X
          4      | 4a    | inst | 131  | 0510 |       |       | 2024-03-05 | H  |
          4      | 4b    | prof |      |      | 99213 | 22    | 2024-03-05 |    | X
          5      | 5a    | prof |      |      | 99213 | 22    | 2024-03-05 |    | X
          6      | 6a    | prof |      |      | 99213 | 23    | 2024-03-05 |    | X
          6      | 6b    | prof |      |      | 99213 | 21    | 2024-03-05 |    | X
          6      | 6c    | inst | 131  | 0300 | 99213 |       | 2024-03-05 | H  | X
          6      | 6d    | inst | 851  | 0510 |       |       | 2024-03-05 | H  |
          6      | 6e    | prof |      |      | 99201 | 11    | 2024-03-05 |    | X
        """
    )
    # 2: the clinic's bill, its lines and the physician's half are one visit; so are 3 and 4.
    # 6: emergency room, ward, no clinic revenue, no clinic bill, a code that ended in 2020.
    assert built.values("outpatient_visits") == {
        1: {"2024-03": 2},
        2: {"2024-03": 1},
        3: {"2024-03": 1},
        4: {"2024-03": 1},
        5: {"2024-03": 1},
    }
    assert built.values("ed_visits") == {6: {"2024-03": 1}}


def test_ambulance_trips_are_base_rates_one_a_day(spec):
    built = spec(
        medical_claim="""
          member | claim | type | hcpcs | start
          -------+-------+------+-------+-----------
          1      | 1a    | prof | A0427 | 2024-03-05
          1      | 1a    | prof | A0425 | 2024-03-05
          1      | 1b    | prof | A0429 | 2024-03-05
          1      | 1c    | prof | A0433 | 2024-03-06
          2      | 2a    | prof | A0425 | 2024-03-05
          2      | 2b    | prof | A0428 | 2024-03-05
          3      | 3a    | prof | A0430 | 2024-03-05
        """
    )
    assert built.values("ambulance_trips") == {1: {"2024-03": 2}, 3: {"2024-03": 1}}


def test_a_place_or_revenue_code_of_an_ambulance_alone_is_no_trip(spec):
    built = spec(
        medical_claim="""
          member | claim | type | bill | rev  | hcpcs | place | start
          -------+-------+------+------+------+-------+-------+-----------
          1      | 1a    | inst | 131  | 0540 |       |       | 2024-03-05
          2      | 2a    | prof |      |      | 99285 | 41    | 2024-03-05
          3      | 3a    | prof |      |      |       | 42    | 2024-03-05
          4      | 4a    | prof |      |      | A0429 | 41    | 2024-03-05
        """
    )
    assert built.values("ambulance_trips") == {4: {"2024-03": 1}}
    assert built.values("ambulance_non_emergency_trips") == {}


def test_jail_days_are_days_with_any_time_in_custody(spec):
    built = spec(
        window=("2024-01", "2024-06"),
        eligibility="""
          member | start      | end
          -------+------------+-----------
          1      | 2024-01-01 |
          2      | 2024-01-01 | 2024-03-31
          3      | 2024-01-01 |
          4      | 2024-01-01 |
        """,
        person="""
          member | birth      | death
          -------+------------+-----------
          1      | 1990-01-01 |
          2      | 1990-01-01 |
          3      | 1990-01-01 | 2024-05-10
          4      | 1990-01-01 |
        """,
        custody="""
          member | booking    | release
          -------+------------+-----------
          1      | 2024-01-30 | 2024-02-03
          1      | 2024-02-01 | 2024-02-05
          1      | 2024-03-07 | 2024-03-07
          2      | 2024-03-30 | 2024-04-10
          2      | 2023-01-01 | 2023-02-01
          2      | 2024-05-01 | 2024-05-03
          3      | 2024-05-01 |
          4      | 2024-06-29 |
        """,
    )
    assert built.values("jail_days") == {
        1: {"2024-01": 2, "2024-02": 5, "2024-03": 1},
        2: {"2024-03": 2},
        3: {"2024-05": 10},
        4: {"2024-06": 2},
    }
    assert built.reasons("custody") == {
        "used": 6,
        "outside the window": 1,
        "outside coverage": 1,
    }
    assert built.panel.to_frame()["jail_days"].notna().all()
    assert built.panel.feeds == {"custody"}


def test_trips_are_told_apart_by_origin_and_destination(spec):
    built = spec(
        medical_claim="""
          member | claim | type | hcpcs | mod1 | start
          -------+-------+------+-------+------+-----------
          1      | 1a    | prof | A0427 | RH   | 2024-03-05
          1      | 1b    | prof | A0429 | HR   | 2024-03-05
          1      | 1c    | prof | A0427 | RH   | 2024-03-05
          2      | 2a    | prof | A0427 | RH   | 2024-03-05
          2      | 2b    | prof | A0429 |      | 2024-03-05
          2      | 2c    | prof | A0429 | QN   | 2024-03-05
          3      | 3a    | prof | A0427 |      | 2024-03-05
          3      | 3b    | prof | A0429 | GM   | 2024-03-05
          3      | 3c    | prof | A0427 |      | 2024-03-06
          4      | 4a    | prof | A0427 | RH   | 2024-03-05
          4      | 4b    | prof | A0428 | HN   | 2024-03-05
          4      | 4c    | prof | A0434 | NH   | 2024-03-05
          5      | 5a    | prof | A0998 |      | 2024-03-05
          5      | 5b    | prof | A0998 |      | 2024-03-05
          5      | 5c    | prof | A0427 | SH   | 2024-03-05
        """
    )
    # 2: lines without a pair belong to the trip that has one. 3: QN and GM are no places.
    assert built.values("ambulance_trips") == {
        1: {"2024-03": 2},
        2: {"2024-03": 1},
        3: {"2024-03": 2},
        4: {"2024-03": 1},
        5: {"2024-03": 1},
    }
    assert built.values("ambulance_non_emergency_trips") == {4: {"2024-03": 2}}
    assert built.values("ambulance_responses_without_transport") == {5: {"2024-03": 1}}


KINDS_OF_VISIT = """
  member| claim| type| bill| rev | hcpcs| place| mod3| start     | at| by| taxonomy  | dx
  -------+------+-----+-----+-----+------+------+-----+-----------+---+---+-----------+-------
  1     | 1a   | inst| 771 | 0521| T1015|      |     | 2024-03-05| F | X |           | I10
  2     | 2a   | prof|     |     | 99213| 72   |     | 2024-03-05|   | X |           | I10
  3     | 3a   | prof|     |     | 99213| 11   |     | 2024-03-05|   | X | 207Q00000X| I10
  4     | 4a   | prof|     |     | 99213| 11   |     | 2024-03-05|   | X | 207RC0000X| I10
  5     | 5a   | prof|     |     | 99213| 11   |     | 2024-03-05|   | X | 2084P0800X| F329
  6     | 6a   | prof|     |     | 99213| 31   |     | 2024-03-05|   | X | 207Q00000X| I10
  7     | 7a   | inst| 131 | 0510|      |      |     | 2024-03-05| H |   |           | I10
  7     | 7b   | prof|     |     | 99213| 22   |     | 2024-03-05|   | X | 207Q00000X| I10
  8     | 8a   | prof|     |     | 99213| 02   |     | 2024-03-05|   | X | 208D00000X| I10
  9     | 9a   | prof|     |     | 99213| 11   | GT  | 2024-03-05|   | X |           | F1020
  10    | 10a  | prof|     |     | 99213| 11   |     | 2024-03-05|   | X | 207Q00000X| I10
  10    | 10b  | prof|     |     | 99214| 11   | 95  | 2024-03-05|   | Y | 207RC0000X| I10
  11    | 11a  | prof|     |     | 80053| 02   |     | 2024-03-05|   | X | 207Q00000X| I10
  11    | 11b  | prof|     |     | 99213| 11   |     | 2024-03-05|   | X |           | F17210
"""


def test_visits_by_what_they_were(spec):
    built = spec(medical_claim=KINDS_OF_VISIT)
    one = {"2024-03": 1}
    # 6: a nursing facility is no place of primary care. 7: the clinic's bill, told by its
    # professional half. 11: the laboratory's line makes no visit, and tobacco is not behavioral.
    assert built.values("health_center_visits") == {1: one, 2: one}
    assert built.values("primary_care_visits") == {1: one, 2: one, 3: one, 7: one, 8: one, 10: one}
    assert built.values("specialty_visits") == {4: one, 6: one, 10: one, 11: one}
    assert built.values("telehealth_visits") == {8: one, 9: one, 10: one}
    assert built.values("outpatient_visits")[10] == {"2024-03": 2}
    assert set(built.values("outpatient_visits")) == set(range(1, 12))


def test_primary_care_is_missing_where_nobody_sends_taxonomies(spec):
    built = spec(medical_claim=KINDS_OF_VISIT.replace("207", "").replace("208", ""))
    known = built.panel.to_frame(["primary_care_visits", "specialty_visits"])
    assert known.notna().all().all()
    without = "\n".join(
        "|".join(cell for place, cell in enumerate(line.split("|")) if place != 11)
        for line in KINDS_OF_VISIT.strip().splitlines()
        if "---" not in line
    )
    built = spec(medical_claim=without)
    assert built.panel.to_frame()["primary_care_visits"].isna().all()
    assert set(built.values("health_center_visits")) == {1, 2}
    assert (
        "`primary_care_visits`, `specialty_visits` are missing throughout: no claim carries a "
        "`rendering_taxonomy_code`."
    ) in built.panel.notes


def test_preventive_visits_are_one_a_day(spec):
    built = spec(
        medical_claim="""
          member | claim | type | bill | rev  | hcpcs | start      | at | by
          -------+-------+------+------+------+-------+------------+----+---
          1      | 1a    | prof |      |      | 99395 | 2024-03-05 |    | X
          1      | 1b    | prof |      |      | G0439 | 2024-03-05 |    | Y
          2      | 2a    | inst | 771  | 0521 | 99391 | 2024-03-05 | F  | X
          3      | 3a    | inst | 131  | 0510 | 99391 | 2024-03-05 | H  | X
          4      | 4a    | prof |      |      | 99213 | 2024-03-05 |    | X
        """
    )
    assert built.values("preventive_visits") == {1: {"2024-03": 1}, 2: {"2024-03": 1}}


def test_a_diagnosis_of_prevention_alone_is_no_preventive_visit(spec):
    built = spec(
        medical_claim="""
          member | claim | type | hcpcs | start      | dx     | by
          -------+-------+------+-------+------------+--------+---
          1      | 1a    | prof | 99213 | 2024-03-05 | Z0000  | X
          2      | 2a    | prof | 99395 | 2024-03-05 | E119   | X
          3      | 3a    | prof |       | 2024-03-05 | Z00129 | X
        """
    )
    assert built.values("preventive_visits") == {2: {"2024-03": 1}}


def test_homelessness_is_told_by_any_diagnosis_and_by_place(spec):
    built = spec(
        medical_claim="""
          member | claim | type | hcpcs | place | start      | dx    | dx5
          -------+-------+------+-------+-------+------------+-------+------
          1      | 1a    | prof | 80053 | 81    | 2024-03-05 | I10   | Z5902
          1      | 1b    | prof | 80053 | 81    | 2024-03-20 | Z5901 |
          2      | 2a    | prof | 99213 | 27    | 2024-03-05 | I10   |
          3      | 3a    | prof | 99213 | 04    | 2024-03-05 | I10   |
          4      | 4a    | prof | 99213 | 11    | 2024-03-05 | Z594  | Z560
          5      | 5a    | prof | 99213 | 11    | 2024-03-05 | Z591  |
        """
    )
    assert built.values("homelessness_recorded") == {m: {"2024-03": 1} for m in (1, 2, 3, 5)}
