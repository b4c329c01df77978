"""The panel's rules once more, in plain Python and slowly: day by day, pair by pair.

Nothing here comes from the package. It is written from the rules' wording (the definitions of the
measures, the docstring of `PanelRules`, the words at the head of each file of rules and the code
list of definitions), to compare with. Where the words leave open which of two reasons a row is
counted under, a set of reasons is given, and any of them will do.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from itertools import combinations
from typing import Any

import panel_oracle_feeds as feeds
import panel_oracle_hospital as hospital
import panel_oracle_more as more
import panel_oracle_populations as focus
from panel_oracle_care import (
    EdClaim,
    Member,
    Stay,
    clinic_visits,
    doctor_diagnoses,
    ed_claims,
    ed_doctor_lines,
    ed_visits_of,
    episodes,
    nights,
    stay_claims,
)
from panel_oracle_claims import FINAL, Row, service_day, standings
from panel_oracle_coverage import Coverage, coverage, month_ends, month_of, with_history
from panel_oracle_merges import as_read
from panel_oracle_programs import contact_days, contacts, custody, exposure, record_reasons

__all__ = [
    "EdClaim",
    "Expected",
    "Member",
    "Stay",
    "as_read",
    "ed_visits",
    "episodes",
    "expected",
    "may_be",
]

PROGRAMS = ("ecm_services", "ecm_outreach", "community_support_services")


@dataclass
class Expected:
    """What the words say a panel of these tables is."""

    cover: Coverage
    months: dict[tuple[str, str], Row] = field(default_factory=dict)
    events: dict[str, list[set[str]]] = field(default_factory=dict)
    rows: dict[str, list[set[str]]] = field(default_factory=dict)
    dollars: dict[str, list[Decimal]] = field(default_factory=dict)
    merged: Counter = field(default_factory=Counter)
    remarks: list[set[str]] = field(default_factory=list)
    exposure: dict[tuple[str, str], Row] = field(default_factory=dict)
    populations: dict[tuple[str, str], Row] = field(default_factory=dict)


def expected(tables: dict[str, list[Row]], rules: Any, window: tuple[date, date]) -> Expected:
    """The panel of raw tables, each a list of rows with values as read."""
    tables, merged = as_read(tables)
    deaths = _known(tables, "death_date")
    spells = tables.get("custody", [])
    held = feeds.custody_months(spells, deaths, window[1])
    cover = coverage(tables, rules, window, held)
    with_history(cover.months, window, rules.max_gap_months)
    unfed = feeds.unfed_months(cover, tables.get("feed_coverage", []))
    told = Expected(cover, {key: dict(row) for key, row in cover.months.items()})
    told.merged = merged
    for key, row in told.months.items():
        row["is_in_custody"] = None if key in unfed["custody"] else key in held
    told.rows["eligibility"] = cover.spans
    final = _claims(told, "medical_claim", tables.get("medical_claim", []))
    fills = _claims(told, "pharmacy_claim", tables.get("pharmacy_claim", []))
    records = tables.get("program_service", [])
    found = contacts(final, records)
    told.exposure = exposure(found, records)
    told.rows["program_service"], told.remarks = record_reasons(records, cover)
    days = _care_days(told, tables, final, rules)
    released = {(row["member_id"], row["release_date"]) for row in spells if row["release_date"]}
    events = {
        "ed_use": days["ed_visits"],
        "inpatient_use": days["inpatient_stays"],
        "release_from_custody": sorted(released),
    }
    told.populations = focus.populations(
        final, events, focus.foster_months(cover.counted), records, _known(tables, "birth_date")
    )
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
    days["bookings"] = sorted({(row["member_id"], row["booking_date"]) for row in spells})
    days["jail_days"], told.rows["custody"] = custody(spells, deaths, cover, unfed["custody"])
    police, calls = tables.get("police_contact", []), tables.get("ems_call", [])
    days |= feeds.police_days(police) | {"ems_transports": feeds.transport_days(calls)}
    told.rows["police_contact"] = feeds.police_reasons(police, cover, unfed["police_contact"])
    told.rows["ems_call"] = feeds.call_reasons(calls, cover, unfed["ems_call"])
    told.rows["claim_procedure"] = _procedure_reasons(tables)
    for name, each in days.items():
        _count(told, name, each, unfed.get(feeds.FEED_OF.get(name, ""), set()))
    _hide(told, tables, rules, window)
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


def _procedure_reasons(tables: dict[str, list[Row]]) -> list[set[str]]:
    """A procedure is used where the member has the claim, whatever became of it."""
    claims = {(row["member_id"], row["claim_id"]) for row in tables.get("medical_claim", [])}
    return [
        {
            "used"
            if (row["member_id"], row["claim_id"]) in claims
            else "names no claim of the member"
        }
        for row in tables.get("claim_procedure", [])
    ]


def _care_days(
    told: Expected, tables: dict[str, list[Row]], final: list[Row], rules: Any
) -> dict[str, list[tuple[str, date]]]:
    """Days of every measure of care, with their member."""
    by_member: dict[str, list[Row]] = defaultdict(list)
    for line in final:
        by_member[line["member_id"]].append(line)
    days: dict[str, list[tuple[str, date]]] = defaultdict(list)
    for row in told.months.values():
        row["ed_visits_avoidable"] = 0.0
    # A member without lines has no event: each measure is there all the same.
    for who, lines in {**by_member, "": []}.items():
        for name, each in _days_of(told, tables, who, lines, rules).items():
            days[name] += [(who, day) for day in each]
    return days


def _days_of(
    told: Expected, tables: dict[str, list[Row]], who: str, lines: list[Row], rules: Any
) -> dict[str, list[date]]:
    """Days of the events of one member."""
    birth, death = (_known(tables, f"{end}_date").get(who) for end in ("birth", "death"))
    claims = stay_claims(lines, rules.stay_evidence)
    stays = list(claims.values())
    doctors = ed_doctor_lines(lines)
    member = Member(
        ed_claims=ed_claims(lines, rules.ed_definition),
        ed_doctor_days=[service_day(line) for line in doctors],
        doctor_diagnoses=doctor_diagnoses(doctors),
        stays=stays,
    )
    eps = episodes(stays, rules.transfer_days, rules.transfer_rule)
    visits = ed_visits_of(member, rules.ed_join_days)
    home, admitted = more.admitted_visits(visits, lines, list(claims.items()), rules)
    weights = tables.get("ed_avoidable_weight", [])
    for month, value in more.avoidable(home, birth, weights).items():
        if (who, month) in told.months:
            told.months[who, month]["ed_visits_avoidable"] = value
    index, readmitted = hospital.readmissions(
        stays,
        lines,
        rules,
        hospital.plans(lines, tables, who),
        (birth, death),
        lambda month: (who, month) in told.months,
    )
    primary, specialty = more.primary_and_specialty_days(lines)
    window = told.cover.window
    return {
        "ed_visits": [v.first for v in home + admitted],
        "ed_visits_treat_and_release": [v.first for v in home],
        "ed_visits_admitted": [v.first for v in admitted],
        "inpatient_stays": [e.admit for e in eps],
        "inpatient_stays_psychiatric": [e.admit for e in eps if e.is_psychiatric],
        "acsc_stays": hospital.sensitive_days(eps, birth, tables.get("acsc_diagnosis", [])),
        "inpatient_days": nights(eps),
        "inpatient_days_of_stays": [
            e.admit for e in eps for _ in range(max(1, (e.discharge - e.admit).days))
        ],
        "index_stays_30d": index,
        "readmissions_30d": readmitted,
        "observation_stays": [stay.admit for stay in more.observation_stays(lines, stays)],
        "outpatient_visits": [day for _, day in clinic_visits(lines)],
        "health_center_visits": more.health_center_days(lines),
        "primary_care_visits": primary,
        "specialty_visits": specialty,
        "telehealth_visits": more.telehealth_days(lines),
        "snf_days": hospital.nursing_days(lines, nights(eps), window),
        "ambulance_trips": more.trips(lines, more.EMERGENCY),
        "ambulance_non_emergency_trips": more.trips(lines, more.NOT_EMERGENCY),
        "ambulance_responses_without_transport": hospital.response_days(lines),
        "preventive_visits": more.preventive_days(lines),
        "behavioral_health_visits": more.behavioral_days(lines, substance=False),
        "substance_use_visits": more.behavioral_days(lines, substance=True),
    }


def _count(
    told: Expected, name: str, days: list[tuple[str, date]], unfed: set[tuple[str, str]]
) -> None:
    """Count the events of a measure in their months; the others are reasons."""
    counts = Counter((who, month_of(day)) for who, day in days)
    told.events[name] = [
        feeds.with_feed(told.cover.fates(who, day), (who, month_of(day)), unfed)
        for who, day in days
    ]
    for key, row in told.months.items():
        row[name] = None if key in unfed else counts[key]


def _hide(
    told: Expected, tables: dict[str, list[Row]], rules: Any, window: tuple[date, date]
) -> None:
    """Measures are missing, never 0, in months in which they cannot be known."""
    lines = tables.get("medical_claim", [])
    claims_end = max((line["claim_start_date"] for line in lines), default=date.max)
    day = timedelta(days=1)
    for (_, month), row in told.months.items():
        first, last = month_ends(month)
        is_known = last + rules.readmission_days * day <= claims_end
        if rules.readmission_enrollment == "hedis":
            is_known &= first - 365 * day >= window[0] and last + 30 * day <= window[1]
        if not is_known:
            row["index_stays_30d"] = row["readmissions_30d"] = None
    filled = {"acsc_stays": "acsc_diagnosis", "ed_visits_avoidable": "ed_avoidable_weight"}
    needed = {**feeds.FEED_OF, **filled}
    hidden = [name for name, table in needed.items() if not tables.get(table)]
    for column, names in CODED.items():
        if not any(line.get(column) for line in lines):
            hidden += names
    for row in told.months.values():
        row.update(dict.fromkeys(hidden))
    if not tables.get("custody"):
        for row in told.months.values():
            row["is_in_custody"] = None
    for name in hidden:
        told.events.pop(name, None)


CODED = {
    "billing_taxonomy_code": ["inpatient_stays_psychiatric"],
    "rendering_taxonomy_code": ["primary_care_visits", "specialty_visits"],
}


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
