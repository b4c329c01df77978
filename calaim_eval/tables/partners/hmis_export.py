"""HUD HMIS CSV exports: which there are in a folder, of which version, and their files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.partners.hmis_layers import ExportPart, Layers
from calaim_eval.tables.partners.row_files import is_row_file
from calaim_eval.tables.partners.text_rows import (
    FileRows,
    read_days,
    read_file_rows,
    read_header,
)

RACE_COLUMNS = {
    "FY2024": "HispanicLatinaeo",
    "FY2026": "HispanicLatinao",
}
"""Column of `Client` that a version has and the others have not."""
COMMON_RACES = (
    "AmIndAKNative",
    "Asian",
    "BlackAfAmerican",
    "MidEastNAfrican",
    "NativeHIPacific",
    "White",
    "RaceNone",
)
NEEDED = ("Client", "Enrollment")
WANTED = {
    "Export": (
        *("CSVVersion", "ImplementationID", "SourceID", "ExportDate", "ExportDirective"),
        *("ExportPeriodType", "ExportStartDate", "ExportEndDate"),
    ),
    "Client": (
        *("PersonalID", "DOB", "Sex", "VeteranStatus"),
        *COMMON_RACES,
        *RACE_COLUMNS.values(),
        *("DateUpdated", "DateDeleted"),
    ),
    "Organization": ("OrganizationID", "OrganizationName", "DateUpdated", "DateDeleted"),
    "Project": (
        *("ProjectID", "OrganizationID", "ProjectName", "ProjectType"),
        *("OperatingStartDate", "OperatingEndDate", "DateUpdated", "DateDeleted"),
    ),
    "Enrollment": (
        *("EnrollmentID", "PersonalID", "ProjectID", "EntryDate", "HouseholdID"),
        *("RelationshipToHoH", "LivingSituation", "DisablingCondition", "MoveInDate"),
        *("DateUpdated", "DateDeleted"),
    ),
    "Exit": ("EnrollmentID", "ExitDate", "Destination", "DateUpdated", "DateDeleted"),
    "IncomeBenefits": (
        *("EnrollmentID", "InformationDate", "Medicaid", "DataCollectionStage"),
        *("DateUpdated", "DateDeleted"),
    ),
    "Services": (
        *("ServicesID", "EnrollmentID", "PersonalID", "DateProvided", "RecordType"),
        *("TypeProvided", "DateUpdated", "DateDeleted"),
    ),
    "Event": (
        *("EventID", "EnrollmentID", "PersonalID", "EventDate", "Event", "ProbSolDivRRResult"),
        *("LocationCrisisOrPHHousing", "ReferralResult", "ResultDate"),
        *("DateUpdated", "DateDeleted"),
    ),
    "Assessment": (
        *("AssessmentID", "EnrollmentID", "PersonalID", "AssessmentDate"),
        *("DateUpdated", "DateDeleted"),
    ),
    "AssessmentQuestions": (
        *("AssessmentID", "PersonalID", "AssessmentQuestion", "AssessmentAnswer"),
        *("DateUpdated", "DateDeleted"),
    ),
}
"""Files that are read, with their columns."""
REQUIRED = {
    "Client": ("PersonalID",),
    "Organization": ("OrganizationID",),
    "Project": ("ProjectID", "OrganizationID"),
    "Enrollment": ("EnrollmentID", "PersonalID", "ProjectID", "EntryDate"),
    "Exit": ("EnrollmentID", "ExitDate"),
    "IncomeBenefits": ("EnrollmentID", "Medicaid", "DataCollectionStage"),
    "Services": ("ServicesID", "EnrollmentID", "DateProvided", "RecordType"),
    "Event": ("EventID", "EnrollmentID", "EventDate", "Event"),
    "Assessment": ("AssessmentID", "PersonalID"),
    "AssessmentQuestions": ("AssessmentID", "AssessmentQuestion", "AssessmentAnswer"),
}


@dataclass(frozen=True)
class HmisExport:
    """Exports of one implementation, read as one.

    Attributes
    ----------
    parts : tuple[ExportPart, ...]
        Its exports, the earliest first.
    scope : str
        Implementation the identifiers belong to.
    """

    parts: tuple[ExportPart, ...]
    scope: str

    @property
    def paths(self) -> tuple[Path, ...]:
        """Files of all its exports."""
        return tuple(path for part in self.parts for path in part.paths.values())

    def rows(self, file: str, ledger: RowLedger) -> FileRows:
        """Rows of a file that count; none where no export has it."""
        return self._layers.rows(file, ledger)

    @cached_property
    def _layers(self) -> Layers:
        """The exports laid over each other; what was read of them is kept."""
        return Layers(self.parts, WANTED, REQUIRED)


def find_exports(folder: Path, ledger: RowLedger) -> list[HmisExport]:
    """Implementations with exports in a folder or in the folders in it.

    Raises
    ------
    TableError
        There is none, a needed file is missing, or the version is not one that is read.
    """
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    found = [paths for paths in map(_files, places) if "Client" in paths]
    if not found:
        raise TableError(
            f"`{folder}` holds no HMIS export.\n"
            "  Unpack the export: `Client.csv`, `Enrollment.csv` and the others, in the folder or "
            "one folder an export."
        )
    by_scope: dict[str, list[ExportPart]] = {}
    for paths in found:
        scope, part = _export(paths, ledger)
        by_scope.setdefault(scope, []).append(part)
    return [HmisExport(tuple(sorted(parts, key=_made)), name) for name, parts in by_scope.items()]


def _made(part: ExportPart) -> tuple[str, str]:
    """Day an export was made and what it says of it; one that does not say goes first."""
    day = read_days(pd.Series([part.made], dtype=object)).iloc[0]
    return "" if pd.isna(day) else f"{day:%Y-%m-%d}", part.made


def _files(folder: Path) -> dict[str, Path]:
    """Files of an export by HUD name."""
    names = {name.lower(): name for name in WANTED}
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not is_row_file(path):
            continue
        name = names.get(path.name.lower().split(".")[0])
        if name is None:
            continue
        if name in found:
            raise TableError(f"hmis {name} is there twice in one folder.\n  Keep one of the two.")
        found[name] = path
    return found


def _export(paths: dict[str, Path], ledger: RowLedger) -> tuple[str, ExportPart]:
    """Implementation and one export of it, its version by the columns of `Client`."""
    lacking = [name for name in NEEDED if name not in paths]
    if lacking:
        raise TableError(
            f"an HMIS export lacks `{lacking[0]}.csv`.\n  Export it again with all files."
        )
    version = _version(read_header(paths["Client"], "hmis Client", WANTED["Client"]))
    if "Export" not in paths:
        return "", ExportPart(paths, version)
    rows = read_file_rows([paths["Export"]], "hmis Export", ledger, columns=WANTED["Export"])
    year = version.removeprefix("FY")
    is_other = rows["CSVVersion"].notna() & ~rows["CSVVersion"].astype(str).str.contains(year)
    rows.note(is_other, "`CSVVersion` is another version than the columns, which decide")
    rows.used()
    if rows.frame.empty:
        return "", ExportPart(paths, version)
    first = rows.frame.iloc[0].fillna("")
    days = read_days(first[["ExportStartDate", "ExportEndDate"]].replace("", None))
    part = ExportPart(
        paths,
        version,
        made=first["ExportDate"],
        directive=first["ExportDirective"],
        period_type=first["ExportPeriodType"],
        start=days.iloc[0],
        end=days.iloc[1],
    )
    return first["ImplementationID"] or first["SourceID"], part


def _version(header: list[str]) -> str:
    """Version by the columns of `Client`."""
    has = {head.strip().lower() for head in header}
    fits = [version for version, column in RACE_COLUMNS.items() if column.lower() in has]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise TableError(
            "hmis Client has the race columns of two versions "
            f"({' and '.join(f'`{column}`' for column in RACE_COLUMNS.values())}).\n"
            "  Export one version a folder."
        )
    raise TableError(
        f"hmis Client is of no version that is read ({', '.join(RACE_COLUMNS)}): it lacks "
        f"{' and '.join(f'`{column}`' for column in RACE_COLUMNS.values())}.\n"
        "  Ask for an export in one of these versions; older ones split race and ethnicity."
    )
