"""The Tuva input layer under its own column names."""

import csv

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.panel import build_member_months
from calaim_eval.tables import read_tables

SPANS = [
    {"person_id": "p1", "member_id": "m1", "gender": "female", "race": "asian"}
    | {"birth_date": "1990-01-01", "enrollment_start_date": "2022-01-01"}
    | {"enrollment_end_date": "2022-03-31", "payer": "State", "payer_type": "medicaid"}
    | {"plan": "Plan A", "dual_status_code": "02", "ethnicity": "not hispanic or latino"},
    {"person_id": "p1", "member_id": "m1", "gender": "female", "race": "white"}
    | {"birth_date": "1990-01-01", "enrollment_start_date": "2022-05-01"}
    | {"enrollment_end_date": "2022-06-30", "payer": "State", "payer_type": "medicaid"}
    | {"plan": "", "ethnicity": "hispanic or latino"},
    {"person_id": "", "member_id": "m2", "gender": "male", "race": "black or african american"}
    | {"birth_date": "1980-01-01", "enrollment_start_date": "2022-01-01"}
    | {"enrollment_end_date": "2022-12-31", "payer": "Firm", "payer_type": "self-insured"},
]
LINES = [
    {"claim_id": "c1", "claim_line_number": "1", "claim_type": "institutional", "person_id": "p1"}
    | {"claim_start_date": "2022-02-01", "claim_end_date": "2022-02-01", "bill_type_code": "131"}
    | {"revenue_center_code": "0450", "paid_amount": "120.50", "hcpcs_code": "99284"}
    | {"diagnosis_code_1": "J06.9", "hcpcs_modifier_1": "25", "data_source": "A"},
    {"claim_id": "c1", "claim_line_number": "1", "claim_type": "professional", "person_id": ""}
    | {"member_id": "m2", "claim_start_date": "2022-02-01", "paid_amount": "30"}
    | {"data_source": "B", "place_of_service_code": "11"},
    {"claim_id": "c2", "claim_line_number": "1", "claim_type": "undetermined", "person_id": "p1"}
    | {"claim_start_date": "2022-02-01", "data_source": "A"},
]
FILLS = [
    {"claim_id": "f1", "claim_line_number": "1", "person_id": "p1", "paid_amount": "9.25"}
    | {"dispensing_date": "2022-02-02", "ndc_code": "00093-7424-56", "days_supply": "30"}
]


def header(shared, table):
    path = shared / "data" / "tuva_demo_seeds" / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return next(csv.reader(stream))


def write(folder, table, rows, columns=None):
    folder.mkdir(exist_ok=True)
    names = columns or list(dict.fromkeys(name for row in rows for name in row))
    pd.DataFrame(rows, columns=names).to_csv(folder / f"{table}.csv", index=False)


def write_all(folder, columns=lambda _: None):
    for table, rows in (("eligibility", SPANS), ("medical_claim", LINES)):
        write(folder, table, rows, columns(table))
    write(folder, "pharmacy_claim", [row | {"member_id": ""} for row in FILLS])
    return folder


def counts(tables, table, stage):
    frame = tables.ledger.to_frame()
    rows = frame[(frame["table"] == table) & (frame["stage"] == stage)]
    return dict(zip(rows["reason"], rows["n_rows"], strict=True))


@pytest.mark.shared
def test_rows_under_the_headers_of_the_layer(shared, tmp_path):
    folder = write_all(tmp_path / "raw", columns=lambda table: header(shared, table))
    tables = read_tables(folder, work_dir=tmp_path / "w", source="tuva")
    spans = tables.frame("eligibility").sort_values(["member_id", "enrollment_start_date"])
    assert spans["member_id"].tolist() == ["m2", "p1", "p1"]
    assert spans["plan"].tolist() == ["Firm", "Plan A", "State"]
    assert spans["payer_type"].tolist() == ["commercial", "medicaid", "medicaid"]
    assert spans["dual_status_code"].tolist()[1] == "02"
    persons = tables.frame("person").set_index("member_id")
    # The words of the latest span; ethnicity overrides race in the display.
    assert persons["race_code"].to_dict() == {"p1": "2106-3", "m2": "2054-5"}
    assert persons["race_ethnicity"].to_dict() == {"p1": "hispanic", "m2": "black"}
    assert persons["sex"].to_dict() == {"p1": "female", "m2": "male"}
    claims = tables.frame("medical_claim").set_index("claim_id")
    assert sorted(claims.index) == ["A:c1", "B:c1"]
    line = claims.loc["A:c1"]
    assert (line["diagnosis_code_1"], line["hcpcs_modifier_1"]) == ("J069", "25")
    assert claims["paid_amount"].sum() == pytest.approx(150.5)
    fill = tables.frame("pharmacy_claim").iloc[0]
    assert (fill["ndc_code"], fill["paid_amount"]) == ("00093742456", 9.25)
    assert counts(tables, "tuva medical_claim", "source") == {
        "used": 2,
        "claim line of no known form (`claim_type`)": 1,
    }
    assert counts(tables, "eligibility", "read") == {"used": 3}


def test_panel_of_the_layer(tmp_path):
    for row in LINES:
        row.setdefault("member_id", "")
    tables = read_tables(write_all(tmp_path / "raw"), work_dir=tmp_path / "w", source="tuva")
    panel = build_member_months(tables, first_month="2022-01", last_month="2022-12")
    frame = panel.to_frame(["member_id", "month", "ed_visits"])
    # Duals are left out: p1 is dual until March; m2 is not in Medicaid.
    assert frame["member_id"].tolist() == ["p1", "p1"]
    assert frame["month"].astype(str).str[:7].tolist() == ["2022-05", "2022-06"]


@pytest.mark.parametrize("latest", ["01/15/2023", "20230115", "2023-01-15"])
def test_a_person_is_of_the_latest_day_however_it_is_written(tmp_path, latest):
    spans = [
        row | {"person_id": "p1", "race": race, "enrollment_start_date": start}
        for row, race, start in zip(
            [SPANS[0]] * 3,
            ("asian", "white", "black or african american"),
            ("12/01/2021", latest, "2022-06-01"),
            strict=True,
        )
    ]
    for row, end in zip(spans, ("2022-05-31", "2023-12-31", "2023-01-14"), strict=True):
        row["enrollment_end_date"] = end
    write_all(tmp_path / "raw")
    write(tmp_path / "raw", "eligibility", [*spans, SPANS[2]])
    tables = read_tables(tmp_path / "raw", work_dir=tmp_path / "w", source="tuva")
    persons = tables.frame("person").set_index("member_id")
    assert persons.loc["p1", "race_ethnicity"] == "white"


def test_lacking_table_and_column(tmp_path):
    write(tmp_path, "eligibility", SPANS)
    with pytest.raises(TableError, match="lacks the Tuva table `medical_claim`"):
        read_tables(tmp_path, work_dir=tmp_path / "w", source="tuva")
    write(tmp_path, "medical_claim", [{"claim_id": "c1"}])
    with pytest.raises(TableError, match="Tuva table `medical_claim` lacks column `claim_line"):
        read_tables(tmp_path, work_dir=tmp_path / "w", source="tuva")


@pytest.mark.shared
def test_tables_without_rows_are_refused(shared, tmp_path):
    with pytest.raises(TableError, match="table `eligibility` has no rows"):
        read_tables(shared / "data" / "tuva_demo_seeds", work_dir=tmp_path, source="tuva")
