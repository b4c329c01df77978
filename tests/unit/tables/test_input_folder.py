"""Parts in a folder: every file is read, or the folder is refused."""

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables.sources import find_by_name, find_files


@pytest.fixture
def parts(tmp_path):
    folder = tmp_path / "eligibility"
    folder.mkdir()
    for name in ("part-1.csv", "PART-2.CSV", "part-3.Csv"):
        pd.DataFrame({"member_id": [name]}).to_csv(folder / name, index=False)
    return folder


def test_parts_are_found_in_any_case(parts):
    found = find_files(parts.parent, "eligibility")
    assert found.suffix == ".csv"
    assert sorted(path.name for path in found.paths) == ["PART-2.CSV", "part-1.csv", "part-3.Csv"]


def test_hidden_files_and_marks_of_an_engine_are_no_parts(parts):
    for name in (".DS_Store", "_SUCCESS", "_committed_123", ".part-1.csv.crc"):
        (parts / name).touch()
    assert len(find_files(parts.parent, "eligibility").paths) == 3


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("part-4.xlsx", ".csv, .xlsx"),
        ("part-4.docx", ".csv, unknown"),
        ("part-4", ".csv, unknown"),
        ("_part-4.dat", ".csv, unknown"),
        ("part-4.parquet", ".csv, .parquet"),
        ("part-4.CSV.GZ", ".csv, .csv.gz"),
    ],
)
def test_a_part_of_another_or_no_kind_is_refused(parts, name, kinds):
    (parts / name).touch()
    with pytest.raises(TableError, match=rf"`eligibility/` .* {kinds}\.\n") as raised:
        find_files(parts.parent, "eligibility")
    assert "4 " in str(raised.value)
    assert name not in str(raised.value)


def test_a_folder_among_the_parts_is_refused(parts):
    (parts / "2023").mkdir()
    with pytest.raises(TableError, match="folder"):
        find_files(parts.parent, "eligibility")


def test_a_folder_of_unknown_files_alone_is_refused_and_an_empty_one_is_none(tmp_path):
    (tmp_path / "person").mkdir()
    assert find_files(tmp_path, "person") is None
    (tmp_path / "person" / "a.docx").touch()
    with pytest.raises(TableError, match=r"`person/` .* unknown"):
        find_files(tmp_path, "person")


FIRST_LETTER = {
    "kind_of": lambda name: {"a": "one", "b": "two"}.get(name[0].lower(), ""),
    "suffixes": (".parquet", ".csv", ".csv.gz"),
    "needed": "one",
    "lacking": "has no `one`",
    "name_it": "Name it a.csv.",
    "source_name": lambda kind: f"letters {kind}",
}


def test_files_told_by_their_names(tmp_path, caplog):
    for name in ("a1.csv", "A2.CSV.GZ", "b.parquet", "c.csv", "a.doc"):
        (tmp_path / name).touch()
    found = find_by_name(tmp_path, **FIRST_LETTER)
    assert {kind: (each.name, each.suffix) for kind, each in found.items()} == {
        "one": ("letters one", ".csv"),
        "two": ("letters two", ".parquet"),
    }
    assert sorted(path.name for path in found["one"].paths) == ["A2.CSV.GZ", "a1.csv"]
    assert "not read: `c.csv`" in caplog.text


def test_files_told_by_their_names_are_text_or_parquet_and_the_needed_one_is_there(tmp_path):
    (tmp_path / "b.csv").touch()
    with pytest.raises(TableError, match=r"has no `one`; it holds `b.csv`.\n  Name it a.csv."):
        find_by_name(tmp_path, **FIRST_LETTER)
    for name in ("a.csv", "a.parquet"):
        (tmp_path / name).touch()
    with pytest.raises(TableError, match=r"letters one: files are there as .csv and as .parquet"):
        find_by_name(tmp_path, **FIRST_LETTER)


@pytest.mark.parametrize(
    "name",
    [
        *("a2.csv.zst", "a2.csv.zip", "a2.csv.xz", "a2.tar.gz", "a2.txt", "a2.dat", "a2"),
        *("a2.sas7bdat", "A2.XLSX", "b.csv.bz2"),
    ],
)
def test_files_of_a_kind_that_are_not_read_are_not_passed_over(tmp_path, name):
    for each in ("a1.csv", name):
        (tmp_path / each).touch()
    kind = {"a": "one", "b": "two"}[name[0].lower()]
    message = rf"letters {kind}: `{name}` .* not read\.\n  .* \.parquet, \.csv, \.csv\.gz"
    with pytest.raises(TableError, match=message):
        find_by_name(tmp_path, **FIRST_LETTER)


def test_documents_are_no_data_and_files_of_no_kind_are_named_in_the_log(tmp_path, caplog):
    for name in ("a1.csv", "a.pdf", "b.sas", "c.csv.zst", "c.xyz", ".a2.csv"):
        (tmp_path / name).touch()
    (tmp_path / "a_documents").mkdir()
    found = find_by_name(tmp_path, **FIRST_LETTER)
    assert {kind: [path.name for path in each.paths] for kind, each in found.items()} == {
        "one": ["a1.csv"]
    }
    assert "not read: `a_documents`, `c.csv.zst`, `c.xyz`" in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        *("pharmacy_claim.csv.7z", "pharmacy_claim.tar.xz", "Pharmacy_Claim.feather"),
        *("pharmacy_claim.2024.csv", "pharmacy_claim.snappy.parquet"),
    ],
)
def test_a_table_there_only_in_a_file_that_is_not_read_is_not_passed_over(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(TableError, match=rf"`pharmacy_claim`: `{name}` is not read"):
        find_files(tmp_path, "pharmacy_claim")
    (tmp_path / "pharmacy_claim.csv").touch()
    assert find_files(tmp_path, "pharmacy_claim").suffix == ".csv"


def test_names_of_tables_are_found_in_any_case_and_documents_passed_over(tmp_path):
    for name in ("ELIGIBILITY.CSV.GZ", "Person.md", "contract.csv.md5", "referral.json", "custody"):
        (tmp_path / name).touch()
    (tmp_path / "Medical_Claim").mkdir()
    (tmp_path / "Medical_Claim" / "A.Parquet").touch()
    spans = find_files(tmp_path, "eligibility")
    assert (spans.suffix, spans.label) == (".csv.gz", "ELIGIBILITY.CSV.GZ")
    parts = find_files(tmp_path, "medical_claim")
    assert (parts.name, parts.label) == ("medical_claim", "Medical_Claim/")
    for name in ("person", "contract", "referral", "custody"):
        assert find_files(tmp_path, name) is None
    (tmp_path / "eligibility.parquet").touch()
    with pytest.raises(TableError, match="`eligibility` is there more than once"):
        find_files(tmp_path, "eligibility")
