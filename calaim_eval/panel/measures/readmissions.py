"""Thirty-day readmissions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.inpatient_lines import has_stay_evidence, is_inpatient
from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care
    from calaim_eval.panel.rules import PanelRules


def _readmissions(care: Care) -> Table:
    """Discharge of each index stay that was followed by an admission."""
    from calaim_eval.panel.readmissions import readmissions

    return readmissions(care.bucket, care.episodes)


def _follow_up(rules: PanelRules) -> int:
    """Days a discharge is followed."""
    return rules.readmission_days


MEASURES = (
    Measure(
        name="readmissions_30d",
        label="30-day readmissions",
        title="Readmissions within 30 days",
        definition="Index stays discharged in the month that were followed by an admission for "
        "any cause within 30 days. Not index stays: same-day stays, deaths, transfers out, "
        "departures against advice, patients not yet discharged. Observed only: planned "
        "readmissions are not taken out and there is no risk adjustment. Missing in months whose "
        "discharges cannot all be followed for 30 days before the claims end.",
        code_lists=("readmission_30d",),
        source="Tuva Project claims preprocessing (commit 6be34c7), readmissions mart; HEDIS Plan "
        "All-Cause Readmissions, simplified",
        confirmed="partial",
        line_kinds=(is_inpatient, has_stay_evidence),
        events=_readmissions,
        follow_up_days=_follow_up,
        fewer_is_better=True,
    ),
)
