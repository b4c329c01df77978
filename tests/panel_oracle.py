"""The panel's rules once more, in plain Python and slowly: day by day, pair by pair.

Nothing here comes from the package. It is written from the rules' wording (the definitions of the
measures, the docstring of `PanelRules`, the words at the head of each file of rules and the code
list of definitions), to compare with. Where the words leave open which of two reasons a row is
counted under, a set of reasons is given, and any of them will do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import combinations
from typing import Any

import panel_oracle_more as more
from panel_oracle_care import (
    EdClaim,
    Member,
    Stay,
    clinic_visits,
    ed_claims,
    ed_doctor_days,
    ed_visits_of,
    episodes,
    index_stays,
    nights,
    readmitted,
    stay_claims,
)
from panel_oracle_claims import FINAL, Row, service_day, standings
from panel_oracle_coverage import Coverage, coverage, month_of
from panel_oracle_programs import contact_days, contacts, custody, exposure, record_reasons

__all__ = ["EdClaim", "Expected", "Member", "Stay", "ed_visits", "episodes", "expected", "may_be"]

PROGRAMS = ("ecm_services", "ecm_outreach", "community_support_services")


@dataclass
class Expected:
    """What the words say a panel of these tables is."""

    cover: Coverage
    months: dict[tuple[str, str], Row] = field(default_factory=dict)
    events: dict[str, list[set[str]]] = field(default_factory=dict)
    rows: dict[str, list[set[str]]] = field(default_factory=dict)
    dollars: dict[str, list[Decimal]] = field(default_factory=dict)
    remarks: list[set[str]] = field(default_factory=list)
    exposure: dict[tuple[str, str], Row] = field(default_factory=dict)


def expected(tables: dict[str, list[Row]], rules: Any, window: tuple[date, date]) -> Expected:
    """The panel of raw tables, each a list of rows with values as read."""
    tables = {name: without_repeats(rows) for name, rows in tables.items()}
    cover = coverage(tables, rules, window)
    told = Expected(cover, {key: dict(row) for key, row in cover.months.items()})
    told.rows["eligibility"] = cover.spans
    final = _claims(told, "medical_claim", tables.get("medical_claim", []))
    fills = _claims(told, "pharmacy_claim", tables.get("pharmacy_claim", []))
    records = tables.get("program_service", [])
    found = contacts(final, records)
    told.exposure = exposure(found, records)
    told.rows["program_service"], told.remarks = record_reasons(records, cover)
    days = _care_days(tables, final, rules)
    for name, program, kind in zip(
        PROGRAMS,
        ("ecm", "ecm", "community_support"),
        ("service", "outreach", "service"),
        strict=True,
    ):
        days[name] = contact_days(found, program, kind)
    days["pharmacy_fills"] = [(who, day) for who, day, _ in more.fills(fills)]
    days["pharmacy_days_supply"] = [
        (who, day) for who, day, supply in more.fills(fills) for _ in range(supply)
    ]
    bookings = {(row["member_id"], row["booking_date"]) for row in tables.get("custody", [])}
    days["bookings"] = sorted(bookings)
    deaths = _known(tables, "death_date")
    days["jail_days"], told.rows["custody"] = custody(tables.get("custody", []), deaths, cover)
    for name, each in days.items():
        _count(told, name, each)
    homeless = more.homeless_months(final)
    for key, row in told.months.items():
        row["homelessness_recorded"] = int(key in homeless)
    _pay(told, final + (fills if rules.paid_claims == "medical_and_pharmacy" else []))
    if rules.paid_claims == "medical":
        told.rows["pharmacy_claim"] = [
            {_NOT_IN_PAID if each == FINAL else each for each in one}
            for one in told.rows["pharmacy_claim"]
        ]
    told.rows["person"] = [
        {
            "used"
            if any(who == row["member_id"] for who, _ in told.months)
            else "no month in the panel"
        }
        for row in tables.get("person", [])
    ]
    return told


def without_repeats(rows: list[Row]) -> list[Row]:
    """Rows as they are read: one that repeats another in every value is set aside."""
    seen: set[tuple] = set()
    told = []
    for row in rows:
        values = tuple(sorted((k, v) for k, v in row.items() if v is not None))
        if values not in seen:
            seen.add(values)
            told.append(row)
    return told


_NOT_IN_PAID = "in the panel's months, not part of `paid_usd`"


def _known(tables: dict[str, list[Row]], column: str) -> dict[str, date]:
    """A date of persons by member, where it is known."""
    persons = tables.get("person", [])
    return {row["member_id"]: row[column] for row in persons if row.get(column)}


def _claims(told: Expected, name: str, lines: list[Row]) -> list[Row]:
    """Lines that count; every line gets its reason."""
    final, reasons = [], []
    for line, standing in zip(lines, standings(lines), strict=True):
        if standing == FINAL:
            final.append(line)
            reasons.append(told.cover.fates(line["member_id"], service_day(line)))
        else:
            reasons.append({standing})
    told.rows[name] = reasons
    told.dollars[name] = [line.get("paid_amount") or Decimal(0) for line in lines]
    return final


def _care_days(
    tables: dict[str, list[Row]], final: list[Row], rules: Any
) -> dict[str, list[tuple[str, date]]]:
    """Days of every measure of care, with their member."""
    births, deaths = _known(tables, "birth_date"), _known(tables, "death_date")
    by_member: dict[str, list[Row]] = defaultdict(list)
    for line in final:
        by_member[line["member_id"]].append(line)
    told: dict[str, list[tuple[str, date]]] = defaultdict(list)
    # A member without lines has no event: each measure is there all the same.
    for who, lines in {**by_member, "": []}.items():
        for name, days in _days_of(lines, rules, births.get(who), deaths.get(who)).items():
            told[name] += [(who, day) for day in days]
    return told


def _days_of(
    lines: list[Row], rules: Any, birth: date | None, death: date | None
) -> dict[str, list[date]]:
    """Days of the events of one member."""
    claims = stay_claims(lines, rules.stay_evidence)
    stays = list(claims.values())
    member = Member(
        ed_claims=ed_claims(lines, rules.ed_definition),
        ed_doctor_days=ed_doctor_days(lines),
        stays=stays,
    )
    eps = episodes(stays, rules.transfer_days, rules.transfer_rule)
    visits = ed_visits_of(member, rules.ed_join_days)
    home, admitted = more.admitted_visits(visits, lines, list(claims.items()), rules)
    index = index_stays(eps, death, birth, rules.readmission_ages)
    return {
        "ed_visits": [v.first for v in home + admitted],
        "ed_visits_treat_and_release": [v.first for v in home],
        "ed_visits_admitted": [v.first for v in admitted],
        "inpatient_stays": [e.admit for e in eps],
        "inpatient_days": nights(eps),
        "inpatient_days_of_stays": [
            e.admit for e in eps for _ in range(max(1, (e.discharge - e.admit).days))
        ],
        "index_stays_30d": [e.discharge for e in index],
        "readmissions_30d": readmitted(eps, index, rules.readmission_days),
        "observation_stays": more.observation_days(lines, stays),
        "outpatient_visits": [day for _, day in clinic_visits(lines)],
        "health_center_visits": more.health_center_days(lines),
        "telehealth_visits": more.telehealth_days(lines),
        "ambulance_trips": more.trips(lines, more.EMERGENCY),
        "ambulance_non_emergency_trips": more.trips(lines, more.NOT_EMERGENCY),
        "preventive_visits": more.preventive_days(lines),
        "behavioral_health_visits": more.behavioral_days(lines, substance=False),
        "substance_use_visits": more.behavioral_days(lines, substance=True),
    }


def _count(told: Expected, name: str, days: list[tuple[str, date]]) -> None:
    """Count the events of a measure in their months; the others are reasons."""
    counts = Counter((who, month_of(day)) for who, day in days)
    told.events[name] = [told.cover.fates(who, day) for who, day in days]
    for key, row in told.months.items():
        row[name] = counts[key]


def _pay(told: Expected, lines: list[Row]) -> None:
    """Dollars to the cent, by month of service."""
    paid: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for line in lines:
        paid[line["member_id"], month_of(service_day(line))] += line.get("paid_amount") or Decimal(
            0
        )
    for key, row in told.months.items():
        row["paid_usd"] = paid[key]


def may_be(counts: dict[str, int], rows: list[set[str]]) -> bool:
    """Whether rows with these possible reasons can have been counted like this.

    By Hall's theorem: the counts add up to the rows, and for any set of reasons no more rows are
    confined to it than it counts.
    """
    reasons = {reason for reason in counts if counts[reason]} | set().union(*rows)
    if sum(counts.values()) != len(rows):
        return False
    groups = Counter(frozenset(row) for row in rows)
    for size in range(1, len(reasons) + 1):
        for chosen in map(set, combinations(sorted(reasons), size)):
            confined = sum(n for row, n in groups.items() if row <= chosen)
            if confined > sum(counts.get(reason, 0) for reason in chosen):
                return False
    return True


def ed_visits(member: Member) -> Counter:
    """Emergency department visits by month."""
    return Counter(month_of(visit.first) for visit in ed_visits_of(member))
