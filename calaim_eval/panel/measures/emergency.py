"""Emergency department visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.emergency_lines import is_ed_facility, is_ed_on_stay, is_ed_professional
from calaim_eval.panel.inpatient_lines import STAY_LINES
from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care

LINE_KINDS = (
    is_ed_facility,
    is_ed_professional,
    is_ed_on_stay,
    *STAY_LINES,
)
SOURCE = "Tuva Project claims preprocessing (commit 6be34c7); public SQL of a San Diego plan"
VISIT = (
    "Facility visits: lines with revenue code 0450-0452, 0454, 0455, 0459 or 0981 or procedure "
    "99281-99285 or G0380-G0384 on an institutional claim of bill type 13x, 14x or 85x, or of "
    "none. A line's day is its first day of service, else the claim's. The days of one claim that "
    "follow one another are a piece; pieces of one member and "
    "facility (facility NPI, else rendering NPI) that start within a day of a visit's first day "
    "are that visit, the next one starts another. Professional lines (place of service 23 or the "
    "same procedures) are a visit only on days with no facility visit from the day before its "
    "first day to the day after its last, and no inpatient stay from the day before admission to "
    "discharge; two such days that follow one another are one visit. A visit belongs to the month "
    "of its first day."
)
ADMITTED = (
    "a stay of the same member begins on a day of the visit or the day after its last day, or "
    "began before and ends after the visit's first day; at the visit's own facility, at any where "
    "either facility is not known, or, where a line of the visit has a discharge status that is a "
    "transfer (02, 05, 43, 65, 66, 82, 85, 88, 93, 94), at any. Stays are those of one facility "
    "that `inpatient_stays` is built from."
)


def _visits(care: Care) -> Table:
    """First day of each visit."""
    return care.ed_visits.select("member", "day")


def _released(care: Care) -> Table:
    """First day of each visit that did not end in admission."""
    visits = care.ed_visits
    return visits.filter(~visits["is_admitted"]).select("member", "day")


def _admitted(care: Care) -> Table:
    """First day of each visit that ended in admission."""
    visits = care.ed_visits
    return visits.filter(visits["is_admitted"]).select("member", "day")


MEASURES = (
    Measure(
        name="ed_visits",
        label="ED visits",
        title="Emergency department visits",
        definition=f"{VISIT} Emergency lines on an inpatient claim (11x) are part of the stay, "
        "not a visit, unless the rule `ed_on_inpatient_claims` counts them: then a stay with such "
        "lines, to which no visit led, is a visit on its day of admission.",
        code_lists=("ed_visit",),
        source=SOURCE,
        confirmed="partial",
        line_kinds=LINE_KINDS,
        events=_visits,
        fewer_is_better=True,
    ),
    Measure(
        name="ed_visits_treat_and_release",
        label="Treat-and-release ED visits",
        title="Emergency department visits that did not end in admission",
        definition="`ed_visits` that did not end in admission; a visit ended in admission when "
        f"{ADMITTED}",
        code_lists=("ed_visit",),
        source=f"{SOURCE}; HEDIS rule unconfirmed, the part on transfers is this study's",
        confirmed="partial",
        line_kinds=LINE_KINDS,
        events=_released,
        fewer_is_better=True,
    ),
    Measure(
        name="ed_visits_admitted",
        label="ED visits that ended in admission",
        title="Emergency department visits that ended in admission",
        definition=f"`ed_visits` that ended in admission: {ADMITTED} Most such visits are billed "
        "with the stay alone and are seen only where the rule `ed_on_inpatient_claims` counts "
        "them.",
        code_lists=("ed_visit",),
        source=f"{SOURCE}; HEDIS rule unconfirmed, the part on transfers is this study's",
        confirmed="partial",
        line_kinds=LINE_KINDS,
        events=_admitted,
        fewer_is_better=True,
    ),
)
