"""ECM, Community Supports and custody from the rules' words."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date

from panel_oracle_claims import Row, service_day
from panel_oracle_coverage import Coverage, days_between, month_of
from panel_oracle_feeds import with_feed

ECM_CODES = {"G9008", "G9012"}
# Community Supports the generated claims use: code and modifier, support, first day in effect.
SUPPORTS = {
    ("T2033", "U6"): ("recuperative_care", date(2022, 1, 1)),
    ("H0043", "U6"): ("housing_transition_navigation", date(2022, 1, 1)),
    ("S5165", "U6"): ("home_modifications", date(2022, 1, 1)),
    ("S5165", "U5"): ("asthma_remediation", date(2022, 1, 1)),
    ("S5170", "U6"): ("medically_tailored_meals", date(2022, 1, 1)),
    ("H0040", "U1"): ("transitional_rent", date(2025, 7, 1)),
}
NOT_RECEIVED = {"authorization", "denial"}


@dataclass(frozen=True)
class Contact:
    member: str
    program: str
    service: str
    kind: str
    day: date


def contacts(final_lines: list[Row], records: list[Row]) -> list[Contact]:
    """Identifications, outreach and services, from claims and records."""
    told = [contact for line in final_lines if (contact := _of_claim(line))]
    for row in records:
        if row["record_type"] not in NOT_RECEIVED:
            told.append(
                Contact(
                    row["member_id"],
                    row["program"],
                    row["service"],
                    row["record_type"],
                    row["record_date"],
                )
            )
    return told


def _of_claim(line: Row) -> Contact | None:
    """Contact of a claim line; a modifier may stand in any slot."""
    code, day, member = line.get("hcpcs_code"), service_day(line), line["member_id"]
    modifiers = {line.get(f"hcpcs_modifier_{i}") for i in range(1, 6)}
    if code in ECM_CODES:
        if modifiers & {"U1", "U2"}:
            return Contact(member, "ecm", "ecm", "service", day)
        return Contact(member, "ecm", "ecm", "outreach", day) if "U8" in modifiers else None
    for modifier in modifiers:
        support, since = SUPPORTS.get((code, modifier), (None, None))
        if support and since <= day:
            return Contact(member, "community_support", support, "service", day)
    return None


def contact_days(found: list[Contact], program: str, kind: str) -> list[tuple[str, date]]:
    """One per member, service and day."""
    mine = {(c.member, c.service, c.day) for c in found if (c.program, c.kind) == (program, kind)}
    return [(member, day) for member, _, day in mine]


def exposure(found: list[Contact], records: list[Row]) -> dict[tuple[str, str], Row]:
    """What a member and service have: first and last months, counts, populations of focus.

    Authorized is not received: an authorization has its own columns. Denials say nothing.
    """
    everything = list(found)
    for row in records:
        if row["record_type"] == "authorization":
            who, program, service = row["member_id"], row["program"], row["service"]
            everything.append(Contact(who, program, service, "authorized", row["record_date"]))
    mine: dict[tuple[str, str], list[Contact]] = defaultdict(list)
    focus: dict[tuple[str, str], set[str]] = defaultdict(set)
    for contact in everything:
        for service in _names(contact.program, contact.service):
            mine[contact.member, service].append(contact)
    for row in records:
        for service in _names(row["program"], row["service"]):
            codes = (row.get("population_of_focus") or "").split(";")
            focus[row["member_id"], service] |= {code.strip() for code in codes} - {""}
    return {key: _exposure(contacts, focus[key]) for key, contacts in mine.items()}


def _exposure(contacts: list[Contact], focus: set[str]) -> Row:
    """One row of the exposure table."""
    days = {
        kind: sorted(c.day for c in contacts if c.kind == kind)
        for kind in ("identified", "outreach", "service", "authorized")
    }
    told: Row = {f"{kind}_month": month_of(d[0]) if d else None for kind, d in days.items()}
    told["last_service_month"] = month_of(days["service"][-1]) if days["service"] else None
    told["n_service_months"] = len({month_of(day) for day in days["service"]})
    authorized = {(c.service, c.day) for c in contacts if c.kind == "authorized"}
    told["n_authorizations"] = len(authorized)
    told["population_of_focus"] = ";".join(sorted(focus)) or None
    return told


def _names(program: str, service: str) -> tuple[str, ...]:
    """The service, and any Community Support for one of those."""
    return (service,) if program == "ecm" else (service, "any_community_support")


def record_reasons(records: list[Row], cover: Coverage) -> tuple[list[set[str]], list[set[str]]]:
    """What became of each record, and what is remarked on those that are in no panel month."""
    reasons, remarks, seen = [], [], set()
    for row in records:
        key = tuple(
            row[c] for c in ("member_id", "program", "service", "record_type", "record_date")
        )
        if row["record_type"] in NOT_RECEIVED:
            reasons.append({"authorized or denied, not received"})
        elif key in seen:
            reasons.append({"repeats a contact of the day"})
        else:
            seen.add(key)
            reasons.append({"used"})
            fates = cover.fates(row["member_id"], row["record_date"])
            if fates != {"used"}:
                remarks.append({f"dates the exposure only: {fate}" for fate in fates})
    return reasons, remarks


def custody(
    spells: list[Row],
    deaths: dict[str, date],
    cover: Coverage,
    unfed: set[tuple[str, str]],
) -> tuple[list[tuple[str, date]], list[set[str]]]:
    """Days in custody, each once, and what became of each spell."""
    found: set[tuple[str, date]] = set()
    reasons = []
    for spell in spells:
        who = spell["member_id"]
        # Without a release a spell runs to the end of the window, or to death.
        last = min(spell["release_date"] or deaths.get(who, date.max), cover.window[1])
        first = max(spell["booking_date"], cover.window[0])
        days = days_between(first, last) if first <= last else []
        fates = [with_feed(cover.fates(who, day), (who, month_of(day)), unfed) for day in days] or [
            {"outside the window", "outside coverage"}
        ]
        is_used = any(fate == {"used"} for fate in fates)
        reasons.append({"used"} if is_used else set().union(*fates))
        found |= {(who, day) for day in days}
    return sorted(found), reasons
