"""Sheets as text: headers under titles, merged cells, days, zeros, what is not read."""

from __future__ import annotations

import datetime as dt
import zipfile

import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables.spreadsheets import cell_marks
from calaim_eval.tables.spreadsheets.cells import ERROR, cell_text
from calaim_eval.tables.spreadsheets.choose import HIDDEN, OTHER, chosen_tables, parse_sheet
from calaim_eval.tables.spreadsheets.convert import row_words, serial_day
from calaim_eval.tables.spreadsheets.sheets import MERGED, NOT_STORED, list_sheets, sheet_rows
from calaim_eval.tables.spreadsheets.tables import ABOVE, EMPTY, HEADER_AGAIN, OUTSIDE

openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed: calaim-eval[excel]")
pytest.importorskip(
    "python_calamine", reason="python-calamine is not installed: calaim-eval[excel]"
)

CONTENT = """<?xml version="1.0" encoding="UTF-8"?>
<office:document-content
  xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
  xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
  xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0">
<office:body><office:spreadsheet><table:table table:name="List">
{rows}
</table:table></office:spreadsheet></office:body></office:document-content>"""


def ods_cell(value):
    """A cell of an `.ods` file: text, a number or a day."""
    kind, shown = "string", str(value)
    if isinstance(value, dt.date):
        kind, told = "date", f'office:date-value="{value}"'
    elif isinstance(value, int | float):
        kind, told = "float", f'office:value="{value}"'
    else:
        told = ""
    return (
        f'<table:table-cell office:value-type="{kind}" {told}><text:p>{shown}</text:p>'
        "</table:table-cell>"
    )


def write_ods(path, rows):
    """A workbook of one sheet, written by the letter of the OpenDocument format."""
    lines = [f"<table:table-row>{''.join(map(ods_cell, row))}</table:table-row>" for row in rows]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", CONTENT.format(rows="\n".join(lines)))
        archive.writestr(
            "META-INF/manifest.xml",
            '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"'
            ' manifest:version="1.2"><manifest:file-entry manifest:full-path="/" '
            'manifest:media-type="application/vnd.oasis.opendocument.spreadsheet"/>'
            "</manifest:manifest>",
        )
    return path


def book(path, **sheets):
    """An `.xlsx` workbook with the rows of each sheet."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


def only_table(path, *wanted, **options):
    tables, _ = chosen_tables(path, "the workbook", wanted=wanted, **options)
    assert len(tables) == 1
    return tables[0]


@pytest.mark.parametrize(
    ("value", "shape", "text"),
    [
        (None, "", ""),
        (7, "", "7"),
        (7.0, "General", "7"),
        (7.25, "", "7.25"),
        (True, "", "true"),
        (dt.datetime(2024, 7, 1), "", "2024-07-01"),
        (dt.datetime(2024, 7, 1, 9, 30), "", "2024-07-01 09:30:00"),
        (dt.date(2024, 7, 1), "", "2024-07-01"),
        ("  00123 ", "", "00123"),
        ("Open\nDoor", "", "Open Door"),
        ("#N/A", "", ""),
        (501, "00000", "00501"),
        (12345678, "00-0000000", "01-2345678"),
        (12345678, "00\\-0000000", "01-2345678"),
        (123456789, "000-00-0000;@", "123-45-6789"),
        (1234567, "00000", "1234567"),
        (5, "0.00", "5"),
        (5, "0", "5"),
        (float("nan"), "", ""),
    ],
)
def test_a_cell_is_the_text_a_delimited_file_would_have(value, shape, text):
    assert cell_text(value, shape) == text


def test_the_header_is_found_under_titles_and_data_keep_their_row_numbers(tmp_path):
    path = book(
        tmp_path / "list.xlsx",
        Contracts=[
            ["Contracted organizations, 2024"],
            [],
            ["Plan A; as of", dt.date(2024, 7, 1)],
            ["Contract ID", "County", "Start"],
            ["0017", "Kern", dt.datetime(2024, 1, 1)],
            [None, None, None],
            ["Contract ID", "County", "Start"],
            ["0018", "Kings", dt.datetime(2024, 2, 1), "by phone"],
            ["", "  ", None],
        ],
    )
    table = only_table(path, "Contract ID", "County", "Start")
    assert (table.header, table.header_row) == (["Contract ID", "County", "Start"], 4)
    assert list(table.rows()) == [
        (5, ["0017", "Kern", "2024-01-01"]),
        (8, ["0018", "Kings", "2024-02-01"]),
    ]
    assert table.set_aside == {EMPTY: 2, HEADER_AGAIN: 1}
    assert table.places == {EMPTY: [6, 9], HEADER_AGAIN: [7]}
    assert {name: n for name, n in table.remarks.items() if n} == {ABOVE: 2, OUTSIDE: 1}


def test_a_header_nobody_has_told_the_names_of_is_the_first_full_row_without_numbers(tmp_path):
    rows = [["Roster of partners"], ["made", 45000], ["id", "name", "tax", "zip"]]
    rows += [[1, "Open Door", "x", 93301], [2, "New Start", "y", 93702]]
    table = only_table(book(tmp_path / "list.xlsx", Roster=rows))
    assert (table.header_row, len(list(table.rows()))) == (3, 2)


def test_merged_cells_have_their_value_in_every_row_and_side_by_side_in_the_first(tmp_path):
    path = tmp_path / "list.xlsx"
    book(
        path,
        List=[
            ["plan", "county", "contract", None],
            [None, None, "start", "end"],
            ["Plan A", "Kern", "a", "b"],
            [None, "Kings", "c", "d"],
            ["both", None, "e", "f"],
        ],
    )
    made = openpyxl.load_workbook(path)
    for area in ("A1:A2", "B1:B2", "C1:D1", "A3:A4", "A5:B5"):
        made["List"].merge_cells(area)
    made.save(path)
    table = only_table(path, "plan", "county", "start", "end")
    assert (table.header, table.header_row) == (["plan", "county", "start", "end"], 2)
    assert list(table.rows()) == [
        (3, ["Plan A", "Kern", "a", "b"]),
        (4, ["Plan A", "Kings", "c", "d"]),
        (5, ["both", "", "e", "f"]),
    ]
    assert table.remarks[MERGED] == 1


def test_a_formula_has_the_value_that_was_stored_and_one_without_is_told(tmp_path):
    path = book(tmp_path / "list.xlsx", List=[["id", "capacity"], ["a", "=1+1"], ["b", 3]])
    part = "xl/worksheets/sheet1.xml"
    unsaved = only_table(path, "id", "capacity")
    assert [cells for _, cells in unsaved.rows()] == [["a", ""], ["b", "3"]]
    assert unsaved.remarks[NOT_STORED] == 1
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert b"<f>1+1</f>" in parts[part]
    before, _, after = parts[part].partition(b"<f>1+1</f>")
    stored = b"<f>1+1</f><v>2</v>" + after[after.index(b"</c>") :]
    saved = tmp_path / "saved.xlsx"
    with zipfile.ZipFile(saved, "w") as archive:
        for name, content in (parts | {part: before + stored}).items():
            archive.writestr(name, content)
    table = only_table(saved, "id", "capacity")
    assert [cells for _, cells in table.rows()] == [["a", "2"], ["b", "3"]]
    assert table.remarks[NOT_STORED] == 0


def test_zeros_a_format_shows_are_kept(tmp_path):
    path = book(tmp_path / "list.xlsx", List=[["ein", "zip"], [12345678, 501]])
    made = openpyxl.load_workbook(path)
    made["List"]["A2"].number_format = "00-0000000"
    made["List"]["B2"].number_format = "00000"
    made.save(path)
    assert list(only_table(path, "ein", "zip").rows()) == [(2, ["01-2345678", "00501"])]


def test_hidden_sheets_and_sheets_without_the_columns_are_said_not_read(tmp_path):
    rows = [["id", "county"], ["a", "Kern"]]
    path = book(tmp_path / "list.xlsx", Notes=[["read", "me"], ["x", "y"]], List=rows, Old=rows)
    made = openpyxl.load_workbook(path)
    made["Old"].sheet_state = "hidden"
    made.save(path)
    assert [each.is_hidden for each in list_sheets(path, "it")] == [False, False, True]
    tables, not_read = chosen_tables(path, "it", wanted=["id", "county"])
    assert [each.sheet.name for each in tables] == ["List"]
    assert not_read == {HIDDEN: 1, OTHER: 1}
    named, _ = chosen_tables(path, "it", wanted=["id", "county"], spec="old")
    assert [each.sheet.name for each in named] == ["Old"]


def test_several_sheets_that_fit_are_never_guessed_among(tmp_path):
    rows = [["id", "county"], ["a", "Kern"]]
    path = book(tmp_path / "list.xlsx", Kern=rows, Kings=rows, Notes=[["words"], ["more"]])
    with pytest.raises(TableError, match=r"2 sheets have.*'Kern', 'Kings', 'Notes'"):
        chosen_tables(path, "it", wanted=["id", "county"])
    with pytest.raises(TableError, match="it has 3 sheets") as problem:
        chosen_tables(path, "it", wanted=["id", "county"], tell_names=False)
    assert "Kings" not in str(problem.value)
    tables, not_read = chosen_tables(path, "it", wanted=["id", "county"], spec="*")
    assert [each.sheet.name for each in tables] == ["Kern", "Kings"]
    assert not_read == {OTHER: 1}
    with pytest.raises(TableError, match="no sheet 'Tulare'; it has 'Kern'"):
        chosen_tables(path, "it", wanted=["id", "county"], spec="Tulare")


def test_the_first_cell_of_the_header_may_be_given(tmp_path):
    path = book(tmp_path / "list.xlsx", List=[["id", "county"], ["name", "place"], ["a", "Kern"]])
    assert parse_sheet("'My List'!$A$2") == ("My List", 2)
    table = only_table(path, "id", "county", spec="List!A2")
    assert (table.header, list(table.rows())) == (["name", "place"], [(3, ["a", "Kern"])])
    with pytest.raises(TableError, match="nothing in row 9"):
        chosen_tables(path, "it", wanted=["id"], spec="List!A9")


def test_a_workbook_of_the_opendocument_format_is_read(tmp_path):
    path = write_ods(
        tmp_path / "list.ods",
        [["Partners of 2024"], ["id", "start", "n"], ["007", dt.date(2024, 7, 1), 12]],
    )
    table = only_table(path, "id", "start", "n")
    assert list(table.rows()) == [(3, ["007", "2024-07-01", "12"])]


def test_a_workbook_of_the_old_kind_is_read(tmp_path):
    xlwt = pytest.importorskip("xlwt", reason="xlwt, which writes .xls files, is not installed")
    made = xlwt.Workbook()
    sheet = made.add_sheet("List")
    for column, name in enumerate(["id", "n"]):
        sheet.write(0, column, name)
    sheet.write_merge(1, 2, 0, 0, "007")
    sheet.write(1, 1, 12)
    sheet.write(2, 1, 13)
    made.save(str(tmp_path / "list.xls"))
    table = only_table(tmp_path / "list.xls", "id", "n")
    assert list(table.rows()) == [(2, ["007", "12"]), (3, ["007", "13"])]


@pytest.mark.parametrize("suffix", [".xlsx", ".xls", ".ods"])
def test_a_broken_workbook_says_so_without_words_of_the_library(tmp_path, suffix):
    path = tmp_path / f"list{suffix}"
    path.write_bytes(b"no workbook, m0017")
    with pytest.raises(TableError, match="it cannot be read as a workbook") as problem:
        list_sheets(path, "it")
    assert "m0017" not in str(problem.value)


def test_a_workbook_cut_short_is_refused_not_read_in_part(tmp_path):
    path = book(tmp_path / "list.xlsx", List=[["id", "n"], *[[f"a{i}", i] for i in range(500)]])
    part = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = parts[part][: len(parts[part]) // 2]
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    with pytest.raises(TableError, match="cannot be read as a workbook"):
        [row for sheet in list_sheets(path, "it") for row in sheet_rows(sheet, "it")]


def test_a_sheet_without_a_table_is_refused(tmp_path):
    path = book(tmp_path / "list.xlsx", List=[])
    with pytest.raises(TableError, match="no table in a sheet"):
        chosen_tables(path, "it", wanted=["id"])


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("45474", "2024-07-01"),  # the serial number Excel documents for 1 July 2024
        ("45474.75", "2024-07-01"),
        ("25569", "1970-01-01"),
        ("9999", "9999"),
        ("93301", "93301"),
        ("2024-07-01", "2024-07-01"),
        ("20240701", "20240701"),
    ],
)
def test_serial_numbers_are_days(text, day):
    assert serial_day(text) == day


def test_many_rows_are_told_by_the_first_few():
    assert row_words([3]) == "row 3"
    assert row_words([3, 5, 6, 7, 8, 9, 10]) == "rows 3, 5, 6, 7, 8 and 2 more"


def test_errors_are_missing_and_counted_and_a_row_of_nothing_else_is_an_empty_one(tmp_path):
    rows = [["id", "n"], ["a", "#N/A"], ["b", 3], ["#REF!", "=1+1"]]
    path = book(tmp_path / "list.xlsx", List=rows)
    table = only_table(path, "id", "n")
    assert list(table.rows()) == [(2, ["a", ""]), (3, ["b", "3"])]
    assert table.remarks[ERROR] == 1
    assert table.places == {EMPTY: [4]}


def test_each_of_many_merged_cells_fills_its_own_rows(tmp_path):
    path = book(tmp_path / "list.xlsx", List=[["id", "n"], *[[f"a{i}", i] for i in range(4000)]])
    made = openpyxl.load_workbook(path)
    for row in range(2, 4001, 2):
        made["List"].merge_cells(f"A{row}:A{row + 1}")
    made.save(path)
    table = only_table(path, "id", "n")
    rows = list(table.rows())
    assert [cells[0] for _, cells in rows[:4]] == ["a0", "a0", "a2", "a2"]
    assert (len(rows), table.remarks[MERGED]) == (4000, 2000)


def test_a_sheet_without_a_stored_size_is_gone_through_once(tmp_path, monkeypatch):
    made = openpyxl.Workbook(write_only=True)
    sheet = made.create_sheet("List")
    for row in (["id", "n"], ["a", 1], ["b", 2]):
        sheet.append(row)
    made.save(tmp_path / "list.xlsx")
    with zipfile.ZipFile(tmp_path / "list.xlsx") as archive:
        assert b"<dimension" not in archive.read("xl/worksheets/sheet1.xml")
    monkeypatch.setattr(cell_marks, "_cells", None)  # nothing in it asks for the cells themselves
    rows = only_table(tmp_path / "list.xlsx", "id", "n").rows()
    assert list(rows) == [(2, ["a", "1"]), (3, ["b", "2"])]


def test_cells_below_no_name_are_told_and_a_header_again_is_known_by_its_words(tmp_path):
    rows = [["id", None, "County"], ["a", "x", "Kern", "y"], ["ID", None, "county "]]
    table = only_table(book(tmp_path / "list.xlsx", List=rows), "id", "county")
    assert list(table.rows()) == [(2, ["a", "x", "Kern"])]
    assert table.remarks[OUTSIDE] == 2
    assert table.set_aside == {HEADER_AGAIN: 1}
