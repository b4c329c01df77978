"""Write a HUD HMIS CSV export, FY2024 or FY2026, of persons, enrollments and events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from calaim_eval.simulate.partner_files.source_ids import (
    SourceIds,
    rows_of,
    write_links,
    write_text,
)

HmisVersion = Literal["FY2024", "FY2026"]
_SEX = {"female": "0", "male": "1", "unknown": "99"}
_YES_NO = {True: "1", False: "0"}
_RACES = (
    "AmIndAKNative",
    "Asian",
    "BlackAfAmerican",
    "MidEastNAfrican",
    "NativeHIPacific",
    "White",
)
_HISPANIC = {"FY2024": "HispanicLatinaeo", "FY2026": "HispanicLatinao"}
_NONE = "RaceNone"
_RESULTS = {"accepted": "1", "member_declined": "2"}
_FIRST_EVENT = 100
_REJECTED = "3"


def write_hmis(
    tables: Mapping[str, pd.DataFrame],
    folder: Path | str,
    *,
    version: HmisVersion = "FY2026",
    scope: str = "SIM",
    exported: str = "2025-01-15",
) -> Path:
    """Write persons, projects, enrollments, services, assessments and events as HMIS CSV files.

    Parameters
    ----------
    tables : mapping of str to pd.DataFrame
        `homeless_person`, `race_record`, `homeless_project`, `organization`,
        `homeless_enrollment`, `homeless_service`, `homeless_assessment`, `social_referral` (event
        codes of HUD) and `referral`, as declared; identifiers of the HMIS begin with ``hmis:``,
        the scope and a colon, members and organizations of the study go into link files.
    folder : Path or str
        Gets ``Client.csv`` and the others, with the columns that are filled, and link files.
    version : {"FY2024", "FY2026"}
        FY2024 has no `Sex`.
    scope : str
        Implementation: what identifiers belong to.
    exported : str
        Day of the export.

    Returns
    -------
    Path
        The folder.

    Notes
    -----
    An event belongs to an enrollment of its person, the first one; events of persons without one
    are not written. The steps and the day of the first service of a referral have no column.
    Supports get local event codes from 100 on, which `service_map` explains.
    """
    to, mark = Path(folder), f"hmis:{scope}:"
    members, organizations = SourceIds(mark, "P"), SourceIds(mark, "ORG")
    _write_export(to, version, scope, exported)
    _write_clients(to, tables, members, version)
    _write_projects(to, tables, organizations)
    enrolled = _write_enrollments(to, tables, members)
    _write_services(to, tables, members)
    _write_assessments(to, tables, members)
    services = _write_events(to, tables, members, enrolled)
    write_links(to, members=members, organizations=organizations, services=services)
    return to


def _write_export(to: Path, version: HmisVersion, scope: str, exported: str) -> None:
    """Write what the export says of itself."""
    row = {
        "ExportID": "1",
        "SourceID": scope,
        "ExportDate": f"{exported} 08:00:00",
        "SoftwareName": "simulated",
        "CSVVersion": f"{version.removeprefix('FY')} v1",
        "ExportPeriodType": "3",
        "ExportDirective": "2",
        "ImplementationID": scope,
    }
    write_text(to, "Export", pd.DataFrame([row]))


def _write_clients(
    to: Path, tables: Mapping[str, pd.DataFrame], members: SourceIds, version: HmisVersion
) -> None:
    """Write persons with their races, alone or in combination."""
    rows = rows_of(tables, "homeless_person")
    races = rows_of(tables, "race_record")
    said = races.pivot_table(
        index="member_id", columns="race_item", values="race_item_value", aggfunc="first"
    )
    columns: dict[str, pd.Series] = {
        "PersonalID": members.of(rows["member_id"]),
        "DOB": pd.to_datetime(rows["birth_date"]),
    }
    if version == "FY2026":
        columns["Sex"] = rows["sex"].map(_SEX)
    for item in (*_RACES, _HISPANIC[version]):
        answer = said[item] if item in said else pd.Series(dtype=object)
        columns[item] = rows["member_id"].map(answer).astype(object).fillna("0")
    none = said[_NONE] if _NONE in said else pd.Series(dtype=object)
    columns[_NONE] = rows["member_id"].map(none)
    columns["VeteranStatus"] = _yes_no(rows["is_veteran"])
    write_text(to, "Client", _dated(pd.DataFrame(columns)))


def _write_projects(to: Path, tables: Mapping[str, pd.DataFrame], organizations: SourceIds) -> None:
    """Write organizations and their projects; one of the study is named by its own table."""
    projects = rows_of(tables, "homeless_project")
    given = rows_of(tables, "organization")
    ids = pd.concat([given["organization_id"], projects["organization_id"]]).dropna()
    names = given.set_index("organization_id")["organization_name"]
    ids = ids.drop_duplicates().reset_index(drop=True)
    own = pd.DataFrame(
        {"OrganizationID": organizations.of(ids), "OrganizationName": ids.map(names.to_dict())}
    )
    write_text(to, "Organization", _dated(own))
    frame = pd.DataFrame(
        {
            "ProjectID": organizations.own(projects["project_id"]),
            "OrganizationID": organizations.of(projects["organization_id"]),
            "ProjectName": projects["project_name"],
            "OperatingStartDate": pd.to_datetime(projects["operating_start_date"]),
            "OperatingEndDate": pd.to_datetime(projects["operating_end_date"]),
            "ProjectType": projects["project_type_code"],
        }
    )
    write_text(to, "Project", _dated(frame))


def _write_enrollments(
    to: Path, tables: Mapping[str, pd.DataFrame], members: SourceIds
) -> pd.Series:
    """Write enrollments, exits and Medicaid at entry; the first enrollment of each person."""
    rows = rows_of(tables, "homeless_enrollment")
    ids, person = members.own(rows["homeless_enrollment_id"]), members.of(rows["member_id"])
    frame = pd.DataFrame(
        {
            "EnrollmentID": ids,
            "PersonalID": person,
            "ProjectID": members.own(rows["project_id"]),
            "EntryDate": pd.to_datetime(rows["entry_date"]),
            "HouseholdID": members.own(rows["household_id"]),
            "RelationshipToHoH": rows["relationship_to_head_code"],
            "LivingSituation": rows["living_situation_code"],
            "DisablingCondition": _yes_no(rows["has_disabling_condition"]),
            "MoveInDate": pd.to_datetime(rows["move_in_date"]),
        }
    )
    write_text(to, "Enrollment", _dated(frame))
    exits = pd.DataFrame(
        {
            "ExitID": "exit-" + ids,
            "EnrollmentID": ids,
            "PersonalID": person,
            "ExitDate": pd.to_datetime(rows["exit_date"]),
            "Destination": rows["destination_code"],
        }
    ).dropna(subset="ExitDate")
    write_text(to, "Exit", _dated(exits))
    medicaid = pd.DataFrame(
        {
            "IncomeBenefitsID": "benefits-" + ids,
            "EnrollmentID": ids,
            "PersonalID": person,
            "InformationDate": frame["EntryDate"],
            "Medicaid": _yes_no(rows["is_on_medicaid"]),
            "DataCollectionStage": "1",
        }
    ).dropna(subset="Medicaid")
    write_text(to, "IncomeBenefits", _dated(medicaid))
    first = ~rows["member_id"].duplicated()
    return pd.Series(ids[first].to_numpy(), index=rows.loc[first, "member_id"])


def _write_services(to: Path, tables: Mapping[str, pd.DataFrame], members: SourceIds) -> None:
    """Write services: record type and type of service."""
    rows = rows_of(tables, "homeless_service")
    code = rows["homeless_service_code"].astype("string").str.split(":")
    frame = pd.DataFrame(
        {
            "ServicesID": members.own(rows["homeless_service_id"]),
            "EnrollmentID": members.own(rows["homeless_enrollment_id"]),
            "PersonalID": members.of(rows["member_id"]),
            "DateProvided": pd.to_datetime(rows["service_date"]),
            "RecordType": code.str[0],
            "TypeProvided": code.str[1],
        }
    )
    write_text(to, "Services", _dated(frame))


def _write_assessments(to: Path, tables: Mapping[str, pd.DataFrame], members: SourceIds) -> None:
    """Write assessments and their answers."""
    rows = rows_of(tables, "homeless_assessment")
    answers = pd.DataFrame(
        {
            "AssessmentID": members.own(rows["assessment_id"]),
            "EnrollmentID": members.own(rows["homeless_enrollment_id"]),
            "PersonalID": members.of(rows["member_id"]),
            "AssessmentDate": pd.to_datetime(rows["assessment_date"]),
            "AssessmentQuestion": rows["question"],
            "AssessmentAnswer": rows["answer"],
        }
    )
    head = ["AssessmentID", "EnrollmentID", "PersonalID", "AssessmentDate"]
    write_text(to, "Assessment", _dated(answers[head].drop_duplicates("AssessmentID")))
    answers.insert(0, "AssessmentQuestionID", [f"q{number}" for number in range(len(answers))])
    write_text(to, "AssessmentQuestions", _dated(answers.drop(columns="AssessmentDate")))


def _write_events(
    to: Path,
    tables: Mapping[str, pd.DataFrame],
    members: SourceIds,
    enrolled: pd.Series,
) -> dict[tuple[str, str], str]:
    """Write referrals as coordinated-entry events; what the local codes of supports mean."""
    supports, social = rows_of(tables, "referral"), rows_of(tables, "social_referral")
    named = sorted(supports["service"].dropna().unique())
    code_of = {service: str(_FIRST_EVENT + place) for place, service in enumerate(named)}
    supports = supports.assign(social_service_code=supports["service"].map(code_of))
    rows = pd.concat([supports, social], ignore_index=True)
    rows = rows[rows["member_id"].isin(enrolled.index)].reset_index(drop=True)
    status, reason = rows["referral_status"], rows["closure_reason"]
    is_final = status.isin(["closed", "declined"])
    result = pd.Series(_RESULTS["accepted"], index=rows.index).where(status == "accepted", None)
    result = result.mask(is_final, _REJECTED)
    result = result.mask(is_final & (reason == "member_declined"), _RESULTS["member_declined"])
    told = pd.to_datetime(rows["accepted_date"]).where(
        ~is_final, pd.to_datetime(rows["closed_date"])
    )
    frame = pd.DataFrame(
        {
            "EventID": members.own(rows["referral_id"]).str.removeprefix("event:"),
            "EnrollmentID": rows["member_id"].map(enrolled.to_dict()),
            "PersonalID": members.of(rows["member_id"]),
            "EventDate": pd.to_datetime(rows["referred_date"]),
            "Event": rows["social_service_code"],
            "LocationCrisisOrPHHousing": _place(rows, tables, members),
            "ReferralResult": result,
            "ResultDate": told,
        }
    )
    write_text(to, "Event", _dated(frame))
    return {("event", code): service for service, code in code_of.items()}


def _place(rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame], members: SourceIds) -> pd.Series:
    """A project of the organization referred to, the first one."""
    projects = rows_of(tables, "homeless_project").drop_duplicates("organization_id")
    ids = members.own(projects["project_id"])
    place = dict(zip(projects["organization_id"], ids, strict=True))
    return rows["to_organization_id"].map(place).astype(object)


def _yes_no(values: pd.Series) -> pd.Series:
    """1 and 0; nothing where it is not known."""
    return values.astype(object).map(_YES_NO)


def _dated(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows with the columns every HMIS file ends with."""
    return frame.assign(DateUpdated="2025-01-01 00:00:00", DateDeleted=None, ExportID="1")
