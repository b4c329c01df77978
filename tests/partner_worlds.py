"""Small worlds of partners, made by chance: declared tables that files can say without loss."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from random import Random

import pandas as pd

COUNTIES = ("Kern", "Kings", "Los Angeles", "San Luis Obispo", "Tulare")
SUPPORTS = ("housing_deposits", "medically_tailored_meals", "recuperative_care")
REASONS = ("member_declined", "unable_to_reach", "not_eligible", "no_capacity", "other")
NAMES = ('House "One"', "Casa, Inc.", "Niños y Más", "O'Neil & Co", "  x".strip(), "Ж 7")
FIRST = pd.Timestamp("2022-01-03")


def day(random: Random, earliest: pd.Timestamp = FIRST, *, within: int = 700) -> pd.Timestamp:
    """A day on or after another."""
    return earliest + pd.Timedelta(days=random.randint(0, within))


def perhaps(random: Random, value):
    """A value, or nothing."""
    return value if random.random() < 0.7 else None


def frame(rows: list[dict], *days: str) -> pd.DataFrame:
    """Rows with days as days."""
    made = pd.DataFrame(rows)
    return made.assign(**{name: pd.to_datetime(made[name]) for name in days if name in made})


REFERRAL_DAYS = (
    "referred_date",
    "accepted_date",
    "reached_date",
    "service_started_date",
    "closed_date",
)


def fhir_world(random: Random) -> dict[str, pd.DataFrame]:
    """Referrals with steps, for supports and for other needs, and organizations of the platform."""
    supports, social, roots = [], [], []
    places = ["O1", "O2", "A plan of two words", "fhir_sdoh:own-1", None]
    for number in range(random.randint(1, 9)):
        own = f"fhir_sdoh:task-{number}"
        root = random.choice([own, own, *roots])
        roots += [own] if root == own else []
        status = random.choice(["pending", "accepted", "declined", "closed"])
        is_final = status in ("declined", "closed")
        referred = day(random)
        begun = perhaps(random, day(random, referred, within=60))
        row = {
            "referral_id": own,
            "root_referral_id": root,
            "member_id": random.choice(["M1", "M2", "fhir_sdoh:someone"]),
            "from_organization_id": random.choice(places),
            "to_organization_id": random.choice(places),
            "referred_date": referred,
            "service_started_date": begun,
            "referral_status": status,
        }
        needs_end = begun is not None or random.random() < 0.7
        row["closed_date"] = day(random, referred, within=90) if is_final and needs_end else None
        reason = random.choice(REASONS) if is_final else None
        if status == "closed" and random.random() < 0.5:
            reason = "services_received"
        row["closure_reason"] = reason
        words = f"said of {reason}" if reason else "waits"
        is_told = reason not in (None, "services_received")
        row["status_reason"] = words if is_told else perhaps(random, words)
        if random.random() < 0.5:
            supports.append({**row, "service": random.choice(("ecm", *SUPPORTS))})
        else:
            row.pop("service_started_date")
            code = random.choice(["73831000", "local-7", None])
            system = {"73831000": "snomed", "local-7": "other"}.get(code)
            social.append(
                {**row, "social_service_code": code, "social_service_code_system": system}
            )
    own_places = [{"organization_id": "fhir_sdoh:own-1", "organization_name": random.choice(NAMES)}]
    own_places[0] |= {"organization_type": "unknown", "npi": perhaps(random, "1999999984")}
    return {
        "referral": frame(supports, *REFERRAL_DAYS),
        "social_referral": frame(social, *REFERRAL_DAYS),
        "organization": frame(own_places),
    }


def exchange_world(random: Random) -> dict[str, pd.DataFrame]:
    """Records, enrollments and referrals of two plans; one referral a pair and service."""
    plans, members, places = ["Plan A", "Plan, B"], ["M1", "M2", "M3"], ["O1", "O2"]
    records: dict[str, dict] = {}
    for _ in range(random.randint(0, 8)):
        kind = random.choice(["identified", "outreach", "service"])
        row = {
            "member_id": random.choice(members),
            "service": random.choice(("ecm", *SUPPORTS)),
            "record_type": kind,
            "record_date": day(random),
            "organization_id": None if kind == "identified" else random.choice(places),
            "plan": random.choice(plans),
        }
        row["population_of_focus"] = None if kind == "outreach" else perhaps(random, "1a")
        told = [kind, row["plan"], row["member_id"], row["organization_id"] or "", row["service"]]
        row["record_id"] = ":".join([*told, f"{row['record_date']:%Y-%m-%d}"])
        row["program"] = "ecm" if row["service"] == "ecm" else "community_support"
        row["record_source"] = {
            "identified": "member_information_file",
            "outreach": "outreach_tracker",
            "service": "return_transmission_file",
        }[kind]
        records[row["record_id"]] = row
    enrolled = {}
    for _ in range(random.randint(0, 3)):
        start = day(random)
        ends = random.random() < 0.5
        row = {
            "member_id": random.choice(members),
            "plan": random.choice(plans),
            "organization_id": random.choice(places),
            "program_status": perhaps(random, "Enrolled"),
            "program_start_date": start,
            "program_end_date": day(random, start, within=90) if ends else None,
            "end_reason": random.choice(["completed", "died", "data_error"]) if ends else None,
            "reported_date": day(random, start, within=200),
        }
        enrolled[row["member_id"], row["plan"], row["organization_id"], start] = row
    referrals, attempts = _loops(random, plans, members, places)
    for row in attempts:
        records.setdefault(row["record_id"], row)
    enrolled_days = ("program_start_date", "program_end_date", "reported_date")
    return {
        "program_service": frame(list(records.values()), "record_date"),
        "program_enrollment": frame(list(enrolled.values()), *enrolled_days),
        "referral": frame(referrals, *REFERRAL_DAYS),
        "organization": frame(
            [
                {"organization_id": "O1", "organization_name": "House", "npi": "1999999984"},
                {"organization_id": "O2", "organization_name": "Casa, Inc.", "npi": None},
            ]
        ),
    }


def _loops(random: Random, plans, members, places) -> tuple[list[dict], list[dict]]:
    """Referrals, and the attempts that reached their members."""
    referrals, attempts = {}, []
    for number in range(random.randint(1, 6)):
        plan, member, place = (random.choice(each) for each in (plans, members, places))
        service = random.choice(("ecm", *SUPPORTS))
        if (plan, member, place, service) in referrals:
            continue
        status = random.choice(["pending", "accepted", "declined", "closed"])
        referred = day(random)
        is_taken = status == "accepted" or (status == "closed" and random.random() < 0.5)
        accepted = day(random, referred, within=40) if is_taken else None
        ended = day(random, accepted or referred, within=80)
        reached = perhaps(random, day(random, referred, within=(ended - referred).days))
        referrals[plan, member, place, service] = {
            "referral_id": f"F{number}",
            "root_referral_id": f"F{number}",
            "member_id": member,
            "from_organization_id": plan,
            "to_organization_id": place,
            "plan": plan,
            "service": service,
            "referred_date": referred,
            "accepted_date": accepted,
            "reached_date": reached,
            "closed_date": ended if status in ("declined", "closed") else None,
            "referral_status": status,
            "closure_reason": random.choice(["services_received", "died", *REASONS])
            if status in ("declined", "closed")
            else None,
        }
        if reached is not None:
            told = ["outreach", plan, member, place, service, f"{reached:%Y-%m-%d}"]
            attempts.append(
                {
                    "record_id": ":".join(told),
                    "member_id": member,
                    "program": "ecm" if service == "ecm" else "community_support",
                    "service": service,
                    "record_type": "outreach",
                    "record_date": reached,
                    "organization_id": place,
                    "plan": plan,
                    "record_source": "outreach_tracker",
                }
            )
    return list(referrals.values()), attempts


def directory_world(random: Random, source: str) -> dict[str, pd.DataFrame]:
    """Services of organizations of the study and of the directory, each in its counties."""
    rows = []
    for number in range(random.randint(1, 6)):
        basis = random.choice(["area_served", "address", "state", "none"])
        n_counties = random.randint(1, 3) if basis in ("area_served", "address") else 1
        support = perhaps(random, random.choice(SUPPORTS))
        own = f"SIM-{SUPPORTS.index(support)}" if support else None
        codes = ";".join([own, "X-9"]) if own else random.choice(["X-9", "X-9;X-8", None])
        has_units = random.random() < 0.5
        row = {
            "resource_id": f"{source}:r{number}",
            "organization_id": random.choice(["O1", f"{source}:own"]),
            "resource_name": random.choice(NAMES),
            "resource_status": random.choice(["active", "inactive", "unknown"]),
            "resource_codes": codes,
            "service": support,
            "county_basis": basis,
            "units_available": float(random.randint(0, 9)) if has_units else None,
            "units_in_all": float(random.randint(9, 20)) if has_units else None,
            "unit_name": random.choice(["beds", "meals"]) if has_units else None,
            "last_updated_date": perhaps(random, day(random)),
        }
        chosen = random.sample(COUNTIES, n_counties)
        told = chosen if basis in ("area_served", "address") else [None]
        rows += [{**row, "county": county} for county in told]
    own = [
        {
            "organization_id": f"{source}:own",
            "organization_name": random.choice(NAMES),
            "organization_type": "unknown",
            "ownership": random.choice(["nonprofit", "for_profit", "public", None]),
        }
    ]
    return {"resource": frame(rows, "last_updated_date"), "organization": frame(own)}


def hmis_world(random: Random, version: str, mark: str) -> dict[str, pd.DataFrame]:
    """Persons with races, two organizations, enrollments, services, answers and events."""
    hispanic = {"FY2024": "HispanicLatinaeo", "FY2026": "HispanicLatinao"}[version]
    items = ("Asian", "BlackAfAmerican", "White", hispanic)
    persons, races = [], []
    for member in ["M1", "M2", f"{mark}77"]:
        persons.append(
            {
                "member_id": member,
                "birth_date": perhaps(random, pd.Timestamp("1980-02-29")),
                "sex": random.choice(["female", "male", "unknown"])
                if version != "FY2024"
                else None,
                "is_veteran": random.choice([True, False, None]),
            }
        )
        said = random.sample(items, random.randint(0, 3))
        told = [(item, "1") for item in said] or [("RaceNone", random.choice(["8", "9", "99"]))]
        races += [
            {"member_id": member, "race_item": item, "race_item_value": value}
            for item, value in told
        ]
    projects = [
        _project(random, mark, "1", "O1"),
        _project(random, mark, "2", f"{mark}own"),
    ]
    enrolled = [_enrollment(random, mark, number, projects) for number in range(1, 5)]
    nights = [
        {
            "homeless_service_id": f"{mark}n{number}",
            "homeless_enrollment_id": row["homeless_enrollment_id"],
            "member_id": row["member_id"],
            "organization_id": row["organization_id"],
            "service_date": row["entry_date"],
            "homeless_service_code": random.choice(["200:200", "141:1"]),
        }
        for number, row in enumerate(enrolled)
    ]
    answers = [
        {
            "assessment_id": f"{mark}a{number}",
            "member_id": row["member_id"],
            "homeless_enrollment_id": row["homeless_enrollment_id"],
            "assessment_date": row["entry_date"],
            "question": question,
            "answer": str(random.randint(0, 30)),
        }
        for number, row in enumerate(enrolled)
        for question in random.sample(["ed_visits", "days, unsheltered"], random.randint(1, 2))
    ]
    events, supports = _events(random, mark, enrolled, projects)
    system = f"hmis_{version.lower()}"
    own = [{"organization_id": f"{mark}own", "organization_name": random.choice(NAMES)}]
    return {
        "homeless_person": frame(persons, "birth_date"),
        "race_record": frame(races).assign(race_item_system=system),
        "organization": frame(own).assign(organization_type="unknown"),
        "homeless_project": frame(projects, "operating_start_date", "operating_end_date"),
        "homeless_enrollment": frame(enrolled, "entry_date", "exit_date", "move_in_date"),
        "homeless_service": frame(nights, "service_date"),
        "homeless_assessment": frame(answers, "assessment_date"),
        "social_referral": frame(events, *REFERRAL_DAYS),
        "referral": frame(supports, *REFERRAL_DAYS),
    }


def _project(random: Random, mark: str, number: str, owner: str) -> dict:
    return {
        "project_id": f"{mark}{number}",
        "organization_id": owner,
        "project_name": random.choice(NAMES),
        "project_type_code": random.choice(["0", "3", "13", "14"]),
        "operating_start_date": perhaps(random, pd.Timestamp("2019-07-01")),
        "operating_end_date": None,
    }


def _enrollment(random: Random, mark: str, number: int, projects: list[dict]) -> dict:
    entry, project = day(random), random.choice(projects)
    leaves = random.random() < 0.5
    return {
        "homeless_enrollment_id": f"{mark}{number}",
        "member_id": ["M1", "M2", f"{mark}77", "M2"][number - 1],
        "household_id": perhaps(random, f"{mark}h{number}"),
        "project_id": project["project_id"],
        "organization_id": project["organization_id"],
        "project_type_code": project["project_type_code"],
        "entry_date": entry,
        "exit_date": day(random, entry, within=300) if leaves else None,
        "move_in_date": perhaps(random, entry),
        "relationship_to_head_code": "1",
        "living_situation_code": random.choice(["116", "302", None]),
        "destination_code": random.choice(["410", "30", None]) if leaves else None,
        "has_disabling_condition": random.choice([True, False, None]),
        "is_on_medicaid": random.choice([True, False, None]),
    }


def _events(random: Random, mark: str, enrolled: list[dict], projects: list[dict]):
    """Referrals as coordinated entry knows them: from the first enrollment of the person."""
    social, supports, seen = [], [], set()
    for row in enrolled:
        if row["member_id"] in seen:
            continue
        seen.add(row["member_id"])
        status = random.choice(["pending", "accepted", "closed", "declined"])
        told = day(random, row["entry_date"], within=60)
        is_final = status in ("closed", "declined")
        own = f"{mark}event:{len(seen)}"
        event = {
            "referral_id": own,
            "root_referral_id": own,
            "member_id": row["member_id"],
            "from_organization_id": row["organization_id"],
            "to_organization_id": perhaps(random, random.choice(projects)["organization_id"]),
            "referred_date": row["entry_date"],
            "accepted_date": told if status == "accepted" else None,
            "closed_date": told if is_final else None,
            "referral_status": status,
            "closure_reason": {"closed": "member_declined", "declined": "other"}.get(status),
        }
        if random.random() < 0.5:
            supports.append({**event, "service": random.choice(SUPPORTS)})
        else:
            code = {"social_service_code": random.choice(["10", "14"])}
            social.append({**event, **code, "social_service_code_system": "hmis_event"})
    return social, supports


def rows_in_files(folder: Path) -> int:
    """Rows of all delimited files, and entries of all bundles, counted without the readers."""
    total = 0
    for path in folder.rglob("*.csv"):
        with path.open(encoding="utf-8", newline="") as stream:
            total += sum(1 for _ in csv.reader(stream)) - 1
    for path in folder.rglob("*.json"):
        total += len(json.loads(path.read_text(encoding="utf-8"))["entry"])
    return total


def same_rows(read: pd.DataFrame, written: pd.DataFrame, *, without: tuple[str, ...] = ()) -> None:
    """Raise unless the same rows are in both, whatever their order; missing is missing."""
    columns = [column for column in read if column not in without]
    left, right = (_plain(each, columns) for each in (read, written))
    assert left == right


def _plain(rows: pd.DataFrame, columns: list[str]) -> list[tuple]:
    """Rows as sorted tuples of text."""
    frame = rows.reindex(columns=columns)
    text = {}
    for column in columns:
        values = frame[column]
        if pd.api.types.is_datetime64_any_dtype(values):
            values = values.dt.strftime("%Y-%m-%d")
        values = values.astype(object)
        text[column] = values.map(str).where(values.notna(), "")
    return sorted(pd.DataFrame(text, columns=columns).itertuples(index=False, name=None))
