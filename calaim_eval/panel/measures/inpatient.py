"""Acute inpatient stays and their days."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calaim_eval.panel.inpatient_lines import STAY_LINES, is_psychiatric
from calaim_eval.panel.measure import Measure

if TYPE_CHECKING:
    from ibis import Table

    from calaim_eval.panel.care import Care

TUVA = "Tuva Project claims preprocessing (commit 6be34c7)"
LINE_KINDS = STAY_LINES


def _stays(care: Care) -> Table:
    """Day of admission of each episode."""
    return care.episodes.select("member", day="admit_day")


def _psychiatric(care: Care) -> Table:
    """Day of admission of each psychiatric episode."""
    stays = care.episodes
    return stays.filter(stays["is_psychiatric"]).select("member", day="admit_day")


def _sensitive(care: Care) -> Table:
    """Day of admission of each episode for an ambulatory-care-sensitive condition."""
    from calaim_eval.panel.sensitive_stays import sensitive_stays

    return sensitive_stays(care)


def _nights(care: Care) -> Table:
    """Nights by month."""
    return care.nights.select("member", "month", value="n_days")


def _nights_in_all(care: Care) -> Table:
    """Nights inside the window and outside."""
    from calaim_eval.panel.stays import nights_in_all

    return nights_in_all(care.episodes)


def _lengths(care: Care) -> Table:
    """Nights of each episode in its month of admission."""
    from calaim_eval.panel.stays import stay_lengths

    return stay_lengths(care.episodes)


MEASURES = (
    Measure(
        name="inpatient_stays",
        label="Inpatient stays",
        title="Hospital stays",
        definition="Acute stays, medical and psychiatric, by month of admission. A claim is "
        "inpatient when it is institutional of bill type 11x and has an accommodation line "
        "(revenue 010x-017x, 020x, 021x) or a DRG. It runs from its admission date (else first "
        "day of service) to its discharge date (else last day of service). Inpatient claims of "
        "one facility (facility NPI, else rendering NPI) that overlap or share a day are one "
        "stay, and so is a claim that begins the day after one with patient status 30, which an "
        "interim bill (112, 113) without a status is taken to have. A stay "
        "continues the member's stays before it when it begins on or before the latest discharge "
        "so far, or within a day after it at a facility that has no discharge on that latest "
        "day. What continues is one stay: first admission, last discharge.",
        version="2",
        code_lists=("ip_admission", "ip_stay"),
        source=f"{TUVA}; direct-transfer rule of HEDIS Plan All-Cause Readmissions",
        confirmed="partial",
        line_kinds=LINE_KINDS,
        events=_stays,
        fewer_is_better=True,
    ),
    Measure(
        name="inpatient_stays_psychiatric",
        label="Psychiatric inpatient stays",
        title="Psychiatric hospital stays",
        definition="`inpatient_stays` of which the first facility's claims have a billing "
        "taxonomy of a psychiatric hospital or unit (283Q00000X, 273R00000X) on any line; a "
        "medical stay that was transferred to one is medical. Medical stays are the others. "
        "Missing where no claim of the data carries a billing taxonomy. Stays that a county "
        "mental health plan pays are not in plan encounters.",
        code_lists=("ip_admission",),
        source=f"{TUVA}; county carve-out unconfirmed",
        confirmed="partial",
        needs_codes=("billing_taxonomy_code",),
        line_kinds=(*LINE_KINDS, is_psychiatric),
        events=_psychiatric,
        fewer_is_better=True,
    ),
    Measure(
        name="acsc_stays",
        label="Ambulatory-care-sensitive stays",
        title="Hospital stays for ambulatory-care-sensitive conditions",
        definition="`inpatient_stays` whose principal diagnosis (`diagnosis_code_1` of the "
        "earliest claim of the earliest facility that has one) is in the table `acsc_diagnosis`, "
        "compared whole, at an age in completed years on the day of admission within the row's "
        "`youngest_age_years` and `oldest_age_years`, where given. Missing without the table, "
        "which the study fills.",
        code_lists=("acsc_admission",),
        source="AHRQ Prevention Quality Indicators; code lists not part of the package, "
        "exclusions of single indicators not applied",
        confirmed="no",
        needs_all=("acsc_diagnosis",),
        line_kinds=LINE_KINDS,
        events=_sensitive,
        fewer_is_better=True,
    ),
    Measure(
        name="inpatient_days",
        label="Inpatient days",
        title="Hospital days",
        definition="Nights of `inpatient_stays`, each in its own calendar month: the days from "
        "admission to the day before discharge; a stay within one day counts one.",
        version="2",
        code_lists=("ip_days",),
        source=f"{TUVA}, readmissions mart",
        confirmed="partial",
        line_kinds=LINE_KINDS,
        events=_nights,
        in_all=_nights_in_all,
        fewer_is_better=True,
    ),
    Measure(
        name="inpatient_days_of_stays",
        label="Days of inpatient stays admitted",
        title="Hospital days by month of admission",
        definition="Length of each of `inpatient_stays`, discharge minus admission and at least "
        "1, all of it in the month of admission: over `inpatient_stays`, the mean length of stay. "
        "A stay that had not ended is as long as its claims say so far.",
        version="2",
        code_lists=("ip_days",),
        source=f"{TUVA}, readmissions mart",
        confirmed="yes",
        line_kinds=LINE_KINDS,
        events=_lengths,
        fewer_is_better=True,
    ),
)
