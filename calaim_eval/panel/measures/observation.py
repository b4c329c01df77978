"""Observation stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.inpatient_lines import STAY_LINES
from calaim_eval.panel.measure import Measure
from calaim_eval.panel.observation_lines import (
    is_observation_facility,
    is_observation_professional,
)

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care

LINE_KINDS = (
    is_observation_facility,
    is_observation_professional,
    *STAY_LINES,
)


def _stays(care: Care) -> Table:
    """First day of each stay."""
    return care.observation_stays.select("member", "day")


MEASURES = (
    Measure(
        name="observation_stays",
        label="Observation stays",
        title="Hospital observation stays",
        definition="Lines with revenue code 0760 or 0762 or procedure G0378, G0379, 99217-99220, "
        "99224-99226 or 99234-99236 on an institutional claim other than bill type 11x: the days "
        "of such lines (first to last day of the line, else of the claim) of one member and "
        "facility (facility NPI, else rendering NPI) that overlap or follow one another are one "
        "stay. A professional's claim with one of the procedures is a stay, its days joined in "
        "the same way, only where no facility's observation stay is within a day of it. An "
        "observation stay is not counted where an inpatient stay of the member, at any facility, "
        "begins on one of its days or the day after, or began before and ends after its first "
        "day. By month of the first day. From 2023 professionals bill observation with the codes "
        "of inpatient care (99221-99223), which do not count.",
        code_lists=("observation_stay",),
        source="Tuva Project claims preprocessing (commit 6be34c7) for 0762 and the G codes; "
        "0760 and the CPT codes unconfirmed",
        confirmed="partial",
        line_kinds=LINE_KINDS,
        events=_stays,
        fewer_is_better=True,
    ),
)
