"""Emergency department visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.emergency_lines import is_ed_facility, is_ed_professional
from calaim_eval.panel.inpatient_lines import is_inpatient
from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care


def _visits(care: Care) -> Table:
    """First day of each visit."""
    return care.ed_visits.select("member", "day")


MEASURES = (
    Measure(
        name="ed_visits",
        label="ED visits",
        title="Emergency department visits",
        definition="Facility visits (revenue codes 0450-0452, 0454, 0455, 0459, 0981, or "
        "procedures 99281-99285 and G0380-G0384, on outpatient hospital bills 13x, 14x, 85x), one "
        "per member, facility and start; claims of a facility that start within a day of the "
        "visit's first day join it. Professional claims (place of service 23 or the same "
        "procedures) count only where no facility visit is within a day and no inpatient stay "
        "covers the day or the day after. A visit billed on an inpatient claim is part of the "
        "stay, not a visit.",
        code_lists=("ed_visit",),
        source="Tuva Project claims preprocessing (commit 6be34c7); public SQL of a San Diego plan",
        confirmed="partial",
        line_kinds=(is_ed_facility, is_ed_professional, is_inpatient),
        events=_visits,
        fewer_is_better=True,
    ),
)
