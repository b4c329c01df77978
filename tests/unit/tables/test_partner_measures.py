"""What is read from partners' files goes into the measures as it is."""

import pandas as pd

from calaim_eval.integration import referral_funnel
from calaim_eval.integration.coordinator.case_finding import case_finding_yield
from calaim_eval.schema import recorded_categories
from calaim_eval.tables.partners.hmis import read_hmis

from .hmis_files import UPDATED, basic, client, enrollment, event, write_hmis

ITEMS = ("AmIndAKNative", "Asian", "BlackAfAmerican", "HispanicLatinao", "MidEastNAfrican")
ITEMS += ("NativeHIPacific", "White", "RaceNone")


def wide(found):
    """A row a person with a column an item, as the HMIS schemas of race ask for."""
    races = found.frame("race_record")
    table = races.pivot_table(
        index="member_id", columns="race_item", values="race_item_value", aggfunc="first"
    )
    return table.reindex(columns=list(ITEMS)).reset_index()


def test_race_records_are_what_the_schema_of_the_version_reads(tmp_path):
    files = basic()
    files["Client"] = [
        client("a", races=("White",)),
        client("b", races=("Asian", "NativeHIPacific")),
        client("c", hispanic="1"),
        client("d", none="9"),
        client("e"),
    ]
    found = recorded_categories(wide(read_hmis(write_hmis(tmp_path, files))), schema="hmis_fy2026")
    counted = found.counts("in_combination")
    assert {name: int(counted[name]) for name in ("white", "asian", "nhpi", "hispanic")} == {
        "white": 1,
        "asian": 1,
        "nhpi": 1,
        "hispanic": 1,
    }
    alone = found.counts("alone")
    assert int(alone["asian"]) == 0
    assert (int(alone["declined"]), int(alone["unknown"])) == (1, 1)


def test_the_sample_counts_the_same_through_the_schema(shared):
    """Rows `race alone-or-in-combination` of the reference values."""
    found = read_hmis(shared / "data" / "hmis_fy26" / "csv")
    counted = recorded_categories(wide(found), schema="hmis_fy2026").counts("in_combination")
    values = pd.read_csv(shared / "reference" / "integration" / "reference_values.csv", dtype=str)
    values = values[values["dataset"] == "hmis_eva_demo_fy26"].set_index("measure")["value"]
    ours = {"AmIndAKNative": "aian", "Asian": "asian", "BlackAfAmerican": "black"}
    ours |= {"HispanicLatinao": "hispanic", "NativeHIPacific": "nhpi", "White": "white"}
    for item, category in ours.items():
        assert int(counted[category]) == int(values[f"race alone-or-in-combination {item}"])


def test_triage_answers_and_events_give_the_yield_of_case_finding(tmp_path):
    files = basic()
    files["Client"] = [client(each) for each in "abc"]
    files["Enrollment"] = [enrollment(each, each) for each in "abc"]
    files["Assessment"] = [
        {"AssessmentID": f"s{each}", "EnrollmentID": each, "PersonalID": each}
        | {"AssessmentDate": "2023-01-12"}
        | UPDATED
        for each in "abc"
    ]
    files["AssessmentQuestions"] = [
        {"AssessmentID": f"s{each}", "PersonalID": each, "AssessmentQuestion": "ed_visits"}
        | {"AssessmentAnswer": answer}
        | UPDATED
        for each, answer in zip("abc", ("22", "31", "3"), strict=True)
    ]
    files["Event"] = [event("e1", "a", day="2023-02-01"), event("e2", "c", day="2023-02-01")]
    found = read_hmis(write_hmis(tmp_path, files))
    answers = found.frame("homeless_assessment").query("question == 'ed_visits'")
    screening = answers.rename(
        columns={"member_id": "person_id", "assessment_date": "screening_date", "answer": "value"}
    )
    referral = (
        found.frame("social_referral")
        .rename(columns={"member_id": "person_id"})
        .assign(service_started_date=pd.NaT)
    )
    rates = case_finding_yield(screening, referral, threshold=20).to_frame().set_index("step")
    assert rates["numerator"].to_dict() == {"met_rule": 2, "referred": 1, "started": 0}
    assert set(rates["denominator"]) == {3}


def test_events_that_are_a_support_go_through_the_referral_funnel(tmp_path):
    folder = write_hmis(tmp_path, basic())
    (folder / "service_map.csv").write_text(
        "kind,code,service\nevent,14,housing_transition_navigation\n", encoding="utf-8"
    )
    referral = read_hmis(folder).frame("referral")
    steps = referral_funnel(referral, as_of="2023-12-31").to_frame().set_index("step")
    assert steps["numerator"].to_dict()["referred"] == 2
    assert steps["numerator"].to_dict()["accepted"] == 1
