"""Partners' files as people save them: workbooks, Windows code pages, semicolons, byte marks."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables.ledger import USED
from calaim_eval.tables.partners.hmis import read_hmis
from calaim_eval.tables.partners.icarol import read_icarol
from calaim_eval.tables.partners.plan_exchange import read_plan_exchange

from .hmis_files import basic
from .test_plan_exchange import CIN, NPI, RETURNED, counts, returned

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed: calaim-eval[excel]")
pytest.importorskip(
    "python_calamine", reason="python-calamine is not installed: calaim-eval[excel]"
)

ATTEMPT = {CIN: "91234567A", NPI: 1234567893, "Date of Outreach Attempt": dt.datetime(2025, 3, 2)}


def sheet(book, title, rows, *, above=()):
    made = book.create_sheet(title)
    for row in [*above, list(rows[0]), *[list(each.values()) for each in rows]]:
        made.append(row)
    return made


def new_book():
    book = openpyxl.Workbook()
    book.remove(book.active)
    return book


def test_sheets_of_an_exchange_workbook_are_files_of_their_kinds(tmp_path):
    book = new_book()
    book.create_sheet("Read me").append(["Fill in", "every column"])
    above = [["Plan A - Return Transmission File"], []]
    sheet(book, "RTF", [returned(start=45658, produced=dt.datetime(2025, 2, 5))], above=above)
    sheet(book, "Outreach", [ATTEMPT, dict.fromkeys(ATTEMPT, " ")])
    hidden = sheet(book, "Old", [returned("92345678A", start="2024-01-01")])
    hidden.sheet_state = "hidden"
    folder = tmp_path / "x"
    folder.mkdir()
    book.save(folder / "August.xlsx")
    found = read_plan_exchange(folder)
    # 45658 is 1 January 2025 as a spreadsheet counts days.
    assert found.frame("program_enrollment")["program_start_date"].tolist() == [
        pd.Timestamp("2025-01-01")
    ]
    days = found.frame("program_service").set_index("record_type")["record_date"]
    assert days["outreach"] == pd.Timestamp("2025-03-02")
    assert counts(found) == {USED: 1}
    assert (
        counts(found, "notice")[
            "`start` is a serial number of a spreadsheet (read as the day it stands for)"
        ]
        == 1
    )
    assert counts(found, table="plan_exchange outreach tracker") == {
        "empty row of a sheet": 1,
        USED: 1,
    }
    assert counts(found, "notice", "plan_exchange sheets") == {
        "hidden sheet (not read)": 1,
        "sheet of no kind that is read (passed over)": 1,
    }
    assert found.rows_set_aside.to_dict("records") == [
        {
            "table": "plan_exchange outreach tracker",
            "place": "file 1 of 1 by name, sheet 3",
            "row": 3,
            "reason": "empty row of a sheet",
        }
    ]


def test_a_workbook_without_a_sheet_of_a_kind_is_refused_without_names(tmp_path):
    book = new_book()
    book.create_sheet("Jane Doe").append(["a", "b"])
    folder = tmp_path / "x"
    folder.mkdir()
    book.save(folder / "jane.xlsx")
    with pytest.raises(TableError, match="file 1 of 1 by name is none of") as problem:
        read_plan_exchange(folder)
    assert "jane" not in str(problem.value).lower()


def test_an_hmis_export_and_its_links_may_be_workbooks(tmp_path):
    folder = tmp_path / "hmis"
    folder.mkdir()
    for name, rows in basic().items():
        book = new_book()
        sheet(book, name, rows)
        book.save(folder / f"{name}.xlsx")
    book = new_book()
    sheet(book, "links", [{"source_person_id": "a", "member_id": "000123"}], above=[["Links"]])
    book.save(folder / "member_link.xlsx")
    found = read_hmis(folder)
    assert len(found.frame("homeless_enrollment")) == 3
    assert "000123" in set(found.frame("homeless_person")["member_id"])


@pytest.mark.parametrize(
    ("encoding", "delimiter", "line"),
    [
        ("utf-8", ",", "\n"),
        ("utf-8-sig", ";", "\r\n"),
        ("cp1252", ";", "\r\n"),
        ("cp1252", ",", "\r\n"),
        ("utf-16", "\t", "\r\n"),
    ],
)
def test_a_roster_is_the_same_however_a_spreadsheet_saves_it(tmp_path, encoding, delimiter, line):
    head = ["ResourceAgencyNum", "PublicName", "TaxonomyLevelName", "ParentAgencyNum"]
    rows = [head, ["007", "Casa José Peña", "Agency", "0"], ["8", "Short"]]
    text = line.join(delimiter.join(row) for row in rows) + line
    folder = tmp_path / "icarol"
    folder.mkdir()
    (folder / "export.csv").write_bytes(text.encode(encoding))
    found = read_icarol(folder)
    organization = found.frame("organization").iloc[0]
    assert organization["organization_name"] == "Casa José Peña"
    assert organization["organization_id"] == "icarol:007"
    assert counts(found, table="icarol export") == {
        "another number of cells than the header": 1,
        USED: 1,
    }
    assert found.rows_set_aside["row"].tolist() == [3]
    said = counts(found, "notice", "icarol export")
    is_told = "row of a file that is not UTF-8 (read as Windows-1252; look at accents)" in said
    assert is_told == (encoding == "cp1252")


def test_bytes_of_no_code_page_are_refused(tmp_path):
    folder = tmp_path / "icarol"
    folder.mkdir()
    (folder / "export.csv").write_bytes(
        b"ResourceAgencyNum,PublicName,TaxonomyLevelName,ParentAgencyNum\n1,\x81\x8d,Agency,0\n"
    )
    with pytest.raises(TableError, match="cannot be read"):
        read_icarol(folder)


def test_a_layout_with_a_byte_mark_is_read(tmp_path):
    folder = tmp_path / "x"
    folder.mkdir()
    pd.DataFrame([returned(start="2025-01-01") | {"MCP Name": ""}]).to_csv(
        folder / "rtf.csv", index=False
    )
    (folder / "layout.toml").write_text('plan = "Kern"\n', encoding="utf-8-sig")
    assert read_plan_exchange(folder).frame("program_enrollment")["plan"].tolist() == ["Kern"]
    assert RETURNED in set(read_plan_exchange(folder).ledger.to_frame()["table"])


def test_locks_of_open_workbooks_are_passed_over(tmp_path):
    folder = tmp_path / "icarol"
    folder.mkdir()
    (folder / "export.csv").write_text(
        "ResourceAgencyNum,PublicName,TaxonomyLevelName,ParentAgencyNum\n1,A,Agency,0\n",
        encoding="utf-8",
    )
    for name in ("~$export.xlsx", "~$member_link.xlsx"):
        (folder / name).write_bytes(b"somebody")
    assert len(read_icarol(folder).frame("organization")) == 1
