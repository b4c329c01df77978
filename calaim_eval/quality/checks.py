"""Every data-quality check: what it finds in plain words, against what it is held, what to do next.

A check counts `unit`s that have a problem among those it looked at (`of`). Its share is held
against two limits: above `warn_above` the finding is a warning, above `stop_above` the study does
not run on; below both it is a note. A limit of None is never passed. Study files change limits by
the check's id (`[quality.warn_above]`, `[quality.stop_above]`).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

PLACES_AND_TIMES = ("plan-months", "months", "plans")
"""Units that are no rows of people: counts of them are never masked."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that is asked of the data.

    Attributes
    ----------
    id : str
        Name in the study file, the page and the JSON file.
    title : str
        What is wrong, in words.
    unit, of : str
        What is counted, and among what.
    next_step : str
        What the custodian of the data does about it.
    warn_above, stop_above : float or None
        Shares (0 to 1) above which the finding is a warning, and above which the study stops.
    columns : tuple[str, ...]
        Columns it reads; empty where it differs by finding.
    """

    id: str
    title: str
    unit: str
    of: str
    next_step: str
    warn_above: float | None = None
    stop_above: float | None = None
    columns: tuple[str, ...] = ()

    @property
    def is_about_people(self) -> bool:
        """Whether its counts are of members or of their rows, so that small ones are masked."""
        return self.unit not in PLACES_AND_TIMES


_READING = (
    Check(
        "values_missing",
        "A value no row can do without is missing; the rows are set aside",
        "rows",
        "rows read",
        "Ask the sender for the rows again with the value filled in.",
        warn_above=0.001,
        stop_above=0.2,
    ),
    Check(
        "values_unreadable",
        "A value cannot be read as its type",
        "rows",
        "rows read",
        "Look at how the column is written; `data_dictionary/` has the types.",
        warn_above=0.001,
        stop_above=0.2,
    ),
    Check(
        "dates_impossible",
        "A date is before 1900 or after the extract",
        "rows",
        "rows read",
        "Check `extract_date` in the study file first, then how the dates are written.",
        warn_above=0.001,
        stop_above=0.2,
    ),
    Check(
        "dates_out_of_order",
        "A later date precedes the earlier one; the rows, or dates of death, are set aside",
        "rows",
        "rows read",
        "Ask the sender which of the two dates is right.",
        warn_above=0.001,
        stop_above=0.2,
    ),
    Check(
        "values_unlisted",
        "A value is not in its list",
        "rows",
        "rows read",
        "Recode the values, or ask what they mean; `data_dictionary/` has the lists.",
        warn_above=0.01,
    ),
    Check(
        "values_below_minimum",
        "A number is below the smallest that is possible; the rows are set aside",
        "rows",
        "rows read",
        "Ask the sender what a negative number stands for.",
        warn_above=0.001,
        stop_above=0.2,
    ),
    Check(
        "exact_duplicates",
        "The same row is there more than once; the copies are dropped",
        "rows",
        "rows read",
        "Find out whether a file was loaded twice; the study counts each row once.",
        warn_above=0.05,
    ),
    Check(
        "keys_repeated",
        "Two rows have the same key and other values; the latest is kept",
        "rows",
        "rows read",
        "Check that the key columns are the whole key in your system.",
        warn_above=0.01,
        stop_above=0.5,
    ),
    Check(
        "members_not_in_eligibility",
        "The member has no enrollment span; the rows are set aside",
        "rows",
        "rows read",
        "Check that both files use the same member identifiers and were drawn on the same day.",
        warn_above=0.01,
        stop_above=0.5,
        columns=("member_id",),
    ),
    Check(
        "rows_set_aside_otherwise",
        "Rows are set aside for another reason",
        "rows",
        "rows read",
        "Read the reasons `calaim-eval check` prints.",
        warn_above=0.01,
    ),
)

_ENROLLMENT = (
    Check(
        "persons_without_eligibility",
        "A person has no enrollment span",
        "persons",
        "persons",
        "Ask whether the enrollment file has all members of the person file.",
        warn_above=0.05,
        columns=("member_id",),
    ),
    Check(
        "eligibility_without_person",
        "A member with enrollment is not in `person`: race, age and death are unknown",
        "members",
        "members in `eligibility`",
        "Ask for the missing persons; without them results by race leave them out.",
        warn_above=0.001,
        stop_above=0.5,
        columns=("member_id",),
    ),
    Check(
        "birth_date_missing",
        "The birth date is missing or was unreadable",
        "persons",
        "persons",
        "Ask the sender; ages of these members are unknown.",
        warn_above=0.01,
        columns=("birth_date",),
    ),
    Check(
        "birth_date_implausible",
        "A member covered in the window is older than 115 years",
        "persons",
        "persons",
        "Look for a placeholder such as 1900-01-01.",
        warn_above=0.001,
        columns=("birth_date",),
    ),
    Check(
        "spans_overlap_same_plan",
        "A span overlaps an earlier one of the same member and plan",
        "spans",
        "spans",
        "Nothing, if the spans are corrections: the panel counts a day once.",
        warn_above=0.1,
        columns=("enrollment_start_date", "enrollment_end_date", "plan"),
    ),
    Check(
        "spans_overlap_other_plan",
        "A span overlaps an earlier one of the same member in another plan",
        "spans",
        "spans",
        "Ask which plan held the member; the panel gives the month to the plan with most days.",
        warn_above=0.02,
        columns=("enrollment_start_date", "enrollment_end_date", "plan"),
    ),
    Check(
        "coverage_after_death",
        "Enrollment runs on after the month of death",
        "members",
        "members with a death date",
        "Nothing for the study, which ends coverage at death; tell the plan, which may be paid.",
        warn_above=0.1,
        columns=("enrollment_end_date", "death_date"),
    ),
    Check(
        "race_unknown",
        "Race and ethnicity are missing or unknown",
        "members",
        "members covered in the window",
        "Ask for another source of race and ethnicity; above half, results by race mean little.",
        warn_above=0.1,
        stop_above=0.5,
        columns=("race_code", "ethnicity_code"),
    ),
    Check(
        "county_missing",
        "No county is recorded for the last covered month",
        "members",
        "members covered in the window",
        "Ask for the county of residence; county comparisons leave these members out.",
        warn_above=0.02,
        columns=("county",),
    ),
    Check(
        "plan_missing",
        "No plan is recorded for the last covered month",
        "members",
        "members covered in the window",
        "Ask for the plan of each span; completeness by plan cannot be judged without it.",
        warn_above=0.02,
        columns=("plan",),
    ),
)

_CLAIMS = (
    Check(
        "claims_outside_coverage",
        "Claim lines fall in a month in which the member is not covered",
        "lines",
        "final lines in the window",
        "Ask whether enrollment is complete and claims of other lines of business are mixed in.",
        warn_above=0.05,
        stop_above=0.5,
        columns=("claim_start_date", "member_id"),
    ),
    Check(
        "claims_of_other_plan",
        "Claim lines name another plan than the one that covers the member in the month",
        "lines",
        "covered final lines with both plans recorded",
        "Check that both files use the same plan names, and how plan changes are dated.",
        warn_above=0.05,
        columns=("plan",),
    ),
    Check(
        "claims_after_death",
        "Claim lines are dated after the member's death",
        "lines",
        "final lines in the window",
        "Check the death dates; a few days after death are rentals and late readings.",
        warn_above=0.001,
        stop_above=0.05,
        columns=("claim_start_date", "death_date"),
    ),
    Check(
        "claims_before_birth",
        "Claim lines are dated before the member's birth",
        "lines",
        "final lines in the window",
        "Check the birth dates; newborns' claims may be under the mother's identifier.",
        warn_above=0.001,
        stop_above=0.05,
        columns=("claim_start_date", "birth_date"),
    ),
    Check(
        "lines_outside_claim_dates",
        "The day of a line lies outside the days of its claim",
        "lines",
        "final lines with a day of their own",
        "Ask which date is right; the study dates a line by its own day.",
        warn_above=0.01,
        columns=("claim_line_start_date", "claim_start_date", "claim_end_date"),
    ),
    Check(
        "paid_before_service",
        "The payment date is before the day of service",
        "lines",
        "final lines with a payment date",
        "Check what the payment date means in your system.",
        warn_above=0.001,
        columns=("paid_date", "claim_start_date"),
    ),
    Check(
        "near_duplicates",
        "Lines on another claim repeat member, day, codes and providers of a line",
        "lines",
        "final lines with a code",
        "Ask whether a claim was sent again under a new number, and have the earlier one voided.",
        warn_above=0.02,
        columns=("member_id", "claim_start_date", "hcpcs_code", "revenue_center_code"),
    ),
    Check(
        "voids_of_unknown_claims",
        "A void names no claim that is in the files",
        "claims",
        "voids",
        "Ask for the voided claims, or for the voids to name them in `original_claim_id`.",
        warn_above=0.05,
        columns=("claim_status", "original_claim_id"),
    ),
    Check(
        "replacements_of_unknown_claims",
        "A replacement names no claim that is in the files",
        "claims",
        "replacements",
        "Ask for the replaced claims, or for `original_claim_id`; else both versions may count.",
        warn_above=0.05,
        columns=("claim_status", "original_claim_id"),
    ),
    Check(
        "voids_that_do_not_net_out",
        "The paid amounts of a void and of the claim it voids do not add up to zero",
        "claims",
        "voids of known claims, both with an amount",
        "Ask how voids carry amounts; the study drops both claims either way.",
        warn_above=0.1,
        columns=("paid_amount", "original_claim_id"),
    ),
    Check(
        "still_a_patient_on_final_bill",
        "A final inpatient bill says the patient is still there (status 30)",
        "claims",
        "inpatient claims billed as complete or last (frequency 1 or 4)",
        "Ask for the discharge status; such stays are joined with what follows the next day.",
        warn_above=0.01,
        columns=("discharge_disposition_code", "bill_type_code"),
    ),
    Check(
        "stays_too_long",
        "An acute inpatient claim is longer than a stay can be expected to be",
        "claims",
        "inpatient claims with admission and discharge",
        "Check admission and discharge dates; long-term care does not belong on bill type 11x.",
        warn_above=0.001,
        columns=("admission_date", "discharge_date"),
    ),
    Check(
        "ed_days_implausible",
        "A member has implausibly many days with emergency department lines in a month",
        "member-months",
        "member-months with an emergency department line",
        "Look for one identifier shared by several people, or a provider's billing error.",
        warn_above=0.001,
        columns=("revenue_center_code", "hcpcs_code"),
    ),
)

_AMOUNTS = (
    Check(
        "amounts_negative",
        "The paid amount of a line that counts is negative",
        "lines",
        "final lines in the window",
        "Ask whether these are reversals; reversals should be voids.",
        warn_above=0.001,
        columns=("paid_amount",),
    ),
    Check(
        "amounts_zero",
        "The paid amount is zero",
        "lines",
        "final lines in the window",
        "Ask which providers are paid by capitation; dollars of their care are not in the files.",
        warn_above=0.5,
        columns=("paid_amount",),
    ),
    Check(
        "amounts_missing",
        "The paid amount is missing",
        "lines",
        "final lines in the window",
        "Ask for amounts, or leave `paid_usd` out of the outcomes.",
        warn_above=0.1,
        columns=("paid_amount",),
    ),
    Check(
        "payment_dates_missing",
        "The payment date is missing",
        "lines",
        "final lines in the window",
        "Ask for it: without it nobody can tell how complete the last months are.",
        warn_above=0.05,
        columns=("paid_date",),
    ),
)


def _invalid(
    name: str, what: str, columns: tuple[str, ...], step: str, *, stop: float | None = None
) -> Check:
    """A code that is not of its shape or not in its list."""
    return Check(name, what, "codes", "codes recorded", step, 0.01, stop, columns)


def _absent(name: str, what: str, of: str, columns: tuple[str, ...], *, warn: float) -> Check:
    """A code that is not recorded where it is needed."""
    step = "Ask the sender to fill the column; what is read off it is undercounted."
    return Check(name, what, "lines", of, step, warn, None, columns)


_ASK = "Look at the codes by plan and ask the plan that sends them."
_CODES = (
    _invalid(
        "procedure_codes_invalid",
        "A procedure code has not the shape of a CPT or HCPCS code",
        ("hcpcs_code",),
        _ASK,
        stop=0.5,
    ),
    _invalid(
        "modifiers_invalid",
        "A modifier is not two letters or digits",
        tuple(f"hcpcs_modifier_{i}" for i in range(1, 6)),
        "Ask the plan; program services are told by their modifiers.",
        stop=0.5,
    ),
    _invalid(
        "diagnosis_codes_invalid",
        "A diagnosis code of a day since October 2015 has not the shape of an ICD-10-CM code",
        tuple(f"diagnosis_code_{i}" for i in range(1, 6)),
        "Check for ICD-9 codes, descriptions or local codes in the column.",
    ),
    _invalid(
        "revenue_codes_invalid",
        "A revenue code is not in the ranges that are assigned",
        ("revenue_center_code",),
        "Check for lost leading zeros; emergency visits and stays are read off these codes.",
        stop=0.5,
    ),
    _invalid(
        "bill_types_invalid",
        "A type of bill has not the shape of one",
        ("bill_type_code",),
        "Check for lost leading zeros or a lost frequency digit.",
        stop=0.5,
    ),
    _invalid(
        "places_of_service_invalid",
        "A place of service is not in the CMS list",
        ("place_of_service_code",),
        "Check for lost leading zeros and local codes.",
    ),
    _invalid(
        "discharge_status_invalid",
        "A discharge status is not in the list",
        ("discharge_disposition_code",),
        "Check for lost leading zeros.",
    ),
    _invalid(
        "drug_codes_invalid",
        "A drug code is not eleven digits",
        ("ndc_code",),
        "Ask for eleven digits in the 5-4-2 layout; a ten-digit code cannot be completed safely.",
    ),
    _invalid(
        "npis_invalid",
        "A provider number is not ten digits with a right check digit",
        ("facility_npi", "rendering_npi", "npi"),
        "Check for internal provider numbers in the column; visits and stays are told by provider.",
    ),
    _absent(
        "bill_types_missing",
        "The type of bill is missing",
        "final institutional lines",
        ("bill_type_code",),
        warn=0.02,
    ),
    _absent(
        "revenue_codes_missing",
        "The revenue code is missing",
        "final institutional lines",
        ("revenue_center_code",),
        warn=0.02,
    ),
    _absent(
        "facility_npis_missing",
        "The facility's NPI is missing",
        "final institutional lines",
        ("facility_npi",),
        warn=0.05,
    ),
    _absent(
        "procedure_codes_missing",
        "The procedure code is missing",
        "final professional lines",
        ("hcpcs_code",),
        warn=0.02,
    ),
    _absent(
        "places_of_service_missing",
        "The place of service is missing",
        "final professional lines",
        ("place_of_service_code",),
        warn=0.02,
    ),
    _absent(
        "rendering_npis_missing",
        "The rendering provider's NPI is missing",
        "final professional lines",
        ("rendering_npi",),
        warn=0.05,
    ),
    _absent(
        "diagnoses_missing",
        "The principal diagnosis is missing",
        "final institutional and professional lines",
        ("diagnosis_code_1",),
        warn=0.05,
    ),
    _absent(
        "drug_codes_missing",
        "The drug code is missing",
        "final fills",
        ("ndc_code",),
        warn=0.02,
    ),
    _absent(
        "claim_plans_missing",
        "The plan is missing",
        "final lines in the window",
        ("plan",),
        warn=0.1,
    ),
)

_COMPLETENESS = (
    Check(
        "encounters_absent",
        "A plan sends no lines of a kind that other plans send",
        "plans",
        "plans that are large enough to judge",
        "Ask the plan for the missing kind of encounters, or leave the plan out.",
        warn_above=0.0,
        columns=("plan",),
    ),
    Check(
        "encounter_gaps",
        "A plan has no lines at all in a month",
        "plan-months",
        "plan-months that are large enough to judge",
        "Ask the plan for the months that are missing, or end the window before them.",
        warn_above=0.0,
        columns=("plan", "claim_start_date"),
    ),
    Check(
        "encounter_drops",
        "A plan's lines per 1,000 member-months fall far below its own running median",
        "plan-months",
        "plan-months that are large enough to judge",
        "Ask the plan whether a submission was rejected, or whether payment or coding changed.",
        warn_above=0.0,
        columns=("plan", "claim_start_date"),
    ),
    Check(
        "encounter_surges",
        "A plan's lines per 1,000 member-months rise far above its own running median",
        "plan-months",
        "plan-months that are large enough to judge",
        "Look for a file that was loaded twice, or a change of coding.",
        warn_above=0.0,
        columns=("plan", "claim_start_date"),
    ),
    Check(
        "months_incomplete",
        "Claims of months the study analyses are still arriving",
        "months",
        "months the study analyses",
        "Raise `run_out_months` in the study file, or wait for a later extract.",
        warn_above=0.0,
        columns=("claim_start_date", "paid_date"),
    ),
    Check(
        "payments_end_early",
        "Payments end before they should",
        "months",
        "months from the first month to the extract",
        "Ask on which day the claims were really drawn, and correct `extract_date`.",
        warn_above=0.0,
        columns=("paid_date",),
    ),
)

_PROGRAMS = (
    Check(
        "program_records_outside_coverage",
        "Outreach or service is recorded in a month in which the member is not covered",
        "records",
        "records of outreach and service in the window",
        "Ask the plan for the member's enrollment; exposure begins at these dates all the same.",
        warn_above=0.05,
        columns=("record_date", "member_id"),
    ),
    Check(
        "program_lines_outside_coverage",
        "ECM or Community Supports lines fall in a month in which the member is not covered",
        "lines",
        "final program lines in the window",
        "Ask the plan for the member's enrollment; exposure begins at these dates all the same.",
        warn_above=0.05,
        columns=("claim_start_date", "hcpcs_code"),
    ),
    Check(
        "program_codes_unexplained",
        "A line has a procedure code of a program, but code and modifiers are in no list",
        "lines",
        "final lines with a procedure code of a program",
        "Many such codes are ordinary benefits; ask where a known modifier is missing.",
        warn_above=0.25,
        columns=("hcpcs_code", *(f"hcpcs_modifier_{i}" for i in range(1, 6))),
    ),
)

GROUPS: tuple[tuple[str, tuple[Check, ...]], ...] = (
    ("Reading the files", _READING),
    ("Members and enrollment", _ENROLLMENT),
    ("Claims", _CLAIMS),
    ("Amounts", _AMOUNTS),
    ("Codes", _CODES),
    ("Completeness", _COMPLETENESS),
    ("Programs", _PROGRAMS),
)
"""Checks under the headings of the page."""

CHECKS = MappingProxyType({check.id: check for _, checks in GROUPS for check in checks})
"""Checks by id."""
