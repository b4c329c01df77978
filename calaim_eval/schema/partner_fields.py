"""Columns of the tables that come from partners' own systems: HMIS, referral platforms, 211."""

from __future__ import annotations

from calaim_eval.schema.field import Field

_F = Field

PARTNER_FIELDS: tuple[Field, ...] = (
    # --- homeless services (HMIS) ---
    _F("is_veteran", "boolean", "Veteran status as recorded by the HMIS; missing where not known."),
    _F("project_id", "string", "Project of an organization in the HMIS."),
    _F("project_name", "string", "Name of the project."),
    _F(
        "project_type_code",
        "string",
        "HUD project type: 0 and 1 emergency shelter, 2 transitional housing, 3 permanent supportive housing, 4 street outreach, 6 services only, 12 prevention, 13 rapid re-housing, 14 coordinated entry.",
    ),
    _F("operating_start_date", "date", "First day the project operated."),
    _F("operating_end_date", "date", "Last day the project operated; missing while it does."),
    _F("homeless_enrollment_id", "string", "Stay or enrollment identifier of the HMIS."),
    _F("household_id", "string", "Household of the enrollment."),
    _F("entry_date", "date", "Day the person entered the project."),
    _F("exit_date", "date", "Day the person left the project; missing while enrolled."),
    _F("move_in_date", "date", "Day the household moved into permanent housing."),
    _F(
        "relationship_to_head_code",
        "string",
        "Relationship to the head of household; 1 is the head.",
    ),
    _F(
        "living_situation_code",
        "string",
        "HUD living situation on the night before entry; 100 to 199 is literally homeless.",
    ),
    _F(
        "destination_code",
        "string",
        "HUD destination at exit; 400 to 499 is permanent housing, 24 deceased.",
    ),
    _F(
        "has_disabling_condition",
        "boolean",
        "Disabling condition at entry; missing where not known.",
    ),
    _F(
        "is_on_medicaid",
        "boolean",
        "Medicaid at entry as the person said; missing where not known.",
    ),
    _F("homeless_service_id", "string", "Service record identifier of the HMIS."),
    _F("service_date", "date", "Day the service was provided."),
    _F(
        "homeless_service_code",
        "string",
        "HUD record type and type of service, joined by a colon (200:200 is a bed night).",
    ),
    _F("assessment_id", "string", "Assessment identifier of the HMIS."),
    _F("assessment_date", "date", "Day of the assessment."),
    _F("question", "string", "Question of an assessment, as the system names it; local."),
    _F("answer", "string", "Answer as recorded. Never printed or released."),
    # --- race and ethnicity as several yes-or-no items ---
    _F(
        "race_item",
        "string",
        "Column of the source that says yes (`White`), or `RaceNone` for a person without any.",
    ),
    _F(
        "race_item_value",
        "string",
        "1 for yes; of `RaceNone` 8 does not know, 9 prefers not to answer, 99 not collected.",
    ),
    _F(
        "race_item_system",
        "string",
        "Where the item comes from.",
        values=("hmis_fy2024", "hmis_fy2026"),
    ),
    # --- referrals for services outside ECM and Community Supports ---
    _F(
        "social_service_code",
        "string",
        "What the person was referred for, in the system named by `social_service_code_system`.",
    ),
    _F(
        "social_service_code_system",
        "string",
        "Code system of `social_service_code`.",
        values=("hmis_event", "hmis_project", "snomed", "other"),
    ),
    _F(
        "status_reason",
        "string",
        "Reason of the status as typed in. May name people: never printed or released.",
    ),
    # --- enrollment in ECM as the provider returns it ---
    _F("program_status", "string", "Status in the program as the plan codes it."),
    _F("program_start_date", "date", "First day in the program."),
    _F("program_end_date", "date", "Last day in the program; missing while enrolled."),
    _F("reported_date", "date", "Day the file was made, or the last day it reports on."),
    _F(
        "end_reason",
        "string",
        "Why the member left the program.",
        values=(
            "completed",
            "member_declined",
            "unable_to_reach",
            "provider_ended",
            "died",
            "coverage_ended",
            "no_capacity",
            "data_error",
            "other",
        ),
    ),
    # --- resource directories ---
    _F("resource_id", "string", "Service of the directory."),
    _F("resource_name", "string", "Name of the service in the directory."),
    _F(
        "resource_status",
        "string",
        "Whether the directory lists the service as active.",
        values=("active", "inactive", "unknown"),
    ),
    _F(
        "resource_codes",
        "string",
        "Taxonomy codes of the service, parted by a semicolon.",
    ),
    _F(
        "county_basis",
        "string",
        "What the county is taken from: area served, or address of a place of service; `state` serves the whole state and has no county.",
        values=("area_served", "address", "state", "none"),
    ),
    _F("units_available", "number", "Units open at the last update.", unit="count", minimum=0),
    _F("units_in_all", "number", "Units the service has.", unit="count", minimum=0),
    _F("unit_name", "string", "What the units are (beds, places)."),
    _F("listed_date", "date", "Day the directory was exported."),
    _F("last_updated_date", "date", "Day the entry was last changed or assured."),
)
