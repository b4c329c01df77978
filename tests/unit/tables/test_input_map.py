"""Files, constants and codes of one's own: what they do and what they refuse."""

from __future__ import annotations

import datetime as dt

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables import read_tables
from calaim_eval.tables.input_map import InputMap

SPANS = pd.DataFrame(
    {
        "member_id": ["m1", "m2", "m3", "m4"],
        "enrollment_start_date": "2022-01-01",
        "enrollment_end_date": "2022-12-31",
        "payer_type": ["MCAL", "medicaid", None, "1.0"],
    }
)
PERSONS = pd.DataFrame({"member_id": SPANS["member_id"], "birth_date": "1990-01-01"})
CLAIMS = pd.DataFrame(
    {
        "claim_id": ["c1", "c2"],
        "claim_line_number": 1,
        "claim_type": "professional",
        "member_id": ["m1", "m2"],
        "claim_start_date": "2022-02-02",
    }
)


@pytest.fixture
def read(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    SPANS.to_csv(raw / "elig_a.csv", index=False)
    PERSONS.to_parquet(raw / "person.parquet")
    CLAIMS.to_csv(raw / "medical_claim.csv", index=False)

    def read(**parts):
        parts.setdefault("files", {"eligibility": "elig_*.csv"})
        return read_tables(raw, work_dir=tmp_path / "work", input_map=InputMap(**parts))

    read.folder = raw
    return read


def test_values_are_mapped_and_others_stay(read):
    pairs = {"MCAL": "medicaid", "": "other", "1.0": "commercial"}
    tables = read(values={"eligibility": {"payer_type": pairs}})
    found = tables.frame("eligibility").set_index("member_id")["payer_type"]
    assert found.to_dict() == {
        "m1": "medicaid",
        "m2": "medicaid",
        "m3": "other",
        "m4": "commercial",
    }


def test_values_of_numbers_are_matched_as_they_are_written(read):
    SPANS.assign(payer_type=[1.0, 2.0, None, 1.0]).to_parquet(read.folder / "elig.parquet")
    tables = read(
        files={"eligibility": "elig.parquet"},
        values={"eligibility": {"payer_type": {"1": "medicaid", "2": "medicare"}}},
    )
    found = tables.frame("eligibility").sort_values("member_id")["payer_type"]
    assert found.iloc[[0, 1, 3]].tolist() == ["medicaid", "medicare", "medicaid"]
    assert found.isna().tolist() == [False, False, True, False]


def test_constants_are_columns_of_every_row(read):
    tables = read(
        constants={
            "medical_claim": {"plan": "Plan A", "paid_amount": 12.5},
            "eligibility": {"recorded_date": dt.date(2022, 1, 5)},
        },
        values={"eligibility": {"payer_type": {"MCAL": "medicaid", "1.0": "other"}}},
    )
    assert tables.frame("medical_claim")["plan"].tolist() == ["Plan A"] * 2
    assert tables.frame("medical_claim")["paid_amount"].tolist() == [12.5] * 2
    assert set(tables.frame("eligibility")["recorded_date"]) == {pd.Timestamp("2022-01-05")}


def test_a_change_of_the_map_is_read_again(read):
    SPANS.drop(columns="payer_type").to_csv(read.folder / "elig_a.csv", index=False)

    def plan(name):
        return read(constants={"medical_claim": {"plan": name}}).frame("medical_claim")["plan"][0]

    assert (plan("A"), plan("B")) == ("A", "B")


def test_rename_stays_and_cannot_be_said_twice(read, tmp_path):
    renamed = {"eligibility": {"cin": "member_id"}}
    spans = SPANS.rename(columns={"member_id": "cin"}).drop(columns="payer_type")
    spans.to_csv(read.folder / "elig_a.csv", index=False)
    files = InputMap(files={"eligibility": "elig_a.csv"})
    tables = read_tables(read.folder, work_dir=tmp_path / "w", rename=renamed, input_map=files)
    assert len(tables.frame("eligibility")) == 4
    with pytest.raises(TableError, match="are renamed in `rename` and in"):
        read_tables(
            read.folder, work_dir=tmp_path / "w", rename=renamed, input_map=InputMap(rename=renamed)
        )


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"files": {"eligibility": "no*.csv"}}, r"no file in .* is named 'no\*\.csv'"),
        ({"files": {"eligibility": "../elig_a.csv"}}, "starts from the input folder"),
        ({"files": {"eligibility": "*"}}, "are of the kinds .csv, .parquet"),
        ({"files": {"elegibility": "x"}}, "Did you mean `eligibility`"),
        ({"constants": {"eligibility": {"payer_type": "other"}}}, "has a column `payer_type`"),
        ({"constants": {"eligibility": {"payor": "x"}}}, "declares no column `payor`"),
        ({"constants": {"eligibility": {"benefit_scope": "all"}}}, "cannot be 'all'"),
        ({"values": {"eligibility": {"county": {"a": "b"}}}}, "no column `county`"),
        ({"values": {"eligibility": {"payer_type": {"a": "b"}}}}, "cannot be 'b'"),
        ({"rename": {"nothing": {"a": "b"}}}, "rename: no table is named `nothing`"),
    ],
)
def test_what_cannot_be_meant_is_refused(read, parts, message):
    with pytest.raises(TableError, match=f"(?s){message}"):
        read(**parts)


def test_a_format_with_names_of_its_own_takes_no_files(read, tmp_path):
    with pytest.raises(TableError, match="synthea files are found by their own names"):
        read_tables(
            read.folder,
            work_dir=tmp_path / "w",
            source="synthea",
            input_map=InputMap(files={"person": "person.parquet"}),
        )
