"""More measures of care from their definitions: admissions, observation, other visits, fills."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date, timedelta

from panel_oracle_care import (
    ED_PROCEDURES,
    OFFICE,
    EdVisit,
    Stay,
    clinic_visits,
    ed_revenue,
    hospital_stays,
    place_of,
)
from panel_oracle_claims import Row, bill, service_day
from panel_oracle_coverage import completed_years, days_between

DAY = timedelta(days=1)
PAIR = re.compile("[DEGHIJNPRSX]{2}")
EMERGENCY = {"A0427", "A0429", "A0433", "A0430", "A0431"}
NOT_EMERGENCY = {"A0426", "A0428", "A0434"}
OBSERVATION = {
    *("G0378", "G0379", "99217", "99218", "99219", "99220"),
    *("99224", "99225", "99226", "99234", "99235", "99236"),
}
PREVENTIVE = {
    *(f"9938{i}" for i in range(1, 8)),
    *(f"9939{i}" for i in range(1, 8)),
    *(f"9940{i}" for i in range(1, 5)),
    *("99411", "99412", "G0402", "G0438", "G0439"),
}
MENTAL = {
    *("90791", "90792", "90832", "90833", "90834", "90836", "90837", "90838", "90839", "90840"),
    *("90845", "90846", "90847", "90849", "90853", "90870", "99492", "99493", "99494", "99484"),
    *("H0004", "H0031", "H0032", "H0034", "H0036", "H0037", "H2010", "H2011", "H2015", "H2017"),
    *("H2019", "H2021", "T1017"),
}
SUBSTANCE = {
    *("H0001", "H0005", "H0007", "H0015", "H0020", "H2036", "99408", "99409", "G2080"),
    *(f"G20{i}" for i in range(67, 80)),
}
HEALTH_CENTER_BILLS = {"71", "73", "77"}
TELEHEALTH = {"95", "GT", "GQ", "FQ", "93"}


def trips(lines: list[Row], codes: set[str]) -> list[date]:
    """One per day and origin-destination pair; without a pair one, on days that have no pair."""
    pairs: dict[date, set[str | None]] = defaultdict(set)
    for line in lines:
        if line.get("hcpcs_code") in codes:
            modifier = line.get("hcpcs_modifier_1") or ""
            pairs[service_day(line)].add(modifier if PAIR.fullmatch(modifier) else None)
    return [day for day, mine in pairs.items() for _ in range(len(mine - {None}) or 1)]


def ended_in_admission(visit: EdVisit, stays: list[Stay], rule: str) -> bool:
    return any(_leads_to(visit, stay, rule) for stay in stays)


def _leads_to(visit: EdVisit, stay: Stay, rule: str) -> bool:
    begins = visit.first <= stay.admit <= visit.last + DAY
    is_within = stay.admit < visit.first < stay.discharge
    is_unknown = visit.facility is None or stay.facility is None
    is_place = rule == "any_facility" or is_unknown or visit.facility == stay.facility
    return (begins or is_within) and (is_place or visit.is_transferred)


def admitted_visits(
    visits: list[EdVisit], lines: list[Row], claims: list[tuple[str, Stay]], rules: object
) -> tuple[list[EdVisit], list[EdVisit]]:
    """Visits that did not end in admission, and those that did."""
    stays = hospital_stays([stay for _, stay in claims])
    home = [v for v in visits if not ended_in_admission(v, stays, rules.ed_admission)]
    admitted = [v for v in visits if v not in home]
    if rules.ed_on_inpatient_claims == "count":
        codes = ed_revenue(rules.ed_definition)
        emergency = {
            line["claim_id"]
            for line in lines
            if line.get("revenue_center_code") in codes or line.get("hcpcs_code") in ED_PROCEDURES
        }
        with_lines = [stay for claim, stay in claims if claim in emergency]
        for stay in stays:
            is_led_to = any(_leads_to(v, stay, rules.ed_admission) for v in visits)
            if not is_led_to and any(_is_part(each, stay) for each in with_lines):
                admitted.append(EdVisit(stay.admit, stay.admit, stay.facility))
    return home, admitted


def _is_part(claim: Stay, stay: Stay) -> bool:
    is_within = stay.admit <= claim.admit and claim.discharge <= stay.discharge
    return claim.facility == stay.facility and is_within


def line_days(line: Row) -> list[date]:
    """First day of the line, else of the claim, to its last, else that of the claim."""
    first = service_day(line)
    last = line.get("claim_line_end_date") or line.get("claim_end_date") or first
    return days_between(first, max(first, last))


def _runs(days: set[date]) -> list[tuple[date, date]]:
    """Stretches of days that follow one another."""
    told: list[tuple[date, date]] = []
    for day in sorted(days):
        if told and day == told[-1][1] + DAY:
            told[-1] = (told[-1][0], day)
        else:
            told.append((day, day))
    return told


def observation_stays(lines: list[Row], inpatient: list[Stay]) -> list[Stay]:
    """Observation stays, each with its facility."""
    facility: dict[str | None, list[Row]] = defaultdict(list)
    doctors: list[Row] = []
    for line in lines:
        form, is_code = line["claim_type"], line.get("hcpcs_code") in OBSERVATION
        is_revenue = line.get("revenue_center_code") in {"0760", "0762"}
        if form == "institutional" and bill(line)[:2] != "11" and (is_code or is_revenue):
            facility[place_of(line)].append(line)
        elif form == "professional" and is_code:
            doctors.append(line)
    found = [stay for place, mine in facility.items() for stay in _observed(place, mine)]
    alone = [
        stay
        for stay in _observed(None, doctors)
        if not any(
            f.admit - DAY <= stay.discharge and stay.admit <= f.discharge + DAY for f in found
        )
    ]
    stays = hospital_stays(inpatient)
    return [
        stay
        for stay in found + alone
        if not any(
            stay.admit <= x.admit <= stay.discharge + DAY or x.admit < stay.admit < x.discharge
            for x in stays
        )
    ]


def _observed(place: str | None, lines: list[Row]) -> list[Stay]:
    """Stays of one facility."""
    told = []
    for first, last in _runs({day for line in lines for day in line_days(line)}):
        mine = [line for line in lines if first <= service_day(line) <= last]
        left = max((line.get("discharge_disposition_code") or "" for line in mine), default="")
        codes = [line["diagnosis_code_1"] for line in mine if line.get("diagnosis_code_1")]
        told.append(Stay(place, first, last, left or None, min(codes, default=None)))
    return told


def fills(lines: list[Row]) -> list[tuple[str, date, int]]:
    """Member, day and days of supply of each fill."""
    told: dict[tuple, int] = defaultdict(int)
    for line in lines:
        key = (line["member_id"], line.get("ndc_code"), line["dispensing_date"])
        told[key] = max(told[key], line.get("days_supply") or 0)
    return [(who, day, supply) for (who, _, day), supply in told.items()]


def _is_clinic_or_professional(line: Row) -> bool:
    is_bill = line["claim_type"] == "institutional" and bill(line)[:2] in HEALTH_CENTER_BILLS
    return line["claim_type"] == "professional" or is_bill


def preventive_days(lines: list[Row]) -> list[date]:
    """Days with a preventive visit."""
    mine = [x for x in lines if x.get("hcpcs_code") in PREVENTIVE and _is_clinic_or_professional(x)]
    return sorted({service_day(line) for line in mine})


def behavioral_days(lines: list[Row], *, substance: bool) -> list[date]:
    """One day per provider and day with mental health, or substance use, care."""
    found = set()
    for line in lines:
        if not _is_clinic_or_professional(line):
            continue
        code, diagnosis = line.get("hcpcs_code"), line.get("diagnosis_code_1") or ""
        is_mental = bool(re.match("F(0[1-9]|[2-9][0-9])", diagnosis))
        is_substance = bool(re.match("F1[0-689]", diagnosis))
        if substance:
            is_visit = code in SUBSTANCE or (code in MENTAL and is_substance)
        else:
            is_visit = code in MENTAL and is_mental
        if is_visit:
            provider = line.get("rendering_npi") or line.get("facility_npi")
            found.add((provider, service_day(line)))
    return [day for _, day in found]


def health_center_days(lines: list[Row]) -> list[date]:
    """Outpatient visits at a health center."""
    return [day for (_, day), mine in clinic_visits(lines).items() if any(map(_is_center, mine))]


def _is_center(line: Row) -> bool:
    """At a federally qualified health center or rural health clinic."""
    is_bill = line["claim_type"] == "institutional" and bill(line)[:2] in HEALTH_CENTER_BILLS
    is_place = line.get("place_of_service_code") in {"50", "72"}
    is_form = line["claim_type"] == "professional" and is_place
    return line.get("hcpcs_code") == "T1015" or is_bill or is_form


def telehealth_days(lines: list[Row]) -> list[date]:
    """Outpatient visits by telehealth."""

    def is_remote(line: Row) -> bool:
        modifiers = {line.get(f"hcpcs_modifier_{i}") for i in range(1, 6)}
        return line.get("place_of_service_code") in {"02", "10"} or bool(modifiers & TELEHEALTH)

    return [day for (_, day), mine in clinic_visits(lines).items() if any(map(is_remote, mine))]


def homeless_months(lines: list[Row]) -> set[tuple[str, str]]:
    """Member and month with homelessness recorded."""
    told = set()
    for line in lines:
        codes = [line.get(f"diagnosis_code_{i}") or "" for i in range(1, 6)]
        is_code = any(re.match("Z59[018]", code) for code in codes)
        if is_code or line.get("place_of_service_code") in {"04", "27"}:
            told.add((line["member_id"], f"{service_day(line):%Y-%m}"))
    return told


PRIMARY_PLACES = {"02", "10", "11", "12", "17", "19", "20", "22", "27", "49", "50", "71", "72"}
PRIMARY_TAXONOMIES = {
    *("207Q00000X", "207R00000X", "208D00000X", "208000000X", "363LF0000X", "363LP2300X"),
    *("363LA2200X", "363LP0200X", "363A00000X", "363AM0700X"),
    *("261QF0400X", "261QR1300X", "261QP2300X"),
}


def primary_and_specialty_days(lines: list[Row]) -> tuple[list[date], list[date]]:
    """Days of outpatient visits for primary care, and of those to specialists."""
    primary, specialty = [], []
    for (_, day), mine in clinic_visits(lines).items():
        if any(_is_center(line) or _is_primary(line) for line in mine):
            primary.append(day)
        elif not any(_is_behavioral(line) for line in mine):
            specialty.append(day)
    return primary, specialty


def _is_primary(line: Row) -> bool:
    """Office code of a professional of primary care, in a place of primary care."""
    is_place = line.get("place_of_service_code") in PRIMARY_PLACES
    is_doctor = line.get("rendering_taxonomy_code") in PRIMARY_TAXONOMIES
    is_office = line["claim_type"] == "professional" and line.get("hcpcs_code") in OFFICE
    return is_office and is_place and is_doctor


def _is_behavioral(line: Row) -> bool:
    """Principal diagnosis of mental health or substance use."""
    code = line.get("diagnosis_code_1") or ""
    return bool(re.match("F(0[1-9]|[2-9][0-9]|1[0-689])", code))


def is_for(row: Row, diagnosis: str | None, birth: date | None, day: date) -> bool:
    """Whether a row of a list says something of a diagnosis at an age; points in codes are none."""
    youngest, oldest = row.get("youngest_age_years"), row.get("oldest_age_years")
    if row["diagnosis_code"].replace(".", "") != diagnosis:
        return False
    if youngest is None and oldest is None:
        return True
    age = completed_years(birth, day) if birth else None
    return age is not None and (youngest or 0) <= age <= (10**6 if oldest is None else oldest)


def avoidable(visits: list[EdVisit], birth: date | None, weights: list[Row]) -> dict[str, float]:
    """Expected avoidable visits by month, of visits that did not end in admission."""
    shares = ("non_emergent_share", "primary_care_treatable_share", "preventable_share")
    told: dict[str, float] = defaultdict(float)
    for visit in visits:
        for row in weights:
            if is_for(row, visit.diagnosis, birth, visit.first):
                told[f"{visit.first:%Y-%m}"] += sum(row[share] for share in shares)
    return told
