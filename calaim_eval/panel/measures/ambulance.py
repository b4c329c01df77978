"""Ambulance trips, and calls that ended without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.code_patterns import listed
from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table, Value

    from calaim_eval.panel.care import Care
    from calaim_eval.panel.claim_lines import ClaimLines
    from calaim_eval.panel.measure import LineKind

GROUND = listed("ambulance_transport", "ground emergency base")
AIR = listed("ambulance_transport", "air emergency base")
NON_EMERGENCY = listed("ambulance_transport", "non-emergency base")
NO_TRANSPORT = listed("ambulance_no_transport", "response without transport")
ORIGIN_DESTINATION = "^[DEGHIJNPRSX][DEGHIJNPRSX]$"
"""Modifiers that say from where to where: a letter for each (CMS ambulance modifiers)."""

TRIPS = (
    "one per member, day and origin-destination pair. The pair is the first modifier where it is "
    "two of the letters D, E, G, H, I, J, N, P, R, S, X; lines without a pair are together one "
    "trip on a day on which no such line has a pair, and none on other days. Mileage lines are "
    "not trips."
)
SOURCE = "Tuva Project claims preprocessing (commit 6be34c7); CMS origin-destination modifiers"


def is_ambulance(lines: ClaimLines) -> Value:
    """Base-rate code of an emergency transport."""
    return lines.has(GROUND) | lines.has(AIR)


def is_non_emergency_ambulance(lines: ClaimLines) -> Value:
    """Base-rate code of another transport."""
    return lines.has(NON_EMERGENCY)


def is_response_without_transport(lines: ClaimLines) -> Value:
    """Ambulance response and treatment, no transport."""
    return lines.has(NO_TRANSPORT)


def _trips_of(care: Care, kind: LineKind) -> Table:
    """One row per member, day and origin-destination pair."""
    import ibis

    lines = care.lines_of(kind)
    modifier = lines["hcpcs_modifier_1"].upper()
    is_pair = modifier.re_search(ORIGIN_DESTINATION).fill_null(False)
    told = lines.select("member", "day", pair=ibis.ifelse(is_pair, modifier, "")).distinct()
    of_day = ibis.window(group_by=["member", "day"])
    trips = told.mutate(last_pair=told["pair"].max().over(of_day))
    return trips.filter((trips["pair"] != "") | (trips["last_pair"] == "")).select("member", "day")


def _trips(care: Care) -> Table:
    """Emergency trips."""
    return _trips_of(care, is_ambulance)


def _other_trips(care: Care) -> Table:
    """Other trips."""
    return _trips_of(care, is_non_emergency_ambulance)


def _responses(care: Care) -> Table:
    """One row per member and day."""
    return care.lines_of(is_response_without_transport).select("member", "day").distinct()


MEASURES = (
    Measure(
        name="ambulance_trips",
        label="Ambulance trips",
        title="Ambulance trips",
        definition="Emergency transports by base-rate code (A0427, A0429, A0433; air A0430, "
        f"A0431): {TRIPS}",
        version="2",
        code_lists=("ambulance_transport",),
        source=f"{SOURCE}; emergency subset unconfirmed",
        confirmed="partial",
        line_kinds=(is_ambulance,),
        events=_trips,
        fewer_is_better=True,
    ),
    Measure(
        name="ambulance_non_emergency_trips",
        label="Non-emergency ambulance trips",
        title="Non-emergency ambulance trips",
        definition="Transports by base-rate code A0426, A0428 or A0434 (non-emergency, specialty "
        f"care): {TRIPS}",
        code_lists=("ambulance_transport",),
        source=f"{SOURCE}; subset unconfirmed",
        confirmed="partial",
        line_kinds=(is_non_emergency_ambulance,),
        events=_other_trips,
    ),
    Measure(
        name="ambulance_responses_without_transport",
        label="Ambulance responses without transport",
        title="Ambulance responses without transport",
        definition="Lines with A0998 (response and treatment, no transport), one per member and "
        "day, whether or not there was a trip that day.",
        code_lists=("ambulance_no_transport",),
        source="code list of this study; unconfirmed",
        confirmed="no",
        line_kinds=(is_response_without_transport,),
        events=_responses,
    ),
)
