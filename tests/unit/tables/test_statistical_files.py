"""SAS, Stata and SPSS files: what was written comes back, in chunks, without labels."""

from __future__ import annotations

import datetime as dt
import sys

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import MissingExtraError, TableError
from calaim_eval.tables import read_tables, statistical_files

pyreadstat = pytest.importorskip(
    "pyreadstat", reason="pyreadstat is not installed: calaim-eval[statistical]"
)

N = 50
MEMBERS = [f"m{i:02d}" for i in range(N)]
START = dt.date(2022, 1, 1)
SPANS = pd.DataFrame(
    {
        "member_id": MEMBERS,
        "enrl_beg": [START + dt.timedelta(days=i) for i in range(N)],
        "enrl_end": [None] * 40 + [dt.date(2022, 12, 31)] * 10,
        "aid_code": [""] * 30 + ["M1"] * 20,
        "payer": [1.0] * 25 + [2.0] * 25,
        "not_used": 3.5,
    }
)
RENAME = {
    "eligibility": {
        "enrl_beg": "enrollment_start_date",
        "enrl_end": "enrollment_end_date",
        "payer": "plan",
    },
    "medical_claim": {"line": "claim_line_number", "from_dt": "claim_start_date"},
}
WRITERS = {
    ".xpt": pyreadstat.write_xport,
    ".dta": pyreadstat.write_dta,
    ".sav": pyreadstat.write_sav,
}


@pytest.fixture(params=WRITERS)
def raw(request, tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    labels = {} if request.param == ".xpt" else {"variable_value_labels": {"payer": {1: "LA Care"}}}
    WRITERS[request.param](SPANS, str(folder / f"eligibility{request.param}"), **labels)
    claims = pd.DataFrame(
        {
            "claim_id": [f"c{i}" for i in range(N)],
            "line": 1.0,
            "claim_type": "professional",
            "member_id": MEMBERS,
            "from_dt": [START] * N,
            "paid_amount": np.arange(N) + 0.25,
        }
    )
    (folder / "medical_claim").mkdir()
    for part in (0, 1):
        WRITERS[request.param](
            claims.iloc[part * 25 : part * 25 + 25].reset_index(drop=True),
            str(folder / "medical_claim" / f"part{part}{request.param}"),
        )
    persons = pd.DataFrame({"member_id": MEMBERS, "birth_date": "1990-01-01"})
    persons.to_csv(folder / "person.csv", index=False)
    return folder


@pytest.mark.parametrize("values_per_chunk", [4_000_000, 35])
def test_rows_dates_and_codes_come_back(raw, tmp_path, monkeypatch, values_per_chunk):
    monkeypatch.setattr(statistical_files, "VALUES_PER_CHUNK", values_per_chunk)
    tables = read_tables(raw, work_dir=tmp_path / "work", rename=RENAME)
    spans = tables.frame("eligibility").set_index("member_id").sort_index()
    assert spans.index.tolist() == MEMBERS
    expected = pd.to_datetime(SPANS["enrl_beg"]).tolist()
    assert spans["enrollment_start_date"].tolist() == expected
    assert spans["enrollment_end_date"].isna().sum() == 40
    assert spans["enrollment_end_date"].max() == pd.Timestamp("2022-12-31")
    assert spans["plan"].tolist() == ["1"] * 25 + ["2"] * 25
    assert spans["aid_code"].isna().sum() == 30
    claims = tables.frame("medical_claim")
    assert len(claims) == N
    assert claims["paid_amount"].sum() == pytest.approx(sum(range(N)) + 0.25 * N)
    assert set(claims["claim_line_number"]) == {1}


def test_only_columns_a_table_can_use_are_converted(raw, tmp_path):
    path = next(raw.glob("eligibility.*"))
    parts = statistical_files.convert_statistical(
        (path,), tmp_path / "out", wanted=frozenset({"member_id", "aid_code"})
    )
    found = {column for part in parts for column in pd.read_parquet(part).columns}
    assert found == {"member_id", "aid_code"}


def test_a_column_without_any_value_is_there(raw, tmp_path):
    path = raw / f"empty{next(raw.glob('eligibility.*')).suffix}"
    frame = pd.DataFrame({"member_id": ["a", "b"], "nothing": [np.nan, np.nan]})
    WRITERS[path.suffix](frame, str(path))
    parts = statistical_files.convert_statistical((path,), tmp_path / "out")
    read = pd.concat([pd.read_parquet(part) for part in parts])
    assert read["member_id"].tolist() == ["a", "b"]
    assert read["nothing"].isna().tolist() == [True, True]


def test_what_was_converted_is_used_again(raw, tmp_path, monkeypatch):
    path = next(raw.glob("eligibility.*"))
    first = statistical_files.convert_statistical((path,), tmp_path / "out")
    monkeypatch.setattr(statistical_files, "_convert_one", None)
    assert statistical_files.convert_statistical((path,), tmp_path / "out") == first


def test_a_damaged_file_is_refused(raw, tmp_path):
    path = next(raw.glob("eligibility.*"))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(TableError, match=rf"cannot be read as a {path.suffix} file"):
        read_tables(raw, work_dir=tmp_path / "work", rename=RENAME)


def test_a_sas_file_goes_to_the_reader_of_sas_files(tmp_path, monkeypatch):
    """No writer of `.sas7bdat` exists, so its rows come from a stand-in for the reader."""
    frame = pd.DataFrame({"member_id": ["a", "b", "c"], "paid": [1.5, np.nan, 2.0]})
    calls = []

    class Described:
        column_names = ("member_id", "paid")
        number_rows = 3
        readstat_variable_types = {"member_id": "string", "paid": "double"}  # noqa: RUF012

    def read_sas7bdat(path, *, row_offset=0, row_limit=0, usecols=None, metadataonly=False):
        calls.append((row_offset, row_limit, metadataonly))
        rows = frame.iloc[row_offset : row_offset + row_limit] if row_limit else frame
        return rows.reset_index(drop=True), Described()

    monkeypatch.setattr(pyreadstat, "read_sas7bdat", read_sas7bdat)
    monkeypatch.setattr(statistical_files, "VALUES_PER_CHUNK", 4)
    path = tmp_path / "CLAIMS.SAS7BDAT"
    path.touch()
    parts = statistical_files.convert_statistical((path,), tmp_path / "out")
    read = pd.concat([pd.read_parquet(part) for part in parts])
    assert read["member_id"].tolist() == ["a", "b", "c"]
    assert read["paid"].sum() == 3.5
    assert calls == [(0, 0, True), (0, 2, False), (2, 2, False)]


def test_without_the_extra_the_command_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyreadstat", None)
    with pytest.raises(MissingExtraError, match=r'pip install "calaim-eval\[statistical\]"'):
        statistical_files.convert_statistical((tmp_path / "a.dta",), tmp_path / "out")
