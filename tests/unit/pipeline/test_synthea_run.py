"""The main job on people, coverage and claims made by other generators."""

from __future__ import annotations

import pandas as pd
import pytest

from calaim_eval.pipeline import read_study_tables, run_study
from calaim_eval.report import open_release
from calaim_eval.report.numbers import SUPPRESSED_MARK
from calaim_eval.study import init_study, read_study

QUARTER = "2023Q2"
SHAPES = {"synthea_dbt27": "Id", "synthea_ca": "patient_id"}


@pytest.fixture(scope="module", params=SHAPES)
def synthea_run(request, shared, tmp_path_factory):
    raw = shared / "data" / request.param
    folder = tmp_path_factory.mktemp(request.param)
    path = init_study(folder, input_format="synthea", raw=str(raw))
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('["html", "pdf", "docx"]', '["html"]'), encoding="utf-8")
    study = read_study(path)
    pages = run_study(study, QUARTER, step=lambda _, work: work())
    return study, raw, pages


@pytest.mark.shared
def test_every_person_of_the_export_is_in_the_ledger(synthea_run):
    study, raw, _ = synthea_run
    ledger = read_study_tables(study).ledger.to_frame()
    people = ledger[(ledger["table"] == "person") & (ledger["stage"] == "read")]
    assert people["n_rows"].sum() == len(pd.read_csv(raw / "patients.csv"))


@pytest.mark.shared
def test_small_groups_are_suppressed_and_the_page_says_so(synthea_run):
    study, raw, pages = synthea_run
    released = open_release(study.release_folder(QUARTER))
    members = released.tables["members_by_group"].frame
    shown = members.loc[~members["is_suppressed"], "numerator"]
    assert not shown.between(1, 10).any()
    assert members["is_suppressed"].any()
    page = pages["html"].read_text(encoding="utf-8")
    assert SUPPRESSED_MARK in page
    ids = pd.read_csv(raw / "patients.csv")[SHAPES[raw.name]]
    assert not any(str(member) in page for member in ids)


@pytest.mark.shared
def test_without_program_records_no_effect_is_reported(synthea_run):
    study, _, pages = synthea_run
    released = open_release(study.release_folder(QUARTER))
    assert not [name for name in released.tables if name.startswith("effect_")]
    assert "Not in this release" in pages["html"].read_text(encoding="utf-8")
