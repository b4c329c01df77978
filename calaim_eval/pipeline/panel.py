"""Raw files of a study to its checked tables and member-month panel."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from calaim_eval.panel import MemberMonths, PanelRules, build_member_months
from calaim_eval.study import Study
from calaim_eval.tables import Tables, read_tables


def read_study_tables(study: Study) -> Tables:
    """Read, check and set in order the raw files that the study file names."""
    return read_tables(
        study.input_folder,
        work_dir=study.restricted / "tables",
        source=study.file.input.format,
        rename=study.file.input.rename or None,
        extract_date=study.file.window.extract_date,
    )


@dataclass(frozen=True, slots=True)
class Findings:
    """What became of every input row when it was read."""

    ledger: pd.DataFrame

    @property
    def n_set_aside(self) -> int:
        """Rows that cannot be used; exact duplicates and remarks on kept rows are not counted."""
        is_read = self.ledger["stage"] == "read"
        is_fine = self.ledger["reason"].isin(["used", "exact duplicate"])
        return int(self.ledger.loc[is_read & ~is_fine, "n_rows"].sum())


def check_study(study: Study) -> Findings:
    """Row-level findings by table, stage and reason; nothing is estimated.

    Raises
    ------
    TableError
        If a table cannot be used at all.
    """
    return Findings(read_study_tables(study).ledger.to_frame())


def build_panel(study: Study, tables: Tables | None = None) -> MemberMonths:
    """The study's member-month panel; resumes where an interrupted run stopped."""
    file = study.file
    return build_member_months(
        tables or read_study_tables(study),
        first_month=str(file.months[0]),
        last_month=str(file.months[-1]),
        rules=PanelRules(
            payer_types=file.coverage.payer_types,
            month_rule=file.coverage.month_rule,
            max_gap_months=file.coverage.max_gap_months,
            exclude_duals=file.coverage.exclude_duals,
        ),
        out_dir=study.restricted / "panel",
    )
