"""What a user with broken files sees: a message, a code, and earlier outputs as they were."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from calaim_eval import cli
from calaim_eval.errors import OutputError, StudyFileError, TableError
from calaim_eval.study import study_template

MEMBERS = [f"MBR{i:05d}" for i in range(1, 25)]


def _raw() -> dict[str, pd.DataFrame]:
    """Three small tables without a fault."""
    n = len(MEMBERS)
    return {
        "eligibility": pd.DataFrame(
            {
                "member_id": MEMBERS,
                "enrollment_start_date": ["2021-01-01"] * n,
                "enrollment_end_date": ["2024-12-31"] * n,
                "plan": ["Plan A"] * n,
                "county": ["Kings"] * n,
            }
        ),
        "person": pd.DataFrame(
            {
                "member_id": MEMBERS,
                "birth_date": ["1970-03-05"] * n,
                "death_date": [""] * n,
                "sex": ["female"] * n,
                "race_code": ["1", "3"] * (n // 2),
                "race_code_system": ["meds"] * n,
            }
        ),
        "medical_claim": pd.DataFrame(
            {
                "claim_id": [f"C{i}" for i in range(n)],
                "claim_line_number": [1] * n,
                "claim_type": ["institutional"] * n,
                "member_id": MEMBERS,
                "claim_start_date": ["2022-05-06"] * n,
                "claim_end_date": ["2022-05-06"] * n,
                "bill_type_code": ["131"] * n,
                "revenue_center_code": ["0450"] * n,
                "facility_npi": ["1000000001"] * n,
            }
        ),
    }


def _write(folder: Path, frames: dict[str, pd.DataFrame]) -> Path:
    raw = folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        frame.to_csv(raw / f"{name}.csv", index=False)
    text = study_template("synthea").replace('format = "synthea"', 'format = "calaim"')
    (folder / "study.toml").write_text(text, encoding="utf-8")
    return folder / "study.toml"


def _run(monkeypatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["calaim-eval", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return int(stopped.value.code or 0)


def _bytes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _shows_no_member(text: str) -> None:
    assert not re.search(r"MBR\d+", text)
    for value in ("1970-03-05", "2022-05-06", "1899", "2019-09-09"):
        assert value not in text


def test_files_without_a_fault_are_clean(tmp_path, monkeypatch, capsys):
    assert _run(monkeypatch, "check", _write(tmp_path, _raw())) == 0
    _shows_no_member("".join(capsys.readouterr()))


STRUCTURAL = {
    "missing column": (
        lambda f: f.update(
            eligibility=f["eligibility"].rename(columns={"enrollment_end_date": "coverage_end_dt"})
        ),
        r"`eligibility` lacks column `enrollment_end_date`",
    ),
    "empty table": (
        lambda f: f.update(eligibility=f["eligibility"].iloc[:0]),
        r"`eligibility`.*(empty|no rows)",
    ),
    "missing table": (lambda f: f.pop("person"), r"`person`"),
}


@pytest.mark.parametrize("fault", STRUCTURAL)
def test_a_table_that_cannot_be_used_stops_with_a_message(fault, tmp_path, monkeypatch, capsys):
    study = _write(tmp_path, _raw())
    assert _run(monkeypatch, "panel", study) == 0
    before = _bytes(tmp_path / "restricted")
    frames = _raw()
    break_it, message = STRUCTURAL[fault]
    break_it(frames)
    for path in (tmp_path / "raw").iterdir():
        path.unlink()
    _write(tmp_path, frames)
    capsys.readouterr()
    assert _run(monkeypatch, "panel", study) == TableError.exit_code
    shown = capsys.readouterr().err
    assert re.search(message, shown, flags=re.DOTALL)
    assert "Traceback" not in shown
    _shows_no_member(shown)
    assert before.items() <= _bytes(tmp_path / "restricted").items()


def _set(table: str, column: str, value: str, rows: int = 3):
    def change(frames: dict[str, pd.DataFrame]) -> None:
        frame = frames[table].astype({column: "object"})
        frame.loc[: rows - 1, column] = value
        frames[table] = frame

    return change


ROWS = {
    "wrong type": (
        _set("eligibility", "enrollment_start_date", "soon"),
        "enrollment_start_date",
        3,
    ),
    "impossible dates": (
        _set("eligibility", "enrollment_end_date", "2019-09-09"),
        "`enrollment_end_date` is before `enrollment_start_date`",
        3,
    ),
    "a date before anyone lived": (
        _set("medical_claim", "claim_start_date", "1899-01-01"),
        "claim_start_date",
        3,
    ),
    "no member": (_set("medical_claim", "member_id", ""), "member_id", 3),
    "a claim for nobody": (_set("medical_claim", "member_id", "MBR99999"), "eligibility", 3),
}


@pytest.mark.parametrize("fault", ROWS)
def test_rows_that_cannot_be_used_are_counted_by_reason(fault, tmp_path, monkeypatch, capsys):
    frames = _raw()
    break_it, reason, n_rows = ROWS[fault]
    break_it(frames)
    code = _run(monkeypatch, "check", _write(tmp_path, frames))
    shown = "".join(capsys.readouterr())
    assert code == cli.FINDINGS_EXIT_CODE
    assert re.search(rf"\b{n_rows}  [^\n]*{re.escape(reason)}", shown)
    _shows_no_member(shown)


def test_repeated_keys_keep_one_row_and_count_the_rest(tmp_path, monkeypatch, capsys):
    frames = _raw()
    changed = frames["person"].iloc[:4].assign(sex="male")
    frames["person"] = pd.concat([frames["person"], changed])
    code = _run(monkeypatch, "check", _write(tmp_path, frames))
    shown = "".join(capsys.readouterr())
    assert code == cli.FINDINGS_EXIT_CODE
    assert re.search(r"\b4  [^\n]*repeats the key", shown)
    _shows_no_member(shown)


def test_unknown_codes_and_spans_after_death_are_remarked_and_kept(tmp_path, monkeypatch, capsys):
    frames = _raw()
    _set("person", "race_code", "??")(frames)
    _set("person", "death_date", "2023-01-15", rows=2)(frames)
    study = _write(tmp_path, frames)
    _run(monkeypatch, "check", study)
    shown = "".join(capsys.readouterr())
    assert re.search(r"\b3  [^\n]*race", shown)
    assert _run(monkeypatch, "panel", study) == 0
    shown = "".join(capsys.readouterr())
    assert "2023-01-15" not in shown


def test_a_corrupt_file_is_named(tmp_path, monkeypatch, capsys):
    study = _write(tmp_path, _raw())
    (tmp_path / "raw" / "person.csv").unlink()
    (tmp_path / "raw" / "person.parquet").write_bytes(b"PAR1 this is not parquet")
    assert _run(monkeypatch, "check", study) == TableError.exit_code
    shown = capsys.readouterr().err
    assert "person.parquet" in shown
    assert "Traceback" not in shown


def test_a_study_file_with_typos_says_all_of_them(tmp_path, monkeypatch, capsys):
    study = _write(tmp_path, _raw())
    text = study.read_text(encoding="utf-8")
    study.write_text(
        text.replace("month_rule", "month_rul").replace('"any_day"', '"every_day"'),
        encoding="utf-8",
    )
    assert _run(monkeypatch, "check", study) == StudyFileError.exit_code
    assert "did you mean `month_rule`" in capsys.readouterr().err


def test_a_quarter_without_data_is_refused_before_anything_is_read(tmp_path, monkeypatch, capsys):
    study = _write(tmp_path, _raw())
    assert _run(monkeypatch, "run", study, "--quarter", "2031Q1") == StudyFileError.exit_code
    assert "no data" in capsys.readouterr().err
    assert not (tmp_path / "restricted").exists()


def test_a_folder_that_cannot_be_written_is_said_plainly(tmp_path, monkeypatch, capsys):
    study = _write(tmp_path, _raw())
    (tmp_path / "restricted").write_text("a file where a folder should be", encoding="utf-8")
    assert _run(monkeypatch, "panel", study) == OutputError.exit_code
    shown = capsys.readouterr().err
    assert "restricted" in shown
    assert "Traceback" not in shown
