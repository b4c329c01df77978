"""Delimited text in every packing gives what plain text gives."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import pandas as pd
import pyarrow as pa
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables import read_tables
from calaim_eval.tables.input_map import InputMap
from calaim_eval.tables.sources import TEXT_SUFFIXES
from calaim_eval.tables.text_files import UNREADABLE, open_text

HEADER = ["Claim_ID", "claim_line_number", "claim_type", "member_id", "claim_start_date", "plan"]
ROWS = [
    ["c1", "1", "professional", "m1", "2022-02-03", 'Plan "A", north'],
    ["c2", "1", "dental", "m1", "20220204", "Plan é\nwith a break"],
]


def text(delimiter):
    def cell(value):
        return '"' + value.replace('"', '""') + '"' if set(value) & set(',\t|"\n') else value

    return "".join(delimiter.join(map(cell, row)) + "\r\n" for row in [HEADER, *ROWS])


def write(path, content):
    raw = content.encode("utf-8-sig")
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(raw))
    elif path.suffix == ".bz2":
        path.write_bytes(bz2.compress(raw))
    elif path.suffix == ".xz":
        path.write_bytes(lzma.compress(raw))
    elif path.suffix == ".zst":
        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            stream.write(raw)
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("whatever it is called.dat", raw)
    else:
        path.write_bytes(raw)


@pytest.fixture
def raw(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    span = "member_id,enrollment_start_date,enrollment_end_date\nm1,2022-01-01,2022-12-31\n"
    (folder / "eligibility.csv").write_text(span)
    (folder / "person.csv").write_text("member_id,birth_date\nm1,1990-01-01\n")
    return folder


def claims(raw, tmp_path, **options):
    frame = read_tables(raw, work_dir=tmp_path / "work", **options).frame("medical_claim")
    return frame.sort_values("claim_id", ignore_index=True)


@pytest.mark.parametrize("suffix", TEXT_SUFFIXES)
def test_every_packing_gives_the_same_rows(raw, tmp_path, suffix):
    delimiter = {".tsv": "\t", ".psv": "|", ".txt": ";"}.get("." + suffix.split(".")[1], ",")
    write(raw / f"medical_claim{suffix}", text(delimiter))
    frame = claims(raw, tmp_path)
    assert frame["plan"].tolist() == [row[5].replace("\n", "\n") for row in ROWS]
    assert frame["claim_start_date"].tolist() == [
        pd.Timestamp("2022-02-03"),
        pd.Timestamp("2022-02-04"),
    ]


def test_parts_of_one_packing_and_another_case(raw, tmp_path):
    lines = text(",").split("\r\n", 1)
    for number, row in enumerate(["c1,1,dental,m1,2022-02-03,A", "c2,1,dental,m1,2022-02-03,B"]):
        write(raw / f"CLAIMS_{number}.CSV.bz2", f"{lines[0]}\r\n{row}\r\n")
    frame = claims(raw, tmp_path, input_map=InputMap(files={"medical_claim": "CLAIMS_*"}))
    assert frame["plan"].tolist() == ["A", "B"]


def test_unpacked_copies_are_gone_after_the_reading(raw, tmp_path):
    write(raw / "medical_claim.csv.zip", text(","))
    claims(raw, tmp_path)
    assert not list((tmp_path / "work").rglob("*.csv"))


def test_an_archive_of_several_files_is_refused(raw, tmp_path):
    with zipfile.ZipFile(raw / "medical_claim.csv.zip", "w") as archive:
        archive.writestr("a.csv", text(","))
        archive.writestr("b.csv", text(","))
    with pytest.raises(TableError, match=r"`medical_claim.csv.zip` holds 2 files"):
        claims(raw, tmp_path)


@pytest.mark.parametrize("suffix", [".csv.gz", ".csv.zst", ".csv.bz2", ".csv.xz", ".csv.zip"])
def test_a_damaged_file_is_refused_without_its_content(raw, tmp_path, suffix):
    path = raw / f"medical_claim{suffix}"
    write(path, text(","))
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(TableError, match="damaged") as raised:
        claims(raw, tmp_path)
    assert "Plan" not in str(raised.value)


def flipped(raw, suffix):
    """Packed text with bytes in the middle changed: its own kind of damage in every packing."""
    packed = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}.get(suffix)
    if packed:
        whole = bytearray(packed(raw))
        whole[15:40] = bytes(255 - each for each in whole[15:40])
        return bytes(whole)
    stream = io.BytesIO()
    kind = zipfile.ZIP_LZMA if suffix == ".lzma.zip" else zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(stream, "w", kind) as archive:
        archive.writestr("a", raw)
    whole = bytearray(stream.getvalue())
    whole[40:60] = bytes(255 - each for each in whole[40:60])
    return bytes(whole)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip", ".lzma.zip"])
def test_changed_bytes_are_told_as_damage(raw, tmp_path, suffix):
    path = raw / f"medical_claim.csv.{suffix.rsplit('.', 1)[1]}"
    path.write_bytes(flipped(text(",").encode() * 50, suffix))
    with pytest.raises(TableError, match="damaged"):
        claims(raw, tmp_path)


def test_an_archive_with_a_password_is_told_as_one_that_cannot_be_unpacked(raw, tmp_path):
    path = raw / "medical_claim.csv.zip"
    write(path, text(","))
    whole = bytearray(path.read_bytes())
    whole[6] |= 1  # the flag of an encrypted member, in its own header and in the directory
    whole[whole.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(whole))
    with pytest.raises(TableError, match="cannot be unpacked"):
        claims(raw, tmp_path)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst", ".bz2", ".xz", ".zip"])
def test_text_of_every_packing_is_opened_alike(tmp_path, suffix):
    path = tmp_path / f"any.TXT{suffix}"
    write(path, text(","))
    with open_text(path) as stream:
        assert stream.read() == text(",")


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip", ".lzma.zip"])
def test_what_a_damaged_file_raises_is_declared(tmp_path, suffix):
    path = tmp_path / f"any.{suffix.rsplit('.', 1)[1]}"
    path.write_bytes(flipped(text(",").encode() * 50, suffix))
    with pytest.raises(UNREADABLE), open_text(path) as stream:
        stream.read()
