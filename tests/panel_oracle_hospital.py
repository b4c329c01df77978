"""Index stays and readmissions, and what stays are for, from the rules' words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from panel_oracle_care import (
    DAY,
    STILL_A_PATIENT,
    Stay,
    hospital_stays,
    index_stays,
    joined,
)
from panel_oracle_claims import Row, bill, service_day
from panel_oracle_coverage import days_between, month_of
from panel_oracle_more import is_for, line_days, observation_stays

NURSING_BILLS = {"18", "21", "22", "27", "28"}
NURSING_REVENUE = {"0022", "0190", "0191", "0192", "0193", "0194"}
# Rehabilitation, chemotherapy, transplant. An MS-DRG may be written with four digits, the first a
# zero; an APR-DRG may have the severity as a fourth digit.
PLANNED_MS_DRG = {
    *("945", "946", "837", "838", "839", "846", "847", "848"),
    *("001", "002", "005", "006", "007", "008", "010", "014", "016", "017", "018", "019"),
    *("650", "651", "652"),
}
PLANNED_APR_DRG = {"860", "693", "695", "696", "001", "002", "003", "006", "007", "008", "440"}


@dataclass(frozen=True)
class Plans:
    """What tells of a member whether a stay was planned.

    `starts` are the first days of its inpatient claims, `procedures` what was done on each.
    """

    starts: dict[str, date]
    procedures: list[Row]
    codes: list[Row]

    def listed(self, kind: str) -> set[str]:
        """Codes of a kind; points in them are none."""
        mine = [row["planned_code"] for row in self.codes if row["planned_code_kind"] == kind]
        return {code.replace(".", "") for code in mine}


def plans(lines: list[Row], tables: dict[str, list[Row]], who: str) -> Plans:
    """What the tables have of a member."""
    starts: dict[str, date] = {}
    for line in lines:
        if line["claim_type"] == "institutional" and bill(line)[:2] == "11":
            starts[line["claim_id"]] = line.get("admission_date") or line["claim_start_date"]
    procedures = [row for row in tables.get("claim_procedure", []) if row["member_id"] == who]
    return Plans(starts, procedures, tables.get("planned_readmission_code", []))


def is_planned(stay: Stay, known: Plans, drg_system: str) -> bool:
    """Whether a stay was planned."""
    diagnosis, drg = stay.diagnosis or "", stay.drg or ""
    always = known.listed("always_planned_diagnosis")
    if diagnosis.startswith("Z511") or diagnosis in always:
        return True
    three = drg[1:] if len(drg) == 4 and drg.startswith("0") else drg
    if drg_system == "ms_drg" and three in PLANNED_MS_DRG:
        return True
    if drg_system == "apr_drg" and drg[:3] in PLANNED_APR_DRG:
        return True
    done = {
        row["procedure_code"]
        for row in known.procedures
        if row["claim_id"] in known.starts
        and stay.admit <= known.starts[row["claim_id"]] <= stay.discharge
    }
    is_acute = not diagnosis or diagnosis in known.listed("acute_diagnosis")
    maybe = done & known.listed("potentially_planned_procedure")
    return bool(done & known.listed("always_planned_procedure") or (maybe and not is_acute))


def readmissions(
    stays: list[Stay],
    lines: list[Row],
    rules: Any,
    known: Plans,
    lives: tuple[date | None, date | None],
    is_covered: Callable[[str], bool],
) -> tuple[list[date], list[date]]:
    """Discharges of index stays, and of those that were followed by a readmission."""
    birth, death = lives
    hospital = hospital_stays(stays)
    if rules.readmission_stays == "inpatient_or_observation":
        hospital = hospital + observation_stays(lines, stays)
    eps = sorted(
        joined(hospital, rules.transfer_days, rules.transfer_rule), key=lambda stay: stay.admit
    )
    next_of = {one.admit: other for one, other in pairwise(eps)}
    index, readmitted = [], []
    for stay in index_stays(eps, death, birth, rules.readmission_ages):
        is_birth = re.match(r"O\d|Z37|P[0-8]\d|P9[0-6]", stay.diagnosis or "")
        if rules.readmission_pregnancy == "leave_out" and is_birth:
            continue
        if rules.readmission_enrollment == "hedis" and not _is_enrolled(stay.discharge, is_covered):
            continue
        then = next_of.get(stay.admit)
        is_back = then and 1 <= (then.admit - stay.discharge).days <= rules.readmission_days
        is_meant = is_back and is_planned(then, known, rules.drg_system)
        if rules.planned_readmissions == "leave_out" and is_meant:
            continue
        index.append(stay.discharge)
        if is_back:
            readmitted.append(stay.discharge)
    return index, readmitted


def _is_enrolled(discharge: date, is_covered: Callable[[str], bool]) -> bool:
    """Covered from 365 days before, one month missing at most, to 30 days after, none missing."""
    months = {month_of(day) for day in days_between(discharge - 365 * DAY, discharge + 30 * DAY)}
    missing = {month for month in months if not is_covered(month)}
    return len(missing) <= 1 and all(month < month_of(discharge) for month in missing)


def sensitive_days(eps: list[Stay], birth: date | None, listed: list[Row]) -> list[date]:
    """Admissions of stays for an ambulatory-care-sensitive condition."""
    return [
        stay.admit
        for stay in eps
        if any(is_for(row, stay.diagnosis, birth, stay.admit) for row in listed)
    ]


def nursing_days(lines: list[Row], nights: list[date], window: tuple[date, date]) -> list[date]:
    """Days of the window in a nursing facility."""
    days: set[date] = set()
    away = set(nights)
    ends = _claim_ends(lines)
    for line in lines:
        if line["claim_type"] != "institutional":
            continue
        revenue = line.get("revenue_center_code") or ""
        mine = line_days(line)
        if re.fullmatch(r"018\d", revenue):
            whole = (line["claim_start_date"], line.get("claim_end_date"))
            own = (line.get("claim_line_start_date"), line.get("claim_line_end_date"))
            if None not in own and own != whole:
                away |= set(mine)
        elif _is_nursing(line):
            left = line.get("discharge_disposition_code")
            is_out = left not in (None, STILL_A_PATIENT) and mine[-1] >= ends[line["claim_id"]]
            days |= set(mine[:-1] if is_out and len(mine) > 1 else mine)
    return sorted(day for day in days - away if window[0] <= day <= window[1])


def _is_nursing(line: Row) -> bool:
    """Line of a nursing facility, other than leave."""
    revenue = line.get("revenue_center_code") or ""
    is_place = bill(line)[:2] in NURSING_BILLS or revenue in NURSING_REVENUE
    is_bill = line["claim_type"] == "institutional" and is_place
    return is_bill and not re.fullmatch(r"018\d", revenue)


def _claim_ends(lines: list[Row]) -> dict[str, date]:
    """Discharge of each claim, else its last day, or that of a nursing line where it is later."""
    told: dict[str, date] = {}
    for line in filter(_is_nursing, lines):
        end = line.get("discharge_date") or line.get("claim_end_date") or date.min
        told[line["claim_id"]] = max(told.get(line["claim_id"], end), end, line_days(line)[-1])
    return told


def response_days(lines: list[Row]) -> list[date]:
    """Days with an ambulance that came and carried nobody."""
    return sorted({service_day(line) for line in lines if line.get("hcpcs_code") == "A0998"})
