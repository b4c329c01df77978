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
