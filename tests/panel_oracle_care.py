"""Visits, stays and nights from the rules' words: pair by pair and day by day, slowly."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from panel_oracle_claims import Row, bill, service_day
from panel_oracle_coverage import completed_years

DAY = timedelta(days=1)
ED_REVENUE = {"0450", "0451", "0452", "0454", "0455", "0459", "0981"}
URGENT_CARE = "0456"
ED_PROCEDURES = {*(f"9928{i}" for i in range(1, 6)), *(f"G038{i}" for i in range(5))}
ED_BILLS = {"13", "14", "85"}
ROOM_AND_BOARD = re.compile(r"01[0-7]\d|020\d|021\d")
STILL_A_PATIENT = "30"
TRANSFER_CODES = {"02", "05", "43", "65", "66", "82", "85", "88", "93", "94"}
# Transferred to a hospital, against advice, died (three of them in a hospice), still a patient.
NOT_AN_INDEX = {"02", "07", "20", "40", "41", "42", STILL_A_PATIENT}
PSYCHIATRIC = {"283Q00000X", "273R00000X"}
OFFICE = {*(f"9920{i}" for i in range(2, 6)), *(f"9921{i}" for i in range(1, 6))}
CLINIC_BILLS = {"13", "71", "73", "77"}
NOT_OFFICE_PLACES = {"21", "23"}
CLINIC_PLACES = {"19", "22", "49", "50", "71", "72"}


def place_of(line: Row) -> str | None:
    """Facility of a line: its own NPI, else that of the rendering professional."""
    return line.get("facility_npi") or line.get("rendering_npi")


def ed_revenue(definition: str) -> set[str]:
    """Emergency revenue codes."""
    return ED_REVENUE | ({URGENT_CARE} if definition == "with_urgent_care" else set())


@dataclass
class Stay:
    facility: str | None
    admit: date
    discharge: date
    left: str | None
    diagnosis: str | None = None
    drg: str | None = None
    is_psychiatric: bool = False
    claim: str = ""


@dataclass
class EdClaim:
    facility: str | None
    days: list[date]
    is_transferred: bool = False
    claim: str = ""
    diagnoses: dict[date, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EdVisit:
    first: date
    last: date
    facility: str | None = None
    is_transferred: bool = False
    diagnosis: str | None = None


@dataclass
class Member:
    """What the emergency and inpatient rules look at."""

    spans: list[Any] = field(default_factory=list)
    ed_claims: list[EdClaim] = field(default_factory=list)
    ed_doctor_days: list[date] = field(default_factory=list)
    doctor_diagnoses: dict[date, str] = field(default_factory=dict)
    stays: list[Stay] = field(default_factory=list)
    death: date | None = None
    birth: date | None = None


# --- inpatient ---------------------------------------------------------------------------------


def stay_claims(lines: list[Row], evidence: str) -> dict[str, Stay]:
    """Inpatient claims, each from admission to discharge, that count as acute stays."""
    claims: dict[str, list[Row]] = defaultdict(list)
    for line in lines:
        if line["claim_type"] == "institutional" and bill(line)[:2] == "11":
            claims[line["claim_id"]].append(line)
    return {c: _stay(x) for c, x in claims.items() if evidence == "bill_type" or _is_acute(x)}


def _is_acute(lines: list[Row]) -> bool:
    """A room-and-board line, or a DRG."""
    rooms = any(ROOM_AND_BOARD.fullmatch(x.get("revenue_center_code") or "") for x in lines)
    return rooms or any(x.get("drg_code") for x in lines)


def _stay(lines: list[Row]) -> Stay:
    head = lines[0]
    admit = head.get("admission_date") or head["claim_start_date"]
    discharge = head.get("discharge_date") or head.get("claim_end_date") or admit
    is_interim = bill(head) in {"112", "113"}
    return Stay(
        place_of(head),
        admit,
        discharge,
        head.get("discharge_disposition_code") or (STILL_A_PATIENT if is_interim else None),
        min((x["diagnosis_code_1"] for x in lines if x.get("diagnosis_code_1")), default=None),
        min((x["drg_code"] for x in lines if x.get("drg_code")), default=None),
        any(x.get("billing_taxonomy_code") in PSYCHIATRIC for x in lines),
        head["claim_id"],
    )


def hospital_stays(stays: list[Stay]) -> list[Stay]:
    """Merge claims of one facility until no two can be merged."""
    groups = [[stay] for stay in stays]
    while _merge_two(groups):
        pass
    merged = []
    for group in groups:
        end = max(s.discharge for s in group)
        finals = [s for s in group if s.discharge == end]
        # Claims that end on one day leave alike or one is an interim bill: which counts is no rule.
        done = [s for s in finals if s.left != STILL_A_PATIENT] or finals
        group.sort(key=lambda s: (s.admit, s.claim))
        merged.append(
            Stay(
                group[0].facility,
                group[0].admit,
                end,
                done[0].left,
                next((s.diagnosis for s in group if s.diagnosis), None),
                next((s.drg for s in group if s.drg), None),
                any(s.is_psychiatric for s in group),
            )
        )
    return merged


def _merge_two(groups: list[list[Stay]]) -> bool:
    """Merge one pair of groups that belong together; False when there is none."""
    for i, one in enumerate(groups):
        for j, other in enumerate(groups):
            if i != j and one[0].facility == other[0].facility and _belongs(one, other):
                one += groups.pop(j)
                return True
    return False


def _belongs(one: list[Stay], other: list[Stay]) -> bool:
    """Whether the other group overlaps this one, or follows the day after an interim bill of it."""
    begins = min(s.admit for s in other)
    overlaps = min(s.admit for s in one) <= begins <= max(s.discharge for s in one)
    return overlaps or any(s.left == STILL_A_PATIENT and begins == s.discharge + DAY for s in one)


def episodes(stays: list[Stay], transfer_days: int = 1, transfer_rule: str = "dates") -> list[Stay]:
    """Stays of claims, joined across facilities."""
    return joined(hospital_stays(stays), transfer_days, transfer_rule)


def joined(stays: list[Stay], transfer_days: int, transfer_rule: str) -> list[Stay]:
    """Join stays across facilities, in order of admission."""
    out: list[list[Stay]] = []
    for stay in sorted(stays, key=_order):
        if out and _continues(stay, out[-1], transfer_days, transfer_rule):
            out[-1].append(stay)
        else:
            out.append([stay])
    told = []
    for group in out:
        last = max(group, key=lambda s: (s.discharge, s.admit, s.facility or ""))
        told.append(
            Stay(
                "",
                min(s.admit for s in group),
                last.discharge,
                last.left,
                next((s.diagnosis for s in group if s.diagnosis), None),
                next((s.drg for s in group if s.drg), None),
                group[0].is_psychiatric,
            )
        )
    return told


def _order(stay: Stay) -> tuple:
    return (stay.admit, stay.discharge, stay.facility or "")


def _continues(stay: Stay, episode: list[Stay], transfer_days: int, transfer_rule: str) -> bool:
    end = max(s.discharge for s in episode)
    last = [s for s in episode if s.discharge == end]
    if stay.admit <= end:
        return True
    if stay.admit > end + DAY * transfer_days or stay.facility in {s.facility for s in last}:
        return False
    return transfer_rule == "dates" or any(s.left in TRANSFER_CODES for s in last)


def nights(eps: list[Stay]) -> list[date]:
    """Every night of the episodes, by the day it begins; at least one a stay."""
    told = []
    for episode in eps:
        day = episode.admit
        while True:
            told.append(day)
            day += DAY
            if day >= episode.discharge:
                break
    return told


def index_stays(
    eps: list[Stay],
    death: date | None = None,
    birth: date | None = None,
    ages: tuple[int, int] | None = None,
) -> list[Stay]:
    """Stays that can be followed by a readmission."""
    return [
        stay
        for stay in eps
        if stay.left not in NOT_AN_INDEX
        and stay.discharge > stay.admit
        and (death is None or death > stay.discharge)
        and (ages is None or _is_of_age(birth, stay.discharge, ages))
    ]


def _is_of_age(birth: date | None, day: date, ages: tuple[int, int]) -> bool:
    return birth is not None and ages[0] <= completed_years(birth, day) <= ages[1]


# --- emergency department ----------------------------------------------------------------------


def ed_claims(lines: list[Row], definition: str) -> list[EdClaim]:
    """Facility emergency lines by claim."""
    revenue = ed_revenue(definition)
    claims: dict[tuple[str, str | None], list[Row]] = defaultdict(list)
    for line in lines:
        is_code = line.get("revenue_center_code") in revenue
        is_code |= line.get("hcpcs_code") in ED_PROCEDURES
        is_bill = not bill(line) or bill(line)[:2] in ED_BILLS
        if line["claim_type"] == "institutional" and is_bill and is_code:
            claims[line["claim_id"], place_of(line)].append(line)
    return [
        EdClaim(
            facility,
            [service_day(line) for line in mine],
            any(line.get("discharge_disposition_code") in TRANSFER_CODES for line in mine),
            claim,
            first_diagnoses(mine),
        )
        for (claim, facility), mine in claims.items()
    ]


def first_diagnoses(lines: list[Row]) -> dict[date, str]:
    """First principal diagnosis in the alphabet of each day that has one."""
    told: dict[date, str] = {}
    for line in lines:
        code, day = line.get("diagnosis_code_1"), service_day(line)
        if code:
            told[day] = min(code, told.get(day, code))
    return told


def ed_doctor_lines(lines: list[Row]) -> list[Row]:
    """Professional emergency lines."""
    return [
        line
        for line in lines
        if line["claim_type"] == "professional"
        and (line.get("place_of_service_code") == "23" or line.get("hcpcs_code") in ED_PROCEDURES)
    ]


def doctor_diagnoses(lines: list[Row]) -> dict[date, str]:
    """Diagnosis of each day with professional emergency lines: of the smallest claim number."""
    told: dict[date, str] = {}
    for claim in sorted({line["claim_id"] for line in lines}, reverse=True):
        told |= first_diagnoses([line for line in lines if line["claim_id"] == claim])
    return told


def ed_visits_of(member: Member, join_days: int = 1) -> list[EdVisit]:
    """Visits of facilities, then doctors' days that nothing explains."""
    visits: list[EdVisit] = []
    pieces = [(claim, *piece) for claim in member.ed_claims for piece in _pieces(claim)]
    for facility in {claim.facility for claim, _, _ in pieces}:
        mine = sorted(
            (
                (s, claim.claim, e, claim.is_transferred, _piece_diagnosis(claim, s, e) or "")
                for claim, s, e in pieces
                if claim.facility == facility
            )
        )
        while mine:
            first = mine[0][0]
            visit = [piece for piece in mine if piece[0] <= first + DAY * join_days]
            mine = mine[len(visit) :]
            last, is_transferred = max(e for _, _, e, _, _ in visit), any(v[3] for v in visit)
            diagnosis = next((each[4] for each in visit if each[4]), None)
            visits.append(EdVisit(first, last, facility, is_transferred, diagnosis))
    stays = hospital_stays(member.stays)
    alone = [
        day
        for day in sorted(set(member.ed_doctor_days))
        if not any(v.first - DAY <= day <= v.last + DAY for v in visits)
        and not any(s.admit - DAY <= day <= s.discharge for s in stays)
    ]
    while alone:
        together = [day for day in alone if day <= alone[0] + DAY * join_days]
        known = (member.doctor_diagnoses.get(day) for day in together)
        diagnosis = next((code for code in known if code), None)
        visits.append(EdVisit(together[0], together[-1], diagnosis=diagnosis))
        alone = alone[len(together) :]
    return visits


def _pieces(claim: EdClaim) -> list[tuple[date, date]]:
    """Runs of days of one claim that follow one another."""
    days, told = sorted(set(claim.days)), []
    while days:
        start = end = days.pop(0)
        while days and days[0] == end + DAY:
            end = days.pop(0)
        told.append((start, end))
    return told


def _piece_diagnosis(claim: EdClaim, first: date, last: date) -> str | None:
    """First diagnosis in the alphabet of the days of a piece."""
    known = [code for day, code in claim.diagnoses.items() if first <= day <= last]
    return min(known, default=None)


# --- other visits --------------------------------------------------------------------------------


def clinic_visits(lines: list[Row]) -> dict[tuple[str | None, date], list[Row]]:
    """Outpatient visits by provider and day, each with the lines that tell of it."""
    claims: dict[tuple[str, date], list[Row]] = defaultdict(list)
    for line in lines:
        if _is_office(line) or _is_clinic(line):
            claims[line["claim_id"], service_day(line)].append(line)
    visits: dict[tuple[str | None, date], list[Row]] = defaultdict(list)
    billed: dict[date, set[str | None]] = defaultdict(set)
    for (_, day), mine in claims.items():
        if any(_is_clinic(x) for x in mine):
            for line in mine:
                visits[place_of(line), day].append(line)
                if line["claim_type"] == "institutional":
                    billed[day].add(place_of(line))
    for (_, day), mine in claims.items():
        if not any(_is_clinic(x) for x in mine):
            for line in mine:
                provider = line.get("rendering_npi") or line.get("facility_npi")
                if not (billed[day] and _is_other_half(line)):
                    visits[provider, day].append(line)
                # What the other half of a clinic's bill says is true of the clinic's visit.
                for clinic in billed[day] if _is_other_half(line) else ():
                    visits[clinic, day].append(line)
    return visits


def _is_office(line: Row) -> bool:
    is_place = line.get("place_of_service_code") not in NOT_OFFICE_PLACES
    return line["claim_type"] == "professional" and line.get("hcpcs_code") in OFFICE and is_place


def _is_clinic(line: Row) -> bool:
    is_revenue = (line.get("revenue_center_code") or "")[:3] in {"051", "052"}
    is_bill = line["claim_type"] == "institutional" and bill(line)[:2] in CLINIC_BILLS
    return line.get("hcpcs_code") == "T1015" or (is_revenue and is_bill)


def _is_other_half(line: Row) -> bool:
    """A professional's claim from a place that bills for itself."""
    is_place = line.get("place_of_service_code") in CLINIC_PLACES
    return line["claim_type"] == "professional" and is_place
