"""Days in a nursing facility."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.inpatient_lines import STAY_LINES
from calaim_eval.panel.measure import Measure
from calaim_eval.panel.nursing_lines import is_leave, is_nursing

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care


def _days(care: Care) -> Table:
    """One row per member and day."""
    from calaim_eval.panel.nursing import nursing_days

    return nursing_days(care)


MEASURES = (
    Measure(
        name="snf_days",
        label="Nursing facility days",
        title="Days in a nursing facility",
        definition="Days of the month from the first to the last day (of the line, else of the "
        "claim) of lines on an institutional bill of type 18x, 21x, 22x, 27x or 28x, or with "
        "revenue code 0022 or 0190-0194 on any institutional bill, other than lines of leave of "
        "absence (018x); each day of a member once. The last day of a claim (its discharge date, "
        "else last day of service, or the last day of such a line where that is later) is the "
        "discharge and does not count for a line with a patient status other than 30, unless it "
        "is the line's only day or another line covers it. Left out are days of a leave line that "
        "has days of its own, not those of its whole claim, and nights of `inpatient_stays` (the "
        "hospital goes first).",
        version="2",
        code_lists=("snf_days",),
        source="Tuva Project claims preprocessing (commit 6be34c7); public SQL of a San Diego "
        "plan; discharge day, leave and hospital rules are this study's",
        confirmed="partial",
        line_kinds=(is_nursing, is_leave, *STAY_LINES),
        events=_days,
    ),
)
