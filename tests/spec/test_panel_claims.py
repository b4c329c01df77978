"""Which version of a claim counts, what it costs, and where lines that do not count go."""

from __future__ import annotations

import pytest

VERSIONS = """
  member | claim | bill | rev  | start      | status      | original | paid_date  | at | paid
  -------+-------+------+------+------------+-------------+----------+------------+----+-----
  1      | 1a    | 131  | 0450 | 2024-03-05 |             |          | 2024-03-20 | A  | 100
  1      | 1b    | 138  | 0450 | 2024-03-05 |             | 1a       | 2024-04-20 | A  | -100
  2      | 2a    | 131  | 0450 | 2024-03-05 | original    |          | 2024-03-20 | A  | 100
  2      | 2b    | 137  | 0450 | 2024-03-15 |             | 2a       | 2024-04-20 | A  | 70
  2      | 2c    | 137  | 0450 | 2024-03-25 | replacement | 2a       | 2024-05-20 | A  | 80
  3      | 3a    | 131  | 0450 | 2024-03-05 |             |          | 2024-03-20 | A  | 100
  3      | 3b    | 131  | 0450 | 2024-03-15 | replacement | 3a       | 2024-04-20 | A  | 70
  3      | 3c    | 131  | 0450 | 2024-03-25 | replacement | 3b       | 2024-05-20 | A  | 60
  4      | 4a    | 131  | 0450 | 2024-03-05 | denied      |          | 2024-03-20 | A  | 0
  5      | 5a    | 131  | 0450 | 2024-03-05 |             |          | 2024-03-20 | A  | 100
  5      | 5b    | 137  | 0450 | 2024-03-05 | denied      | 5a       | 2024-04-20 | A  | 0
  6      | 6a    | 131  | 0450 | 2024-03-05 |             |          | 2024-03-20 | A  | 100
  6      | 6b    | 131  | 0450 | 2024-03-15 | replacement | 6a       | 2024-04-20 | A  | 70
  6      | 6c    | 131  | 0450 | 2024-03-15 | void        | 6b       | 2024-05-20 | A  | -70
  7      | 7a    | 131  | 0450 | 2024-03-05 |             |          | 2024-03-20 | A  | 100
  7      | 7b    | 131  | 0450 | 2024-03-05 | void        | 7x       | 2024-04-20 | A  | -55
  8      | 8a    | 0137 | 0450 | 2024-03-05 |             |          | 2024-03-20 | A  | 100
"""


def test_voids_replacements_and_denials(spec):
    built = spec(medical_claim=VERSIONS)
    # 2: the later of two replacements; 3: a chain; 5: a denied replacement leaves the original;
    # 6: the original stays replaced; 7: the void names a claim nobody has; 8: nothing to replace.
    assert built.values("paid_usd") == {
        2: {"2024-03": 80},
        3: {"2024-03": 60},
        5: {"2024-03": 100},
        7: {"2024-03": 100},
        8: {"2024-03": 100},
    }
    assert built.values("ed_visits") == {m: {"2024-03": 1} for m in (2, 3, 5, 7, 8)}
    assert built.reasons("medical_claim") == {
        "used": 5,
        "voided": 2,
        "void record": 3,
        "replaced": 5,
        "denied": 2,
    }
    dollars = built.panel.amounts.set_index("reason")["paid_usd"].to_dict()
    assert dollars == {
        "used": 440,
        "voided": 170,
        "void record": -225,
        "replaced": 440,
        "denied": 0,
    }


def test_a_replacement_under_its_own_number_replaces_the_original_lines(spec):
    built = spec(
        medical_claim="""
          member | claim | line | bill | rev  | start      | status      | at | paid
          -------+-------+------+------+------+------------+-------------+----+-----
          1      | 1a    | 1    | 131  | 0450 | 2024-03-05 | original    | A  | 100
          1      | 1a    | 2    | 131  | 0450 | 2024-03-05 | replacement | A  | 70
          2      | 2a    | 1    | 131  | 0450 | 2024-03-05 | original    | A  | 100
          2      | 2a    | 2    | 131  | 0450 | 2024-03-05 | void        | A  | -100
        """
    )
    assert built.values("paid_usd") == {1: {"2024-03": 70}}
    assert built.reasons("medical_claim") == {
        "used": 1,
        "replaced": 1,
        "voided": 1,
        "void record": 1,
    }


def test_lines_outside_the_panel_are_counted_by_reason(spec):
    built = spec(
        eligibility="""
          member | start      | end        | dual
          -------+------------+------------+-----
          1      | 2024-01-01 | 2024-03-31 |
          2      | 2024-01-01 | 2024-03-31 | 02
          3      | 2023-01-01 | 2023-12-31 |
        """,
        medical_claim="""
          member | claim | type | hcpcs | start      | rendering | paid
          -------+-------+------+-------+------------+-----------+-----
          1      | 1a    | prof | 99213 | 2024-03-31 | X         | 1
          1      | 1b    | prof | 99213 | 2024-04-01 | X         | 2
          1      | 1c    | prof | 99213 | 2023-12-31 | X         | 4
          1      | 1d    | prof | 99213 | 2025-01-01 | X         | 8
          2      | 2a    | prof | 99213 | 2024-03-31 | X         | 16
          3      | 3a    | prof | 99213 | 2024-03-31 | X         | 32
        """,
        pharmacy_claim="""
          member | claim | line | date       | status | original | paid
          -------+-------+------+------------+--------+----------+-----
          1      | p1    | 1    | 2024-02-01 |        |          | 64
          1      | p2    | 1    | 2024-02-01 |        |          | 128
          1      | p3    | 1    | 2024-02-01 | void   | p2       | -128
          1      | p4    | 1    | 2024-05-01 |        |          | 256
        """,
        paid_claims="medical_and_pharmacy",
    )
    assert built.reasons("medical_claim") == {
        "used": 1,
        "outside coverage": 2,
        "outside the window": 2,
        "month with Medicare (dual)": 1,
    }
    assert built.reasons("pharmacy_claim") == {
        "used": 1,
        "voided": 1,
        "void record": 1,
        "outside coverage": 1,
    }
    assert built.values("paid_usd") == {1: {"2024-02": 64, "2024-03": 1}}
    assert built.values("outpatient_visits") == {1: {"2024-03": 1}}
    assert built.reasons("outpatient_visits", "events") == {
        "used": 1,
        "outside coverage": 2,
        "outside the window": 2,
        "month with Medicare (dual)": 1,
    }
    assert built.panel.amounts["paid_usd"].sum() == sum((1, 2, 4, 8, 16, 32, 64, 128, -128, 256))


def test_lines_and_fills_of_one_month_are_added_up(spec):
    built = spec(
        medical_claim="""
          member | claim | type | hcpcs | start      | rendering | paid
          -------+-------+------+-------+------------+-----------+-----
          1      | 1a    | prof | 99213 | 2024-02-05 | X         | 1
          1      | 1b    | prof | 99213 | 2024-02-09 | X         | 2
        """,
        pharmacy_claim="""
          member | claim | line | date       | paid
          -------+-------+------+------------+-----
          1      | p1    | 1    | 2024-02-01 | 4
          1      | p2    | 1    | 2024-03-01 | 8
        """,
        paid_claims="medical_and_pharmacy",
    )
    assert built.values("paid_usd") == {1: {"2024-02": 7, "2024-03": 8}}


def test_fills_alone_tell_what_was_paid_where_the_rules_count_them(spec):
    fills = """
      member | claim | line | date       | paid
      -------+-------+------+------------+-----
      1      | p1    | 1    | 2024-02-01 | 4
    """
    built = spec(pharmacy_claim=fills, paid_claims="medical_and_pharmacy")
    assert built.values("paid_usd") == {1: {"2024-02": 4}}
    left_out = spec(pharmacy_claim=fills, paid_claims="medical").panel
    assert len(left_out.observed_months("paid_usd")) == 0


def test_measures_without_a_feed_are_missing_not_zero(spec):
    built = spec(
        eligibility="""
          member | start      | end
          -------+------------+-----------
          1      | 2024-01-01 | 2024-03-31
        """
    )
    frame = built.panel.to_frame()
    fed_by_claims = ["ed_visits", "inpatient_stays", "inpatient_days", "readmissions_30d"]
    fed_by_claims += ["outpatient_visits", "ambulance_trips", "paid_usd", "jail_days"]
    fed_by_claims += ["ecm_services", "community_support_services"]
    assert frame[fed_by_claims].isna().all(axis=None)
    assert len(built.panel.observed_months("ed_visits")) == 0


def test_paid_is_missing_when_no_claim_carries_an_amount(spec):
    built = spec(
        medical_claim="""
          member | claim | type | hcpcs | start      | rendering
          -------+-------+------+-------+------------+----------
          1      | 1a    | prof | 99213 | 2024-03-31 | X
        """
    )
    frame = built.panel.to_frame(["paid_usd", "outpatient_visits"])
    assert frame["paid_usd"].isna().all()
    assert frame["outpatient_visits"].sum() == 1


@pytest.mark.parametrize("order", [1, -1])
def test_row_order_does_not_matter(spec, order):
    lines = VERSIONS.strip().splitlines()
    shuffled = "\n".join([*lines[:2], *lines[2:][::order]])
    assert spec(medical_claim=shuffled).panel.to_frame()["paid_usd"].sum() == 440


def test_fills_are_no_part_of_paid_unless_the_study_says_so(spec):
    built = spec(
        pharmacy_claim="""
          member | claim | line | date       | paid
          -------+-------+------+------------+-----
          1      | p1    | 1    | 2024-02-01 | 64
        """,
    )
    assert built.values("paid_usd") == {}
    assert built.reasons("pharmacy_claim") == {
        "in the panel's months, not part of `paid_usd`": 1,
    }
