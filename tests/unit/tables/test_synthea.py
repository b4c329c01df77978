import csv
from collections import Counter
from datetime import date, timedelta

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables import read_tables
from calaim_eval.tables.synthea_codes import ENCOUNTER_CLASSES, FHIR_CLASSES

PAYER = "p-medicaid"
STAMP = "T10:00:00Z"


def write(folder, name, rows):
    pd.DataFrame(rows).to_csv(folder / f"{name}.csv", index=False)


@pytest.fixture
def export(tmp_path):
    """Two members; an ED visit, a stay, a wellness visit with a fill, one odd class."""
    folder = tmp_path / "synthea"
    folder.mkdir()
    write(
        folder,
        "patients",
        [
            {"Id": "a", "BIRTHDATE": "1990-01-01", "DEATHDATE": "", "RACE": "white"}
            | {"ETHNICITY": "hispanic", "GENDER": "F", "COUNTY": "Kern County"},
            {"Id": "b", "BIRTHDATE": "1980-01-01", "DEATHDATE": "", "RACE": "hawaiian"}
            | {"ETHNICITY": "nonhispanic", "GENDER": "M", "COUNTY": "Kern County"},
        ],
    )
    payers = [("p-medicaid", "Medicaid"), ("p-none", "NO_INSURANCE"), ("p-both", "Dual Eligible")]
    write(folder, "payers", [{"Id": key, "NAME": name} for key, name in payers])
    spans = [
        ("a", "2022-01-01", "2022-07-01", "p-medicaid"),
        ("a", "2022-07-01", "2023-01-01", "p-none"),
        ("b", "2022-01-01", "", "p-both"),
    ]
    write(
        folder,
        "payer_transitions",
        [
            {
                "PATIENT": who,
                "START_DATE": start + STAMP,
                "END_DATE": end and end + STAMP,
                "PAYER": p,
            }
            for who, start, end, p in spans
        ],
    )
    visits = [
        ("e1", "a", "emergency", "2022-02-01", "2022-02-01"),
        ("e2", "a", "inpatient", "2022-03-01", "2022-03-04"),
        ("e3", "b", "wellness", "2022-04-01", "2022-04-01"),
        ("e4", "b", "telepathy", "2022-05-01", "2022-05-01"),
        ("e5", "b", "ambulatory", "2022-06-01", "2022-06-01"),
    ]
    write(
        folder,
        "encounters",
        [
            {"Id": key, "START": start + STAMP, "STOP": stop + STAMP, "PATIENT": who}
            | {"ORGANIZATION": "o1", "PROVIDER": "d1", "ENCOUNTERCLASS": name}
            for key, who, name, start, stop in visits
        ],
    )
    claims = [("c1", "e1"), ("c2", "e2"), ("c3", "e3"), ("c3m", "e3"), ("c4", "e4")]
    write(folder, "claims", [{"Id": key, "APPOINTMENTID": visit} for key, visit in claims])
    lines = [
        ("c1", 1, "a", "CHARGE", "", "", "e1", "100"),
        ("c1", 2, "a", "PAYMENT", "ECHECK", "80", "e1", "100"),
        ("c1", 3, "a", "PAYMENT", "CASH", "20", "e1", "100"),
        ("c1", 4, "a", "CHARGE", "", "", "e1", "101"),
        ("c1", 5, "a", "PAYMENT", "ECHECK", "50", "e1", "101"),
        ("c1", 6, "a", "PAYMENT", "ECHECK", "-50", "e1", "101"),
        ("c1", 7, "a", "PAYMENT", "ECHECK", "30", "e1", "101"),
        ("c2", 1, "a", "CHARGE", "", "", "e2", "200"),
        ("c2", 2, "a", "TRANSFEROUT", "", "", "e2", "200"),
        ("c2", 3, "a", "TRANSFERIN", "", "", "e2", "200"),
        ("c3", 1, "b", "CHARGE", "", "", "e3", "300"),
        ("c3m", 1, "b", "CHARGE", "", "", "e3", "med"),
        ("c3m", 2, "b", "PAYMENT", "ECHECK", "9", "e3", "med"),
        ("c4", 1, "b", "CHARGE", "", "", "e4", "400"),
    ]
    write(
        folder,
        "claims_transactions",
        [
            {"CLAIMID": claim, "CHARGEID": n, "PATIENTID": who, "TYPE": kind, "AMOUNT": ""}
            | {"METHOD": method, "PAYMENTS": paid, "APPOINTMENTID": visit, "PROCEDURECODE": code}
            for claim, n, who, kind, method, paid, visit, code in lines
        ],
    )
    write(
        folder,
        "medications",
        [
            {"START": "2022-04-01" + STAMP, "PATIENT": "b", "PAYER": "p-both", "ENCOUNTER": "e3"}
            | {"CODE": "med", "PAYER_COVERAGE": "9.00", "DISPENSES": "1"}
        ],
    )
    write(folder, "organizations", [{"Id": "o1", "NAME": "Clinic"}])
    return folder


def counts(tables, table, stage):
    frame = tables.ledger.to_frame()
    rows = frame[(frame["table"] == table) & (frame["stage"] == stage)]
    return dict(zip(rows["reason"], rows["n_rows"], strict=True))


def test_encounter_classes_become_claim_codes(export, tmp_path):
    claims = read_tables(export, work_dir=tmp_path / "w", source="synthea").frame("medical_claim")
    claims = claims.set_index(["claim_id", "claim_line_number"]).sort_index()
    ed, stay, office = claims.loc[("c1", 1)], claims.loc[("c2", 1)], claims.loc[("c3", 1)]
    assert (ed["bill_type_code"], ed["revenue_center_code"]) == ("131", "0450")
    assert (stay["bill_type_code"], stay["revenue_center_code"]) == ("111", "0120")
    assert (stay["admission_date"], stay["discharge_date"]) == (
        pd.Timestamp("2022-03-01"),
        pd.Timestamp("2022-03-04"),
    )
    assert (office["claim_type"], office["hcpcs_code"]) == ("professional", "99213")
    # Only the first line carries the visit.
    assert pd.isna(claims.loc[("c1", 2), "revenue_center_code"])
    assert set(claims.index.get_level_values("claim_id")) == {"c1", "c2", "c3"}


def test_plan_payments_are_netted_into_their_charge(export, tmp_path):
    claims = read_tables(export, work_dir=tmp_path / "w", source="synthea").frame("medical_claim")
    paid = claims.set_index(["claim_id", "claim_line_number"])["paid_amount"].to_dict()
    assert paid == {("c1", 1): 80.0, ("c1", 2): 30.0, ("c2", 1): 0.0, ("c3", 1): 0.0}


def test_spans_payers_and_persons(export, tmp_path):
    tables = read_tables(export, work_dir=tmp_path / "w", source="synthea")
    spans = tables.frame("eligibility").sort_values(["member_id", "enrollment_start_date"])
    assert spans["payer_type"].tolist() == ["medicaid", "self_pay", "medicaid"]
    assert spans["dual_status_code"].tolist()[2] == "DUAL"
    ends = spans["enrollment_end_date"].tolist()
    assert ends[0] == pd.Timestamp("2022-06-30")
    assert pd.isna(ends[2])
    persons = tables.frame("person").set_index("member_id")
    assert persons["race_ethnicity"].to_dict() == {"a": "hispanic", "b": "nhpi"}
    assert set(persons["county"]) == {"Kern"}
    assert persons["sex"].to_dict() == {"a": "female", "b": "male"}


def test_every_row_of_every_file_is_accounted_for(export, tmp_path):
    tables = read_tables(export, work_dir=tmp_path / "w", source="synthea")
    assert counts(tables, "synthea claims_transactions", "source") == {
        "used": 8,  # four charges and the four payments by the payer
        "payment by the member": 1,
        "transfer of what is owed (nets to nothing)": 2,
        "medication, told by `medications`": 2,
        "encounter class without a coding": 1,
    }
    assert counts(tables, "synthea encounters", "source") == {
        "used": 3,
        "encounter class without a coding": 1,
        "encounter without a charge": 1,
    }
    assert counts(tables, "synthea claims", "source") == {
        "used": 3,
        "encounter class without a coding": 1,
        "medication, told by `medications`": 1,
    }


def test_parquet_with_types_gives_what_text_gives(export, tmp_path):
    as_text = read_tables(export, work_dir=tmp_path / "text", source="synthea")
    folder = tmp_path / "typed"
    folder.mkdir()
    for path in export.glob("*.csv"):
        frame = pd.read_csv(path)
        for name in frame.columns.intersection(["START", "STOP", "START_DATE", "BIRTHDATE"]):
            frame[name] = pd.to_datetime(frame[name])
        frame.to_parquet(folder / f"{path.stem.upper()}.parquet")
    typed = read_tables(folder, work_dir=tmp_path / "typed_work", source="synthea")
    for name in as_text.names:
        # A fill has no id of its own: encounter, drug and time as written make it up.
        made = ["claim_id"] if name == "pharmacy_claim" else []
        pd.testing.assert_frame_equal(
            typed.frame(name).drop(columns=made), as_text.frame(name).drop(columns=made)
        )
    assert typed.ledger.to_records() == as_text.ledger.to_records()


def test_flattened_bundles_as_parquet_with_types(tmp_path):
    day = pd.Timestamp("2022-03-01 10:00")
    person = {"patient_id": "a", "birth_date": day, "death": None, "gender": "female"}
    person |= {"race": "white", "ethnicity": None, "county": "Kern", "language": "en"}
    visit = {"encounter_id": 7, "patient_id": "a", "enc_class": "EMER", "provider_org": "o"}
    frames = {
        "patients": [person],
        "coverage": [{"patient_id": "a", "payer": "Medicaid", "start": day, "end": None}],
        "encounters": [visit | {"start": day, "end": day}],
        "claim_lines": [
            {"claim_id": 5, "line": n, "patient_id": "a", "encounter_id": 7} for n in (1, 2)
        ],
    }
    for name, rows_of_file in frames.items():
        pd.DataFrame(rows_of_file).to_parquet(tmp_path / f"{name}.parquet")
    tables = read_tables(tmp_path, work_dir=tmp_path / "work", source="synthea")
    claims = tables.frame("medical_claim").sort_values("claim_line_number")
    assert claims["claim_id"].tolist() == ["5", "5"]
    assert claims["revenue_center_code"].fillna("").tolist() == ["0450", ""]
    assert claims["claim_start_date"].dt.day.tolist() == [1, 1]


def test_years_instead_of_days(export, tmp_path):
    write(
        export,
        "payer_transitions",
        [{"PATIENT": "a", "START_YEAR": "2021", "END_YEAR": "2022", "PAYER": "p-medicaid"}],
    )
    spans = read_tables(export, work_dir=tmp_path / "w", source="synthea").frame("eligibility")
    assert spans["enrollment_start_date"].tolist() == [pd.Timestamp("2021-01-01")]
    assert spans["enrollment_end_date"].tolist() == [pd.Timestamp("2022-12-31")]


def test_neither_shape_lacking_file_lacking_column(export, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        TableError, match=r"is no Synthea export this reader knows; it holds nothing"
    ):
        read_tables(tmp_path / "empty", work_dir=tmp_path / "w", source="synthea")
    (export / "payers.csv").unlink()
    with pytest.raises(TableError, match="lacks `payers`"):
        read_tables(export, work_dir=tmp_path / "w", source="synthea")
    write(export, "payers", [{"Id": "p", "TITLE": "Medicaid"}])
    with pytest.raises(TableError, match="Synthea file `payers` lacks column `NAME`"):
        read_tables(export, work_dir=tmp_path / "w", source="synthea")


def rows(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def visits_by_class(claims):
    """Claims of each form, counted from the codes alone."""
    first = claims.drop_duplicates("claim_id")
    is_ed = claims["revenue_center_code"] == "0450"
    is_stay = claims["revenue_center_code"] == "0120"
    is_office = claims["hcpcs_code"] == "99213"
    assert len(first) == int(is_ed.sum() + is_stay.sum() + is_office.sum())
    return {"ed": int(is_ed.sum()), "stay": int(is_stay.sum()), "office": int(is_office.sum())}


@pytest.mark.shared
def test_csv_export_agrees_with_its_files(shared, tmp_path):
    folder = shared / "data" / "synthea_dbt27"
    tables = read_tables(folder, work_dir=tmp_path, source="synthea")
    claims = tables.frame("medical_claim")
    classes = Counter(row["ENCOUNTERCLASS"] for row in rows(folder / "encounters.csv"))
    office = {name for name, coding in ENCOUNTER_CLASSES.items() if coding.hcpcs_code == "99213"}
    assert visits_by_class(claims) == {
        "ed": classes["emergency"],
        "stay": classes["inpatient"],
        "office": sum(n for name, n in classes.items() if name in office),
    }
    fills = {(row["ENCOUNTER"], row["CODE"]) for row in rows(folder / "medications.csv")}
    transactions = rows(folder / "claims_transactions.csv")
    medical = [
        row for row in transactions if (row["APPOINTMENTID"], row["PROCEDURECODE"]) not in fills
    ]
    by_payer = sum(float(row["PAYMENTS"]) for row in medical if row["METHOD"] == "ECHECK")
    assert claims["paid_amount"].sum() == pytest.approx(by_payer, rel=1e-12)
    assert len(claims) == sum(row["TYPE"] == "CHARGE" for row in medical)
    covered = sum(float(row["PAYER_COVERAGE"]) for row in rows(folder / "medications.csv"))
    assert tables.frame("pharmacy_claim")["paid_amount"].sum() == pytest.approx(covered, rel=1e-12)
    for file in ("claims_transactions", "encounters", "claims", "payer_transitions", "procedures"):
        total = tables.ledger.total(f"synthea {file}", stage="source")
        assert total == len(rows(folder / f"{file}.csv"))


@pytest.mark.shared
def test_csv_export_spans_cover_the_same_days(shared, tmp_path):
    folder = shared / "data" / "synthea_dbt27"
    tables = read_tables(folder, work_dir=tmp_path, source="synthea")
    names = {row["Id"]: row["NAME"] for row in rows(folder / "payers.csv")}
    expected = Counter()
    for row in rows(folder / "payer_transitions.csv"):
        start = date.fromisoformat(row["START_YEAR"][:10])
        end = max(start, date.fromisoformat(row["END_YEAR"][:10]) - timedelta(days=1))
        expected[names[row["PAYER"]]] += (end - start).days + 1
    spans = tables.frame("eligibility")
    days = (spans["enrollment_end_date"] - spans["enrollment_start_date"]).dt.days + 1
    assert days.groupby(spans["plan"]).sum().to_dict() == dict(expected)


@pytest.mark.shared
def test_flattened_bundles_agree_with_their_files(shared, tmp_path):
    folder = shared / "data" / "synthea_ca"
    tables = read_tables(folder, work_dir=tmp_path, source="synthea", n_buckets=3)
    claims = tables.frame("medical_claim")
    classes = Counter(FHIR_CLASSES[row["enc_class"]] for row in rows(folder / "encounters.csv"))
    assert visits_by_class(claims) == {
        "ed": classes["emergency"],
        "stay": classes["inpatient"],
        "office": classes["ambulatory"] + classes["virtual"],
    }
    payers = Counter(row["payer"] == "Medicaid" for row in rows(folder / "coverage.csv"))
    spans = tables.frame("eligibility")
    assert (spans["payer_type"] == "medicaid").sum() == payers[True]
    races = Counter(row["race"] for row in rows(folder / "patients.csv"))
    codes = tables.frame("person")["race_code"].value_counts().to_dict()
    assert codes == {
        "2106-3": races["white"],
        "2054-5": races["black"],
        "2028-9": races["asian"],
        "1002-5": races["native"],
        "2131-1": races["other"],
    }
    assert claims["paid_amount"].isna().all()
