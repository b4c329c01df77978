"""Survey exports of Qualtrics and REDCap: headers, boxes, trials, every answer counted."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.integration import score_survey
from calaim_eval.tables.ledger import USED
from calaim_eval.tables.partners.survey_export import read_survey_export
from calaim_eval.tables.partners.survey_repeats import OLDER_INSTANCE, OWN_ROW

QUALTRICS = """
wave_date = "2024-07-01"
[columns]
ResponseId = "respondent_id"
Q1 = "organization_id"
Q2 = "respondent_role"
RecordedDate = "recorded"
[items]
Q5_1 = "helps"
Q5_2 = "hinders"
Q51 = "barriers"
[values.respondent_role]
"Case manager" = "frontline"
Director = "executive"
[values.response]
"Strongly agree" = "5"
"Strongly disagree" = "1"
[values.barriers]
Yes = "1"
No = "0"
"""
HEAD = ["StartDate", "Status", "Finished", "RecordedDate", "ResponseId"]
HEAD += ["Q1", "Q2", "Q5_1", "Q5_2", "Q51"]
TEXTS = ["Start Date", "Response Type", "Finished", "Recorded Date", "Response ID"]
TEXTS += ["Where do you work?", "Your role", "It - helps", 'It, "hinders"', "Any barriers?"]


def answers(respondent, organization, role, *given, status="IP Address", done="True", day="01"):
    when = f"2024-07-{day} 10:00:00"
    return [when, status, done, when, respondent, organization, role, *given]


def write(tmp_path, rows, layout=QUALTRICS, name="export.csv"):
    folder = tmp_path / "survey"
    folder.mkdir(exist_ok=True)
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    (folder / name).write_text(text.getvalue(), encoding="utf-8-sig")
    (folder / "layout.toml").write_text(layout, encoding="utf-8")
    return folder


def qualtrics(tmp_path, *rows, layout=QUALTRICS):
    imports = [json.dumps({"ImportId": f"QID{number}"}) for number in range(len(HEAD))]
    return write(tmp_path, [HEAD, TEXTS, imports, *rows], layout)


def counts(found, table="survey export", stage="source"):
    frame = found.ledger.to_frame()
    here = frame[(frame["table"] == table) & (frame["stage"] == stage)]
    return dict(zip(here["reason"], here["n_rows"], strict=True))


def wide(found):
    frame = found.frame("survey_response")
    return frame.pivot_table(index="respondent_id", columns="item", values="response")


def test_a_qualtrics_export_becomes_one_row_an_answer(tmp_path):
    folder = qualtrics(
        tmp_path,
        answers("R_1", "Open Door", "Case manager", "Strongly agree", "2", "Yes"),
        answers("R_2", "New Start", "Director", "4", "", "No", done="False"),
        answers("R_3", "Open Door", "Director", "5", "5", "No", status="Survey Preview"),
        answers("R_1", "Open Door", "Case manager", "1", "Sometimes", "Yes", day="09"),
        answers("R_4", "", "Cook", "3", "3", "No"),
    )
    (folder / "organization_link.csv").write_text(
        "source_organization_id,organization_id\nOpen Door,o1\n", encoding="utf-8"
    )
    found = read_survey_export(folder)
    assert found.version == "Qualtrics"
    table = wide(found)
    assert table.loc["R_1", ["helps", "barriers"]].tolist() == [1, 1]
    assert table.loc["R_2", ["helps", "barriers"]].tolist() == [4, 0]
    assert table.loc["R_4"].to_dict() == {"barriers": 0, "helps": 3, "hinders": 3}
    people = found.frame("survey_response").drop_duplicates("respondent_id")
    people = people.set_index("respondent_id")
    assert people.loc[["R_1", "R_2"], "organization_id"].tolist() == ["o1", "survey:New Start"]
    assert people.loc["R_1", "respondent_role"] == "frontline"
    assert people["wave_date"].unique().tolist() == [pd.Timestamp("2024-07-01")]
    assert found.frame("organization")["organization_name"].tolist() == ["New Start"]
    assert counts(found) == {
        "second or third header of the export (no answers)": 2,
        "preview, test or spam (`Status`)": 1,
        "repeats `respondent_id`, `wave_date`; the latest is kept": 1,
        USED: 3,
    }
    assert counts(found, "survey answers") == {
        "no answer": 1,
        "answer that is neither a number nor among the values of the layout": 1,
        USED: 7,
    }
    notes = counts(found, stage="notice")
    assert notes["respondent who did not finish (kept)"] == 1
    assert notes["respondent without an organization (kept without)"] == 1
    assert sum("`respondent_role` is no role" in text for text in notes) == 1


REDCAP = """
organizations = "study"
[columns]
record_id = "respondent_id"
org = "organization_id"
redcap_event_name = "wave_date"
[items]
helps = "helps"
supports___1 = "gives_deposits"
supports___2 = "gives_meals"
[values.wave_date]
baseline_arm_1 = "2024-07-01"
month_12_arm_1 = "2025-07-01"
"""
RAW = [
    [
        "record_id",
        "redcap_event_name",
        "org",
        "helps",
        "supports___1",
        "supports___2",
        "end_complete",
    ],
    ["1", "baseline_arm_1", "o1", "4", "1", "0", "2"],
    ["1", "month_12_arm_1", "o1", "5", "1", "1", "2"],
    ["2", "baseline_arm_1", "o2", "", "0", "0", "0"],
]


def test_a_raw_redcap_export_has_an_item_for_each_box_and_a_wave_for_each_event(tmp_path):
    found = read_survey_export(write(tmp_path, RAW, REDCAP))
    assert found.version == "REDCap"
    frame = found.frame("survey_response").set_index(["respondent_id", "wave_date", "item"])
    response = frame["response"]
    first, later = pd.Timestamp("2024-07-01"), pd.Timestamp("2025-07-01")
    assert response[("1", first, "helps")] == 4
    assert response[("1", later, "gives_meals")] == 1
    assert response[("2", first, "gives_deposits")] == 0
    assert len(response) == 8
    assert frame["organization_id"].unique().tolist() == ["o1", "o2"]
    assert found.names == ("survey_response",)
    assert counts(found) == {USED: 3}
    assert counts(found, "survey answers") == {"no answer": 1, USED: 8}


def test_a_redcap_export_with_labels_gives_the_same(tmp_path):
    boxes = ["Which? (choice=Deposits)", "Which? (choice=Meals)"]
    labels = [
        ["Record ID", "Event Name", "Organization", "It helps", *boxes, "Complete?"],
        ["1", "Baseline", "o1", "Agree", "Checked", "Unchecked", "Complete"],
        ["1", "Month 12", "o1", "Strongly agree", "Checked", "Checked", "Complete"],
        ["2", "Baseline", "o2", "", "Unchecked", "Unchecked", "Incomplete"],
    ]
    layout = (
        REDCAP.replace("record_id =", '"Record ID" =')
        .replace("org =", '"Organization" =')
        .replace("redcap_event_name =", '"Event Name" =')
        .replace("helps =", '"It helps" =')
        .replace("supports___1 =", '"Which? (choice=Deposits)" =')
        .replace("supports___2 =", '"Which? (choice=Meals)" =')
        .replace("baseline_arm_1", "Baseline")
        .replace("month_12_arm_1", '"Month 12"')
    )
    layout += '[values.helps]\nAgree = "4"\n"Strongly agree" = "5"\n'
    (tmp_path / "raw").mkdir()
    raw = read_survey_export(write(tmp_path / "raw", RAW, REDCAP))
    labelled = read_survey_export(write(tmp_path, labels, layout))
    pd.testing.assert_frame_equal(labelled.frame("survey_response"), raw.frame("survey_response"))


def test_an_export_as_a_workbook_is_the_same_and_scores(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    book = openpyxl.Workbook()
    for row in [["Partner survey 2024"], [], *RAW]:
        book.active.append([int(cell) if cell.isdigit() else cell for cell in row])
    folder = tmp_path / "survey"
    folder.mkdir()
    book.save(folder / "export.xlsx")
    (folder / "layout.toml").write_text(REDCAP, encoding="utf-8")
    found = read_survey_export(folder)
    assert len(found.frame("survey_response")) == 8
    book = pd.DataFrame(
        {"item": ["helps"], "scale": "use", "lowest_response": 1, "highest_response": 5}
    )
    scored = score_survey(found.frame("survey_response"), book, wave_date="2024-07-01")
    assert scored.scores("use").tolist() == [4.0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('org = "organization_id"', 'org = "organisation"', "'organisation' is no column"),
        ('org = "organization_id"\n', "", "no column is `organization_id`"),
        ("[items]", "[item]", "'item' is no key"),
        ('helps = "helps"', 'helps = "gives_meals"', "two heads are"),
        ("[values.wave_date]", "[values.wave]", "'wave' is no column or item with values"),
        ('organizations = "study"', 'organizations = "ours"', "`partner`, `study`"),
        ("[columns]", "[columns", "no TOML"),
        (REDCAP[REDCAP.index("[values") :], "values.response = 5", "no section of pairs"),
        (REDCAP, 'values = "x"', "`values` is no section"),
    ],
)
def test_a_layout_that_is_not_understood_says_what_there_is(tmp_path, old, new, message):
    assert old in REDCAP
    with pytest.raises(TableError, match=message):
        read_survey_export(write(tmp_path, RAW, REDCAP.replace(old, new)))


def test_an_export_without_a_layout_or_a_named_column_is_refused(tmp_path):
    folder = write(tmp_path, [row[:-3] for row in RAW], REDCAP)
    with pytest.raises(TableError, match="lacks column `supports___1`"):
        read_survey_export(folder)
    (folder / "layout.toml").unlink()
    with pytest.raises(TableError, match=r"lies without `layout.toml`"):
        read_survey_export(folder)


def test_a_status_of_another_program_sets_nobody_aside(tmp_path):
    head, *rows = RAW
    found = read_survey_export(
        write(tmp_path, [[*head, "status"], *([*row, "1"] for row in rows)], REDCAP)
    )
    assert counts(found) == {USED: 3}


def test_codes_of_status_count_in_an_export_of_qualtrics(tmp_path):
    real = answers("R_1", "Open Door", "Director", "5", "5", "No", status="0")
    trial = answers("R_2", "Open Door", "Director", "5", "5", "No", status="1")
    layout = QUALTRICS.replace("ResponseId =", "StartDate =")
    known_by_id = write(tmp_path, [HEAD, real, trial], layout)
    assert counts(read_survey_export(known_by_id)) == {
        "preview, test or spam (`Status`)": 1,
        USED: 1,
    }


def test_texts_of_questions_are_no_respondent_whichever_column_tells_respondents(tmp_path):
    layout = QUALTRICS.replace("ResponseId =", "StartDate =")
    one = answers("R_1", "Open Door", "Director", "5", "5", "No")
    found = read_survey_export(qualtrics(tmp_path, one, layout=layout))
    assert counts(found) == {"second or third header of the export (no answers)": 2, USED: 1}


def test_of_a_workbook_of_several_sheets_the_one_with_the_columns_is_read(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    book = openpyxl.Workbook()
    for row in RAW:
        book.active.append(row)
    book.create_sheet("About").append(["Read", "me"])
    folder = tmp_path / "survey"
    folder.mkdir()
    book.save(folder / "export.xlsx")
    (folder / "layout.toml").write_text(REDCAP, encoding="utf-8")
    assert read_survey_export(folder).version == "REDCap"


REPEATING = """
organizations = "study"
wave_date = "2024-07-01"
[columns]
record_id = "respondent_id"
org = "organization_id"
role = "respondent_role"
[items]
helps = "helps"
supports___1 = "gives_deposits"
hinders = "hinders"
"""
REPEAT_HEAD = ["record_id", "redcap_repeat_instrument", "redcap_repeat_instance"]
REPEAT_HEAD += ["org", "role", "helps", "supports___1", "day", "hinders"]
REPEATS = [
    REPEAT_HEAD,
    ["1", "", "", "o1", "manager", "4", "0", "", ""],
    ["1", "visit", "1", "", "", "", "0", "2024-03-01", "1"],
    ["1", "visit", "2", "", "", "", "1", "2024-06-01", "3"],
    ["2", "", "", "o2", "frontline", "5", "1", "", ""],
    ["3", "visit", "1", "", "", "", "0", "2024-03-05", "2"],
]


def test_instruments_that_repeat_are_of_the_respondent_whose_row_stands_before(tmp_path):
    """Each row has the answers of one instrument; the organization stands in the record's own."""
    found = read_survey_export(write(tmp_path, REPEATS, REPEATING))
    assert wide(found).loc["1"].to_dict() == {"helps": 4, "gives_deposits": 1, "hinders": 3}
    assert wide(found).loc["2", ["helps", "gives_deposits"]].tolist() == [5, 1]
    people = found.frame("survey_response").drop_duplicates("respondent_id")
    people = people.set_index("respondent_id")
    assert people["organization_id"].to_dict() == {"1": "o1", "2": "o2", "3": None}
    assert people.loc["1", "respondent_role"] == "manager"
    assert counts(found) == {
        OLDER_INSTANCE: 1,
        "another instrument of the same respondent and wave (answers joined to the first row)": 1,
        USED: 3,
    }
    # Respondent 2 was never asked what hinders, 3 not whether it helps.
    assert counts(found, "survey answers") == {"no answer": 2, USED: 7}


def test_each_instance_is_a_wave_of_its_own_where_the_layout_says_which(tmp_path):
    layout = REPEATING.replace('wave_date = "2024-07-01"\n', "").replace(
        "[items]", 'day = "wave_date"\n[items]'
    )
    rows = [each for each in REPEATS if each[0] != "2"]
    rows[1] = ["1", "", "", "o1", "manager", "", "0", "", ""]
    found = read_survey_export(write(tmp_path, rows, layout))
    frame = found.frame("survey_response").set_index(["respondent_id", "wave_date", "item"])
    frame = frame.sort_index()
    march, june = pd.Timestamp("2024-03-01"), pd.Timestamp("2024-06-01")
    assert frame["response"][("1", march, "hinders")] == 1
    assert frame["response"][("1", june, "hinders")] == 3
    assert frame.loc["1", "organization_id"].unique().tolist() == ["o1"]
    assert frame.loc["1", "respondent_role"].unique().tolist() == ["manager"]
    assert counts(found) == {
        OWN_ROW: 1,
        USED: 3,
    }


def test_instances_may_be_mapped_to_waves_and_have_the_heads_of_labels(tmp_path):
    layout = REPEATING.replace('wave_date = "2024-07-01"\n', "").replace(
        "[items]", '"Repeat Instance" = "wave_date"\n[items]'
    )
    layout += '[values.wave_date]\n1 = "2024-07-01"\n2 = "2025-07-01"\n'
    head = ["record_id", "Repeat Instrument", "Repeat Instance", *REPEAT_HEAD[3:]]
    found = read_survey_export(write(tmp_path, [head, *REPEATS[1:4]], layout))
    frame = found.frame("survey_response").set_index("item")
    second = frame[frame["wave_date"] == pd.Timestamp("2025-07-01")]
    assert second["response"].to_dict() == {"gives_deposits": 1, "hinders": 3}
    assert second["organization_id"].unique().tolist() == ["o1"]
    # What the record's own row answers is kept, without a wave; its box was left unticked.
    without = frame.loc[frame["wave_date"].isna(), "response"]
    assert without.to_dict() == {"helps": 4, "gives_deposits": 0}
    assert counts(found) == {USED: 3}


def test_a_record_with_two_organizations_gives_none_to_instruments_of_another_wave(tmp_path):
    layout = REPEATING.replace('wave_date = "2024-07-01"\n', "").replace(
        "[items]", 'day = "wave_date"\n[items]'
    )
    rows = [
        REPEAT_HEAD,
        ["1", "", "", "o1", "", "4", "", "2024-01-01", ""],
        ["1", "", "", "o2", "", "4", "", "2024-02-01", ""],
        ["1", "visit", "1", "", "", "", "", "2024-02-01", "1"],
        ["1", "visit", "2", "", "", "", "", "2024-03-01", "2"],
    ]
    found = read_survey_export(write(tmp_path, rows, layout))
    frame = found.frame("survey_response")
    hinders = frame[frame["item"] == "hinders"].set_index("response")["organization_id"]
    assert hinders[1] == "o2"
    assert pd.isna(hinders[2])


def test_the_last_instance_is_the_one_of_the_highest_number_or_of_the_latest_day(tmp_path):
    rows = [
        REPEAT_HEAD,
        ["1", "visit", "10", "o1", "", "", "", "2024-01-10", "5"],
        ["1", "visit", "2", "o1", "", "", "", "2024-01-20", "1"],
    ]
    (tmp_path / "number").mkdir()
    found = read_survey_export(write(tmp_path / "number", rows, REPEATING))
    assert wide(found).loc["1", "hinders"] == 5
    by_day = REPEATING.replace("[items]", 'day = "recorded"\n[items]')
    found = read_survey_export(write(tmp_path, rows, by_day))
    assert wide(found).loc["1", "hinders"] == 1


def test_the_own_row_says_whose_answers_they_are_wherever_it_stands(tmp_path):
    rows = [
        REPEAT_HEAD,
        ["1", "visit", "1", "o9", "manager", "", "0", "", "1"],
        ["1", "", "", "o1", "frontline", "3", "1", "", ""],
    ]
    found = read_survey_export(write(tmp_path, rows, REPEATING))
    frame = found.frame("survey_response")
    assert set(zip(frame["organization_id"], frame["respondent_role"], strict=True)) == {
        ("o1", "frontline")
    }
    assert wide(found).loc["1"].to_dict() == {"helps": 3, "gives_deposits": 1, "hinders": 1}
