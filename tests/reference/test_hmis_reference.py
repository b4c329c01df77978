"""The HUD HMIS sample export against counts made with base R (rows `hmis_eva_demo_fy26`)."""

import itertools

import pandas as pd
import pytest

from calaim_eval.tables.partners.hmis import read_hmis

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def expected(shared):
    rows = pd.read_csv(shared / "reference" / "integration" / "reference_values.csv", dtype=str)
    rows = rows[rows["dataset"] == "hmis_eva_demo_fy26"]
    assert len(rows) == 34
    return dict(zip(rows["measure"], rows["value"], strict=True))


@pytest.fixture(scope="module")
def sample(shared):
    return read_hmis(shared / "data" / "hmis_fy26" / "csv")


@pytest.fixture(scope="module")
def stays(sample):
    return sample.frame("homeless_enrollment")


def as_listed(counts):
    return ";".join(f"{code}={n}" for code, n in sorted(counts.items(), key=lambda x: int(x[0])))


def test_version_and_rows(sample, stays, expected):
    assert sample.version == "FY2026"
    assert len(sample.frame("homeless_person")) == int(expected["n clients"])
    assert len(stays) == int(expected["n enrollments"])
    assert stays["exit_date"].notna().sum() == int(expected["n exits"])
    assert len(sample.frame("homeless_project")) == int(expected["n projects"])
    assert len(sample.frame("organization")) == int(expected["n orgs"])
    distinct = "n distinct PersonalID in Enrollment"
    assert stays["member_id"].nunique() == int(expected[distinct])


def test_no_client_is_doubled_and_no_stay_ends_before_it_begins(sample, expected):
    ledger = sample.ledger.to_frame()
    doubled = ledger["reason"].str.contains("duplicate|repeats")
    here = ledger["table"] == "hmis Client"
    assert ledger.loc[doubled & here, "n_rows"].sum() == int(
        expected["duplicate PersonalID in Client"]
    )
    early = ledger["reason"].str.contains("`ExitDate` before")
    assert ledger.loc[early, "n_rows"].sum() == int(expected["exit before entry"])


@pytest.mark.parametrize(
    "item",
    [
        *("AmIndAKNative", "Asian", "BlackAfAmerican", "HispanicLatinao"),
        *("MidEastNAfrican", "NativeHIPacific", "White"),
    ],
)
def test_race_in_combination(sample, expected, item):
    races = sample.frame("race_record")
    yes = races[(races["race_item"] == item) & (races["race_item_value"] == "1")]
    assert yes["member_id"].nunique() == int(expected[f"race alone-or-in-combination {item}"])


def test_race_alone_adds_up_to_persons_with_any(sample, shared):
    """The items of the file itself, counted without the reader."""
    raw = pd.read_csv(shared / "data" / "hmis_fy26" / "csv" / "Client.csv", dtype=str)
    items = ["AmIndAKNative", "Asian", "BlackAfAmerican", "HispanicLatinao"]
    items += ["MidEastNAfrican", "NativeHIPacific", "White"]
    yes = raw[items] == "1"
    races = sample.frame("race_record")
    said = races[races["race_item_value"] == "1"].groupby("member_id")["race_item"].agg(tuple)
    for item in items:
        alone = (yes[item] & (yes.sum(axis=1) == 1)).sum()
        assert sum(each == (item,) for each in said) == alone
    assert len(said) == yes.any(axis=1).sum()


def test_enrollments_by_project_type(stays, expected):
    listed = expected["enrollments by ProjectType"].removesuffix(";NA=0")
    assert as_listed(stays["project_type_code"].value_counts()) == listed
    assert stays["project_type_code"].notna().all()


@pytest.mark.parametrize("day", ["2021-10-01", "2022-01-01", "2022-04-01", "2022-07-01"])
def test_enrollments_by_day_and_quarter(stays, expected, day):
    at = pd.Timestamp(day)
    is_active = (stays["entry_date"] <= at) & ~(stays["exit_date"] <= at)
    key = f"enrollments active on {day} (entry<=d & (no exit | exit>d))"
    assert is_active.sum() == int(expected[key])
    is_new = (stays["entry_date"] >= at) & (stays["entry_date"] < at + pd.DateOffset(months=3))
    assert is_new.sum() == int(expected[f"new enrollments in quarter starting {day}"])


def test_destinations_living_situations_and_stays(stays, expected):
    destination = pd.to_numeric(stays["destination_code"])
    assert destination.between(400, 499).sum() == int(
        expected["exits to permanent (Destination 400-499)"]
    )
    situation = pd.to_numeric(stays["living_situation_code"])
    key = "enrollments entry literally homeless (LivingSituation 100-199)"
    assert situation.between(100, 199).sum() == int(expected[key])
    days = (stays["exit_date"] - stays["entry_date"]).dt.days
    assert days.median() == float(expected["median length of stay days, exited"])
    assert stays["has_disabling_condition"].sum() == int(
        expected["DisablingCondition==1 enrollments"]
    )
    key = "Medicaid==1 at entry (IncomeBenefits stage 1)"
    assert stays["is_on_medicaid"].sum() == int(expected[key])


def test_persons_shared_by_organizations_and_projects(stays, expected):
    organizations = stays.groupby("member_id")["organization_id"].nunique()
    key = "clients with enrollments in >=2 organizations"
    assert (organizations >= 2).sum() == int(expected[key])
    pairs = {
        pair
        for projects in stays.groupby("member_id")["project_id"].agg(set)
        for pair in itertools.combinations(sorted(projects), 2)
    }
    assert len(pairs) == int(expected["project-project shared-client pairs (undirected edges)"])
    n_projects = int(expected["n projects"])
    density = len(pairs) / (n_projects * (n_projects - 1) / 2)
    assert density == pytest.approx(
        float(expected["client-sharing project network density"]), abs=1e-12
    )


def test_events_by_code_and_no_triage_answers(sample, expected):
    events = sample.frame("social_referral")["social_service_code"].value_counts()
    assert as_listed(events) == expected["referral events in Event.csv by Event code"]
    assert "homeless_assessment" not in sample.names
    assert expected["AssessmentQuestions rows (triage items)"] == "0"


def test_every_row_of_every_file_is_accounted_for(sample, shared):
    folder = shared / "data" / "hmis_fy26" / "csv"
    ledger = sample.ledger
    for table in ledger.to_frame().query("stage == 'source'")["table"].unique():
        rows = len(pd.read_csv(folder / f"{table.removeprefix('hmis ')}.csv", dtype=str))
        assert ledger.total(table, stage="source") == rows, table
