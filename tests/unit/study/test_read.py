from __future__ import annotations

from pathlib import Path

import pytest

from calaim_eval.errors import OutputError, StudyFileError
from calaim_eval.study import init_study, read_study, study_template


def _write(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("input_format", ["calaim", "synthea"])
def test_the_template_is_a_valid_study(tmp_path, input_format):
    study = read_study(init_study(tmp_path / "s", input_format=input_format))
    assert study.file.input.format == input_format
    assert (study.file.exposure is None) == (input_format == "synthea")
    assert (tmp_path / "s" / "raw").is_dir()


def test_a_study_file_that_is_there_is_not_overwritten(tmp_path):
    path = init_study(tmp_path)
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="not overwritten"):
        init_study(tmp_path)
    assert path.read_text(encoding="utf-8") == "mine"


def test_all_problems_are_said_at_once(tmp_path):
    text = (
        study_template()
        .replace('"not_yet_exposed"', '"controls"')
        .replace("maturation_days", "maturation_day")
        .replace('"jail_days"', '"jail_day"')
        .replace('policy = "calhhs_ddg_2"', "")
    )
    with pytest.raises(StudyFileError) as error:
        read_study(_write(tmp_path, text))
    message = str(error.value)
    assert "5 problems" in message
    assert "exposure.comparison: 'controls' is not one of 'never_exposed', 'not_yet_exposed'" in (
        message
    )
    assert "integration.maturation_day: unknown key; did you mean `maturation_days`?" in message
    assert "integration.maturation_days: missing" in message
    assert "disclosure.policy: missing" in message
    assert "'jail_day' is not a measure" in message


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('last_month = "2024-12"', 'last_month = "2020-12"', "must be after `first_month`"),
        ('first_month = "2021-01"', 'first_month = "Jan 2021"', "is not a month"),
        ("extract_date = 2025-06-30", "extract_date = 2024-06-30", "cannot hold it"),
        ("format_version = 1", "format_version = 9", "format_version"),
        ('study_id = "calaim_study"', 'study_id = "My Study"', "lower-case letters"),
    ],
)
def test_values_that_cannot_be_are_refused(tmp_path, old, new, expected):
    text = study_template()
    assert old in text
    with pytest.raises(StudyFileError, match=expected):
        read_study(_write(tmp_path, text.replace(old, new)))


def test_absent_and_broken_files_say_what_to_do(tmp_path):
    with pytest.raises(StudyFileError, match="calaim-eval init"):
        read_study(tmp_path / "study.toml")
    with pytest.raises(StudyFileError, match="not a TOML file"):
        read_study(_write(tmp_path, "this is = not [ toml"))


def test_a_quarter_without_data_is_refused(tmp_path):
    study = read_study(init_study(tmp_path))
    assert str(study.check_quarter("2024Q4")) == "2024Q4"
    for quarter in ("2025Q1", "2020Q4"):
        with pytest.raises(StudyFileError, match="no data"):
            study.check_quarter(quarter)
    for quarter in ("Q4 2024", "2024-10", "2024Q5", ""):
        with pytest.raises(StudyFileError, match="write a quarter as 2024Q4"):
            study.check_quarter(quarter)


def test_run_out_months_shorten_the_window(tmp_path):
    text = study_template().replace("run_out_months = 0", "run_out_months = 4")
    study = read_study(_write(tmp_path, text))
    assert str(study.file.months[-1]) == "2024-08"
    with pytest.raises(StudyFileError, match="no data"):
        study.check_quarter("2024Q3")


def test_the_hash_follows_the_bytes(tmp_path):
    first = read_study(_write(tmp_path, study_template())).sha256
    assert read_study(_write(tmp_path, study_template())).sha256 == first
    assert read_study(_write(tmp_path, study_template() + "\n")).sha256 != first


@pytest.mark.parametrize(
    ("last_month", "quarter"), [("2024-12", "2024Q4"), ("2024-11", "2024Q3"), ("2024-10", "2024Q3")]
)
def test_the_last_quarter_is_whole(tmp_path, last_month, quarter):
    path = init_study(tmp_path)
    text = path.read_text(encoding="utf-8").replace("2024-12", last_month)
    path.write_text(text, encoding="utf-8")
    study = read_study(path)
    assert study.last_quarter == quarter
    study.check_quarter(quarter)


def test_a_study_file_saved_with_a_byte_mark_is_the_same_study(tmp_path):
    text = study_template(input_format="calaim")
    plain = read_study(_write(tmp_path, text))
    (tmp_path / "study.toml").write_text(text, encoding="utf-8-sig")
    assert read_study(tmp_path / "study.toml").file == plain.file
