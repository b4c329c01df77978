"""Raw files of a study to its checked tables and member-month panel."""

from __future__ import annotations

from pathlib import Path

from calaim_eval.engine.write import atomic_file
from calaim_eval.panel import MemberMonths, PanelRules, build_member_months
from calaim_eval.pipeline.restatement import restate_panel, restatement_file
from calaim_eval.study import Study
from calaim_eval.tables import Tables, read_tables

_MOST = 10
"""Unclassified codes that are listed one by one."""


def read_study_tables(study: Study) -> Tables:
    """Read, check and set in order the raw files that the study file names."""
    return read_tables(
        study.input_place,
        work_dir=study.restricted / "tables",
        source=study.file.input.format,
        input_map=study.file.input.input_map,
        extract_date=study.file.window.extract_date,
        extraction=study.file.input.extraction,
        partners=study.partner_folders,
        memory_limit_gb=study.file.computing.memory_limit_gb,
        race=study.file.equity.race_rule,
    )


def panel_rules(study: Study) -> PanelRules:
    """Rules of the panel that the study file states."""
    coverage = study.file.coverage
    return PanelRules(
        payer_types=coverage.payer_types,
        month_rule=coverage.month_rule,
        max_gap_months=coverage.max_gap_months,
        exclude_duals=coverage.exclude_duals,
        custody_months=coverage.custody_months,
        run_out_months=study.file.window.run_out_months,
        **study.file.rules.model_dump(),
    )


def build_panel(study: Study, tables: Tables | None = None) -> MemberMonths:
    """The study's member-month panel; resumes where an interrupted run stopped."""
    file = study.file
    tables = tables or read_study_tables(study)
    panel = build_member_months(
        tables,
        first_month=str(file.months[0]),
        last_month=str(file.months[-1]),
        rules=panel_rules(study),
        out_dir=study.restricted / "panel",
        memory_limit_gb=file.computing.memory_limit_gb,
        engine=file.computing.engine,
        keep_counts=True,
    )
    write_unclassified(study, panel)
    restate_panel(study, panel)
    return panel


def unclassified_file(study: Study) -> Path:
    """Where claim lines with a program's code that are of no program are listed."""
    return study.restricted / "panel" / "unclassified_lines.csv"


def write_unclassified(study: Study, panel: MemberMonths) -> None:
    """Write the panel's unclassified lines by code, modifiers and reason; no file without any."""
    place = unclassified_file(study)
    if panel.unclassified.empty:
        place.unlink(missing_ok=True)
        return
    with atomic_file(place) as temporary:
        panel.unclassified.to_csv(temporary, index=False)


def panel_findings(study: Study, panel: MemberMonths) -> list[str]:
    """What a reader of a new panel should see, in lines: unclassified codes, what was restated."""
    lines = []
    if panel.n_unclassified:
        lines.append(
            f"Program codes that no modifier explains: {panel.n_unclassified:,} claim lines."
        )
        for row in panel.unclassified.head(_MOST).itertuples(index=False):
            modifiers = row.modifiers or "no modifier"
            lines.append(f"  {row.hcpcs_code}, {modifiers}: {row.n_lines:,} ({row.reason})")
        others = len(panel.unclassified) - _MOST
        start = f"  and {others} other combinations; all" if others > 0 else "  These"
        lines.append(f"{start} are in {unclassified_file(study)}")
    if restatement_file(study).is_file():
        lines.append(f"What this extract restated of the one before: {restatement_file(study)}")
    return lines
