"""The section `[rules]` of a study file and the rules of the panel are one thing."""

from __future__ import annotations

import dataclasses

import pytest

from calaim_eval.engine import MEMORY_LIMIT_GB
from calaim_eval.errors import StudyFileError
from calaim_eval.panel import PanelRules
from calaim_eval.pipeline import panel as pipeline_panel
from calaim_eval.pipeline.panel import panel_rules
from calaim_eval.study import init_study, read_study
from calaim_eval.study.model import Computing, Coverage, Rules, Window


def test_every_rule_of_the_panel_has_a_place_in_the_study_file_and_the_same_default():
    elsewhere = {*Coverage.model_fields, *Window.model_fields}
    defaults = {field.name: field.default for field in dataclasses.fields(PanelRules)}
    assert {name for name in defaults if name not in elsewhere} == set(Rules.model_fields)
    assert Rules().model_dump() == {name: defaults[name] for name in Rules.model_fields}


def test_rules_of_the_study_file_reach_the_panel(tmp_path):
    path = init_study(tmp_path / "study")
    text = path.read_text("utf-8")
    given = '[rules]\nreadmission_ages = [18, 64]\ndrg_system = "apr_drg"\n\n[equity]'
    path.write_text(text.replace("[equity]", given), "utf-8")
    rules = panel_rules(read_study(path))
    assert rules.readmission_ages == (18, 64)
    assert rules.drg_system == "apr_drg"
    assert rules.ed_definition == PanelRules().ed_definition


def test_a_rule_nobody_knows_is_named(tmp_path):
    path = init_study(tmp_path / "study")
    text = path.read_text("utf-8").replace("[equity]", "[rules]\ndrg_sistem = 1\n\n[equity]")
    path.write_text(text, "utf-8")
    with pytest.raises(StudyFileError, match="did you mean `drg_system`"):
        read_study(path)


def test_the_study_file_says_what_works_on_the_data(tmp_path, monkeypatch):
    path = init_study(tmp_path / "study")
    text = path.read_text("utf-8")
    given = '[computing]\nengine = "spark"\nmemory_limit_gb = 3\n\n[equity]'
    path.write_text(text.replace("[equity]", given), "utf-8")
    asked = {}

    def build(tables, **options):
        asked["panel"] = options
        return "panel"

    def read(place, **options):
        asked["tables"] = options

    monkeypatch.setattr(pipeline_panel, "build_member_months", build)
    monkeypatch.setattr(pipeline_panel, "read_tables", read)
    monkeypatch.setattr(pipeline_panel, "restate_panel", lambda study, panel: None)
    monkeypatch.setattr(pipeline_panel, "write_unclassified", lambda study, panel: None)
    study = read_study(path)
    assert pipeline_panel.build_panel(study) == "panel"
    assert (asked["panel"]["engine"], asked["panel"]["memory_limit_gb"]) == ("spark", 3)
    assert asked["tables"]["memory_limit_gb"] == 3
    assert Computing() == Computing(engine="duckdb", memory_limit_gb=MEMORY_LIMIT_GB)
    path.write_text(path.read_text("utf-8").replace('"spark"', '"dask"'), "utf-8")
    with pytest.raises(StudyFileError, match=r"computing.engine"):
        read_study(path)


def test_ages_in_the_wrong_order_are_refused_before_anything_is_read(tmp_path):
    path = init_study(tmp_path / "study")
    given = "[rules]\nreadmission_ages = [64, 18]\n\n[equity]"
    path.write_text(path.read_text("utf-8").replace("[equity]", given), "utf-8")
    with pytest.raises(StudyFileError, match=r"rules.readmission_ages: \[64, 18\] is not"):
        read_study(path)
