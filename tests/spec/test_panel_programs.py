"""ECM and Community Supports: contacts by month, and the first of each kind."""

from __future__ import annotations

import pandas as pd
import pytest

CLAIMS = """
  member | claim | type | hcpcs | mod1 | mod2 | mod5 | start      | at  | rendering
  -------+-------+------+-------+------+------+------+------------+-----+----------
  1      | 1a    | prof | G9012 | U8   |      |      | 2024-02-01 |     | 111
  1      | 1b    | prof | G9012 | U2   |      |      | 2024-03-05 | 222 | 999
  1      | 1c    | prof | G9012 |      | GQ   | U2   | 2024-03-05 | 222 | 999
  1      | 1d    | prof | G9008 |      |      | U1   | 2024-04-05 |     | 111
  2      | 2a    | prof | H0043 | U6   |      |      | 2024-03-05 |     |
  2      | 2b    | prof | T2033 | U6   |      |      | 2024-03-05 |     | 111
  2      | 2c    | prof | H0014 |      |      |      | 2024-03-05 |     |
  2      | 2d    | prof | S5165 | U4   |      |      | 2024-03-05 |     |
"""
RECORDS = """
  record | member | service                       | type          | date       | by | focus
  -------+--------+-------------------------------+---------------+------------+----+------
  r1     | 1      | ecm                           | identified    | 2023-11-15 | o1 | 3
  r2     | 1      | ecm                           | identified    | 2024-01-15 | o1 | 1a
  r3     | 1      | ecm                           | service       | 2024-03-05 | o1 |
  r4     | 1      | ecm                           | service       | 2024-03-05 | o1 |
  r5     | 1      | ecm                           | authorization | 2024-02-15 | o1 |
  r6     | 2      | medically_tailored_meals      | authorization | 2024-02-15 | o2 |
  r7     | 2      | housing_transition_navigation | service       | 2024-03-05 | o2 |
  r8     | 3      | ecm                           | outreach      | 2024-07-05 | o2 | 2
  r9     | 3      | ecm                           | service       | 2024-07-09 | o9 | 2
"""
ORGANIZATIONS = """
  organization | type     | npi
  -------------+----------+----
  o1           | hospital | 111
  o2           | cbo      | 222
  o3           | clinic   | 333
"""
SPANS = """
  member | start      | end
  -------+------------+-----------
  1      | 2024-01-01 |
  2      | 2024-01-01 |
  3      | 2024-01-01 | 2024-06-30
  4      | 2024-01-01 |
"""


@pytest.fixture(scope="module")
def built(spec):
    return spec(
        eligibility=SPANS,
        medical_claim=CLAIMS,
        program_service=RECORDS,
        organization=ORGANIZATIONS,
    )


def test_contacts_by_month(built):
    # A day's lines and records of a service are one contact; outreach and authorization are none.
    assert built.values("ecm_services") == {1: {"2024-03": 1, "2024-04": 1}}
    assert built.values("ecm_outreach") == {1: {"2024-02": 1}}
    assert built.values("community_support_services") == {2: {"2024-03": 2}}
    assert built.panel.n_unclassified == 2


def test_first_of_each_kind(built):
    frame = built.panel.exposure_frame().set_index(["member_id", "service"]).sort_index()
    assert list(frame.index) == [
        ("1", "ecm"),
        ("2", "any_community_support"),
        ("2", "housing_transition_navigation"),
        ("2", "recuperative_care"),
        ("3", "ecm"),
    ]
    ecm = frame.loc[("1", "ecm")]
    assert ecm["identified_month"] == pd.Timestamp("2023-11-01")
    assert ecm["outreach_month"] == pd.Timestamp("2024-02-01")
    assert ecm["service_month"] == pd.Timestamp("2024-03-01")
    assert ecm["population_of_focus"] == "1a;3"
    # Outside coverage and of an organization nobody lists: still an exposure.
    late = frame.loc[("3", "ecm")]
    assert late["service_month"] == pd.Timestamp("2024-07-01")
    assert pd.isna(late["organization_type"])
    support = frame.loc[("2", "any_community_support")]
    assert pd.isna(support["identified_month"])
    assert pd.isna(support["outreach_month"])


def test_organization_of_the_first_service(built):
    frame = built.panel.exposure_frame().set_index(["member_id", "service"])
    types = frame["organization_type"].dropna().to_dict()
    # 1: record and claim on the same day: the record's organization. 2: by rendering NPI, else
    # by the record.
    assert types == {
        ("1", "ecm"): "hospital",
        ("2", "housing_transition_navigation"): "cbo",
        ("2", "recuperative_care"): "hospital",
        ("2", "any_community_support"): "cbo",
    }


def test_records_by_reason(built):
    assert built.reasons("program_service") == {
        "used": 6,
        "repeats a contact of the day": 1,
        "authorized or denied, not received": 2,
    }
    assert built.reasons("program_service", "notice") == {
        "dates the exposure only: outside coverage": 2,
        "dates the exposure only: outside the window": 1,
    }
    assert built.reasons("ecm_services", "events") == {"used": 2, "outside coverage": 1}


def test_one_service(built):
    assert list(built.panel.exposure_frame("ecm")["member_id"]) == ["1", "3"]
    with pytest.raises(Exception, match="no service is named `ECM`"):
        built.panel.exposure_frame("ECM")
