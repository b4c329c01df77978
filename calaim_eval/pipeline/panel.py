"""Raw files of a study to its checked tables and member-month panel."""

from __future__ import annotations

from calaim_eval.panel import MemberMonths, PanelRules, build_member_months
from calaim_eval.study import Study
from calaim_eval.tables import Tables, read_tables


def read_study_tables(study: Study) -> Tables:
    """Read, check and set in order the raw files that the study file names."""
    return read_tables(
        study.input_place,
        work_dir=study.restricted / "tables",
        source=study.file.input.format,
        input_map=study.file.input.input_map,
        extract_date=study.file.window.extract_date,
        extraction=study.file.input.extraction,
    )


def panel_rules(study: Study) -> PanelRules:
    """Rules of the panel that the study file states."""
    coverage = study.file.coverage
    return PanelRules(
        payer_types=coverage.payer_types,
        month_rule=coverage.month_rule,
        max_gap_months=coverage.max_gap_months,
        exclude_duals=coverage.exclude_duals,
    )


def build_panel(study: Study, tables: Tables | None = None) -> MemberMonths:
    """The study's member-month panel; resumes where an interrupted run stopped."""
    file = study.file
    return build_member_months(
        tables or read_study_tables(study),
        first_month=str(file.months[0]),
        last_month=str(file.months[-1]),
        rules=panel_rules(study),
        out_dir=study.restricted / "panel",
    )
