"""A study's panel where care cannot be counted beside its tables."""

from __future__ import annotations

import logging

import pandas as pd

from calaim_eval.panel.care_files import care_folder
from calaim_eval.pipeline import build_panel
from calaim_eval.study import init_study, read_study
from calaim_eval.tables import Tables


def test_a_tables_folder_that_cannot_be_written_still_gives_the_panel(tmp_path, caplog):
    spans = pd.DataFrame({"member_id": ["a"], "enrollment_start_date": ["2022-01-10"]})
    spans["enrollment_end_date"] = "2024-12-31"
    study = read_study(init_study(tmp_path / "study"))
    tables = Tables.from_frames({"eligibility": spans}, work_dir=tmp_path / "tables")
    care_folder(tables).write_text("no folder", "utf-8")
    with caplog.at_level(logging.WARNING):
        panel = build_panel(study, tables)
    assert panel.n_member_months == 36
    assert "the panel is built from the claims" in caplog.text
