"""HMIS exports: versions, persons, enrollments, events, and every row accounted for."""

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables.ledger import USED
from calaim_eval.tables.partners.hmis import read_hmis

from .hmis_files import RACES, UPDATED, basic, client, enrollment, event, write_hmis


def counts(read, file, stage="source"):
    frame = read.ledger.to_frame()
    here = frame[(frame["table"] == f"hmis {file}") & (frame["stage"] == stage)]
    return dict(zip(here["reason"], here["n_rows"], strict=True))


def read(tmp_path, files):
    return read_hmis(write_hmis(tmp_path / "hmis", files))


def assert_nothing_lost(found, files):
    for name, rows in files.items():
        assert found.ledger.total(f"hmis {name}", stage="source") == len(rows), name


@pytest.mark.parametrize("version", ["FY2024", "FY2026"])
def test_each_version_is_known_by_its_columns(tmp_path, version):
    files = basic(version)
    found = read(tmp_path, files)
    assert found.version == version
    assert_nothing_lost(found, files)
    races = found.frame("race_record")
    assert set(races["race_item_system"]) == {f"hmis_{version.lower()}"}
    hispanic = {"FY2024": "HispanicLatinaeo", "FY2026": "HispanicLatinao"}[version]
    said = races.groupby("member_id")["race_item"].agg(set)
    assert said["hmis:I1:b"] == {"Asian", "NativeHIPacific", hispanic}
    assert said["hmis:I1:a"] == {"White"}


def test_gender_columns_of_fy2024_are_not_read_as_sex(tmp_path):
    assert read(tmp_path / "old", basic("FY2024")).frame("homeless_person")["sex"].isna().all()
    assert set(read(tmp_path / "new", basic()).frame("homeless_person")["sex"]) == {"female"}


def test_an_enrollment_has_its_exit_organization_and_project(tmp_path):
    rows = read(tmp_path, basic()).frame("homeless_enrollment").set_index("homeless_enrollment_id")
    one, two = rows.loc["hmis:I1:1"], rows.loc["hmis:I1:2"]
    assert one["exit_date"] == pd.Timestamp("2023-06-30")
    assert (one["destination_code"], one["project_type_code"]) == ("410", "14")
    assert one["organization_id"] == "hmis:I1:o1"
    assert pd.isna(two["exit_date"])
    assert two["has_disabling_condition"]


def test_an_accepted_event_is_accepted_and_a_rejected_one_is_closed(tmp_path):
    rows = read(tmp_path, basic()).frame("social_referral").set_index("referral_id")
    one, two = rows.loc["hmis:I1:event:e1"], rows.loc["hmis:I1:event:e2"]
    assert (one["referral_status"], one["accepted_date"]) == (
        "accepted",
        pd.Timestamp("2023-02-20"),
    )
    assert pd.isna(one["closed_date"])
    assert (one["from_organization_id"], one["to_organization_id"]) == ("hmis:I1:o1", "hmis:I1:o2")
    assert (two["referral_status"], two["closure_reason"]) == ("declined", "other")
    assert two["closed_date"] == pd.Timestamp("2023-02-10")


def test_problem_solving_closes_where_it_ended_in_a_safe_place(tmp_path):
    files = basic()
    files["Event"] = [
        event("e1", "1", "2", ProbSolDivRRResult="1"),
        event("e2", "1", "2", ProbSolDivRRResult="0"),
        event("e3", "1", "2"),
    ]
    rows = read(tmp_path, files).frame("social_referral")
    assert rows["closure_reason"].tolist() == ["services_received", "other", None]
    assert rows["closed_date"].notna().tolist() == [True, True, False]


def test_a_result_before_its_event_is_kept_without_its_day_and_counted(tmp_path):
    files = basic()
    files["Event"] = [event("e1", "1", result="2", day="2023-02-01", told="2023-01-15")]
    found = read(tmp_path, files)
    row = found.frame("social_referral").iloc[0]
    assert row["referral_status"] == "closed"
    assert pd.isna(row["closed_date"])
    remarks = counts(found, "Event", "notice")
    assert sum(n for text, n in remarks.items() if "before `EventDate`" in text) == 1
    assert_nothing_lost(found, files)


def test_an_exit_before_its_entry_is_set_aside_with_its_enrollment(tmp_path):
    files = basic()
    files["Exit"][0]["ExitDate"] = "2022-12-01"
    found = read(tmp_path, files)
    assert counts(found, "Exit") == {"`ExitDate` before `EntryDate`": 1, USED: 0}
    assert counts(found, "Enrollment") == {"`ExitDate` before `EntryDate`": 1, USED: 2}
    # What hangs on the enrollment goes with it, by a reason of its own.
    assert counts(found, "Event")["enrollment not in `Enrollment`, or set aside there"] == 1
    assert_nothing_lost(found, files)


def test_rows_of_unknown_persons_and_projects_are_counted(tmp_path):
    files = basic()
    files["Enrollment"] += [enrollment("8", "nobody"), enrollment("9", "a", "nowhere")]
    files["Event"] += [event("e3", "77"), event("e4", "1", place="nowhere")]
    found = read(tmp_path, files)
    assert counts(found, "Enrollment")["person not in `Client`"] == 1
    assert counts(found, "Enrollment", "notice") == {
        "project not in `Project` (kept without organization)": 1
    }
    assert counts(found, "Event")["enrollment not in `Enrollment`, or set aside there"] == 1
    kept = found.frame("homeless_enrollment").set_index("homeless_enrollment_id")
    assert kept.loc["hmis:I1:9", "organization_id"] is None
    assert_nothing_lost(found, files)


def test_a_person_is_one_row_the_latest_and_copies_are_counted(tmp_path):
    files = basic()
    later = {"DateUpdated": "2024-03-01 00:00:00"}
    files["Client"] += [
        client("a", races=("Asian",)) | later,
        client("b"),
        dict(files["Client"][1]),
    ]
    found = read(tmp_path, files)
    assert sorted(found.frame("homeless_person")["member_id"]) == ["hmis:I1:a", "hmis:I1:b"]
    races = found.frame("race_record")
    assert races.loc[races["member_id"] == "hmis:I1:a", "race_item"].tolist() == ["Asian"]
    assert counts(found, "Client")["exact duplicate"] == 1
    assert counts(found, "Client")["repeats `PersonalID`; the latest is kept"] == 2
    assert_nothing_lost(found, files)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("2024-03-01 09:05:00", "2024-03-01 10:05:00"),
        ("3/1/2024 9:05", "3/1/2024 10:05"),
        ("2024-03-02T02:05:00Z", "2024-03-01T23:05:00-08:00"),
        ("2024-03-01 at noon", "2024-03-02"),
        ("", "2024-03-02"),
    ],
)
def test_of_two_rows_of_one_day_the_later_by_the_clock_is_kept(tmp_path, earlier, later):
    files = basic()
    files["Client"] = [
        client("a", races=("Asian",), DateUpdated=later),
        client("a", races=("White",), DateUpdated=earlier),
    ]
    found = read(tmp_path, files)
    assert found.frame("race_record")["race_item"].tolist() == ["Asian"]


def test_deleted_rows_and_unreadable_days_are_counted(tmp_path):
    files = basic()
    files["Enrollment"] += [
        enrollment("8", "a", DateDeleted="2024-01-05"),
        enrollment("9", "a", entry="soon"),
        enrollment("10", "a", entry=""),
        enrollment("11", "a", entry="1823-01-01"),
    ]
    files["Client"] += [client("c", DOB="never")]
    found = read(tmp_path, files)
    assert counts(found, "Enrollment") == {
        "deleted in the HMIS (`DateDeleted`)": 1,
        "`EntryDate` is missing": 1,
        "`EntryDate` cannot be read as a date of 1900 to 2100": 2,
        USED: 3,
    }
    assert any("`DOB` cannot be read" in text for text in counts(found, "Client", "notice"))
    assert_nothing_lost(found, files)


def test_a_person_without_any_race_is_not_collected_and_said_to_be(tmp_path):
    files = basic()
    files["Client"] = [client("a"), client("b", none="9"), client("c", none="99")]
    found = read(tmp_path, files)
    said = found.frame("race_record").set_index("member_id")["race_item_value"]
    assert said.to_dict() == {"hmis:I1:a": "99", "hmis:I1:b": "9", "hmis:I1:c": "99"}
    assert counts(found, "Client", "notice") == {
        "person without any race recorded (counted as not collected)": 1
    }


def test_an_item_of_race_that_is_not_collected_is_not_said_yes_to(tmp_path):
    files = basic()
    missing = dict.fromkeys((*RACES, "HispanicLatinao"), "99")
    files["Client"] = [client("a") | missing, client("b", none="8") | missing]
    files["Client"] += [client("c", races=("White",)) | {"Asian": "99"}, client("d", White="yes")]
    found = read(tmp_path, files)
    races = found.frame("race_record").set_index("member_id")[["race_item", "race_item_value"]]
    assert sorted(races.itertuples(name=None)) == [
        ("hmis:I1:a", "RaceNone", "99"),
        ("hmis:I1:b", "RaceNone", "8"),
        ("hmis:I1:c", "White", "1"),
        ("hmis:I1:d", "RaceNone", "99"),
    ]
    assert counts(found, "Client", "notice") == {
        "person without any race recorded (counted as not collected)": 2,
        "item of race that is not 0, 1 or 99 (read as not said)": 1,
    }


def test_what_one_of_two_linked_persons_says_of_race_is_what_the_member_says(tmp_path):
    files = basic()
    files["Client"] = [client("a"), client("b", races=("White",))]
    folder = write_hmis(tmp_path / "hmis", files)
    (folder / "member_link.csv").write_text(
        "source_person_id,member_id\na,m1\nb,m1\n", encoding="utf-8"
    )
    assert read_hmis(folder).frame("race_record")["race_item"].tolist() == ["White"]


def test_a_line_with_another_number_of_cells_is_counted_not_shifted(tmp_path):
    folder = write_hmis(tmp_path / "hmis", basic())
    with (folder / "Enrollment.csv").open("a", encoding="utf-8") as stream:
        stream.write('"99","a"\n')
    found = read_hmis(folder)
    assert counts(found, "Enrollment")["another number of cells than the header"] == 1
    assert counts(found, "Enrollment")[USED] == 3


def test_links_give_members_and_organizations_and_count_those_without(tmp_path):
    folder = write_hmis(tmp_path / "hmis", basic())
    (folder / "member_link.csv").write_text(
        "source_person_id,member_id\na,m1\nzz,m9\nq,m1\nq,m2\n", encoding="utf-8"
    )
    (folder / "organization_link.csv").write_text(
        "source_organization_id,organization_id\no1,ORG-1\n", encoding="utf-8"
    )
    found = read_hmis(folder)
    assert set(found.frame("homeless_enrollment")["member_id"]) == {"m1", "hmis:I1:b"}
    assert counts(found, "member_link") == {"one identifier linked to several": 2, USED: 2}
    assert counts(found, "persons", "notice") == {
        "person without a link to a member (kept under the source's own identifier)": 1,
        "person linked to a member": 1,
        "link of a person who is not in the files": 1,
    }
    # The study's own row of a linked organization counts; the HMIS adds none.
    assert found.frame("organization")["organization_id"].tolist() == ["hmis:I1:o2"]
    assert "ORG-1" in set(found.frame("homeless_enrollment")["organization_id"])


def test_two_persons_linked_to_one_member_are_one_person(tmp_path):
    folder = write_hmis(tmp_path / "hmis", basic())
    (folder / "member_link.csv").write_text(
        "source_person_id,member_id\na,m1\nb,m1\n", encoding="utf-8"
    )
    found = read_hmis(folder)
    assert found.frame("homeless_person")["member_id"].tolist() == ["m1"]
    remark = "person linked to the same member as another (one row in `homeless_person`)"
    assert counts(found, "Client", "notice") == {remark: 1}
    assert len(found.frame("homeless_enrollment")) == 3


def test_a_service_map_makes_events_and_project_enrollments_referrals(tmp_path):
    folder = write_hmis(tmp_path / "hmis", basic())
    (folder / "service_map.csv").write_text(
        "kind,code,service\n"
        "event,14,housing_transition_navigation\nproject,p2,housing_deposits\nevent,1,rockets\n",
        encoding="utf-8",
    )
    found = read_hmis(folder)
    rows = found.frame("referral").set_index("referral_id")
    assert rows["service"].to_dict() == {
        "hmis:I1:event:e1": "housing_transition_navigation",
        "hmis:I1:event:e2": "housing_transition_navigation",
        "hmis:I1:enrollment:2": "housing_deposits",
    }
    assert "social_referral" not in found.names
    assert rows.loc["hmis:I1:enrollment:2", "to_organization_id"] == "hmis:I1:o2"
    assert counts(found, "service_map")["`service` is neither `ecm` nor a listed support"] == 1


def test_links_of_two_implementations_in_one_folder_are_refused(tmp_path):
    """Both have a person `a`: a link cannot say which of the two it means."""
    one, other = basic(), basic()
    other["Export"][0]["ImplementationID"] = "I2"
    write_hmis(tmp_path / "hmis" / "one", one)
    folder = write_hmis(tmp_path / "hmis" / "two", other).parent
    assert len(read_hmis(folder).frame("homeless_person")) == 4
    (folder / "member_link.csv").write_text("source_person_id,member_id\na,m1\n", encoding="utf-8")
    with pytest.raises(TableError, match="2 implementations") as problem:
        read_hmis(folder)
    assert "I2" not in str(problem.value)


def test_a_link_file_inside_the_folder_of_an_export_is_not_passed_over(tmp_path):
    inside = write_hmis(tmp_path / "hmis" / "one", basic())
    (inside / "member_link.csv").write_text("source_person_id,member_id\na,m1\n", encoding="utf-8")
    with pytest.raises(TableError, match="`member_link` lies in a folder inside"):
        read_hmis(tmp_path / "hmis")
    assert "m1" in set(read_hmis(inside).frame("homeless_person")["member_id"])


def test_two_exports_of_one_hmis_in_different_versions_are_one_with_the_latest(tmp_path):
    old = basic("FY2024")
    old["Export"][0]["ExportDate"] = "2023-09-01"
    old["Exit"] = []
    new = basic("FY2026")
    for files in (old, new):
        files["Assessment"] = [{"AssessmentID": "s1", "EnrollmentID": "1", "PersonalID": "a"}]
        files["AssessmentQuestions"] = [
            {"AssessmentID": "s1", "AssessmentQuestion": "q", "AssessmentAnswer": "1"}
        ]
    write_hmis(tmp_path / "hmis" / "z_old", {k: v for k, v in old.items() if v})
    write_hmis(tmp_path / "hmis" / "a_new", new)
    found = read_hmis(tmp_path / "hmis")
    assert found.version == "FY2024, FY2026"
    assert len(found.frame("homeless_person")) == 2
    enrolled = found.frame("homeless_enrollment").set_index("homeless_enrollment_id")
    assert len(enrolled) == 3
    assert enrolled.loc["hmis:I1:1", "exit_date"] == pd.Timestamp("2023-06-30")
    assert set(found.frame("race_record")["race_item_system"]) == {"hmis_fy2026"}
    assert len(found.frame("homeless_assessment")) == 1
    ledger = found.ledger.to_frame()
    doubled = ledger[ledger["reason"].str.contains("later export")]
    assert doubled.set_index("table")["n_rows"]["hmis Enrollment"] == 3


def test_what_a_later_export_says_of_race_is_in_place_of_what_an_earlier_said(tmp_path):
    old, new = basic(), basic()
    old["Export"][0]["ExportDate"] = "12/31/2023 09:00:00"
    new["Export"][0]["ExportDate"] = "2/1/2024 09:00:00"
    old["Client"].append(client("z", races=("White",)))
    new["Client"][0] = client("a", races=("Asian",))
    write_hmis(tmp_path / "hmis" / "a", new)
    write_hmis(tmp_path / "hmis" / "b", old)
    found = read_hmis(tmp_path / "hmis")
    races = found.frame("race_record").groupby("member_id")["race_item"].agg(set)
    assert races["hmis:I1:a"] == {"Asian"}
    assert races["hmis:I1:b"] == {"Asian", "NativeHIPacific", "HispanicLatinao"}
    assert races["hmis:I1:z"] == {"White"}
    ledger = found.ledger.to_frame()
    doubled = ledger[ledger["reason"].str.contains("later export")].set_index("table")["n_rows"]
    assert doubled["hmis Client"] == 2


def test_an_export_that_calls_itself_another_version_is_read_by_its_columns(tmp_path):
    files = basic("FY2024")
    files["Export"][0]["CSVVersion"] = "2026 v1"
    found = read(tmp_path, files)
    assert found.version == "FY2024"
    remark = "`CSVVersion` is another version than the columns, which decide"
    assert counts(found, "Export", "notice") == {remark: 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row | {"HispanicLatinaeo": "0"}, "race columns of two versions"),
        (lambda row: {k: v for k, v in row.items() if k != "HispanicLatinao"}, "of no version"),
    ],
)
def test_clients_of_no_one_version_are_refused(tmp_path, change, message):
    files = basic()
    files["Client"] = [change(row) for row in files["Client"]]
    with pytest.raises(TableError, match=message):
        read(tmp_path, files)


def test_errors_name_no_person_and_no_file_of_the_folder(tmp_path):
    folder = write_hmis(tmp_path / "hmis", basic())
    (folder / "Enrollment.csv").write_text(
        '"EnrollmentID","PersonalID","ProjectID","EntryDate"\n"secret-7" x","a"\n', encoding="utf-8"
    )
    with pytest.raises(TableError) as problem:
        read_hmis(folder)
    assert "secret" not in str(problem.value)
    assert "quote" in str(problem.value)


def test_a_folder_without_an_export_says_what_to_do(tmp_path):
    with pytest.raises(TableError, match="Unpack the export"):
        read_hmis(tmp_path)


def test_answers_of_assessments_are_kept_by_question(tmp_path):
    files = basic()
    files["Assessment"] = [
        {"AssessmentID": "s1", "EnrollmentID": "1", "PersonalID": "a"}
        | {"AssessmentDate": "2023-01-12"}
        | UPDATED
    ]
    files["AssessmentQuestions"] = [
        {"AssessmentID": each, "PersonalID": "a", "AssessmentQuestion": "ed_visits"}
        | {"AssessmentAnswer": "22"}
        | UPDATED
        for each in ("s1", "s9")
    ]
    found = read(tmp_path, files)
    row = found.frame("homeless_assessment").iloc[0]
    assert (row["question"], row["answer"]) == ("ed_visits", "22")
    assert row["assessment_date"] == pd.Timestamp("2023-01-12")
    assert counts(found, "AssessmentQuestions") == {
        "assessment not in `Assessment`, or set aside there": 1,
        USED: 1,
    }
