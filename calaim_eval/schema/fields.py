"""Every column of every table, once. Add a column here, then name it in `schema.tables`."""

from __future__ import annotations

from calaim_eval.schema.field import Field, Table
from calaim_eval.schema.partner_fields import PARTNER_FIELDS

_F = Field

FIELDS: dict[str, Field] = {
    field.name: field
    for field in (
        # --- who ---
        _F(
            "member_id",
            "string",
            "Study pseudonym of a Medi-Cal member. Never printed, logged or released.",
        ),
        _F(
            "current_member_id",
            "string",
            "Study pseudonym that the `member_id` of the row was merged into. Never printed, logged or released.",
        ),
        _F("merged_date", "date", "Day the merge of two identifiers was recorded."),
        _F("birth_date", "date", "Date of birth. Never printed, logged or released."),
        _F("death_date", "date", "Date of death; missing while alive."),
        _F(
            "sex",
            "string",
            "Sex as recorded by the eligibility system.",
            values=("female", "male", "unknown"),
        ),
        _F(
            "race_code",
            "string",
            "Race code as recorded, in the system named by `race_code_system`; several are parted by a semicolon.",
            code_list="race_ethnicity_crosswalk",
        ),
        _F(
            "race_code_system",
            "string",
            "Code system of `race_code`.",
            values=("meds", "x12_834_dmg05_1109", "cdc_omb", "tmsis_race", "analysis_group"),
        ),
        _F(
            "ethnicity_code",
            "string",
            "Ethnicity code as recorded; missing where the system records race and ethnicity in one field.",
            code_list="race_ethnicity_crosswalk",
        ),
        _F(
            "ethnicity_code_system",
            "string",
            "Code system of `ethnicity_code`.",
            values=("cdc_omb", "tmsis_ethnicity"),
        ),
        _F(
            "race_ethnicity",
            "string",
            "Race and ethnicity group, in the exclusive display of the study (by default Hispanic overrides race), derived from the recorded codes.",
            code_list="race_ethnicity_group",
        ),
        _F("language", "string", "Preferred spoken language as recorded."),
        _F(
            "age_years",
            "integer",
            "Age in completed years on the first day of the month.",
            unit="years",
            minimum=0,
        ),
        # --- where and which plan ---
        _F(
            "county",
            "string",
            "California county name, or the county-equivalent name of the source.",
            code_list="county",
        ),
        _F(
            "plan",
            "string",
            "Managed care plan that covers the member in the span or month; identities break at 2024-01-01.",
        ),
        _F(
            "payer_type",
            "string",
            "Line of business of the span.",
            values=("medicaid", "medicare", "commercial", "self_pay", "other"),
        ),
        _F("aid_code", "string", "Medi-Cal aid code.", code_list="aid_code_groups"),
        _F(
            "dual_status_code",
            "string",
            "Medicare-Medicaid dual status; `00` or missing means not dual.",
            code_list="dual_status",
        ),
        _F("benefit_scope", "string", "Scope of benefits in the span.", values=("full", "limited")),
        # --- coverage ---
        _F("enrollment_start_date", "date", "First day of an enrollment span."),
        _F(
            "enrollment_end_date",
            "date",
            "Last day of an enrollment span; missing or 9999-12-31 means still open.",
        ),
        _F(
            "recorded_date",
            "date",
            "Day the span entered the eligibility system; later than the span itself for retroactive eligibility.",
        ),
        _F("month", "month", "First day of the calendar month."),
        _F(
            "covered_days",
            "integer",
            "Days of the month that are covered; missing in `eligibility_month` means the whole month.",
            unit="days",
            minimum=0,
        ),
        _F("is_dual", "boolean", "Member is also covered by Medicare in the month."),
        _F("is_full_scope", "boolean", "Coverage in the month is full scope."),
        _F(
            "is_retroactive",
            "boolean",
            "Coverage of the month was recorded after the month had ended.",
        ),
        _F(
            "is_in_custody",
            "boolean",
            "Member was in custody on every day of the month; missing without a custody feed.",
        ),
        _F(
            "is_plan_move",
            "boolean",
            "The plan is another than in the member's previous month of the panel; missing in the first one and where either plan is not known.",
        ),
        _F(
            "lookback_covered_months",
            "integer",
            "Months of the panel among the 12 calendar months before the month; missing in the first 12 months of the window, where it cannot be known.",
            unit="months",
            minimum=0,
        ),
        _F(
            "is_continuously_enrolled",
            "boolean",
            "Among the 12 calendar months before the month no gap is longer than the study's `max_gap_months`; missing in the first 12 months of the window, where it cannot be known.",
        ),
        # --- claims ---
        _F("claim_id", "string", "Claim control number; shared by the lines of a claim."),
        _F(
            "claim_line_number", "integer", "Line number within the claim.", unit="count", minimum=0
        ),
        _F(
            "claim_type",
            "string",
            "Form of the claim.",
            values=("institutional", "professional", "dental", "vision"),
        ),
        _F("claim_start_date", "date", "First day of service on the claim header."),
        _F("claim_end_date", "date", "Last day of service on the claim header."),
        _F("claim_line_start_date", "date", "First day of service of the line."),
        _F("claim_line_end_date", "date", "Last day of service of the line."),
        _F("admission_date", "date", "Day of admission, institutional claims."),
        _F("discharge_date", "date", "Day of discharge, institutional claims."),
        _F(
            "bill_type_code",
            "string",
            "UB-04 type of bill, three or four digits; fourth digit 7 replaces, 8 voids.",
            code_list="utilization_definitions",
        ),
        _F(
            "revenue_center_code",
            "string",
            "UB-04 revenue code, four digits.",
            code_list="utilization_definitions",
        ),
        _F("hcpcs_code", "string", "CPT or HCPCS procedure code.", code_list="service_codes"),
        *(
            _F(
                f"hcpcs_modifier_{i}",
                "string",
                f"Procedure modifier, position {i}; meaning does not depend on the position.",
                code_list="service_codes",
            )
            for i in range(1, 6)
        ),
        _F(
            "place_of_service_code",
            "string",
            "CMS place of service, two digits.",
            code_list="utilization_definitions",
        ),
        *(
            _F(
                f"diagnosis_code_{i}",
                "string",
                f"ICD-10-CM diagnosis {i}{' (principal)' if i == 1 else ''}; kept without the point.",
            )
            for i in range(1, 6)
        ),
        _F("drg_code", "string", "Diagnosis-related group (MS-DRG or APR-DRG)."),
        _F(
            "discharge_disposition_code",
            "string",
            "UB-04 patient status, two digits; 30 still a patient, 20 died, 02 transferred to a hospital.",
        ),
        _F("facility_npi", "string", "NPI of the facility."),
        _F("rendering_npi", "string", "NPI of the rendering provider."),
        _F(
            "billing_taxonomy_code",
            "string",
            "NUCC taxonomy of the billing provider or facility, ten characters.",
        ),
        _F(
            "rendering_taxonomy_code",
            "string",
            "NUCC taxonomy of the rendering provider, ten characters.",
        ),
        _F(
            "claim_status",
            "string",
            "Standing of the claim.",
            values=("original", "replacement", "void", "denied"),
        ),
        _F(
            "original_claim_id",
            "string",
            "For a replacement or void: the `claim_id` it replaces or cancels.",
        ),
        _F("paid_date", "date", "Day of payment or adjudication."),
        _F("paid_amount", "number", "Amount paid by the plan for the line or fill.", unit="USD"),
        _F("dispensing_date", "date", "Day a prescription was filled."),
        _F("ndc_code", "string", "National Drug Code, eleven digits."),
        _F("quantity", "number", "Units dispensed.", unit="count"),
        _F("days_supply", "integer", "Days the fill lasts.", unit="days"),
        # --- programs ---
        _F("record_id", "string", "Row identifier given by the sender."),
        _F("program", "string", "Program of the record.", values=("ecm", "community_support")),
        _F("service", "string", "`ecm`, or the Community Support.", code_list="community_support"),
        _F(
            "record_type",
            "string",
            "What happened: on the plan's list of eligible members, outreach attempt, authorization, denial, service received. Authorized is not received; outreach is not a service.",
            values=("identified", "outreach", "authorization", "denial", "service"),
        ),
        _F("record_date", "date", "Day it happened."),
        _F(
            "record_source",
            "string",
            "File the record came from.",
            values=(
                "member_information_file",
                "return_transmission_file",
                "outreach_tracker",
                "authorization_file",
                "claim",
                "other",
            ),
        ),
        _F(
            "population_of_focus",
            "string",
            "ECM population of focus of the record; several are parted by a semicolon (a comma and an upright bar are read as one).",
            code_list="population_of_focus",
        ),
        # --- organizations and contracts ---
        _F("organization_id", "string", "Organization identifier used by the study."),
        _F("organization_name", "string", "Name of the organization."),
        _F(
            "organization_type",
            "string",
            "Agreed classification of the organization. `cbo` is a non-profit community-based organization.",
            values=(
                "cbo",
                "clinic",
                "hospital",
                "county_agency",
                "tribal",
                "for_profit",
                "unknown",
            ),
        ),
        _F(
            "coder_1_organization_type",
            "string",
            "Classification by the first coder, before agreement.",
            values=(
                "cbo",
                "clinic",
                "hospital",
                "county_agency",
                "tribal",
                "for_profit",
                "unknown",
            ),
        ),
        _F(
            "coder_2_organization_type",
            "string",
            "Classification by the second coder, before agreement.",
            values=(
                "cbo",
                "clinic",
                "hospital",
                "county_agency",
                "tribal",
                "for_profit",
                "unknown",
            ),
        ),
        _F(
            "ownership",
            "string",
            "Tax status.",
            values=("nonprofit", "for_profit", "public", "unknown"),
        ),
        _F(
            "headquarters_county",
            "string",
            "County of the headquarters; `out_of_state` where it is not in California.",
            code_list="county",
        ),
        _F("market_entry_date", "date", "Day the organization began to serve in California."),
        _F(
            "leadership",
            "string",
            "Who leads the organization, as it reports itself.",
            values=(
                "black_led",
                "indigenous_led",
                "latinx_led",
                "asian_led",
                "nhpi_led",
                "other_bipoc_led",
                "white_led",
                "not_reported",
            ),
        ),
        _F(
            "population_served",
            "string",
            "Population the organization mainly serves, as it reports itself.",
        ),
        _F("npi", "string", "National Provider Identifier of the organization."),
        _F("contract_id", "string", "Contract identifier."),
        _F("contract_start_date", "date", "First day of the contract."),
        _F("contract_end_date", "date", "Last day of the contract; missing while open."),
        _F(
            "capacity_members",
            "integer",
            "Members the organization can serve at a time under the contract.",
            unit="members",
            minimum=0,
        ),
        # --- referrals ---
        _F("referral_id", "string", "Referral identifier."),
        _F(
            "root_referral_id",
            "string",
            "First referral of the chain; equals `referral_id` for a root. Only roots are counted.",
        ),
        _F("from_organization_id", "string", "Organization that refers, or a plan's name."),
        _F("to_organization_id", "string", "Organization referred to."),
        _F("referred_date", "date", "Day of the referral."),
        _F("authorized_date", "date", "Day the plan authorized the service."),
        _F("accepted_date", "date", "Day the organization accepted the referral."),
        _F("reached_date", "date", "Day the member was first reached."),
        _F("service_started_date", "date", "Day the service started."),
        _F("closed_date", "date", "Day the loop was closed."),
        _F(
            "referral_status",
            "string",
            "Latest status.",
            values=("pending", "accepted", "declined", "closed"),
        ),
        _F(
            "closure_reason",
            "string",
            "Why it was closed. Only `services_received` closes the loop.",
            values=(
                "services_received",
                "member_declined",
                "unable_to_reach",
                "not_eligible",
                "no_capacity",
                "coverage_ended",
                "died",
                "other",
            ),
        ),
        # --- optional feeds ---
        _F("booking_date", "date", "Day of booking into custody."),
        _F("release_date", "date", "Day of release from custody; missing while held."),
        _F("call_date", "date", "Day of the emergency call."),
        _F("is_transported", "boolean", "The call ended in a transport."),
        _F("contact_date", "date", "Day of the contact with the police."),
        _F(
            "contact_type",
            "string",
            "What kind of contact; `hold_5150` is an involuntary psychiatric hold.",
            values=("arrest", "citation", "welfare_check", "hold_5150", "other"),
        ),
        _F(
            "feed",
            "string",
            "Table of a feed from outside the claims.",
            values=("custody", "ems_call", "police_contact"),
        ),
        _F(
            "coverage_start_date",
            "date",
            "First day the feed covers; missing where it always did.",
        ),
        _F("coverage_end_date", "date", "Last day the feed covers; missing where it still does."),
        # --- tables a study fills ---
        _F("diagnosis_code", "string", "ICD-10-CM diagnosis, whole; a point is passed over."),
        _F("condition", "string", "Condition a diagnosis stands for, as its source names it."),
        _F("procedure_code", "string", "ICD-10-PCS procedure, whole; a point is passed over."),
        _F(
            "planned_code_kind",
            "string",
            "What a code says of whether a stay was planned.",
            values=(
                "always_planned_procedure",
                "potentially_planned_procedure",
                "always_planned_diagnosis",
                "acute_diagnosis",
            ),
        ),
        _F(
            "planned_code",
            "string",
            "ICD-10-PCS procedure or ICD-10-CM principal diagnosis, whole; a point is passed over.",
        ),
        _F(
            "youngest_age_years",
            "integer",
            "Youngest age at admission or visit for which the diagnosis counts; missing without a limit.",
            unit="years",
            minimum=0,
        ),
        _F(
            "oldest_age_years",
            "integer",
            "Oldest age at admission or visit for which the diagnosis counts; missing without a limit.",
            unit="years",
            minimum=0,
        ),
        _F(
            "non_emergent_share",
            "number",
            "Probability that a visit with the diagnosis needed no care within 12 hours.",
            unit="share",
            minimum=0,
        ),
        _F(
            "primary_care_treatable_share",
            "number",
            "Probability that it was emergent and primary care could have treated it.",
            unit="share",
            minimum=0,
        ),
        _F(
            "preventable_share",
            "number",
            "Probability that it needed the emergency department and could have been prevented.",
            unit="share",
            minimum=0,
        ),
        _F("wave_date", "date", "First day of the survey wave."),
        _F(
            "tie_type",
            "string",
            "What flows along the tie.",
            values=("referral", "data", "money", "coordination"),
        ),
        _F("tie_strength", "integer", "Strength as reported, 0 to 4.", unit="points", minimum=0),
        _F("respondent_id", "string", "Survey respondent pseudonym."),
        _F(
            "respondent_role",
            "string",
            "Role of the respondent.",
            values=("frontline", "manager", "executive", "other"),
        ),
        _F("item", "string", "Survey item name."),
        _F("response", "number", "Response on the item's scale.", unit="points"),
        _F("scale", "string", "Scale the item belongs to; missing for a single question."),
        _F("lowest_response", "number", "Lowest answer the item allows.", unit="points"),
        _F("highest_response", "number", "Highest answer the item allows.", unit="points"),
        _F(
            "is_reversed",
            "boolean",
            "A high answer means little of what the scale measures; missing means it is not.",
        ),
        _F(
            "missing_codes",
            "string",
            "Codes that are no answer (does not know, refused), parted by a semicolon.",
        ),
        _F(
            "asked_if_item",
            "string",
            "Item whose answer decides whether this one is asked; missing: asked of everyone.",
        ),
        _F(
            "asked_if_responses",
            "string",
            "Answers of `asked_if_item` after which the item is asked, parted by a semicolon.",
        ),
        _F(
            "data_sharing_level",
            "integer",
            "0 nothing shared, 1 by fax, email or phone, 2 files by hand, 3 files on a schedule, 4 both systems read and write.",
            unit="points",
            minimum=0,
        ),
        _F(
            "requirement",
            "string",
            "Element a plan requires of its providers (form, field, portal, cadence).",
        ),
        _F("requirement_value", "string", "The plan's setting of the element."),
        _F("effective_date", "date", "First day the row applies."),
        _F("payment_id", "string", "Payment identifier."),
        _F("invoice_received_date", "date", "Day the plan received a clean claim or invoice."),
        _F("billed_amount", "number", "Amount billed by the organization.", unit="USD"),
        _F(
            "payment_status",
            "string",
            "Standing of the payment.",
            values=("paid", "denied", "pending"),
        ),
        # --- partners' own systems ---
        *PARTNER_FIELDS,
    )
}


def table_fields(table: Table) -> tuple[Field, ...]:
    """Columns of a table, in order."""
    return (*(FIELDS[name] for name in table.fields), *table.own_fields)
