"""Small HMIS exports written by hand, in either version."""

from __future__ import annotations

import csv
from pathlib import Path

HISPANIC = {"FY2024": "HispanicLatinaeo", "FY2026": "HispanicLatinao"}
RACES = ("AmIndAKNative", "Asian", "BlackAfAmerican", "MidEastNAfrican", "NativeHIPacific", "White")
UPDATED = {"DateUpdated": "2024-01-01 08:00:00", "DateDeleted": ""}


def client(person, version="FY2026", *, races=(), hispanic="0", none="", **more):
    """One row of Client; gender columns in FY2024, `Sex` in FY2026."""
    own = {"Sex": "0"} if version == "FY2026" else {"Woman": "1", "Man": "0", "NonBinary": "0"}
    said = {name: "1" if name in races else "0" for name in RACES}
    row = {"PersonalID": person, "DOB": "1980-05-01", "VeteranStatus": "0", "RaceNone": none}
    return row | own | said | {HISPANIC[version]: hispanic} | UPDATED | more


def enrollment(identifier, person, project="p1", entry="2023-01-10", **more):
    """One row of Enrollment."""
    row = {"EnrollmentID": identifier, "PersonalID": person, "ProjectID": project}
    row |= {"EntryDate": entry, "HouseholdID": f"h{identifier}", "RelationshipToHoH": "1"}
    return row | {"LivingSituation": "116", "DisablingCondition": "1"} | UPDATED | more


def event(identifier, enrolled, code="14", day="2023-02-01", result="", told="", place="", **more):
    """One row of Event."""
    row = {"EventID": identifier, "EnrollmentID": enrolled, "PersonalID": "x", "EventDate": day}
    row |= {"Event": code, "ProbSolDivRRResult": "", "LocationCrisisOrPHHousing": place}
    return row | {"ReferralResult": result, "ResultDate": told} | UPDATED | more


def basic(version="FY2026"):
    """Two persons, two organizations, three enrollments, one exit, two events."""
    return {
        "Export": [
            {
                "CSVVersion": f"{version.removeprefix('FY')} v1",
                "ImplementationID": "I1",
                "SourceID": "S",
                "ExportDate": "2024-02-01 10:00:00",
            }
        ],
        "Client": [
            client("a", version, races=("White",)),
            client("b", version, races=("Asian", "NativeHIPacific"), hispanic="1"),
        ],
        "Organization": [
            {"OrganizationID": "o1", "OrganizationName": "House One"} | UPDATED,
            {"OrganizationID": "o2", "OrganizationName": "House Two"} | UPDATED,
        ],
        "Project": [
            {"ProjectID": "p1", "OrganizationID": "o1", "ProjectType": "14"} | UPDATED,
            {"ProjectID": "p2", "OrganizationID": "o2", "ProjectType": "3"} | UPDATED,
        ],
        "Enrollment": [
            enrollment("1", "a"),
            enrollment("2", "a", "p2", "2023-03-01"),
            enrollment("3", "b"),
        ],
        "Exit": [{"EnrollmentID": "1", "ExitDate": "2023-06-30", "Destination": "410"} | UPDATED],
        "Event": [
            event("e1", "1", result="1", told="2023-02-20", place="p2"),
            event("e2", "3", result="3", told="2023-02-10", place="p2"),
        ],
    }


def write_hmis(folder: Path, files):
    """Write the files; columns are all those any of its rows has."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in files.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns, quoting=csv.QUOTE_NONNUMERIC)
            writer.writeheader()
            writer.writerows(rows)
    return folder
