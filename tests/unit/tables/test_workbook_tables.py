"""Contract lists and rosters as workbooks beside the files of a study: every row accounted for."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from calaim_eval.errors import MissingExtraError, TableError
from calaim_eval.tables import read_tables
from calaim_eval.tables.input_map import InputMap
from calaim_eval.tables.ledger import USED

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed: calaim-eval[excel]")
pytest.importorskip(
    "python_calamine", reason="python-calamine is not installed: calaim-eval[excel]"
)

HEADER = ["Contract", "Health plan", "CBO", "County", "Support", "Effective", "Ends"]
RENAME = {
    "Contract": "contract_id",
    "Health plan": "plan",
    "CBO": "organization_id",
    "Support": "service",
    "Effective": "contract_start_date",
    "Ends": "contract_end_date",
}
VALUES = {"contract": {"service": {"Housing Deposits": "housing_deposits", "ECM": "ecm"}}}
ROWS = [
    ["0017", "Plan A", "o1", "Kern", "ECM", dt.datetime(2024, 1, 1), None],
    ["0018", "Plan A", "o2", "Kings", "Housing Deposits", 45474, 45657],
    [],
    [None, "Plan A", None, "Kern", "ECM", dt.datetime(2024, 1, 1), None],
    ["0019", "Plan A", "o1", "Kern", "ECM", dt.datetime(2024, 5, 1), dt.datetime(2024, 1, 1)],
    [],
]


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    span = {"member_id": ["m1"], "enrollment_start_date": "2022-01-01"}
    pd.DataFrame(span | {"enrollment_end_date": "2024-12-31"}).to_csv(
        folder / "eligibility.csv", index=False
    )
    pd.DataFrame({"member_id": ["m1"], "birth_date": "1990-01-01"}).to_csv(
        folder / "person.csv", index=False
    )
    claim = {"claim_id": ["c1"], "claim_line_number": 1, "claim_type": "professional"}
    pd.DataFrame(claim | {"member_id": "m1", "claim_start_date": "2022-02-02"}).to_csv(
        folder / "medical_claim.csv", index=False
    )
    return folder


def write(raw, name="partners 2024.xlsx", **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
        sheet.append([" "])
    book.save(raw / name)


def contracts(*rows):
    return [["Contracted organizations"], ["as of July 2024"], HEADER, *rows]


def read(raw, tmp_path, **options):
    options.setdefault("files", {"contract": "partners*.xlsx"})
    mapped = InputMap(rename={"contract": RENAME}, values=VALUES, **options)
    return read_tables(raw, work_dir=tmp_path / "work", input_map=mapped)


def counts(tables, stage, table="contract workbook"):
    frame = tables.ledger.to_frame()
    here = frame[(frame["table"] == table) & (frame["stage"] == stage)]
    return dict(zip(here["reason"], here["n_rows"], strict=True))


def test_a_contract_list_under_titles_becomes_contracts_and_every_row_is_counted(raw, tmp_path):
    write(raw, Instructions=[["how to fill in"]], Contracts=contracts(*ROWS))
    tables = read(raw, tmp_path)
    kept = tables.frame("contract").set_index("contract_id")
    assert list(kept.index) == ["0017", "0018"]
    assert kept.loc["0018", "service"] == "housing_deposits"
    # 45474 and 45657 are 1 July and 31 December 2024 as a spreadsheet counts days.
    assert str(kept.loc["0018", "contract_start_date"])[:10] == "2024-07-01"
    assert str(kept.loc["0018", "contract_end_date"])[:10] == "2024-12-31"
    assert counts(tables, "source") == {USED: 4, "empty row of a sheet (rows 6, 9, 10)": 3}
    assert counts(tables, "notice") == {
        "row above the header of a sheet (a title; not read)": 2,
        "day written as a serial number of a spreadsheet (read as the day it stands for)": 2,
        "sheet that is not read": 1,
    }
    read_stage = counts(tables, "read", "contract")
    assert sum(read_stage.values()) == 4
    assert read_stage[USED] == 2


def test_sheets_of_one_table_come_together_and_another_table_from_the_same_workbook(raw, tmp_path):
    roster = [["Organization ID", "Organization\nType", "NPI"], ["o1", "cbo", 1234567893]]
    write(raw, Kern=contracts(ROWS[0]), Kings=contracts(ROWS[1]), Roster=roster)
    files = {"contract": "partners 2024.xlsx", "organization": "partners 2024.xlsx"}
    tables = read(raw, tmp_path, files=files, sheets={"contract": "*", "organization": "Roster!A1"})
    assert sorted(tables.frame("contract")["county"]) == ["Kern", "Kings"]
    assert tables.frame("organization")["npi"].tolist() == ["1234567893"]
    assert counts(tables, "source") == {
        USED: 2,
        "empty row of a sheet (sheet 1, row 5)": 1,
        "empty row of a sheet (sheet 2, row 5)": 1,
    }


def test_two_sheets_with_the_columns_need_a_name(raw, tmp_path):
    write(raw, Kern=contracts(ROWS[0]), Kings=contracts(ROWS[1]))
    with pytest.raises(TableError, match=r"`contract`: `partners 2024.xlsx`: 2 sheets have"):
        read(raw, tmp_path)
    named = read(raw, tmp_path, sheets={"contract": "Kings"})
    assert named.frame("contract")["county"].tolist() == ["Kings"]


def test_another_sheet_is_another_reading(raw, tmp_path):
    write(raw, Kern=contracts(ROWS[0]), Kings=contracts(ROWS[1]))
    first = read(raw, tmp_path, sheets={"contract": "Kern"})
    again = read(raw, tmp_path, sheets={"contract": "Kern"})
    other = read(raw, tmp_path, sheets={"contract": "Kings"})
    marks = [each.manifest["fingerprint"] for each in (first, again, other)]
    assert marks[0] == marks[1] != marks[2]
    assert other.frame("contract")["county"].tolist() == ["Kings"]


def test_a_sheet_of_what_is_no_workbook_is_refused(raw, tmp_path):
    write(raw, Contracts=contracts(ROWS[0]))
    with pytest.raises(TableError, match=r"sheets: table `person` .* person.csv is none"):
        read(raw, tmp_path, sheets={"person": "People"})
    with pytest.raises(TableError, match="sheets: no table is named `contracts`"):
        read(raw, tmp_path, sheets={"contracts": "Contracts"})


def test_a_column_that_is_not_there_is_said_with_those_there_are(raw, tmp_path):
    write(raw, Contracts=[[name for name in HEADER if name != "CBO"], ["0017", "Plan A", "Kern"]])
    with pytest.raises(TableError, match="no column `CBO`"):
        read(raw, tmp_path)


def test_a_column_named_twice_is_refused(raw, tmp_path):
    write(raw, Contracts=[[*HEADER, "County"], [*ROWS[0], "Kings"]])
    with pytest.raises(TableError, match="more than one column `County`"):
        read(raw, tmp_path)


def test_without_the_library_it_says_what_to_install(raw, tmp_path, monkeypatch):
    write(raw, Contracts=contracts(ROWS[0]))
    monkeypatch.setitem(__import__("sys").modules, "python_calamine", None)
    with pytest.raises(MissingExtraError, match=r"calaim-eval\[excel\]"):
        read(raw, tmp_path)


def test_the_lock_of_an_open_workbook_is_no_file(raw, tmp_path):
    write(raw, Contracts=contracts(ROWS[0]))
    (raw / "~$partners 2024.xlsx").write_bytes(b"somebody")
    tables = read(raw, tmp_path, files={"contract": "*.xlsx"})
    assert len(tables.frame("contract")) == 1
