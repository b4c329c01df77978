"""Acute inpatient stays and their days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.inpatient_lines import has_stay_evidence, is_inpatient
from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care

TUVA = "Tuva Project claims preprocessing (commit 6be34c7)"


def _stays(care: Care) -> Table:
    """Day of admission of each episode."""
    return care.episodes.select("member", day="admit_day")


def _nights(care: Care) -> Table:
    """Nights by month."""
    return care.nights.select("member", "month", value="n_days")


MEASURES = (
    Measure(
        name="inpatient_stays",
        label="Inpatient stays",
        title="Hospital stays",
        definition="Acute stays (bill type 11x with a room-and-board line or a DRG) by month of "
        "admission; interim bills and overlapping claims of a facility are one stay, and an "
        "admission to another facility on the day of discharge or the day after continues it.",
        code_lists=("ip_admission", "ip_stay"),
        source=f"{TUVA}; direct-transfer rule of HEDIS Plan All-Cause Readmissions",
        confirmed="partial",
        line_kinds=(is_inpatient, has_stay_evidence),
        events=_stays,
        fewer_is_better=True,
    ),
    Measure(
        name="inpatient_days",
        label="Inpatient days",
        title="Hospital days",
        definition="Nights of inpatient stays, each in its own month; at least one a stay.",
        code_lists=("ip_days",),
        source=f"{TUVA}, readmissions mart",
        confirmed="partial",
        line_kinds=(is_inpatient, has_stay_evidence),
        events=_nights,
        fewer_is_better=True,
    ),
)
