"""Visits, stays and nights from the rules' words: pair by pair and day by day, slowly."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise
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
OFFICE = {*(f"9920{i}" for i in range(2, 6)), *(f"9921{i}" for i in range(1, 6))}
CLINIC_BILLS = {"13", "71", "73", "77"}
NOT_OFFICE_PLACES = {"21", "23"}
CLINIC_PLACES = {"19", "22", "49", "50", "71", "72"}
AMBULANCE = {"A0427", "A0429", "A0433", "A0430", "A0431"}


@dataclass
class Stay:
    facility: str | None
    admit: date
    discharge: date
    left: str | None


@dataclass
class EdClaim:
    facility: str | None
    days: list[date]


@dataclass
class Member:
    """What the emergency and inpatient rules look at."""

    spans: list[Any] = field(default_factory=list)
    ed_claims: list[EdClaim] = field(default_factory=list)
    ed_doctor_days: list[date] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    death: date | None = None
    birth: date | None = None


# --- inpatient ---------------------------------------------------------------------------------


def stay_claims(lines: list[Row], evidence: str) -> list[Stay]:
    """Inpatient claims, each from admission to discharge, that count as acute stays."""
    claims: dict[str, list[Row]] = defaultdict(list)
    for line in lines:
        if line["claim_type"] == "institutional" and bill(line)[:2] == "11":
            claims[line["claim_id"]].append(line)
    return [_stay(mine) for mine in claims.values() if evidence == "bill_type" or _is_acute(mine)]


def _is_acute(lines: list[Row]) -> bool:
    """A room-and-board line, or a DRG."""
    rooms = any(ROOM_AND_BOARD.fullmatch(x.get("revenue_center_code") or "") for x in lines)
    return rooms or any(x.get("drg_code") for x in lines)


def _stay(lines: list[Row]) -> Stay:
    head = lines[0]
    admit = head.get("admission_date") or head["claim_start_date"]
    discharge = head.get("discharge_date") or head.get("claim_end_date") or admit
    return Stay(head.get("facility_npi"), admit, discharge, head.get("discharge_disposition_code"))


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
        merged.append(Stay(group[0].facility, min(s.admit for s in group), end, done[0].left))
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
    """Join stays across facilities, in order of admission."""
    out: list[list[Stay]] = []
    for stay in sorted(hospital_stays(stays), key=_order):
        if out and _continues(stay, out[-1], transfer_days, transfer_rule):
            out[-1].append(stay)
        else:
            out.append([stay])
    told = []
    for group in out:
        last = max(group, key=lambda s: (s.discharge, s.admit, s.facility or ""))
        told.append(Stay("", min(s.admit for s in group), last.discharge, last.left))
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


def readmitted(
    eps: list[Stay],
    within_days: int,
    death: date | None = None,
    birth: date | None = None,
    ages: tuple[int, int] | None = None,
) -> list[date]:
    """Discharges of index stays that were followed by an admission in time."""
    told = []
    for index, following in pairwise(sorted(eps, key=lambda s: s.admit)):
        died = death is not None and death <= index.discharge
        if index.left in NOT_AN_INDEX or index.discharge == index.admit or died:
            continue
        if ages is not None and not _is_of_age(birth, index.discharge, ages):
            continue
        if 1 <= (following.admit - index.discharge).days <= within_days:
            told.append(index.discharge)
    return told


def _is_of_age(birth: date | None, day: date, ages: tuple[int, int]) -> bool:
    return birth is not None and ages[0] <= completed_years(birth, day) <= ages[1]


# --- emergency department ----------------------------------------------------------------------


def ed_claims(lines: list[Row], definition: str) -> list[EdClaim]:
    """Facility emergency lines by claim."""
    revenue = ED_REVENUE | ({URGENT_CARE} if definition == "with_urgent_care" else set())
    claims: dict[tuple[str, str | None], list[date]] = defaultdict(list)
    for line in lines:
        is_code = line.get("revenue_center_code") in revenue
        is_code |= line.get("hcpcs_code") in ED_PROCEDURES
        is_bill = not bill(line) or bill(line)[:2] in ED_BILLS
        if line["claim_type"] == "institutional" and is_bill and is_code:
            claims[line["claim_id"], line.get("facility_npi")].append(service_day(line))
    return [EdClaim(facility, days) for (_, facility), days in claims.items()]


def ed_doctor_days(lines: list[Row]) -> list[date]:
    """Days of professional emergency lines."""
    return [
        service_day(line)
        for line in lines
        if line["claim_type"] == "professional"
        and (line.get("place_of_service_code") == "23" or line.get("hcpcs_code") in ED_PROCEDURES)
    ]


def ed_visit_days(member: Member, join_days: int = 1) -> list[date]:
    """First day of each visit: by facility, then doctors' days that nothing explains."""
    busy: list[tuple[date, date]] = []
    pieces = [(claim.facility, *piece) for claim in member.ed_claims for piece in _pieces(claim)]
    for facility in {piece[0] for piece in pieces}:
        mine = sorted((start, end) for place, start, end in pieces if place == facility)
        while mine:
            first = mine[0][0]
            visit = [(s, e) for s, e in mine if s <= first + DAY * join_days]
            mine = [(s, e) for s, e in mine if s > first + DAY * join_days]
            busy.append((first, max(e for _, e in visit)))
    stays = hospital_stays(member.stays)
    alone = [
        day
        for day in sorted(set(member.ed_doctor_days))
        if not any(s - DAY <= day <= e + DAY for s, e in busy)
        and not any(s.admit - DAY <= day <= s.discharge for s in stays)
    ]
    starts = [start for start, _ in busy]
    while alone:
        first = alone[0]
        starts.append(first)
        alone = [day for day in alone if day > first + DAY * join_days]
    return starts


def _pieces(claim: EdClaim) -> list[tuple[date, date]]:
    """Runs of days of one claim that follow one another."""
    days, told = sorted(set(claim.days)), []
    while days:
        start = end = days.pop(0)
        while days and days[0] == end + DAY:
            end = days.pop(0)
        told.append((start, end))
    return told


# --- other visits --------------------------------------------------------------------------------


def outpatient_visit_days(lines: list[Row]) -> list[date]:
    """One day per provider and day with a visit."""
    claims: dict[tuple[str, date], list[Row]] = defaultdict(list)
    for line in lines:
        if _is_office(line) or _is_clinic(line):
            claims[line["claim_id"], service_day(line)].append(line)
    clinic_days = {
        day
        for (_, day), mine in claims.items()
        if any(_is_clinic(x) and x["claim_type"] == "institutional" for x in mine)
    }
    visits = set()
    for (_, day), mine in claims.items():
        is_clinic = any(_is_clinic(x) for x in mine)
        for line in mine:
            if not is_clinic and _is_other_half(line) and day in clinic_days:
                continue
            provider = line.get("facility_npi") if is_clinic else line.get("rendering_npi")
            visits.add((provider, day))
    return [day for _, day in visits]


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


def ambulance_days(lines: list[Row]) -> list[date]:
    """Days with an emergency transport."""
    return sorted({service_day(x) for x in lines if x.get("hcpcs_code") in AMBULANCE})
