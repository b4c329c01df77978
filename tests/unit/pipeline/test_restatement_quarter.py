"""The quarter before is kept in totals, and the next one says what it changed."""

from __future__ import annotations

import logging

import pandas as pd
import pytest

from calaim_eval.panel import MemberMonths, PanelRules
from calaim_eval.pipeline.panel import (
    panel_findings,
    panel_rules,
    unclassified_file,
    write_unclassified,
)
from calaim_eval.pipeline.restatement import restate_panel, restatement_file
from calaim_eval.study import init_study, read_study


@pytest.fixture
def study(tmp_path):
    return init_study(tmp_path / "study")


def at(study, extract_date, run_out_months=0, **coverage):
    """The study with another extract date."""
    text = study.read_text(encoding="utf-8")
    text = text.replace("extract_date = 2025-06-30", f"extract_date = {extract_date}")
    text = text.replace("run_out_months = 0", f"run_out_months = {run_out_months}")
    for key, value in coverage.items():
        text = text.replace("[coverage]", f'[coverage]\n{key} = "{value}"')
    other = study.with_name(f"study_{extract_date}.toml")
    other.write_text(text, encoding="utf-8")
    return read_study(other)


def panel(visits, rules=None):
    frame = pd.DataFrame(
        {
            "member_id": "secret-1",
            "month": ["2024-11-01", "2024-12-01"],
            "covered_days": 30,
            "ed_visits": visits,
        }
    )
    return MemberMonths.from_frames(frame, rules=rules)


def test_the_next_quarter_says_what_it_restated(study):
    first = at(study, "2025-03-31")
    assert restate_panel(first, panel([4, 2])) is None
    assert not restatement_file(first).exists()
    kept = list((first.restricted / "panel" / "summaries").iterdir())
    assert [each.name for each in kept] == ["summary-2025-03-31.json"]
    assert "secret" not in kept[0].read_text(encoding="utf-8")
    second = at(study, "2025-06-30")
    restate_panel(second, panel([4, 3]))
    told = pd.read_csv(restatement_file(second))
    visits = told[told["measure"] == "ed_visits"]
    assert visits[["month", "earlier", "later"]].to_numpy().tolist() == [
        ["2024-11", 4.0, 4.0],
        ["2024-12", 2.0, 3.0],
    ]
    assert any("restated" in line for line in panel_findings(second, panel([4, 3])))
    # Again with the same extract: still compared with the quarter before, not with itself.
    restate_panel(second, panel([4, 5]))
    told = pd.read_csv(restatement_file(second))
    assert told.loc[told["measure"] == "ed_visits", "earlier"].tolist() == [4.0, 2.0]


def test_other_rules_are_not_compared(study, caplog):
    restate_panel(at(study, "2025-03-31"), panel([4, 2]))
    second = at(study, "2025-06-30")
    with caplog.at_level(logging.WARNING):
        assert restate_panel(second, panel([4, 3], PanelRules(month_rule="first_day"))) is None
    assert "different rules: `month_rule`" in caplog.text
    assert not restatement_file(second).exists()


def test_the_study_file_sets_run_out_and_custody_months(study):
    rules = panel_rules(at(study, "2025-06-30", run_out_months=3, custody_months="leave_out"))
    assert rules.run_out_months == 3
    assert rules.custody_months == "leave_out"
    assert panel_rules(read_study(study)).custody_months == "keep"


def test_unclassified_codes_are_listed_without_members(study):
    built = panel([0, 0])
    rows = [(f"H{i:04d}", "U4" if i % 2 else "", "why", 20 - i) for i in range(12)]
    listed = pd.DataFrame(rows, columns=["hcpcs_code", "modifiers", "reason", "n_lines"])
    odd = MemberMonths(**{**vars(built), "unclassified": listed, "n_unclassified": 174})
    lines = panel_findings(read_study(study), odd)
    assert lines[0] == "Program codes that no modifier explains: 174 claim lines."
    assert lines[1:3] == ["  H0000, no modifier: 20 (why)", "  H0001, U4: 19 (why)"]
    loaded = read_study(study)
    assert lines[-1] == f"  and 2 other combinations; all are in {unclassified_file(loaded)}"


def test_all_unclassified_codes_are_in_a_file_that_goes_when_there_are_none(study):
    loaded, built = read_study(study), panel([0, 0])
    rows = [("H0044", "U4;U9", "why", 11), ("T1016", "", "other", 1)]
    listed = pd.DataFrame(rows, columns=["hcpcs_code", "modifiers", "reason", "n_lines"])
    odd = MemberMonths(**{**vars(built), "unclassified": listed, "n_unclassified": 12})
    write_unclassified(loaded, odd)
    file = unclassified_file(loaded)
    assert file == loaded.restricted / "panel" / "unclassified_lines.csv"
    assert file.read_text(encoding="utf-8").splitlines() == [
        "hcpcs_code,modifiers,reason,n_lines",
        "H0044,U4;U9,why,11",
        "T1016,,other,1",
    ]
    write_unclassified(loaded, built)
    assert not file.exists()
