"""Feeds from outside the plans: from the tables to what a reader sees."""

from types import SimpleNamespace

import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.pipeline.outside_feeds import measure_outside_feeds
from calaim_eval.report import tables
from calaim_eval.study.model import CaseFinding
from tests.unit.pipeline.test_success import Given

FEEDS = ("case_finding", "outside_referrals", "directory_use")


def study(case_finding=None):
    integration = SimpleNamespace(maturation_days=90, case_finding=case_finding)
    window = SimpleNamespace(extract_date="2025-03-31")
    return SimpleNamespace(file=SimpleNamespace(window=window, integration=integration))


def referrals():
    """40 housing referrals accepted, 20 declined by the person, 15 open; 30 others closed."""
    rows = [
        *([("14", "accepted", "2024-07-10", None, None)] * 40),
        *([("14", "closed", None, "2024-07-09", "member_declined")] * 20),
        *([("12", "pending", None, None, None)] * 15),
        *([("2", "closed", None, "2024-07-01", "services_received")] * 30),
        # Too young on the extract date.
        *([("14", "pending", None, None, None)] * 9),
    ]
    columns = [
        "social_service_code", "referral_status", "accepted_date", "closed_date", "closure_reason"
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns)
    ids = [f"s{i}" for i in range(len(frame))]
    days = ["2024-07-01"] * 105 + ["2025-02-01"] * 9
    return frame.assign(
        referral_id=ids,
        root_referral_id=ids,
        member_id=[f"m{i}" for i in range(len(frame))],
        referred_date=pd.to_datetime(days),
        accepted_date=pd.to_datetime(frame["accepted_date"]),
        closed_date=pd.to_datetime(frame["closed_date"]),
        social_service_code_system="hmis_event",
    )


RESOURCE = pd.DataFrame(
    {
        "resource_id": ["r1", "r2", "r3", "r4", "r5"],
        "organization_id": ["o1", "o2", "o3", "o4", "o1"],
        "county": ["Kings", "Kings", "Kings", "Tulare", None],
        "resource_status": ["active", "active", "active", "inactive", "active"],
        "service": ["ecm", "ecm", None, "ecm", "ecm"],
    }
)
SERVED = pd.DataFrame(
    {
        "member_id": ["m1"],
        "service": ["ecm"],
        "record_type": ["service"],
        "record_date": pd.to_datetime(["2024-11-01"]),
        "organization_id": ["o1"],
        "county": ["Kings"],
    }
)


def assessments(n_met, n_not, n_refused):
    answers = ["25"] * n_met + ["3"] * n_not + ["refused"] * n_refused
    return pd.DataFrame(
        {
            "member_id": [f"m{i}" for i in range(len(answers))],
            "question": "ed_visits",
            "assessment_date": pd.to_datetime("2024-06-15"),
            "answer": answers,
        }
    )


def numbers(table):
    return table.to_frame().set_index(list(table.keys.columns))["numerator"].to_dict()


def test_without_the_feeds_each_has_its_reason():
    results, left_out = measure_outside_feeds(study(CaseFinding(question="q", threshold=1)),
                                              Given(), "2024Q4")  # fmt: skip
    assert results == {}
    assert "`homeless_assessment`" in left_out["case_finding"]
    assert "`social_referral`" in left_out["outside_referrals"]
    assert "`resource`, `program_service`" in left_out["directory_use"]


def test_a_question_nobody_was_asked_is_said():
    given = Given(homeless_assessment=assessments(20, 20, 0))
    declared = CaseFinding(question="jail_nights", threshold=20)
    _, left_out = measure_outside_feeds(study(declared), given, "2024Q4")
    assert "no answer to the question `jail_nights`" in left_out["case_finding"]


@pytest.fixture(scope="module")
def results():
    given = Given(
        homeless_assessment=assessments(50, 60, 4), social_referral=referrals(), resource=RESOURCE
    )
    declared = CaseFinding(question="ed_visits", threshold=20)
    found, left_out = measure_outside_feeds(
        study(declared), given, "2024Q4", program_service=SERVED
    )
    assert left_out == {}
    return found


def test_referrals_outside_the_program_by_what_became_of_them(results):
    found = numbers(results["outside_referrals"])
    assert found["all", "all"] == 105
    assert found["accepted", "housing"] == 40
    assert found["person_declined", "housing"] == 20
    assert found["open", "housing"] == 15
    assert found["received", "other"] == 30
    assert found["received", "all"] == 30


def test_persons_who_met_the_rule_and_were_referred(results):
    # All met persons have a referral of 1 July, sixteen days later.
    assert numbers(results["case_finding"]) == {"met_rule": 50, "referred": 50, "started": 0}
    assert set(results["case_finding"].denominator) == {110}


def test_listed_services_serve_are_idle_or_are_no_support(results):
    found = numbers(results["directory_use"])
    kings = {s: found["Kings", s] for s in ("all", "serving", "idle", "no_support", "not_active")}
    assert kings == {"all": 3, "serving": 1, "idle": 1, "no_support": 1, "not_active": 0}
    assert found["Tulare", "not_active"] == 1
    assert found["all", "all"] == 4


def test_a_reader_sees_them(results, tmp_path):
    released = release(results, quarter="2024Q4", to=tmp_path)
    page = tables.shares_table(released, "outside_referrals").gt._tbl_data
    shown = page.set_index(["What became of it", "Referred for"])
    assert shown.loc[("Accepted", "A bed or a home"), "Number"] == "40"
    steps = tables.shares_table(released, "case_finding").gt._tbl_data
    assert steps["Of persons screened"].tolist()[0] == "Met the rule"
    counties = tables.directory_table(released).gt._tbl_data.set_index("County")
    assert counties.loc["Kings", "Active, no member served"] == "1"
