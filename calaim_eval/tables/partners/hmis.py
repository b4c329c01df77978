"""Read HUD HMIS CSV exports, FY2024 and FY2026: persons, enrollments, services, events.

Every person is one row whatever the number of enrollments; rows of the same identifier are one,
the latest; records that a later export deletes or, being a full one, lacks are gone.
Coordinated-entry events are referrals, in `social_referral` or, where the study's service map says
which support they stand for, in `referral`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.partners.hmis_events import event_frames, project_referrals
from calaim_eval.tables.partners.hmis_export import HmisExport, find_exports
from calaim_eval.tables.partners.hmis_persons import person_frames, yes_no
from calaim_eval.tables.partners.links import Links, find_links, link_paths
from calaim_eval.tables.partners.partner_tables import (
    PartnerTables,
    declared_frame,
    joined_frames,
)
from calaim_eval.tables.partners.row_places import PlacedLedger
from calaim_eval.tables.partners.text_rows import FileRows, look_up
from calaim_eval.tables.sources import SourceFiles

NO_PERSON = "person not in `Client`"
NO_ENROLLMENT = "enrollment not in `Enrollment`, or set aside there"
NO_ASSESSMENT = "assessment not in `Assessment`, or set aside there"
NO_PROJECT = "project not in `Project` (kept without organization)"
EXIT_FIRST = "`ExitDate` before `EntryDate`"


@dataclass(frozen=True)
class Enrollments:
    """Kept enrollments of an export, by identifier.

    Attributes
    ----------
    rows : pd.DataFrame
        Index: EnrollmentID. Columns: PersonalID, ProjectID, OrganizationID, EntryDate, ExitDate.
    """

    rows: pd.DataFrame

    def has(self, ids: pd.Series) -> pd.Series:
        """Whether an enrollment is among them."""
        return ids.isin(self.rows.index)

    def column(self, name: str, ids: pd.Series) -> pd.Series:
        """A column for rows of other files."""
        return look_up(ids, self.rows[name])


def read_hmis(folder: Path) -> PartnerTables:
    """Read the HMIS exports of a folder.

    Parameters
    ----------
    folder : Path
        One export, or a folder an export; several are read as one HMIS where they are of the same
        implementation. Beside them may lie `member_link`, `organization_link` and `service_map`.

    Returns
    -------
    PartnerTables
        `homeless_person`, `race_record`, `homeless_project`, `organization`,
        `homeless_enrollment`, `homeless_service`, `homeless_assessment`, `social_referral`, and
        `referral` for events and projects that the service map names (kinds ``event`` and
        ``project``).

    Raises
    ------
    TableError
        There is no export, its version is not read, a file lacks a needed column, or link files
        lie beside exports of several implementations.
    """
    ledger = PlacedLedger()
    links = find_links(folder, "hmis", ledger)
    exports = find_exports(folder, ledger)
    _require_one_meaning(exports, links)
    parts = []
    persons = []
    for export in exports:
        frames, ids = _read_export(export, links, ledger)
        parts.append(frames)
        persons.append(ids)
    links.note_unlinked(pd.concat(persons, ignore_index=True).drop_duplicates(), ledger)
    frames = joined_frames(parts)
    paths = tuple(path for export in exports for path in export.paths)
    files = SourceFiles("hmis", (*paths, *link_paths(folder)), ".csv", is_bulk=True)
    versions = ", ".join(dict.fromkeys(part.version for export in exports for part in export.parts))
    return PartnerTables("hmis", versions, frames, ledger, (files,))


def _require_one_meaning(exports: list[HmisExport], links: Links) -> None:
    """Raise for links beside several implementations: each has its own person of a number."""
    n_scopes = len(exports)
    has_own = any(kind == "project" for kind, _ in links.services)
    if n_scopes > 1 and (links.members or links.organizations or has_own):
        raise TableError(
            f"hmis: link files lie beside exports of {n_scopes} implementations, whose identifiers "
            "may be the same for different persons, organizations or projects.\n"
            "  Give each implementation a folder of its own with its own link files, and name both "
            "folders."
        )


def _read_export(
    export: HmisExport, links: Links, ledger: RowLedger
) -> tuple[dict[str, pd.DataFrame], pd.Series]:
    """Tables of one implementation, and its persons."""
    organization = _organizations(export, links, ledger)
    project, projects = _projects(export, links, ledger)
    persons, races, known = person_frames(export, links, ledger)
    medicaid = _medicaid(export, ledger)
    exits = export.rows("Exit", ledger)
    enrolled, enrollments = _enrollments(export, links, known, projects, exits, medicaid, ledger)
    events, referrals = event_frames(export, links, enrollments.rows, projects, ledger)
    by_project = project_referrals(export, links, enrollments.rows)
    frames = {
        "homeless_person": persons,
        "race_record": races,
        "organization": organization,
        "homeless_project": project,
        "homeless_enrollment": enrolled,
        "homeless_service": _services(export, links, enrollments, ledger),
        "homeless_assessment": _assessments(export, links, known, ledger),
        "social_referral": events,
        "referral": joined_frames([{"referral": each} for each in (referrals, by_project)]).get(
            "referral", referrals
        ),
    }
    return frames, known


def _organizations(export: HmisExport, links: Links, ledger: RowLedger) -> pd.DataFrame:
    """Organizations that are not in the study's own list under another identifier."""
    rows = export.rows("Organization", ledger)
    rows.require("OrganizationID")
    rows.keep_latest(["OrganizationID"], by="DateUpdated")
    rows.note(
        rows["OrganizationID"].isin(links.organizations),
        "linked to an organization of the study, whose own row counts",
    )
    kept = rows.frame.iloc[rows.used()]
    kept = kept[~kept["OrganizationID"].isin(links.organizations)]
    return declared_frame(
        "organization",
        {
            "organization_id": links.organization(kept["OrganizationID"], export.scope),
            "organization_name": kept["OrganizationName"],
            "organization_type": pd.Series("unknown", index=kept.index, dtype=object),
        },
    )


def _projects(
    export: HmisExport, links: Links, ledger: RowLedger
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Projects as declared, and their organization and type by ProjectID."""
    rows = export.rows("Project", ledger)
    rows.require("ProjectID")
    rows.keep_latest(["ProjectID"], by="DateUpdated")
    start = rows.day("OperatingStartDate", is_needed=False)
    end = rows.day("OperatingEndDate", is_needed=False)
    rows.set_aside(end < start, "`OperatingEndDate` before `OperatingStartDate`")
    at = rows.used()
    kept = rows.frame.iloc[at]
    organization = links.organization(kept["OrganizationID"], export.scope)
    frame = declared_frame(
        "homeless_project",
        {
            "project_id": own_id(export, kept["ProjectID"]),
            "organization_id": organization,
            "project_name": kept["ProjectName"],
            "project_type_code": kept["ProjectType"],
            "operating_start_date": start.iloc[at],
            "operating_end_date": end.iloc[at],
        },
    )
    by_id = pd.DataFrame({"organization_id": organization, "type": kept["ProjectType"]})
    by_id.index = pd.Index(kept["ProjectID"])
    return frame, by_id


def _medicaid(export: HmisExport, ledger: RowLedger) -> pd.Series:
    """Medicaid at entry by EnrollmentID, as the latest record of that stage says."""
    rows = export.rows("IncomeBenefits", ledger)
    rows.require("EnrollmentID")
    rows.set_aside(rows["DataCollectionStage"] != "1", "not recorded at entry")
    rows.keep_latest(["EnrollmentID"], by="DateUpdated")
    kept = rows.frame.iloc[rows.used()]
    said = yes_no(kept["Medicaid"])
    said.index = pd.Index(kept["EnrollmentID"])
    return said


def _enrollments(
    export: HmisExport,
    links: Links,
    known: pd.Series,
    projects: pd.DataFrame,
    exits: FileRows,
    medicaid: pd.Series,
    ledger: RowLedger,
) -> tuple[pd.DataFrame, Enrollments]:
    """Enrollments with their exit, and those that are kept by identifier."""
    rows = export.rows("Enrollment", ledger)
    for column in ("EnrollmentID", "PersonalID"):
        rows.require(column)
    entry = rows.day("EntryDate", is_needed=True)
    rows.keep_latest(["EnrollmentID"], by="DateUpdated")
    rows.set_aside(~rows["PersonalID"].isin(known), NO_PERSON)
    left = _exits(exits, rows, entry)
    exit_day = look_up(rows["EnrollmentID"], left["day"])
    rows.set_aside(exit_day < entry, EXIT_FIRST)
    rows.note(~rows["ProjectID"].isin(projects.index), NO_PROJECT)
    move_in = rows.day("MoveInDate", is_needed=False)
    at = rows.used()
    kept = rows.frame.iloc[at]
    ids = kept["EnrollmentID"]
    frame = declared_frame(
        "homeless_enrollment",
        {
            "homeless_enrollment_id": own_id(export, ids),
            "member_id": links.member(kept["PersonalID"], export.scope),
            "household_id": own_id(export, kept["HouseholdID"]),
            "project_id": own_id(export, kept["ProjectID"]),
            "organization_id": look_up(kept["ProjectID"], projects["organization_id"]),
            "project_type_code": look_up(kept["ProjectID"], projects["type"]),
            "entry_date": entry.iloc[at],
            "exit_date": exit_day.iloc[at],
            "move_in_date": move_in.iloc[at],
            "relationship_to_head_code": kept["RelationshipToHoH"],
            "living_situation_code": kept["LivingSituation"],
            "destination_code": look_up(ids, left["destination"]),
            "has_disabling_condition": yes_no(kept["DisablingCondition"]),
            "is_on_medicaid": look_up(ids, medicaid),
        },
    )
    by_id = frame[["organization_id", "entry_date", "exit_date"]].assign(
        PersonalID=kept["PersonalID"].to_numpy(),
        ProjectID=kept["ProjectID"].to_numpy(),
    )
    by_id.index = pd.Index(ids)
    return frame, Enrollments(by_id)


def _exits(rows: FileRows, enrollments: FileRows, entry: pd.Series) -> pd.DataFrame:
    """Exit day and destination by EnrollmentID; an exit before its entry is set aside with it."""
    rows.require("EnrollmentID")
    day = rows.day("ExitDate", is_needed=True)
    rows.keep_latest(["EnrollmentID"], by="DateUpdated")
    ids = enrollments.frame.loc[enrollments.is_open, "EnrollmentID"]
    rows.set_aside(~rows["EnrollmentID"].isin(ids), NO_ENROLLMENT)
    kept = rows.frame[rows.is_open]
    by_id = pd.DataFrame({"day": day[kept.index], "destination": kept["Destination"]})
    by_id.index = pd.Index(kept["EnrollmentID"])
    entries = pd.Series(entry[ids.index].to_numpy(), index=ids)
    rows.set_aside(day < look_up(rows["EnrollmentID"], entries), EXIT_FIRST)
    rows.used()
    return by_id


def _services(
    export: HmisExport, links: Links, enrollments: Enrollments, ledger: RowLedger
) -> pd.DataFrame:
    """Services of kept enrollments."""
    rows = export.rows("Services", ledger)
    rows.require("ServicesID")
    day = rows.day("DateProvided", is_needed=True)
    rows.keep_latest(["ServicesID"], by="DateUpdated")
    rows.set_aside(~enrollments.has(rows["EnrollmentID"]), NO_ENROLLMENT)
    at = rows.used()
    kept = rows.frame.iloc[at]
    person = enrollments.column("PersonalID", kept["EnrollmentID"])
    return declared_frame(
        "homeless_service",
        {
            "homeless_service_id": own_id(export, kept["ServicesID"]),
            "homeless_enrollment_id": own_id(export, kept["EnrollmentID"]),
            "member_id": links.member(person, export.scope),
            "organization_id": enrollments.column("organization_id", kept["EnrollmentID"]),
            "service_date": day.iloc[at],
            "homeless_service_code": kept["RecordType"].fillna("")
            + ":"
            + kept["TypeProvided"].fillna(""),
        },
    )


def _assessments(
    export: HmisExport, links: Links, known: pd.Series, ledger: RowLedger
) -> pd.DataFrame:
    """Answers to the questions of assessments."""
    rows = export.rows("AssessmentQuestions", ledger)
    heads = export.rows("Assessment", ledger)
    heads.require("AssessmentID")
    day = heads.day("AssessmentDate", is_needed=False)
    heads.keep_latest(["AssessmentID"], by="DateUpdated")
    heads.set_aside(~heads["PersonalID"].isin(known), NO_PERSON)
    at = heads.used()
    by_id = heads.frame.iloc[at].assign(day=day.iloc[at]).set_index("AssessmentID")
    for column in ("AssessmentID", "AssessmentQuestion"):
        rows.require(column)
    rows.keep_latest(["AssessmentID", "AssessmentQuestion"], by="DateUpdated")
    rows.set_aside(
        ~rows["AssessmentID"].isin(by_id.index),
        NO_ASSESSMENT,
    )
    kept = rows.frame.iloc[rows.used()]
    ids = kept["AssessmentID"]
    return declared_frame(
        "homeless_assessment",
        {
            "assessment_id": own_id(export, ids),
            "member_id": links.member(look_up(ids, by_id["PersonalID"]), export.scope),
            "homeless_enrollment_id": own_id(export, look_up(ids, by_id["EnrollmentID"])),
            "assessment_date": look_up(ids, by_id["day"]),
            "question": kept["AssessmentQuestion"],
            "answer": kept["AssessmentAnswer"],
        },
    )


def own_id(export: HmisExport, ids: pd.Series) -> pd.Series:
    """Identifiers of the implementation, its name in front."""
    return Links("hmis").member(ids, export.scope)
