"""The whole simulation: contract, reproducibility, refusals."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from calaim_eval.errors import OutputError, StudyFileError
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.partner_tables import PARTNER_TABLES
from calaim_eval.schema.tables import TABLES
from calaim_eval.simulate import SimulatedStudy, chunk, medi_cal, simulate_medi_cal

from .simulated_files import MEMBERS, raw, raw_path

# Monthly coverage would repeat the spans; the others have nothing to tell of a simulated world.
NOT_SIMULATED = {
    "eligibility_month",
    "member_xref",
    "police_contact",
    "feed_coverage",
    "acsc_diagnosis",
    "claim_procedure",
    "planned_readmission_code",
    "ed_avoidable_weight",
    *(table.name for table in PARTNER_TABLES),
}
COLUMNS_NOT_SIMULATED = {
    "medical_claim": {"billing_taxonomy_code", "rendering_taxonomy_code"},
    "referral": {"status_reason"},
}
INPUTS = [name for name, table in TABLES.items() if table.is_input and name not in NOT_SIMULATED]


def columns_of(name: str) -> list[str]:
    """Declared columns of a table that the simulation fills."""
    left_out = COLUMNS_NOT_SIMULATED.get(name, set())
    return [column for column in TABLES[name].fields if column not in left_out]


ARROW_TYPES = {
    "string": "string",
    "date": "date32[day]",
    "integer": "int64",
    "number": "double",
    "boolean": "bool",
}
# Columns soiled on purpose keep their meaning only after trimming and upper-casing.
EXACT_KEYS = [
    name for name in INPUTS if TABLES[name].key and name not in ("medical_claim", "person")
]


def files_of(folder: Path) -> dict[str, str]:
    """Hash of every file by its path inside the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_table_has_the_declared_columns_and_types(study: SimulatedStudy, name: str):
    path = Path(raw_path(study, name))
    schema = pq.read_schema(next(path.parent.glob(path.name)))
    assert schema.names == columns_of(name)
    for field in schema:
        assert str(field.type) == ARROW_TYPES[FIELDS[field.name].dtype]


@pytest.mark.parametrize("name", INPUTS)
def test_every_table_has_rows_and_no_required_value_is_missing(study: SimulatedStudy, name: str):
    rows = raw(study, name)
    assert len(rows) == study.n_rows[name] > 0
    assert not rows[list(TABLES[name].not_null)].isna().any().any()


@pytest.mark.parametrize("name", INPUTS)
def test_enumerated_columns_hold_allowed_values_only(study: SimulatedStudy, name: str):
    rows = raw(study, name)
    for column in rows:
        allowed = FIELDS[column].values
        if allowed:
            assert set(rows[column].dropna()) <= set(allowed), column


@pytest.mark.parametrize("name", EXACT_KEYS)
def test_keys_are_unique(study: SimulatedStudy, name: str):
    assert not raw(study, name).duplicated(list(TABLES[name].key)).any()


def test_lines_of_a_claim_are_unique_but_for_the_counted_copies(
    study: SimulatedStudy, claims: pd.DataFrame
):
    copies = claims.duplicated(["claim_id", "claim_line_number"])
    assert copies.sum() == study.injected["claim_lines_duplicated"] > 0
    assert (claims.duplicated() == copies).all()


def test_dates_are_in_order_but_for_the_counted_spans(study: SimulatedStudy):
    for name in INPUTS:
        rows = raw(study, name)
        for earlier, later in TABLES[name].date_order:
            wrong = (rows[later] < rows[earlier]).sum()
            expected = study.injected["span_end_before_start"] if name == "eligibility" else 0
            assert wrong == expected, (name, earlier, later)


def test_codes_are_in_the_code_lists(study: SimulatedStudy, person: pd.DataFrame):
    codes = Path(medi_cal.__file__).parents[1] / "schema" / "codes"
    known = pd.read_csv(codes / "race_ethnicity_crosswalk.csv", dtype=str)
    pairs = set(zip(known["source_system"], known["code"], strict=True))
    shown = person.dropna(subset=["race_code"])
    assert set(zip(shown["race_code_system"], shown["race_code"], strict=True)) <= pairs
    counties = set(pd.read_csv(codes / "county.csv")["county"])
    for name in ("eligibility", "person", "program_service", "contract", "referral"):
        assert set(raw(study, name)["county"]) <= counties
    focus = set(pd.read_csv(codes / "population_of_focus.csv", dtype=str)["code"])
    assert set(raw(study, "program_service")["population_of_focus"].dropna()) <= focus


def test_same_seed_same_bytes_and_another_seed_another_study(tmp_path: Path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate_medi_cal(tmp_path / name, members=300, seed=seed)
    first, second, third = (files_of(tmp_path / name) for name in "abc")
    assert first == second
    assert first["raw/person.parquet"] != third["raw/person.parquet"]


def test_a_study_in_several_chunks_has_one_file_per_chunk_and_unique_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(medi_cal, "CHUNK_MEMBERS", 150)
    monkeypatch.setattr(chunk, "CHUNK_MEMBERS", 150)
    study = simulate_medi_cal(tmp_path, members=500, seed=1)
    assert len(list((study.raw / "medical_claim").iterdir())) == 4
    people = raw(study, "person").drop_duplicates()
    assert people["member_id"].nunique() == len(people) == 500
    for name in ("program_service", "referral"):
        assert not raw(study, name).duplicated(list(TABLES[name].key)).any()
    assert set(study.truth_frame("member")["member_id"]) == set(people["member_id"])
    by_claim = raw(study, "medical_claim").groupby("claim_id")["member_id"].nunique()
    assert (by_claim == 1).all()


@pytest.mark.parametrize("members", [1, 25])
def test_very_small_studies_have_every_table(tmp_path: Path, members: int):
    study = simulate_medi_cal(tmp_path, members=members, seed=2)
    assert set(study.n_rows) == set(INPUTS)
    assert len(study.truth_frame("member")) == members


def test_csv_files_hold_the_same_rows(tmp_path: Path):
    one = simulate_medi_cal(tmp_path / "p", members=200, seed=5)
    other = simulate_medi_cal(tmp_path / "c", members=200, seed=5, file_format="csv")
    assert one.n_rows == other.n_rows
    person = pd.read_csv(other.raw / "person.csv", dtype=str)
    assert list(person["member_id"]) == list(raw(one, "person")["member_id"])
    lines = pd.read_csv(other.raw / "medical_claim" / "part-0000.csv", dtype=str)
    assert list(lines.columns) == columns_of("medical_claim")
    assert len(lines) == one.n_rows["medical_claim"]


def test_a_later_shorter_window_works(tmp_path: Path):
    study = simulate_medi_cal(
        tmp_path, members=300, first_month="2022-07", last_month="2023-12", seed=1
    )
    months = study.truth_frame("use_by_month")["month"]
    assert (months.min(), months.max()) == (pd.Timestamp("2022-07-01"), pd.Timestamp("2023-12-01"))
    assert not study.truth_frame("member")["is_carry_over"].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": 0}, "`members` is 0; it must be between 1"),
        ({"seed": -1}, "`seed` is -1"),
        ({"first_month": "21-1"}, "must read like '2021-01'"),
        ({"last_month": "2021-06"}, "has 6 months; a simulated study needs at least 12"),
        ({"extract_date": "2024-06-30"}, "`extract_date` is before the window ends"),
        ({"file_format": "xlsx"}, "must be one of 'parquet', 'csv'"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: dict, message: str):
    with pytest.raises(StudyFileError, match=message):
        simulate_medi_cal(tmp_path, **{"members": 10, **options})
    assert not (tmp_path / "raw").exists()


def test_files_that_no_simulation_wrote_are_left_alone(tmp_path: Path):
    (tmp_path / "raw").mkdir()
    mine = tmp_path / "raw" / "eligibility.parquet"
    mine.write_text("real data")
    with pytest.raises(OutputError, match="holds files that no simulation wrote"):
        simulate_medi_cal(tmp_path, members=10)
    assert mine.read_text() == "real data"


def test_a_failed_run_leaves_the_earlier_study_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    simulate_medi_cal(tmp_path, members=50, seed=1)
    before = files_of(tmp_path)

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(medi_cal, "write_chunk", full_disk)
    with pytest.raises(OutputError, match="No space left on device"):
        simulate_medi_cal(tmp_path, members=60, seed=2)
    assert files_of(tmp_path) == before


def test_a_simulated_study_may_be_replaced(tmp_path: Path):
    simulate_medi_cal(tmp_path, members=50, seed=1)
    study = simulate_medi_cal(tmp_path, members=60, seed=2)
    assert raw(study, "person")["member_id"].nunique() == 60


def test_repr_shows_counts_only(study: SimulatedStudy):
    lines = study.n_rows["medical_claim"]
    assert repr(study) == f"SimulatedStudy({MEMBERS:,} members, {lines:,} claim lines, seed 7)"
