"""ECM and Community Supports: contacts by month, and the first of each kind."""

from __future__ import annotations

import ibis
import pandas as pd
import pytest

from calaim_eval.panel import MemberMonths
from calaim_eval.schema.codes import load_codes
from calaim_eval.tables import classify_program_lines

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
        ("2", "medically_tailored_meals"),
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


def exposures(built, *columns):
    """`member service` to the columns, months as text."""
    frame = built.panel.exposure_frame()
    return {
        f"{row.member_id} {row.service}": tuple(
            f"{value:%Y-%m}" if isinstance(value, pd.Timestamp) else value
            for value in (getattr(row, column) for column in columns)
        )
        for row in frame.astype(object).where(frame.notna(), None).itertuples(index=False)
    }


COURSE = """
  record | member | service                  | type          | date
  -------+--------+--------------------------+---------------+-----------
  r1     | 1      | ecm                      | authorization | 2024-01-05
  r2     | 1      | ecm                      | service       | 2024-02-05
  r3     | 1      | ecm                      | service       | 2024-02-25
  r4     | 1      | ecm                      | outreach      | 2024-03-25
  r5     | 1      | ecm                      | service       | 2024-06-25
  r6     | 1      | ecm                      | authorization | 2024-07-05
  r7     | 1      | ecm                      | authorization | 2024-07-05
  r8     | 1      | ecm                      | denial        | 2024-08-05
  r9     | 2      | medically_tailored_meals | authorization | 2024-04-05
  r10    | 2      | respite_services         | authorization | 2024-04-05
  r11    | 2      | respite_services         | service       | 2024-05-05
  r12    | 2      | asthma_remediation       | service       | 2024-05-06
  r13    | 3      | ecm                      | denial        | 2024-05-06
"""


def test_months_on_the_program_and_authorized_apart_from_received(spec):
    built = spec(program_service=COURSE)
    told = exposures(
        built,
        "service_month",
        "last_service_month",
        "n_service_months",
        "authorized_month",
        "n_authorizations",
    )
    assert told == {
        # Two services in February are one month on the program; March had outreach only.
        "1 ecm": ("2024-02", "2024-06", 2, "2024-01", 2),
        "2 asthma_remediation": ("2024-05", "2024-05", 1, None, 0),
        "2 medically_tailored_meals": (None, None, 0, "2024-04", 1),
        "2 respite_services": ("2024-05", "2024-05", 1, "2024-04", 1),
        # Two supports in a month are one month; two authorized on a day are two authorizations.
        "2 any_community_support": ("2024-05", "2024-05", 1, "2024-04", 2),
    }
    # What was authorized was not received.
    assert built.values("ecm_services") == {1: {"2024-02": 2, "2024-06": 1}}
    assert built.values("community_support_services") == {2: {"2024-05": 2}}
    assert built.reasons("program_service") == {
        "used": 6,
        "authorized or denied, not received": 7,
    }


def test_an_authorization_is_no_exposure_of_a_design(spec):
    from calaim_eval.design.checks import service_exposures
    from calaim_eval.errors import DesignError

    panel = spec(program_service=COURSE).panel
    with pytest.raises(DesignError, match="no record of service `medically_tailored_meals`"):
        service_exposures(panel, "medically_tailored_meals")
    assert service_exposures(panel, "respite_services")["member_id"].tolist() == ["2"]


@pytest.mark.parametrize("n_buckets", [1, 3])
def test_unclassified_lines_by_code_modifiers_and_reason(spec, n_buckets):
    built = spec(
        n_buckets=n_buckets,
        medical_claim="""
          member | claim | type | hcpcs | mod1 | mod2 | mod5 | start      | status
          -------+-------+------+-------+------+------+------+------------+-------
          1      | 1a    | prof | H0014 |      |      |      | 2024-03-05 |
          2      | 2a    | prof | H0014 |      |      |      | 2024-03-06 |
          3      | 3a    | prof | H0014 |      |      |      | 2024-03-06 | denied
          2      | 2b    | prof | S5165 | U4   |      | GQ   | 2024-03-05 |
          3      | 3b    | prof | S5165 |      | GQ   | U4   | 2024-03-05 |
          4      | 4a    | prof | S5165 | U4   |      |      | 2024-03-05 |
          5      | 5a    | prof | H0044 | U5   |      |      | 2024-03-05 |
          5      | 5b    | prof | T2038 | U4   | U5   |      | 2024-03-05 |
          5      | 5c    | prof | 99213 | U6   |      |      | 2024-03-05 |
        """,
    )
    listed = built.panel.unclassified[["hcpcs_code", "modifiers", "reason", "n_lines"]]
    assert listed.to_numpy().tolist() == [
        ["H0014", "", "program code without a program modifier", 2],
        ["S5165", "GQ;U4", "program code with a modifier the code list does not pair with it", 2],
        ["H0044", "U5", "program code and modifier before the pair took effect", 1],
        ["S5165", "U4", "program code with a modifier the code list does not pair with it", 1],
        ["T2038", "U4;U5", "modifiers of several services on one line", 1],
    ]
    assert built.panel.n_unclassified == listed["n_lines"].sum() == 7
    reopened = MemberMonths.open(built.panel.folder)
    pd.testing.assert_frame_equal(reopened.unclassified, built.panel.unclassified)


SLOTS = [f"hcpcs_modifier_{slot}" for slot in range(1, 6)]


def test_every_code_of_the_published_list_is_found_in_any_slot_from_its_day(shared):
    """ECM and all 15 supports: what the list says of a row is what a line with it is told to be."""
    listed = pd.read_csv(shared / "domain" / "service_codes.csv", dtype=str, keep_default_na=False)
    listed = listed[listed["program"].isin(["ecm", "cs"])]
    days = pd.to_datetime(listed["effective_from"])
    blocks = []
    for slot, other in zip(SLOTS, [*SLOTS[1:], SLOTS[0]], strict=True):
        for days_early in (0, 1):
            block = listed[["hcpcs"]].rename(columns={"hcpcs": "hcpcs_code"})
            block = block.assign(row=listed.index, is_early=days_early > 0, **dict.fromkeys(SLOTS))
            block[slot] = listed["modifier"]
            block[other] = listed["extra_modifier"].replace("", None)
            block["claim_start_date"] = days - pd.Timedelta(days=days_early)
            blocks.append(block)
    given = pd.concat(blocks).assign(claim_line_start_date=pd.NaT)
    given = given.astype(dict.fromkeys(SLOTS, "string")).astype(
        {"claim_line_start_date": "datetime64[s]"}
    )
    told = classify_program_lines(ibis.memtable(given)).to_pandas()
    assert len(told) == len(listed) * 10
    early = told[told["is_early"]]
    assert early["program"].isna().all()
    on_time = told[~told["is_early"]]
    said = listed.loc[on_time["row"]].reset_index(drop=True)
    names = load_codes("community_support").set_index("name_in_code_list")["service"]
    is_outreach = said["counts_as_service"] == "0"
    expected = said["service"].map(names).where(~is_outreach & (said["program"] == "cs"), None)
    expected = expected.where(said["program"] == "cs", "ecm")
    got = on_time.reset_index(drop=True)
    program = said["program"].map({"ecm": "ecm", "cs": "community_support"})
    assert got["program"].tolist() == program.tolist()
    assert got["is_outreach"].astype(bool).tolist() == is_outreach.tolist()
    assert [each if isinstance(each, str) else None for each in got["service"]] == [
        each if isinstance(each, str) else None for each in expected
    ]
    found = set(got.loc[~got["is_outreach"].astype(bool), "service"])
    assert found == {"ecm", *load_codes("community_support")["service"]}
    assert len(found) == 16
