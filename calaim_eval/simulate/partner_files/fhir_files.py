"""Write referrals as bundles of SDOH Clinical Care (Gravity): a task each, steps as children."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from calaim_eval.simulate.partner_files.source_ids import (
    SourceIds,
    day_text,
    rows_of,
    write_links,
    write_text,
)

FhirVersion = Literal["R4", "R5"]
MARK = "fhir_sdoh:"
_TASK_CODES = "http://hl7.org/fhir/CodeSystem/task-code"
_SYSTEMS = {"snomed": "http://snomed.info/sct", "other": "urn:local:need"}
_NPI = "http://hl7.org/fhir/sid/us-npi"
_FIRST_CODE = 990_000_001
_BUNDLE_TASKS = 500

Json = dict[str, Any]


def write_fhir_sdoh(
    tables: Mapping[str, pd.DataFrame], folder: Path | str, *, version: FhirVersion = "R4"
) -> Path:
    """Write referrals, root tasks with their steps, as FHIR bundles, and the maps beside.

    Parameters
    ----------
    tables : mapping of str to pd.DataFrame
        `referral` and `social_referral` as declared, and `organization`. A step of a referral has
        the `root_referral_id` of another.
    folder : Path or str
        Gets ``bundle-0001.json`` and so on, and link files.
    version : {"R4", "R5"}
        R5 has reasons, codes and days of procedures in other elements.

    Returns
    -------
    Path
        The folder.

    Notes
    -----
    A task has one state, not a history: plan, county, and the days on which a referral was
    authorized, accepted and reached are not written. Codes of supports are fictional numbers in
    the place of SNOMED codes; `service_map` says what they mean.
    """
    to = Path(folder)
    to.mkdir(parents=True, exist_ok=True)
    members, organizations = SourceIds(MARK, "patient-"), SourceIds(MARK, "organization-")
    rows, services = _rows(tables)
    for column, ids in (
        ("member_id", members),
        ("from_organization_id", organizations),
        ("to_organization_id", organizations),
    ):
        rows[column] = ids.of(rows[column])
    for column in ("referral_id", "root_referral_id"):
        rows[column] = members.own(rows[column])
    own = rows_of(tables, "organization")
    own = own[own["organization_id"].astype("string").str.startswith(MARK).fillna(value=False)]
    first = [_organization(row, organizations) for row in own.to_dict("records")]
    every = rows.to_dict("records")
    for number, start in enumerate(range(0, max(len(every), 1), _BUNDLE_TASKS), start=1):
        part = [each for row in every[start : start + _BUNDLE_TASKS] for each in _of(row, version)]
        _write_bundle(to / f"bundle-{number:04d}.json", first + part)
        first = []
    write_links(to, members=members, organizations=organizations, services=services)
    reasons = rows[["text", "closure_reason"]].dropna().drop_duplicates()
    if len(reasons):
        write_text(to, "status_reason_map", reasons.rename(columns={"text": "status_reason"}))
    return to


def _rows(
    tables: Mapping[str, pd.DataFrame],
) -> tuple[pd.DataFrame, dict[tuple[str, str], str]]:
    """Referrals of both tables with a code each, and what the codes of supports mean."""
    supports, social = rows_of(tables, "referral"), rows_of(tables, "social_referral")
    named = sorted(supports["service"].dropna().unique())
    code_of = {service: str(_FIRST_CODE + place) for place, service in enumerate(named)}
    supports = supports.assign(
        social_service_code=supports["service"].map(code_of),
        social_service_code_system="snomed",
    )
    both = pd.concat([supports, social], ignore_index=True).astype(object)
    both = both.where(both.notna(), None)
    for column in ("referred_date", "service_started_date", "closed_date"):
        days = pd.to_datetime(both[column])
        both[column] = day_text(days)
    is_reason = both["closure_reason"].notna() & (both["closure_reason"] != "services_received")
    words = both["closure_reason"].str.replace("_", " ").where(is_reason, None)
    text = both["status_reason"].where(both["status_reason"].notna(), words).astype(object)
    both["text"] = text.where(text.notna(), None)
    return both, {("snomed", code): service for service, code in code_of.items()}


def _of(row: Mapping[str, Any], version: FhirVersion) -> Iterator[Json]:
    """Task, service request and, where the service began, procedure of one referral."""
    own = row["referral_id"]
    request: Json = {
        "resourceType": "ServiceRequest",
        "id": f"request-{own}",
        "status": "active",
        "intent": "order",
        "subject": {"reference": f"Patient/{row['member_id']}"},
    }
    if row["social_service_code"]:
        system = _SYSTEMS.get(row["social_service_code_system"], _SYSTEMS["other"])
        request["code"] = _concept(
            {"coding": [{"system": system, "code": row["social_service_code"]}]}, version
        )
    yield request
    if row["service_started_date"]:
        day = "performedDateTime" if version == "R4" else "occurrenceDateTime"
        yield {
            "resourceType": "Procedure",
            "id": f"procedure-{own}",
            "status": "completed",
            "subject": {"reference": f"Patient/{row['member_id']}"},
            day: row["service_started_date"],
        }
    yield _task(row, version)


def _task(row: Mapping[str, Any], version: FhirVersion) -> Json:
    """The task of a referral."""
    own = row["referral_id"]
    task: Json = {
        "resourceType": "Task",
        "id": own,
        "status": _status(row["referral_status"], row["closure_reason"]),
        "intent": "order",
        "code": {"coding": [{"system": _TASK_CODES, "code": "fulfill"}]},
        "focus": {"reference": f"ServiceRequest/request-{own}"},
        "for": {"reference": f"Patient/{row['member_id']}"},
        "authoredOn": row["referred_date"],
    }
    for element, column in (("requester", "from_organization_id"), ("owner", "to_organization_id")):
        if row[column]:
            task[element] = {"reference": f"Organization/{row[column]}"}
    if row["root_referral_id"] and row["root_referral_id"] != own:
        task["partOf"] = [{"reference": f"Task/{row['root_referral_id']}"}]
    if row["text"]:
        task["statusReason"] = _concept({"text": row["text"]}, version)
    if row["closed_date"]:
        task["executionPeriod"] = {"end": row["closed_date"]}
    if row["service_started_date"]:
        activity = {"reference": f"Procedure/procedure-{own}"}
        task["output"] = [{"type": {"text": "resulting activity"}, "valueReference": activity}]
    return task


def _status(status: str, reason: str | None) -> str:
    """State of the task."""
    if status == "closed":
        return "completed" if reason == "services_received" else "cancelled"
    return {"accepted": "accepted", "declined": "rejected"}.get(status, "requested")


def _concept(concept: Json, version: FhirVersion) -> Json:
    """A concept as the version has it."""
    return {"concept": concept} if version == "R5" else concept


def _organization(row: Mapping[str, Any], ids: SourceIds) -> Json:
    """An organization that is not in the study's own list."""
    found: Json = {
        "resourceType": "Organization",
        "id": str(row["organization_id"]).removeprefix(ids.mark),
    }
    if pd.notna(row["organization_name"]):
        found["name"] = row["organization_name"]
    if pd.notna(row["npi"]):
        found["identifier"] = [{"system": _NPI, "value": row["npi"]}]
    return found


def _write_bundle(path: Path, resources: list[Json]) -> None:
    """Write resources as a collection."""
    entries = [
        {"fullUrl": f"urn:simulated:{each['resourceType']}/{each['id']}", "resource": each}
        for each in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    path.write_text(json.dumps(bundle, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
