"""Office, clinic and health center visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.measure import Measure
from calaim_eval.panel.outpatient_lines import (
    is_behavioral_diagnosis,
    is_clinic_bill,
    is_clinic_line,
    is_health_center,
    is_office_visit,
    is_primary_care,
    is_telehealth,
)

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care

TUVA = "Tuva Project claims preprocessing (commit 6be34c7)"
LINE_KINDS = (is_office_visit, is_clinic_line, is_clinic_bill)
HEALTH_CENTER = (
    "at a federally qualified health center or rural health clinic: a line with T1015, a line on "
    "a bill of type 71x, 73x or 77x, or a professional's line from place of service 50 or 72"
)
PRIMARY_CARE = (
    "or with an office code on a professional's claim from place of service 02, 10, 11, 12, 17, "
    "19, 20, 22, 27, 49, 50, 71 or 72 whose rendering taxonomy is one of primary care (code list)"
)
HALVES = (
    "What the professional half of a clinic's bill says is true of every visit at a clinic that "
    "billed for itself that day."
)


def _visits(care: Care) -> Table:
    """One row per member, provider and day."""
    return care.outpatient_visits.select("member", "day")


def _health_center(care: Care) -> Table:
    """Visits at health centers."""
    visits = care.outpatient_visits
    return visits.filter(visits["is_health_center"]).select("member", "day")


def _primary_care(care: Care) -> Table:
    """Visits for primary care."""
    visits = care.outpatient_visits
    is_primary = visits["is_health_center"] | visits["is_primary_care"]
    return visits.filter(is_primary).select("member", "day")


def _specialty(care: Care) -> Table:
    """Visits that are neither primary care nor behavioral."""
    visits = care.outpatient_visits
    is_primary = visits["is_health_center"] | visits["is_primary_care"]
    is_other = ~is_primary & ~visits["is_behavioral_diagnosis"]
    return visits.filter(is_other).select("member", "day")


def _telehealth(care: Care) -> Table:
    """Visits by video or telephone."""
    visits = care.outpatient_visits
    return visits.filter(visits["is_telehealth"]).select("member", "day")


MEASURES = (
    Measure(
        name="outpatient_visits",
        label="Outpatient visits",
        title="Outpatient visits",
        definition="Lines with an office or clinic code (99202-99205, 99211-99215) on a "
        "professional's claim, not from place of service 21 or 23; with the health center "
        "encounter T1015 on any claim; or with clinic revenue (051x, 052x) on an institutional "
        "bill of type 13x, 71x, 73x or 77x. One visit per member, provider and day. The provider "
        "is the facility (else the rendering professional) where the claim has an encounter or "
        "clinic revenue that day, else the rendering professional (else the facility). A "
        "professional's claim from place of service 19, 22, 49, 50, 71 or 72 without an encounter "
        "or clinic revenue that day is no visit of its own on a day with an institutional bill "
        "that has one: it is the other half of that bill.",
        code_lists=("outpatient_visit",),
        source=f"{TUVA} for bill types; procedure list unconfirmed",
        confirmed="no",
        line_kinds=LINE_KINDS,
        events=_visits,
    ),
    Measure(
        name="health_center_visits",
        label="Health center visits",
        title="Visits to health centers (FQHC and RHC)",
        definition=f"`outpatient_visits` {HEALTH_CENTER}. {HALVES}",
        code_lists=("outpatient_visit",),
        source=f"{TUVA} for bill types; T1015 unconfirmed",
        confirmed="no",
        line_kinds=(*LINE_KINDS, is_health_center),
        events=_health_center,
    ),
    Measure(
        name="primary_care_visits",
        label="Primary care visits",
        title="Primary care visits",
        definition=f"`outpatient_visits` {HEALTH_CENTER}; {PRIMARY_CARE}. {HALVES} Missing where "
        "no claim of the data carries a rendering taxonomy: health centers alone would understate "
        "it.",
        code_lists=("outpatient_visit", "primary_care_visit"),
        source=f"{TUVA} for places of service; taxonomy list unconfirmed",
        confirmed="no",
        needs_codes=("rendering_taxonomy_code",),
        line_kinds=(*LINE_KINDS, is_health_center, is_primary_care),
        events=_primary_care,
    ),
    Measure(
        name="specialty_visits",
        label="Specialty visits",
        title="Specialty visits",
        definition="`outpatient_visits` that are not `primary_care_visits` and have no line with "
        "a principal diagnosis of mental health or substance use (F01-F09, F20-F99, F10-F16, F18, "
        "F19). A visit whose professional has no taxonomy on the claim is among them. Missing "
        "where no claim of the data carries a rendering taxonomy.",
        code_lists=("outpatient_visit", "primary_care_visit", "bh_visit"),
        source="this study, from the lists of primary care and behavioral health",
        confirmed="no",
        needs_codes=("rendering_taxonomy_code",),
        line_kinds=(*LINE_KINDS, is_health_center, is_primary_care, is_behavioral_diagnosis),
        events=_specialty,
    ),
    Measure(
        name="telehealth_visits",
        label="Telehealth visits",
        title="Visits by video or telephone",
        definition="`outpatient_visits` with a line that makes the visit and has place of service "
        f"02 or 10 or modifier 95, GT, GQ, FQ or 93 in any slot. {HALVES}",
        code_lists=("outpatient_visit", "telehealth_visit"),
        source=f"{TUVA} for places of service; modifiers unconfirmed",
        confirmed="partial",
        line_kinds=(*LINE_KINDS, is_telehealth),
        events=_telehealth,
    ),
)
