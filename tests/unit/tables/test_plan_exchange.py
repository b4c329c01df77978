"""Files that plans and providers exchange: kinds, layouts, the closed loop, every row counted."""

import csv

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables.ledger import USED
from calaim_eval.tables.partners.plan_exchange import read_plan_exchange

CIN = "Member Client Index Number (CIN)"
WHO = {"MCP Name": "Plan A", "ECM Provider Name": "Open Door"}
NPI = "ECM Provider National Provider Identifier (NPI)"
PRODUCED = "Member Information Return Transmission File Production Date"
RETURNED = "plan_exchange return transmission file"


def returned(cin="91234567A", produced="2025-08-05", **more):
    """One row of a return transmission."""
    row = WHO | {CIN: cin, NPI: "1234567893", "Member POF": "1a", "Member ECM Status": "Enrolled"}
    row |= {"ECM Enrollment Start Date": "", "ECM Enrollment End Date": "", PRODUCED: produced}
    row |= {"Discontinuation Date": "", "Discontinuation Reason Code": ""}
    row |= {"Date of Most Recent Encounter with Member": "", "Referral Status": ""}
    row |= {"Date of Referral Status Update": "", "Reason for Referral Loop Closure": ""}
    named = {
        "start": "ECM Enrollment Start Date",
        "end": "ECM Enrollment End Date",
        "ended": "Discontinuation Date",
        "why": "Discontinuation Reason Code",
        "served": "Date of Most Recent Encounter with Member",
        "status": "Referral Status",
        "day": "Date of Referral Status Update",
        "reason": "Reason for Referral Loop Closure",
    }
    return row | {named.get(name, name): value for name, value in more.items()}


def write(folder, name, rows):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def read(tmp_path, *rows):
    return read_plan_exchange(write(tmp_path / "x", "rtf.csv", list(rows)))


def counts(found, stage="source", table=RETURNED):
    frame = found.ledger.to_frame()
    here = frame[(frame["table"] == table) & (frame["stage"] == stage)]
    return dict(zip(here["reason"], here["n_rows"], strict=True))


def test_heads_of_the_state_are_those_of_the_listed_templates(shared):
    from calaim_eval.tables.partners.exchange_layout import OUTREACH, RETURN, Layout

    folder = shared / "reference" / "integration" / "data" / "dhcs_file_formats"
    for file, kind, needed in (
        ("rtf_columns.csv", RETURN, {"cin", "start", "end", "served", "ended", "end_reason"}),
        ("otf_columns.csv", OUTREACH, {"cin", "outreach", "is_reached", "npi", "provider"}),
    ):
        header = pd.read_csv(folder / file)["column"].tolist()
        layout = Layout()
        assert layout.kind(header) == kind
        from calaim_eval.tables.partners.text_rows import plain_head

        plain = {plain_head(head) for head in header}
        has = {ours for head, ours in layout.heads(kind).items() if plain_head(head) in plain}
        assert needed <= has
    loop = {"referral_status", "status_day", "closure_reason"}
    header = pd.read_csv(folder / "rtf_columns.csv")["column"].map(plain_head)
    heads = Layout().heads(RETURN)
    assert loop <= {ours for head, ours in heads.items() if plain_head(head) in set(header)}


def test_reasons_of_discontinuation_are_all_read(shared, tmp_path):
    folder = shared / "reference" / "integration" / "data" / "dhcs_file_formats"
    listed = pd.read_csv(folder / "ecm_discontinuation_reasons.csv")
    rows = [
        returned(f"9{i:07d}A", start="2025-01-01", end="2025-06-30", why=code)
        for i, code in enumerate(listed["code"])
    ]
    found = read(tmp_path, *rows).frame("program_enrollment")["end_reason"].tolist()
    ours = {
        "completed": "completed",
        "member_declined": "member_declined",
        "unable_to_reach": "unable_to_reach",
        "provider_ended": "provider_ended",
        "death": "died",
        "coverage_loss": "coverage_ended",
        "provider_capacity": "no_capacity",
        "data_error": "data_error",
        "other": "other",
        "missing": None,
    }
    assert found == [ours[group] for group in listed["competing_event_group"]]


def test_statuses_over_the_months_are_one_referral(tmp_path):
    found = read(
        tmp_path,
        returned(produced="2025-08-05", status="Pending", day="2025-07-10"),
        returned(produced="2025-09-05", status="Accepted", day="2025-07-20"),
        returned(produced="2025-10-05", status="Accepted", day="2025-07-20"),
        returned(produced="2025-11-05", status="Referral Loop Closed", day="2025-10-15")
        | {"Reason for Referral Loop Closure": "Services received"},
    )
    rows = found.frame("referral")
    assert len(rows) == 1
    row = rows.iloc[0]
    assert row["referred_date"] == pd.Timestamp("2025-07-10")
    assert row["accepted_date"] == pd.Timestamp("2025-07-20")
    assert row["closed_date"] == pd.Timestamp("2025-10-15")
    assert (row["referral_status"], row["closure_reason"]) == ("closed", "services_received")
    assert (row["from_organization_id"], row["to_organization_id"]) == (
        "Plan A",
        "plan_exchange:1234567893",
    )
    assert counts(found) == {USED: 4}
    assert counts(found, "notice")["status stated again, as it was"] == 1
    assert found.version == "with closed-loop fields"


def test_a_closing_stated_every_month_without_its_day_is_of_the_first_file_that_has_it(tmp_path):
    found = read(
        tmp_path,
        returned(produced="2025-08-05", status="Pending", day="2025-07-10"),
        returned(produced="2025-09-05", status="Closed"),
        returned(produced="2025-10-05", status="Closed", reason="Services received"),
        returned(produced="2025-11-05", status="Closed", reason="Services received"),
    )
    row = found.frame("referral").iloc[0]
    assert row["closed_date"] == pd.Timestamp("2025-09-05")
    assert row["closure_reason"] == "services_received"
    assert counts(found, "notice")["status stated again, as it was"] == 2


def test_a_referral_is_reached_before_it_ends_by_an_attempt_for_its_service(tmp_path):
    write(
        tmp_path / "x",
        "rtf.csv",
        [
            returned(produced="2025-04-05", status="Pending", day="2025-03-10"),
            returned(produced="2025-05-05", status="Closed", day="2025-04-10"),
            returned(produced="2025-07-05", status="Pending", day="2025-06-10"),
        ],
    )
    who = WHO | {CIN: "91234567A", NPI: "1234567893"}
    yes = {"Outreach Attempt Successful": "Yes"}
    write(tmp_path / "x", "otf.csv", [who | {"Date of Outreach Attempt": "2025-07-01"} | yes])
    write(tmp_path / "x" / "b", "otf.csv", [who | {"Date of Outreach Attempt": "2025-03-20"} | yes])
    (tmp_path / "x" / "b" / "layout.toml").write_text('service = "housing_deposits"\n')
    rows = read_plan_exchange(tmp_path / "x").frame("referral").set_index("referred_date")
    assert pd.isna(rows.loc["2025-03-10", "reached_date"])
    assert rows.loc["2025-06-10", "reached_date"] == pd.Timestamp("2025-07-01")


def test_a_referral_after_one_that_ended_is_another(tmp_path):
    found = read(
        tmp_path,
        returned(produced="2025-08-05", status="Pending", day="2025-07-10"),
        returned(produced="2025-09-05", status="Declined", day="2025-08-10"),
        returned(produced="2025-10-05", status="Pending", day="2025-09-10"),
    )
    assert found.frame("referral")["referral_status"].tolist() == ["declined", "pending"]


def test_closed_before_opened_is_kept_without_the_day(tmp_path):
    found = read(
        tmp_path,
        returned(produced="2025-08-05", status="Pending", day="2025-07-10"),
        returned(produced="2025-09-05", status="Referral Loop Closed", day="2025-06-01"),
    )
    row = found.frame("referral").iloc[0]
    assert row["referral_status"] == "closed"
    assert pd.isna(row["closed_date"])
    remark = "closed before it was opened (kept; the day of closing is read as missing)"
    assert counts(found, "notice")[remark] == 1


def test_a_referral_first_seen_when_closed_says_so(tmp_path):
    found = read(tmp_path, returned(status="Referral Loop Closed", day="2025-07-10"))
    remark = "no longer pending"
    assert sum(n for text, n in counts(found, "notice").items() if remark in text) == 1


def test_enrollments_are_kept_as_last_stated_and_services_once(tmp_path):
    found = read(
        tmp_path,
        returned(produced="2025-08-05", start="2025-02-01", served="2025-07-30"),
        returned(produced="2025-09-05", start="2025-02-01", served="2025-07-30"),
        returned(produced="2025-10-05", start="2025-02-01", ended="2025-09-20", why="EXP")
        | {"Date of Most Recent Encounter with Member": "2025-09-12"},
    )
    enrolled = found.frame("program_enrollment")
    assert len(enrolled) == 1
    assert enrolled.iloc[0]["program_end_date"] == pd.Timestamp("2025-09-20")
    assert enrolled.iloc[0]["end_reason"] == "died"
    served = found.frame("program_service")
    assert served["record_type"].tolist() == ["service", "service"]
    assert served["record_date"].dt.strftime("%m-%d").tolist() == ["07-30", "09-12"]
    assert set(served["record_source"]) == {"return_transmission_file"}
    again = counts(found, "notice", "plan_exchange records")
    assert again == {"the same service, attempt or listing stated again (one record)": 1}
    assert found.version == "without closed-loop fields"


def test_outreach_and_member_lists_are_records_of_their_kind(tmp_path):
    who = WHO | {CIN: "91234567A", NPI: "1234567893"}
    write(
        tmp_path / "x",
        "a.csv",
        [
            who | {"Date of Outreach Attempt": "08/01/2025", "Outreach Attempt Successful": "Yes"},
            who | {"Date of Outreach Attempt": "then", "Outreach Attempt Successful": "No"},
        ],
    )
    write(
        tmp_path / "x",
        "b.txt",
        [who | {"Member POF": "2", "Member Information File Production Date": "2025-07-01"}],
    )
    found = read_plan_exchange(tmp_path / "x")
    rows = found.frame("program_service").set_index("record_type")
    assert rows.loc["outreach", "record_date"] == pd.Timestamp("2025-08-01")
    assert rows.loc["identified", "population_of_focus"] == "2"
    assert rows.loc["identified", "record_source"] == "member_information_file"
    assert counts(found, table="plan_exchange outreach tracker") == {
        "`outreach` cannot be read as a date of 1900 to 2100": 1,
        USED: 1,
    }


def test_a_successful_attempt_after_the_referral_is_when_the_member_was_reached(tmp_path):
    write(tmp_path / "x", "rtf.csv", [returned(status="Pending", day="2025-07-10")])
    who = WHO | {CIN: "91234567A", NPI: "1234567893"}
    days = [("2025-07-01", "Yes"), ("2025-07-15", "No"), ("2025-07-20", "Yes"), ("2025-08", "Yes")]
    write(
        tmp_path / "x",
        "otf.csv",
        [
            who | {"Date of Outreach Attempt": day, "Outreach Attempt Successful": said}
            for day, said in days
        ],
    )
    row = read_plan_exchange(tmp_path / "x").frame("referral").iloc[0]
    assert row["reached_date"] == pd.Timestamp("2025-07-20")


def test_a_client_index_number_never_leaves(tmp_path):
    folder = write(
        tmp_path / "x",
        "rtf.csv",
        [returned("91234567A", start="2025-01-01"), returned("97654321B", start="2025-01-01")],
    )
    (folder / "member_link.csv").write_text(
        "source_person_id,member_id\n91234567A,m1\n", encoding="utf-8"
    )
    found = read_plan_exchange(folder)
    assert found.frame("program_enrollment")["member_id"].tolist() == [
        "m1",
        "plan_exchange:unlinked-1",
    ]
    text = "".join(frame.to_csv() for frame in found.frames.values())
    assert "97654321B" not in text + found.ledger.to_frame().to_csv() + repr(found)
    assert counts(found, "notice", "plan_exchange persons")["person linked to a member"] == 1


def test_each_plan_has_its_layout_and_values(tmp_path):
    """Columns and codes as in a plan's own transaction file of 2022."""
    folder = tmp_path / "x"
    write(
        folder / "one",
        "members.csv",
        [
            {"void": "0", "cin": "91234567A", "effective_date": "01-15-2025"}
            | {"term_date": "03-31-2025", "disenrollment_reason": "SC", "npi": "1234567893"},
            {"void": "1", "cin": "91234567A", "effective_date": "01-15-2025"}
            | {"term_date": "", "disenrollment_reason": "", "npi": "1234567893"},
        ],
    )
    (folder / "one" / "layout.toml").write_text(
        'plan = "Kern"\n[columns.return_transmission]\neffective_date = "start"\n'
        'term_date = "end"\ndisenrollment_reason = "end_reason"\nvoid = "void"\n',
        encoding="utf-8",
    )
    write(folder / "two", "rtf.csv", [returned(status="Stage 9", day="2025-07-01")])
    (folder / "two" / "layout.toml").write_text(
        'service = "housing_deposits"\n[values.referral_status]\n"Stage 9" = "accepted"\n',
        encoding="utf-8",
    )
    found = read_plan_exchange(folder)
    enrolled = found.frame("program_enrollment")
    assert enrolled["plan"].tolist() == ["Kern"]
    assert enrolled.iloc[0]["program_end_date"] == pd.Timestamp("2025-03-31")
    assert enrolled.iloc[0]["end_reason"] == "completed"
    referral = found.frame("referral").iloc[0]
    assert (referral["referral_status"], referral["service"]) == ("accepted", "housing_deposits")
    assert counts(found)["voided by the sender"] == 1


def test_rows_that_cannot_be_used_are_counted_by_reason(tmp_path):
    found = read(
        tmp_path,
        returned(""),
        returned("91234567A"),
        returned("91234567B", start="2025-05-01", end="2025-04-01"),
        returned("91234567C", status="Stage 9", start="2025-05-01"),
        returned("91234567D", status="Pending", produced=""),
        returned("91234567E", start="2025-05-01") | {NPI: "", "ECM Provider Name": ""},
        returned("91234567F", status="Pending", day=""),
    )
    assert counts(found) == {
        "`cin` is missing": 1,
        "enrollment that ends before it begins": 1,
        "row that tells neither of enrollment, nor of a service, nor of a referral": 1,
        USED: 4,
    }
    remarks = counts(found, "notice")
    assert remarks["provider is not told (kept without)"] == 1
    assert remarks["referral status without any day (no referral is made of it)"] == 1
    assert remarks["referral status without a day (the day of the file is taken)"] == 1
    assert any("`referral_status` is no value" in text for text in remarks)
    assert len(found.frame("referral")) == 1


def test_providers_are_linked_by_npi_tax_number_or_name(tmp_path):
    rows = [
        returned("91234567A", start="2025-01-01"),
        returned("91234567B", start="2025-01-01") | {NPI: "", "ECM Provider Name": "Harbor"},
        returned("91234567C", start="2025-01-01")
        | {NPI: "", "ECM Provider Name": "", "ECM Provider Tax ID Number (TIN)": "99-1"},
    ]
    rows = [{"ECM Provider Tax ID Number (TIN)": ""} | row for row in rows]
    folder = write(tmp_path / "x", "rtf.csv", rows)
    (folder / "organization_link.csv").write_text(
        "source_organization_id,organization_id\nHarbor,ORG-2\n99-1,ORG-3\n", encoding="utf-8"
    )
    found = read_plan_exchange(folder)
    assert found.frame("program_enrollment")["organization_id"].tolist() == [
        "plan_exchange:1234567893",
        "ORG-2",
        "ORG-3",
    ]
    assert found.frame("organization")["organization_id"].tolist() == ["plan_exchange:1234567893"]
    remark = "provider is told by a tax number without a link only (kept without)"
    assert remark not in counts(found, "notice")
    (folder / "organization_link.csv").unlink()
    assert counts(read_plan_exchange(folder), "notice")[remark] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("plan = ", "is no TOML"),
        ('colums = "x"', "'colums' is no key"),
        ('[columns.rtf]\na = "cin"', "'rtf' is no kind of file"),
        ('[columns.outreach_tracker]\na = "served"', "'served' is no column of the outreach"),
        ('[values.end_reason]\nX = "gone"', "'gone' is no value of `end_reason`"),
        ('service = "rockets"', "'rockets' is no service"),
        ('columns = "x"', "no section of sections"),
    ],
)
def test_a_layout_that_is_not_understood_says_what_there_is(tmp_path, text, message):
    folder = write(tmp_path / "x", "rtf.csv", [returned()])
    (folder / "layout.toml").write_text(text, encoding="utf-8")
    with pytest.raises(TableError, match=message):
        read_plan_exchange(folder)


def test_a_file_of_no_kind_is_refused_without_its_name(tmp_path):
    folder = write(tmp_path / "x", "jane_doe.csv", [{"a": "1", "b": "2"}])
    with pytest.raises(TableError, match="file 1 of 1 by name is none of") as problem:
        read_plan_exchange(folder)
    assert "jane" not in str(problem.value)
    with pytest.raises(TableError, match="text files or workbooks"):
        read_plan_exchange(write(tmp_path / "y", "a.pdf", [{"a": "1"}]))


def test_files_that_are_passed_over_are_counted(tmp_path):
    folder = write(tmp_path / "x", "rtf.csv", [returned(start="2025-01-01")])
    write(folder / "plan" / "2025-08", "deep.csv", [returned(start="2025-01-01")])
    for name in ("August.docx", "~$August.xlsx", ".DS_Store"):
        (folder / name).write_bytes(b"x")
    (folder / "layout.toml").write_text('plan = "Kern"\n', encoding="utf-8")
    (folder / "member_link.csv").write_text("source_person_id,member_id\n1,m1\n", encoding="utf-8")
    found = read_plan_exchange(folder)
    assert counts(found, "notice", "plan_exchange files") == {
        "file that is no text or workbook, or lies deeper than is read (passed over)": 2
    }
    assert len(found.frame("program_enrollment")) == 1


VOID = '[columns.{kind}]\n"Void" = "void"\n'


def months(tmp_path, *files, kind="return_transmission"):
    """Files by name, each with its rows, in a folder whose layout knows a column `Void`."""
    folder = tmp_path / "x"
    for name, rows in files:
        write(folder, name, [{"Void": "0"} | row for row in rows])
    (folder / "layout.toml").write_text(VOID.format(kind=kind), encoding="utf-8")
    return read_plan_exchange(folder)


def test_a_void_takes_back_the_row_of_an_earlier_file_whatever_the_names(tmp_path):
    found = months(
        tmp_path,
        ("z_june.csv", [returned(start="2025-01-01", produced="2025-06-05")]),
        (
            "a_july.csv",
            [
                returned(start="2025-01-01", produced="2025-07-05") | {"Void": "1"},
                returned("92345678A", start="2025-03-01", produced="2025-07-05"),
            ],
        ),
    )
    enrolled = found.frame("program_enrollment")
    assert enrolled["program_start_date"].tolist() == [pd.Timestamp("2025-03-01")]
    assert counts(found) == {
        "voided by the sender": 1,
        "taken back by a later row of the sender": 1,
        USED: 1,
    }
    at = found.rows_set_aside.set_index("reason")[["place", "row"]]
    assert at.loc["voided by the sender"].tolist() == ["file 1 of 2 by name", 2]
    assert at.loc["taken back by a later row of the sender"].tolist() == ["file 2 of 2 by name", 2]


def test_what_is_sent_again_after_a_void_or_with_it_stays(tmp_path):
    found = months(
        tmp_path,
        ("1.csv", [returned(start="2025-01-01", produced="2025-06-05")]),
        (
            "2.csv",
            [
                returned(start="2025-01-01", produced="2025-07-05") | {"Void": "1"},
                returned(start="2025-01-01", end="2025-05-31", produced="2025-07-05"),
            ],
        ),
        ("3.csv", [returned(start="2025-06-01", produced="2025-08-05")]),
    )
    enrolled = found.frame("program_enrollment").sort_values("program_start_date")
    assert enrolled["program_start_date"].dt.month.tolist() == [1, 6]
    assert enrolled["program_end_date"].tolist()[0] == pd.Timestamp("2025-05-31")
    assert counts(found)["taken back by a later row of the sender"] == 1


@pytest.mark.parametrize(
    "other",
    [{"cin": "92345678A"}, {"start": "2025-02-01"}, {NPI: "1992999999"}, {"MCP Name": "Plan B"}],
)
def test_a_void_takes_back_nothing_it_does_not_agree_with(tmp_path, other):
    first = {"start": "2025-01-01", "produced": "2025-06-05"} | other
    found = months(
        tmp_path,
        ("1.csv", [returned(**first)]),
        ("2.csv", [returned(start="2025-01-01", produced="2025-07-05") | {"Void": "1"}]),
    )
    assert len(found.frame("program_enrollment")) == 1
    assert counts(found, "notice")["voided row that takes no other row back"] == 1


def test_a_voided_status_is_as_if_it_had_not_been_stated(tmp_path):
    found = months(
        tmp_path,
        ("1.csv", [returned(status="Pending", day="2025-06-01", produced="2025-06-05")]),
        ("2.csv", [returned(status="Accepted", day="2025-06-20", produced="2025-07-05")]),
        (
            "3.csv",
            [returned(status="Accepted", day="2025-06-20", produced="2025-08-05") | {"Void": "1"}],
        ),
    )
    referral = found.frame("referral").iloc[0]
    assert referral["referral_status"] == "pending"
    assert pd.isna(referral["accepted_date"])


def test_a_voided_attempt_of_outreach_is_taken_back_by_a_file_of_a_later_name(tmp_path):
    attempt = WHO | {CIN: "91234567A", NPI: "1234567893", "Date of Outreach Attempt": "2025-03-02"}
    other = attempt | {"Date of Outreach Attempt": "2025-03-09"}
    found = months(
        tmp_path,
        ("2025-03.csv", [attempt, other]),
        ("2025-04.csv", [attempt | {"Void": "1"}]),
        kind="outreach_tracker",
    )
    days = found.frame("program_service")["record_date"]
    assert days.tolist() == [pd.Timestamp("2025-03-09")]


def test_rows_set_aside_are_told_by_the_folder_of_their_plan(tmp_path):
    bad = returned("", start="2025-01-01")
    for plan in ("b", "a"):
        write(tmp_path / "x" / plan, "rtf.csv", [returned(start="2025-01-01"), bad])
    found = read_plan_exchange(tmp_path / "x")
    assert found.rows_set_aside[["place", "row"]].to_numpy().tolist() == [
        ["folder 1 of 2 by name, file 1 of 1 by name", 3],
        ["folder 2 of 2 by name, file 1 of 1 by name", 3],
    ]
