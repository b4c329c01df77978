"""Feeds from outside the plans: from the tables to what a reader sees."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from calaim_eval.disclosure import release
from calaim_eval.pipeline.outside_feeds import measure_outside_feeds
from calaim_eval.report import tables
from calaim_eval.study.model import CaseConference, CaseFinding
from tests.unit.pipeline.test_success import Given

REPORTS = Path(__file__).parents[3] / "reports"
FEEDS = ("case_finding", "outside_referrals", "directory_use")


def study(case_finding=None, case_conference=None):
    integration = SimpleNamespace(
        maturation_days=90, case_finding=case_finding, case_conference=case_conference
    )
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


def test_persons_screened_too_late_to_be_referred_do_not_count():
    """The records end on 31 March: 90 days are over for those of 31 December, not for others."""
    late = assessments(50, 60, 4)
    young = assessments(30, 0, 0).assign(
        member_id=[f"y{i}" for i in range(30)], assessment_date=pd.Timestamp("2025-01-01")
    )
    old = young.head(20).assign(
        member_id=[f"o{i}" for i in range(20)], assessment_date=pd.Timestamp("2024-12-31")
    )
    given = Given(homeless_assessment=pd.concat([late, young, old]), social_referral=referrals())
    declared = CaseFinding(question="ed_visits", threshold=20)
    found, _ = measure_outside_feeds(study(declared), given, "2025Q1")
    assert set(found["case_finding"].denominator) == {130}
    assert numbers(found["case_finding"])["met_rule"] == 70


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
    assert ("Still open", "All referrals") in shown.index
    steps = tables.shares_table(released, "case_finding").gt._tbl_data
    assert steps["Of persons screened"].tolist()[0] == "Met the rule"
    counties = tables.directory_table(released).gt._tbl_data.set_index("County")
    assert counties.loc["Kings", "Active, no member served"] == "1"


def page_of(released, capsys, tmp_path, monkeypatch):
    """What the part of the quarterly report about these feeds prints."""
    from calaim_eval.report import absences, section

    monkeypatch.chdir(tmp_path)
    text = (REPORTS / "_outside.qmd").read_text(encoding="utf-8")
    cell = text.split("```{python}\n")[1].split("```")[0]
    names = {"released": released, "tables": tables, "section": section, "absences": absences}
    exec(compile(cell, "_outside.qmd", "exec"), names)
    return capsys.readouterr().out


def test_the_report_has_the_part_where_one_of_the_feeds_is_there(
    results, capsys, tmp_path, monkeypatch
):
    few = {"outside_referrals": results["outside_referrals"]}
    left_out = {"directory_use": "not given, or without rows: `resource`"}
    released = release(few, provenance={"left_out": left_out})
    page = page_of(released, capsys, tmp_path, monkeypatch)
    assert page.index("# What feeds from outside") < page.index("Only persons linked to a member")
    assert page.index("Only persons linked to a member") < page.index("tbl-outside")
    assert "not given, or without rows: `resource`" in page


def test_without_the_feeds_the_report_says_why_under_no_heading(capsys, tmp_path, monkeypatch):
    _, left_out = measure_outside_feeds(study(), Given(), "2024Q4")
    released = release({}, provenance={"left_out": left_out})
    page = page_of(released, capsys, tmp_path, monkeypatch)
    assert "# What feeds" not in page
    assert "`social_referral`" in page


def meetings():
    """60 persons in May and 40 in July, 20 of them in both; one meeting is too young to count."""
    rows = [(f"m{i}", "2024-05-10") for i in range(60)]
    rows += [(f"m{i}", "2024-07-01") for i in range(40, 80)]
    rows += [("m99", "2025-03-20")]
    frame = pd.DataFrame(rows, columns=["member_id", "service_date"])
    other = frame.assign(homeless_service_code="200:200", service_date="2024-07-01")
    return pd.concat([frame.assign(homeless_service_code="conference"), other])


def referred_after():
    """Of those of May the first 30 are referred in time, of July all but the last 12."""
    days = ["2024-06-01"] * 30 + ["2024-06-20"] * 10 + ["2024-07-31"] * 28
    frame = pd.DataFrame({"referred_date": pd.to_datetime(days)})
    begun = pd.Series(pd.NaT, index=frame.index, dtype="datetime64[ns]")
    begun[:15] = pd.Timestamp("2024-06-15")
    return frame.assign(member_id=[f"m{i}" for i in range(68)], service_started_date=begun)


PERSON = pd.DataFrame(
    {
        "member_id": [f"m{i}" for i in range(80)],
        "race_ethnicity": ["black"] * 30 + ["white"] * 30 + [None] * 20,
    }
)


@pytest.fixture(scope="module")
def conferences():
    given = Given(
        homeless_service=meetings(),
        referral=referred_after(),
        person=PERSON,
        homeless_assessment=assessments(50, 30, 0),
    )
    declared = study(
        CaseFinding(question="ed_visits", threshold=20), CaseConference(service="conference")
    )
    return measure_outside_feeds(declared, given, "2025Q1")[0]


def test_persons_discussed_once_each_with_what_followed(conferences):
    # 80 persons; the first 30 after May, the 28 from m40 on after July, 15 began.
    found = conferences["case_conferences"]
    assert numbers(found) == {"referred": 58, "started": 15}
    assert set(found.denominator) == {80}


def test_months_count_a_person_in_each(conferences):
    found = conferences["case_conferences_by_month"]
    assert numbers(found) == {
        ("all", "referred"): 58,
        ("2024-05", "referred"): 30,
        ("2024-07", "referred"): 28,
    }
    assert found.denominator.tolist() == [80, 60, 40]


def test_few_persons_of_a_month_do_not_follow_from_all_and_the_other_months():
    """105 persons are discussed once each, 60 in May, 40 in July and 5 in August."""
    days = ["2024-05-10"] * 60 + ["2024-07-01"] * 40 + ["2024-08-01"] * 5
    members = [*range(40), *range(80, 100), *range(40, 80), *range(100, 105)]
    met = pd.DataFrame({"member_id": [f"m{i}" for i in members], "service_date": days})
    met["homeless_service_code"] = "conference"
    given = Given(homeless_service=met, referral=referred_after())
    declared = study(case_conference=CaseConference(service="conference"))
    found, _ = measure_outside_feeds(declared, given, "2024Q4")
    released = release(found).tables
    persons = released["case_conferences"].frame["denominator"].iloc[0]
    months = released["case_conferences_by_month"].frame.set_index("month")["denominator"]
    assert np.isnan(persons - months["2024-05"] - months["2024-07"])


def test_both_are_there_by_race_and_ethnicity(conferences):
    by_race = numbers(conferences["case_conferences_by_race"])
    assert by_race["black", "referred"] == 30
    assert by_race["white", "referred"] == 20
    assert by_race["unknown", "referred"] == 8
    assert by_race["all", "referred"] == 58
    finding = numbers(conferences["case_finding_by_race"])
    assert finding["black", "met_rule"] == 30
    assert finding["white", "met_rule"] == 20
    assert finding["all", "met_rule"] == 50


def test_a_reader_sees_conferences_and_groups_without_small_ones(conferences, tmp_path):
    released = release(conferences, quarter="2025Q1", to=tmp_path)
    shown = tables.shares_table(released, "case_conferences").gt._tbl_data
    assert shown["Of persons discussed"].tolist()[0] == "Were referred in time"
    by_race = tables.shares_table(released, "case_conferences_by_race").gt._tbl_data
    assert {"Race and ethnicity", "Of persons discussed"} <= set(by_race.columns)
    cells = by_race.set_index(["Race and ethnicity", "Of persons discussed"])["Number"]
    assert cells["Unknown or not reported", "Were referred in time"] != "8"
    months = tables.shares_table(released, "case_conferences_by_month").gt._tbl_data
    assert months["Month"].tolist() == ["All", "2024-05", "2024-07"]


def test_months_that_are_withheld_and_kinds_of_nobody_take_no_rows():
    days = ["2024-05-10"] * 60 + ["2024-06-01"] * 5 + ["2024-07-01"] * 6 + ["2024-08-01"] * 40
    met = pd.DataFrame({"member_id": [f"m{i}" for i in range(111)], "service_date": days})
    met["homeless_service_code"] = "conference"
    housing = referrals()[lambda f: f["social_service_code"] == "14"]
    given = Given(homeless_service=met, referral=referred_after(), social_referral=housing)
    declared = study(case_conference=CaseConference(service="conference"))
    released = release(measure_outside_feeds(declared, given, "2024Q4")[0])
    frame = released.tables["case_conferences_by_month"].frame
    page = tables.shares_table(released, "case_conferences_by_month")
    hidden = set(frame.loc[frame["is_suppressed"], "month"])
    assert {"2024-06", "2024-07"} <= hidden
    shown = page.gt._tbl_data["Month"].str.replace("All", "all")
    assert set(shown) == set(frame["month"]) - hidden
    assert f"{len(hidden)} months are not shown" in page.to_html()
    assert page.n_suppressed == frame["is_suppressed"].sum()
    page = tables.shares_table(released, "outside_referrals")
    assert set(page.gt._tbl_data["Referred for"]) == {"All referrals", "A bed or a home"}
    assert "There are none: Other services." in page.to_html()


def test_a_question_may_record_a_conference():
    given = Given(homeless_assessment=assessments(20, 0, 0), referral=referred_after())
    declared = study(case_conference=CaseConference(question="ed_visits"))
    found, _ = measure_outside_feeds(declared, given, "2024Q4")
    # Discussed on 15 June: the ten referred on 20 June are others; none of the first 20 was.
    assert numbers(found["case_conferences"]) == {"referred": 0, "started": 0}


def test_a_record_nobody_has_is_said():
    given = Given(homeless_service=meetings())
    declared = study(case_conference=CaseConference(service="huddle"))
    _, left_out = measure_outside_feeds(declared, given, "2024Q4")
    assert "no record `huddle`" in left_out["case_conferences"]


@pytest.mark.parametrize("given", [{}, {"service": "a", "question": "b"}])
def test_a_conference_is_recorded_in_one_way(given):
    with pytest.raises(ValueError, match="name the `service` or the `question`"):
        CaseConference(**given)
