import pandas as pd
import pyarrow.parquet as pq
import pytest

from calaim_eval.errors import TableError
from calaim_eval.schema import TABLES
from calaim_eval.tables import Tables

SPANS = pd.DataFrame(
    {
        "member_id": [f"m{i}" for i in range(40)],
        "enrollment_start_date": pd.to_datetime(["2022-01-01"] * 40),
        "enrollment_end_date": pd.to_datetime(["2022-06-30"] * 39 + [None]),
    }
)
PERSONS = pd.DataFrame(
    {
        "member_id": [f"m{i}" for i in range(40)],
        "birth_date": "1990-05-05",
        "race_code": ["1", "2", "9", "Q"] * 10,
        "race_code_system": "meds",
    }
)
CLAIMS = pd.DataFrame(
    {
        "claim_id": ["1", "2"],
        "claim_line_number": [1, 1],
        "claim_type": "professional",
        "member_id": ["m0", "nobody"],
        "claim_start_date": "2022-02-02",
    }
)


def test_parts_have_the_declared_columns_and_types():
    tables = Tables.from_frames({"eligibility": SPANS, "person": PERSONS, "medical_claim": CLAIMS})
    schema = pq.read_schema(tables.parts("medical_claim")[0])
    assert tuple(schema.names) == TABLES["medical_claim"].fields
    assert {str(schema.field(name).type) for name in ("claim_start_date", "paid_date")} == {
        "date32[day]"
    }
    assert str(schema.field("claim_line_number").type) == "int64"
    assert str(schema.field("paid_amount").type) == "double"
    assert str(schema.field("hcpcs_code").type) in ("string", "large_string")
    persons = pq.read_schema(tables.parts("person")[0])
    assert tuple(persons.names) == (*TABLES["person"].fields, "race_ethnicity")


def test_buckets_hold_the_same_members_in_each_table():
    tables = Tables.from_frames({"eligibility": SPANS, "person": PERSONS}, n_buckets=4)
    assert [part.name for part in tables.parts("person")] == [
        f"part-{i:04d}.parquet" for i in range(4)
    ]
    for spans, persons in zip(tables.parts("eligibility"), tables.parts("person"), strict=True):
        members = set(pq.read_table(spans)["member_id"].to_pylist())
        assert members == set(pq.read_table(persons)["member_id"].to_pylist())
    assert len(tables.frame("person")) == 40


def test_an_empty_bucket_still_has_a_part():
    tables = Tables.from_frames({"eligibility": SPANS.iloc[:1]}, n_buckets=5)
    assert len(tables.parts("eligibility")) == 5
    assert len(tables.frame("eligibility")) == 1


def test_frame_types_and_columns():
    tables = Tables.from_frames({"eligibility": SPANS, "medical_claim": CLAIMS.iloc[:1]})
    frame = tables.frame("eligibility", ["member_id", "enrollment_end_date"])
    assert frame.columns.tolist() == ["member_id", "enrollment_end_date"]
    assert frame["enrollment_end_date"].dtype == "datetime64[us]"
    assert frame["enrollment_end_date"].isna().sum() == 1
    claims = tables.frame("medical_claim")
    assert claims["claim_line_number"].dtype == "Int64"
    assert claims["paid_amount"].dtype == "float64"


def test_race_is_derived_and_unlisted_codes_are_noted():
    tables = Tables.from_frames({"eligibility": SPANS, "person": PERSONS})
    counts = tables.frame("person")["race_ethnicity"].value_counts().to_dict()
    assert counts == {"white": 10, "hispanic": 10, "declined": 10, "unknown": 10}
    notes = tables.ledger.to_frame().query("stage == 'notice'")
    assert notes[["reason", "n_rows"]].values.tolist() == [
        ["race code not in code list (kept as unknown)", 10]
    ]


def test_claims_for_nobody_are_set_aside_and_the_ledger_balances():
    tables = Tables.from_frames({"eligibility": SPANS, "medical_claim": CLAIMS}, n_buckets=3)
    assert tables.frame("medical_claim")["member_id"].tolist() == ["m0"]
    read = tables.ledger.to_frame().query("table == 'medical_claim'")
    assert dict(zip(read["reason"], read["n_rows"], strict=True)) == {
        "member not in `eligibility`": 1,
        "used": 1,
    }


def test_person_without_a_span_and_span_after_death_are_noted():
    persons = PERSONS.iloc[:2].assign(member_id=["m0", "x"], death_date=["2021-12-31", None])
    tables = Tables.from_frames({"eligibility": SPANS, "person": persons})
    notes = tables.ledger.to_frame().query("stage == 'notice'").set_index("reason")["n_rows"]
    assert notes["member not in `eligibility` (kept)"] == 1
    assert (
        notes["span starts after the member's death (kept; the panel ends coverage at death)"] == 1
    )
    assert len(tables.frame("person")) == 2


def test_unlisted_values_take_their_stand_in():
    spans = SPANS.assign(payer_type=["tricare"] + ["medicaid"] * 39)
    frame = Tables.from_frames({"eligibility": spans}).frame("eligibility")
    assert frame["payer_type"].value_counts().to_dict() == {"medicaid": 39, "other": 1}


def test_impossible_date_that_a_row_can_do_without_is_missing():
    spans = SPANS.assign(recorded_date=["3022-01-01"] + ["2022-01-01"] * 39)
    frame = Tables.from_frames({"eligibility": spans}).frame("eligibility")
    assert frame["recorded_date"].isna().sum() == 1
    assert len(frame) == 40


def test_frames_are_not_changed():
    before = SPANS.copy()
    Tables.from_frames({"eligibility": SPANS})
    pd.testing.assert_frame_equal(SPANS, before)


def test_unknown_table_absent_table_and_unknown_column():
    tables = Tables.from_frames({"eligibility": SPANS})
    with pytest.raises(TableError, match=r"no input table is named `claims`.*\n.*`medical_claim`"):
        tables.has("claims")
    with pytest.raises(TableError, match=r"table `person` was not read; these were: `eligibility`"):
        tables.parts("person")
    with pytest.raises(TableError, match=r"table `eligibility` has no column `x`.*\n.*`plan`"):
        tables.frame("eligibility", ["x"])
    with pytest.raises(TableError, match="no input table is named `member_month`"):
        Tables.from_frames({"member_month": SPANS})


def test_a_frame_that_breaks_its_contract():
    with pytest.raises(TableError, match="lacks column `enrollment_end_date`"):
        Tables.from_frames({"eligibility": SPANS.drop(columns="enrollment_end_date")})
    with pytest.raises(TableError, match="table `eligibility` has no rows"):
        Tables.from_frames({"eligibility": SPANS.iloc[:0]})
    with pytest.raises(TableError, match="`enrollment_start_date` is not read as date in 40 of 40"):
        Tables.from_frames({"eligibility": SPANS.assign(enrollment_start_date="soon")})


def test_repr_shows_no_rows():
    tables = Tables.from_frames({"eligibility": SPANS}, n_buckets=2)
    assert repr(tables) == "Tables(eligibility; 2 member buckets)"
