"""A study's panel where care cannot be counted beside its tables, or need not be."""

from __future__ import annotations

import logging
import shutil

import pandas as pd
import pytest

from calaim_eval.panel.care_files import care_folder, counts_file
from calaim_eval.panel.resume import share_file
from calaim_eval.pipeline import build_panel
from calaim_eval.study import init_study, read_study
from calaim_eval.tables import Tables


@pytest.fixture
def tables(tmp_path):
    spans = pd.DataFrame({"member_id": ["a"], "enrollment_start_date": ["2022-01-10"]})
    spans["enrollment_end_date"] = "2024-12-31"
    return Tables.from_frames({"eligibility": spans}, work_dir=tmp_path / "tables")


@pytest.fixture
def study(tmp_path):
    return read_study(init_study(tmp_path / "study"))


def test_a_tables_folder_that_cannot_be_written_still_gives_the_panel(study, tables, caplog):
    care_folder(tables).write_text("no folder", "utf-8")
    with caplog.at_level(logging.WARNING):
        panel = build_panel(study, tables)
    assert panel.n_member_months == 36
    assert "the panel is built from the claims" in caplog.text


def test_care_is_counted_for_a_panel_that_is_built_and_not_for_one_that_is_opened(study, tables):
    built = build_panel(study, tables)
    assert counts_file(tables, 0).is_file()
    shutil.rmtree(care_folder(tables))
    opened = build_panel(study, tables)
    assert not care_folder(tables).exists()
    pd.testing.assert_frame_equal(opened.to_frame(), built.to_frame())
    share_file(built.folder, 0).unlink()
    build_panel(study, tables)
    assert counts_file(tables, 0).is_file()
