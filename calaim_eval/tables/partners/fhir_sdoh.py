"""Read FHIR bundles of SDOH Clinical Care (Gravity): referral tasks as referrals.

A task of code `fulfill` is a referral; tasks for the patient (a questionnaire, an appointment) are
not. A task that is part of another is a step of that one: only roots are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from calaim_eval.schema.fields import FIELDS
from calaim_eval.tables.fhir_files import find_fhir_files, read_entries
from calaim_eval.tables.fhir_values import (
    NPI_SYSTEMS,
    Json,
    Links,
    codes,
    codings,
    first_day,
    id_of,
    identifier,
    instant,
    objects,
    reference,
)
from calaim_eval.tables.formats import SOURCE
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.partners.links import Links as StudyLinks
from calaim_eval.tables.partners.links import find_links, find_pairs, link_paths
from calaim_eval.tables.partners.partner_tables import (
    PartnerTables,
    declared_frame,
    joined_frames,
)
from calaim_eval.tables.partners.referral_parents import root_ids
from calaim_eval.tables.partners.row_places import PlacedLedger
from calaim_eval.tables.partners.text_rows import FileRows
from calaim_eval.tables.sources import SourceFiles

NAME = "fhir_sdoh"
REASON_MAP = "status_reason_map"
STATUSES = {
    **dict.fromkeys(("draft", "requested", "received", "ready"), "pending"),
    **dict.fromkeys(("accepted", "in-progress", "on-hold"), "accepted"),
    "rejected": "declined",
    **dict.fromkeys(("cancelled", "failed", "completed"), "closed"),
}
"""Status of a task to that of a referral."""
FOR_PATIENT = "task for the patient, no referral (code is not `fulfill`)"
IN_ERROR = "entered in error"
NO_STATUS = "`status` is no FHIR task status"
OLDER = "an older version of the task; the latest is kept"
NO_REQUEST = "service request not in the files (kept without a code)"
NO_RECEIVER = "receiver is no organization that is known (kept without)"
NO_SENDER = "sender is no organization that is known (kept without)"
NO_DAY = "closed without a day of closing (kept; the day is missing)"
CLOSED_FIRST = "closed before it was opened (kept; the day of closing is read as missing)"
DONE_FIRST = "activity before the referral (kept; its day is read as missing)"
NO_REASON = "`closure_reason` is none of ours (not used)"
BEFORE_PARENT = "step that is older than the referral it is part of (kept)"
CIRCLE = "parents that form a circle"
NO_PARENT = "part of a task that is not in the files, or is set aside (kept as a step)"
_COLUMNS = (
    *("id", "kind", "status", "reason", "parent", "member", "sender", "receiver"),
    *("request", "referred", "ended", "changed", "activity"),
)


@dataclass
class Resources:
    """What is kept of the resources of all files."""

    tasks: list[dict[str, Any]] = field(default_factory=list)
    requests: dict[str, tuple[str, str] | None] = field(default_factory=dict)
    performed: dict[str, str] = field(default_factory=dict)
    organizations: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    belongs_to: dict[str, str] = field(default_factory=dict)
    versions: set[str] = field(default_factory=set)


def read_fhir_sdoh(folder: Path) -> PartnerTables:
    """Read the FHIR files of a folder: bundles, single resources, newline-delimited exports.

    Parameters
    ----------
    folder : Path
        `.json` and `.ndjson`, packed or not. Beside them may lie `member_link` (the id of the
        Patient), `organization_link`, `service_map` (kind ``snomed``) and `status_reason_map`
        (`status_reason`, `closure_reason`).

    Returns
    -------
    PartnerTables
        `social_referral`, `referral` for codes the service map names, `organization`.

    Raises
    ------
    TableError
        There are no FHIR files, or one is damaged.
    """
    ledger = PlacedLedger()
    links = find_links(folder, NAME, ledger)
    reasons = _reasons(folder, ledger)
    paths = find_fhir_files(folder)
    found = Resources()
    for place, path in enumerate(paths, start=1):
        for entry in read_entries(path, place=f"file {place} of {len(paths)}"):
            if entry.resource is None:
                ledger.add(f"{NAME} entry", entry.reason, 1, stage=SOURCE)
            else:
                _take(entry.resource, entry.links, found, ledger)
    rows = FileRows(
        f"{NAME} Task", pd.DataFrame(found.tasks, columns=list(_COLUMNS), dtype=object), ledger
    )
    frames = _referrals(rows, found, links, reasons)
    frames.append({"organization": _organizations(found, links)})
    files = SourceFiles(NAME, (*paths, *link_paths(folder)), ".json", is_bulk=True)
    version = ", ".join(f"FHIR {each}" for each in sorted(found.versions)) or "FHIR R4"
    return PartnerTables(NAME, version, joined_frames(frames), ledger, (files,))


def _reasons(folder: Path, ledger: RowLedger) -> dict[str, str]:
    """Reason of closing for each reason as typed, of the study's map."""
    pairs = find_pairs(folder, NAME, REASON_MAP, "status_reason", "closure_reason", ledger)
    known = {text: to for text, to in pairs.items() if to in FIELDS["closure_reason"].values}
    ledger.note(f"{NAME} {REASON_MAP}", NO_REASON, len(pairs) - len(known))
    return known


def _take(resource: Json, links: Links, found: Resources, ledger: RowLedger) -> None:
    """Keep what a referral needs of one resource; the others are counted."""
    kind = resource["resourceType"]
    own = f"{kind}/{_text(resource.get('id'))}"
    if kind == "Task":
        found.tasks.append(_task(resource, links))
        found.versions.add("R5" if "concept" in _object(resource.get("statusReason")) else "R4")
        return
    if kind == "ServiceRequest":
        found.requests[own] = _coding(resource)
    elif kind == "Procedure":
        period = _object(resource.get("performedPeriod")) or _object(
            resource.get("occurrencePeriod")
        )
        day = resource.get("performedDateTime") or resource.get("occurrenceDateTime")
        found.performed[own] = first_day(day or period.get("start")) or ""
    elif kind == "Organization":
        npi = identifier(resource.get("identifier"), *NPI_SYSTEMS, kind="npi")
        if _text(resource.get("id")) is None:
            ledger.add(f"{NAME} {kind}", "`id` is missing", 1, stage=SOURCE)
            return
        found.organizations[own] = (_text(resource.get("name")), npi)
    elif kind in ("PractitionerRole", "HealthcareService"):
        to = resource.get("organization" if kind == "PractitionerRole" else "providedBy")
        found.belongs_to[own] = reference(to, links) or ""
    else:
        ledger.add(f"{NAME} entry", "resource of a type that is not needed", 1, stage=SOURCE)
        return
    ledger.add(f"{NAME} {kind}", USED, 1, stage=SOURCE)


def _coding(request: Json) -> tuple[str, str] | None:
    """System and code of what is asked for, SNOMED first; without a system it is another one."""
    found = list(codings(_concept(request.get("code"))))
    own = next((each for each in found if "snomed" in each[0]), found[0] if found else None)
    return own and (own[0] or "other", own[1])


def _task(task: Json, links: Links) -> dict[str, Any]:
    """What a task says, as text."""
    parents = [reference(each, links) for each in objects(task.get("partOf"))]
    activity = [
        reference(each.get("valueReference"), links) for each in objects(task.get("output"))
    ]
    changed = task.get("lastModified") or _object(task.get("meta")).get("lastUpdated")
    return {
        "id": _text(task.get("id")),
        "kind": "fulfill" if "fulfill" in codes(task.get("code")) else None,
        "status": _text(task.get("status")),
        "reason": _words(_concept(task.get("statusReason"))),
        "parent": id_of(next((each for each in parents if each), None)),
        "member": id_of(reference(task.get("for"), links)),
        "sender": reference(task.get("requester"), links),
        "receiver": reference(task.get("owner"), links),
        "request": reference(task.get("focus"), links),
        "referred": first_day(task.get("authoredOn")),
        "ended": first_day(
            _object(task.get("executionPeriod")).get("end") or task.get("lastModified")
        ),
        "changed": instant(changed),
        "activity": next((each for each in activity if each and each[:9] == "Procedure"), None),
    }


def _referrals(
    rows: FileRows, found: Resources, links: StudyLinks, reasons: Mapping[str, str]
) -> list[dict[str, pd.DataFrame]]:
    """Tasks that are referrals, as declared."""
    rows.set_aside(rows["kind"].isna(), FOR_PATIENT)
    rows.require("id")
    rows.set_aside(rows["status"] == "entered-in-error", IN_ERROR)
    rows.set_aside(~rows["status"].isin(STATUSES), NO_STATUS)
    rows.set_aside(_is_older(rows), OLDER)
    rows.require("member")
    day = rows.day("referred", is_needed=True)
    roots = _roots(rows, day)
    ended = rows.day("ended", is_needed=False)
    status = rows["status"].map(STATUSES)
    is_final = status.isin(["closed", "declined"])
    done = _performed(rows, found)
    rows.note(done < day, DONE_FIRST)
    done = done.where(~(done < day))
    ended = ended.where(ended.notna(), done).where(is_final)
    rows.note(is_final & ended.isna(), NO_DAY)
    rows.note(ended < day, CLOSED_FIRST)
    ended = ended.where(~(ended < day))
    sender, receiver = (_organization(rows[each], found, links) for each in ("sender", "receiver"))
    rows.note(receiver.isna(), NO_RECEIVER)
    rows.note(sender.isna(), NO_SENDER)
    rows.note(~rows["request"].isin(found.requests), NO_REQUEST)
    links.note_unlinked(rows["member"][rows.is_open], rows.ledger)
    code = rows["request"].map(lambda each: (found.requests.get(each) or (None, None))[1])
    system = rows["request"].map(lambda each: (found.requests.get(each) or ("", None))[0])
    system = system.map(_system_name)
    frame = pd.DataFrame(
        {
            "referral_id": StudyLinks(NAME).member(rows["id"]),
            "root_referral_id": StudyLinks(NAME).member(roots),
            "member_id": links.member(rows["member"]),
            "from_organization_id": sender,
            "to_organization_id": receiver,
            "social_service_code": code,
            "social_service_code_system": system,
            "referred_date": day,
            "service_started_date": done,
            "closed_date": ended,
            "referral_status": status,
            "closure_reason": _closure(rows, reasons).where(is_final, None),
            "status_reason": rows["reason"],
            "service": links.service("snomed", code.where(system == "snomed", None)),
        }
    ).iloc[rows.used()]
    is_support = frame["service"].notna()
    return [
        {
            "social_referral": declared_frame("social_referral", dict(frame[~is_support].items())),
            "referral": declared_frame("referral", dict(frame[is_support].items())),
        }
    ]


def _is_older(rows: FileRows) -> pd.Series:
    """Open rows of a task that is there again in a later version, or later in the files."""
    open_rows = rows.frame.loc[rows.is_open, ["id", "changed"]]
    ordered = open_rows.sort_values("changed", kind="stable", na_position="first")
    older = pd.Series(data=False, index=rows.frame.index)
    older[ordered.index] = ordered.duplicated("id", keep="last")
    return older


def _roots(rows: FileRows, day: pd.Series) -> pd.Series:
    """Root of each task; those without one, in a circle, are set aside."""
    open_rows = rows.frame[rows.is_open]
    roots = pd.Series(None, index=rows.frame.index, dtype=object)
    roots[open_rows.index] = root_ids(open_rows["id"], open_rows["parent"])
    rows.set_aside(roots.isna(), CIRCLE)
    days = pd.Series(day[open_rows.index].to_numpy(), index=open_rows["id"])
    parent_day = days.reindex(pd.Index(rows["parent"], dtype=object)).to_numpy()
    is_step = rows["parent"].notna()
    rows.note(is_step & ~rows["parent"].isin(open_rows["id"]), NO_PARENT)
    rows.note(is_step & (day < parent_day), BEFORE_PARENT)
    return roots


def _performed(rows: FileRows, found: Resources) -> pd.Series:
    """Day of the activity that came of a task."""
    told = rows["activity"].map(found.performed).astype("string").str[:10]
    return pd.to_datetime(told, errors="coerce", format="%Y-%m-%d").astype("datetime64[s]")


def _closure(rows: FileRows, reasons: Mapping[str, str]) -> pd.Series:
    """Why a task ended: completed is services received, else by the study's map of reasons."""
    mapped = rows["reason"].map(dict(reasons)).astype(object)
    mapped = mapped.where(mapped.notna(), "other")
    return mapped.mask(rows["status"] == "completed", "services_received")


def _organization(pointers: pd.Series, found: Resources, links: StudyLinks) -> pd.Series:
    """Organization a reference means: itself, or the one a role or a service belongs to."""
    named = pointers.map(lambda each: found.belongs_to.get(each, each), na_action="ignore")
    named = named.astype("string")
    is_known = named.str.startswith("Organization/").fillna(value=False).astype(bool)
    ids = named.str.split("/").str[-1].astype(object).where(is_known, None)
    return links.organization(ids)


def _organizations(found: Resources, links: StudyLinks) -> pd.DataFrame:
    """Organizations that are not in the study's own list."""
    own = [
        (id_of(pointer), name, npi)
        for pointer, (name, npi) in found.organizations.items()
        if id_of(pointer) not in links.organizations
    ]
    frame = pd.DataFrame(own, columns=["id", "organization_name", "npi"], dtype=object)
    return declared_frame(
        "organization",
        {
            "organization_id": links.organization(frame["id"]),
            "organization_name": frame["organization_name"],
            "organization_type": pd.Series("unknown", index=frame.index, dtype=object),
            "npi": frame["npi"],
        },
    )


def _system_name(system: str) -> str | None:
    """Name of a code system by its address; missing where there is no code."""
    if not system:
        return None
    return "snomed" if "snomed" in system else "other"


def _text(value: Any) -> str | None:
    """A text without blanks around, or nothing where the element is empty or something else."""
    return value.strip() or None if isinstance(value, str) else None


def _concept(value: Any) -> Any:
    """A concept, as R4 has it or inside a reference as R5 has it."""
    return _object(value).get("concept", value)


def _object(value: Any) -> Json:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def _words(concept: Any) -> str | None:
    """Text of a concept, else what its code is called, else its code."""
    found = _object(concept)
    if found.get("text"):
        return str(found["text"]).strip()
    for coding in objects(found.get("coding")):
        text = coding.get("display") or coding.get("code")
        if text:
            return str(text).strip()
    return None
