"""Pharmacy fills and days of supply."""

from __future__ import annotations


def test_fills_are_one_per_drug_and_day(spec):
    built = spec(
        pharmacy_claim="""
          member | claim | line | date       | ndc         | days | status   | original
          -------+-------+------+------------+-------------+------+----------+---------
          1      | 1a    | 1    | 2024-03-05 | 00000000001 | 30   | original |
          1      | 1b    | 1    | 2024-03-05 | 00000000001 | 60   | original |
          1      | 1c    | 1    | 2024-03-05 | 00000000002 | 30   | original |
          1      | 1d    | 1    | 2024-03-06 | 00000000001 | 30   | original |
          2      | 2a    | 1    | 2024-03-05 | 00000000001 | 30   | original |
          2      | 2b    | 1    | 2024-03-20 | 00000000001 | 30   | void     | 2a
          3      | 3a    | 1    | 2024-03-05 |             | 7    | original |
          3      | 3b    | 1    | 2024-03-05 |             |      | original |
          4      | 4a    | 1    | 2024-03-05 | 00000000001 |      | original |
          5      | 5a    | 1    | 2024-03-05 | 00000000001 | 30   | denied   |
        """
    )
    # 2 was reversed, 5 denied; 3: fills without a code are one a day.
    assert built.values("pharmacy_fills") == {
        1: {"2024-03": 3},
        3: {"2024-03": 1},
        4: {"2024-03": 1},
    }
    assert built.values("pharmacy_days_supply") == {1: {"2024-03": 120}, 3: {"2024-03": 7}}


def test_fills_are_missing_without_pharmacy_claims(spec):
    built = spec(medical_claim="member | claim | start\n1 | 1a | 2024-03-05")
    assert built.panel.to_frame()["pharmacy_fills"].isna().all()
    assert (
        "`pharmacy_fills`, `pharmacy_days_supply` are missing throughout: no `pharmacy_claim`."
    ) in built.panel.notes
