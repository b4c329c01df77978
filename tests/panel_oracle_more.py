"""More measures of care from their definitions: admissions, observation, other visits, fills."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date, timedelta

from panel_oracle_care import (
    ED_PROCEDURES,
    EdVisit,
    Stay,
    clinic_visits,
    ed_revenue,
    hospital_stays,
    place_of,
)
from panel_oracle_claims import Row, bill, service_day
from panel_oracle_coverage import days_between

DAY = timedelta(days=1)
PAIR = re.compile("[DEGHIJNPRSX]{2}")
EMERGENCY = {"A0427", "A0429", "A0433", "A0430", "A0431"}
NOT_EMERGENCY = {"A0426", "A0428", "A0434"}
OBSERVATION = {
    *("G0378", "G0379", "99217", "99218", "99219", "99220"),
    *("99224", "99225", "99226", "99234", "99235", "99236"),
}
NURSING_BILLS = {"18", "21", "22", "27", "28"}
NURSING_REVENUE = {"0022", "0190", "0191", "0192", "0193", "0194"}
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
    """First to last day of the line, else of the claim."""
    if line.get("claim_line_start_date") and line.get("claim_line_end_date"):
        return days_between(line["claim_line_start_date"], line["claim_line_end_date"])
    first = service_day(line)
    return days_between(first, max(first, line.get("claim_end_date") or first))


def _runs(days: set[date]) -> list[tuple[date, date]]:
    """Stretches of days that follow one another."""
    told: list[tuple[date, date]] = []
    for day in sorted(days):
        if told and day == told[-1][1] + DAY:
            told[-1] = (told[-1][0], day)
        else:
            told.append((day, day))
    return told


def observation_days(lines: list[Row], inpatient: list[Stay]) -> list[date]:
    """First day of each observation stay."""
    by_form: dict[str, dict[str | None, set[date]]] = {
        "institutional": defaultdict(set),
        "professional": defaultdict(set),
    }
    for line in lines:
        form, is_code = line["claim_type"], line.get("hcpcs_code") in OBSERVATION
        is_revenue = line.get("revenue_center_code") in {"0760", "0762"}
        is_facility = form == "institutional" and bill(line)[:2] != "11"
        if (is_facility and (is_code or is_revenue)) or (form == "professional" and is_code):
            by_form[form][place_of(line)] |= set(line_days(line))
    found = [run for days in by_form["institutional"].values() for run in _runs(days)]
    doctors = [run for days in by_form["professional"].values() for run in _runs(days)]
    alone = [(s, e) for s, e in doctors if not any(f - DAY <= e and s <= t + DAY for f, t in found)]
    stays = hospital_stays(inpatient)
    return [
        s
        for s, e in found + alone
        if not any(s <= x.admit <= e + DAY or x.admit < s < x.discharge for x in stays)
    ]


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

    def is_center(line: Row) -> bool:
        is_bill = line["claim_type"] == "institutional" and bill(line)[:2] in HEALTH_CENTER_BILLS
        is_place = line.get("place_of_service_code") in {"50", "72"}
        is_form = line["claim_type"] == "professional" and is_place
        return line.get("hcpcs_code") == "T1015" or is_bill or is_form

    return [day for (_, day), mine in clinic_visits(lines).items() if any(map(is_center, mine))]


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
