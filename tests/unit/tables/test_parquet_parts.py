"""Parquet parts whose types differ, as programs choose them month by month."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables import read_tables

LINE = {"claim_line_number": [1], "claim_type": ["dental"]}
DAY = dt.date(2022, 2, 3)


def read(tmp_path, parts):
    raw = tmp_path / "raw"
    (raw / "medical_claim").mkdir(parents=True)
    spans = "member_id,enrollment_start_date,enrollment_end_date\n7,2022-01-01,2022-12-31\n"
    (raw / "eligibility.csv").write_text(spans)
    (raw / "person.csv").write_text("member_id,birth_date\n7,1990-01-01\n")
    for number, part in enumerate(parts):
        pq.write_table(pa.table({**LINE, **part}), raw / "medical_claim" / f"{number}.parquet")
    tables = read_tables(raw, work_dir=tmp_path / "work")
    frame = tables.frame("medical_claim").sort_values("claim_id", ignore_index=True)
    return frame, tables.ledger.to_frame().set_index(["table", "reason"])["n_rows"]


def test_a_member_is_the_same_whether_written_as_number_decimal_or_text(tmp_path):
    identifiers = [[7], [7.0], ["7"], pa.array([Decimal("7.00")], pa.decimal128(9, 2))]
    parts = [
        {"member_id": member, "claim_id": [f"c{i}"], "claim_start_date": [DAY]}
        for i, member in enumerate(identifiers)
    ]
    frame, counted = read(tmp_path, parts)
    assert frame["member_id"].tolist() == ["7"] * 4
    assert counted["medical_claim", "used"] == 4


def test_identifiers_of_eighteen_digits_are_not_rounded_by_a_part_with_decimal_points(tmp_path):
    long = 123456789012345678
    parts = [
        {"member_id": ["7"], "claim_id": [long], "claim_start_date": [DAY]},
        {"member_id": ["7"], "claim_id": [5.0], "claim_start_date": [DAY]},
    ]
    assert read(tmp_path, parts)[0]["claim_id"].tolist() == [str(long), "5"]


def test_dates_may_be_days_times_numbers_text_or_all_missing(tmp_path):
    starts = [[DAY], [dt.datetime(2022, 2, 4, 23, 30)], [20220205], ["02/06/2022"]]
    ends = [[DAY], [dt.date(2022, 2, 4)], pa.nulls(1), [20220206]]
    parts = [
        {"Member_ID": ["7"], "CLAIM_ID": [f"c{i}"], "claim_start_date": start, "claim_end_date": e}
        for i, (start, e) in enumerate(zip(starts, ends, strict=True))
    ]
    frame, _ = read(tmp_path, parts)
    assert frame["claim_start_date"].dt.day.tolist() == [3, 4, 5, 6]
    assert frame["claim_end_date"].dt.day.fillna(0).tolist() == [3, 4, 0, 6]


def test_amounts_are_the_same_in_any_type_and_columns_a_part_lacks_are_missing(tmp_path):
    amounts = [[1250], [0.1], ["-7.25"], pa.array([Decimal("3.10")], pa.decimal128(9, 2))]
    parts = [
        {"member_id": ["7"], "claim_id": [f"c{i}"], "claim_start_date": [DAY], "PAID_AMOUNT": a}
        for i, a in enumerate(amounts)
    ]
    parts.append({"member_id": ["7"], "claim_id": ["c4"], "claim_start_date": [DAY]})
    frame, _ = read(tmp_path, parts)
    assert frame["paid_amount"].tolist()[:4] == [1250, 0.1, -7.25, 3.1]
    assert pd.isna(frame["paid_amount"].iloc[4])


def test_two_columns_that_differ_in_case_alone_are_refused(tmp_path):
    part = {"member_id": ["7"], "claim_id": ["c"], "claim_start_date": [DAY]}
    with pytest.raises(TableError, match=r"`0.parquet` has more than one column `PLAN`"):
        read(tmp_path, [part | {"PLAN": ["A"], "plan": ["B"]}])
