"""Emergency ambulance trips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.code_patterns import listed
from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.care import Care
    from calaim_eval.panel.claim_lines import ClaimLines

GROUND = listed("ambulance_transport", "ground emergency base")
AIR = listed("ambulance_transport", "air emergency base")


def is_ambulance(lines: ClaimLines) -> Value:
    """Base-rate code of an emergency transport."""
    return lines.has(GROUND) | lines.has(AIR)


def _trips(care: Care) -> Table:
    """One row per member and day with a transport."""
    return care.lines_of(is_ambulance).select("member", "day").distinct()


MEASURES = (
    Measure(
        name="ambulance_trips",
        label="Ambulance trips",
        title="Ambulance trips",
        definition="Emergency transports by base-rate code (A0427, A0429, A0433; air A0430, "
        "A0431), one per member and day; mileage lines are not trips.",
        code_lists=("ambulance_transport",),
        source="Tuva Project claims preprocessing (commit 6be34c7); emergency subset unconfirmed",
        confirmed="partial",
        line_kinds=(is_ambulance,),
        events=_trips,
        fewer_is_better=True,
    ),
)
