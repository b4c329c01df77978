"""Exports of one HMIS laid over each other: later records count, deleted ones are gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.partners.text_rows import FileRows, read_days, read_file_rows

PART, VERSION = "part", "version"
"""Columns that say which export a row is of, from 0, and of which version that is."""
DELETED = "deleted in the HMIS (`DateDeleted`)"
DELETED_LATER = "deleted in a later export (`DateDeleted`)"
LATER_EXPORT = "the same record is in a later export, which is kept"
ABSENT = "not in a later full export of its project and time (deleted since)"
FULL_REFRESH, REPORTING_PERIOD = "2", "3"
"""Codes of `ExportDirective` and `ExportPeriodType` in HUD's list of values."""
KEYS = {
    "Client": ("PersonalID",),
    "Organization": ("OrganizationID",),
    "Project": ("ProjectID",),
    "Enrollment": ("EnrollmentID",),
    "Exit": ("EnrollmentID",),
    "IncomeBenefits": ("EnrollmentID", "DataCollectionStage", "InformationDate"),
    "Services": ("ServicesID",),
    "Event": ("EventID",),
    "Assessment": ("AssessmentID",),
    "AssessmentQuestions": ("AssessmentID", "AssessmentQuestion"),
}
"""Columns by which two exports have the same record."""
_DAYS = {
    "Exit": "ExitDate",
    "IncomeBenefits": "InformationDate",
    "Services": "DateProvided",
    "Event": "EventDate",
    "Assessment": "AssessmentDate",
}
"""Files whose records belong to an enrollment, with the day they tell of."""


@dataclass(frozen=True)
class ExportPart:
    """One export: its files, its version and what it says it covers.

    Attributes
    ----------
    paths : dict[str, Path]
        File by its HUD name.
    version : str
        ``"FY2024"`` or ``"FY2026"``, by the columns of `Client`.
    made : str
        Day and time of the export, as written; empty where it is not told.
    directive, period_type : str
        Codes of `ExportDirective` and `ExportPeriodType`; empty where they are not told.
    start, end : pd.Timestamp
        Days it covers; missing where they are not told.
    """

    paths: dict[str, Path]
    version: str
    made: str = ""
    directive: str = ""
    period_type: str = ""
    start: pd.Timestamp = pd.NaT
    end: pd.Timestamp = pd.NaT

    @property
    def is_full(self) -> bool:
        """What it lacks within its projects and days is no longer in the HMIS."""
        told = pd.notna(self.start) and pd.notna(self.end)
        is_period = self.period_type == REPORTING_PERIOD
        return self.directive == FULL_REFRESH and is_period and bool(told)


class Layers:
    """Exports of one implementation, the earliest first.

    Parameters
    ----------
    parts : sequence of ExportPart
    wanted : mapping of str to sequence of str
        Columns to take by file.
    required : mapping of str to sequence of str
        Columns a file must have.
    """

    def __init__(
        self,
        parts: Sequence[ExportPart],
        wanted: dict[str, tuple[str, ...]],
        required: dict[str, tuple[str, ...]],
    ) -> None:
        self.parts = tuple(parts)
        self.wanted = wanted
        self.required = required
        self._told: dict[str, pd.DataFrame] = {}
        self._enrolled: FileRows | None = None

    def rows(self, file: str, ledger: RowLedger) -> FileRows:
        """Rows of a file over all exports; what is deleted or told later is set aside."""
        rows = self._joined(file, ledger)
        if not rows.is_there:
            return rows
        is_deleted = rows["DateDeleted"].notna()
        rows.set_aside(is_deleted, DELETED)
        if len(self.parts) > 1:
            _keep_last(rows, file, is_deleted)
            for number, part in enumerate(self.parts):
                if number and part.is_full and file in part.paths:
                    is_before = rows[PART] < number
                    rows.set_aside(is_before & self._covered(rows, file, number), ABSENT)
        return rows

    def _joined(self, file: str, ledger: RowLedger) -> FileRows:
        """Rows of a file in every export that has it, with number and version of the export."""
        read = []
        for number, part in enumerate(self.parts):
            if file in part.paths:
                rows = read_file_rows(
                    [part.paths[file]],
                    f"hmis {file}",
                    ledger,
                    columns=self.wanted[file],
                    required=self.required.get(file, ()),
                    place=f"export {number + 1} of {len(self.parts)} by date",
                )
                rows.frame[PART] = number
                rows.frame[VERSION] = part.version
                read.append(rows)
        if not read:
            empty = pd.DataFrame(columns=[*self.wanted[file], PART, VERSION], dtype=object)
            return FileRows(f"hmis {file}", empty, ledger, is_there=False)
        frame = pd.concat([rows.frame for rows in read], ignore_index=True)
        places = [place for rows in read for place in rows.places]
        return FileRows(f"hmis {file}", frame, ledger, places=places)

    def _frame(self, file: str) -> pd.DataFrame:
        """Rows of a file in every export, for what other files ask of it; read once."""
        if file not in self._told:
            self._told[file] = self._joined(file, RowLedger()).frame
        return self._told[file]

    def _covered(self, rows: FileRows, file: str, number: int) -> np.ndarray:
        """Rows that an export would have were they still in the HMIS."""
        part = self.parts[number]
        if file == "Enrollment":
            return self._covered_enrollments(rows, number)
        if file == "Client":
            return self._left_without_enrollment(rows, number)
        if file == "AssessmentQuestions":
            return _is_in(rows["AssessmentID"], self._ids("Assessment", "AssessmentID", number))
        if file in _DAYS:
            day = read_days(rows[_DAYS[file]])
            is_within = (day <= part.end) & ((day >= part.start) | (file == "Exit"))
            ids = self._ids("Enrollment", "EnrollmentID", number)
            return np.asarray(_is_in(rows["EnrollmentID"], ids) & is_within.to_numpy(dtype=bool))
        return np.zeros(len(rows.frame), dtype=bool)

    def _covered_enrollments(self, rows: FileRows, number: int) -> np.ndarray:
        """Enrollments in projects of an export that were open in its days."""
        part = self.parts[number]
        file = "Project" if "Project" in part.paths else "Enrollment"
        projects = self._ids(file, "ProjectID", number)
        exits = self._frame("Exit")
        last = exits.drop_duplicates("EnrollmentID", keep="last").set_index("EnrollmentID")
        day = last["ExitDate"].where(last["DateDeleted"].isna(), None)
        left = read_days(rows["EnrollmentID"].map(day))
        is_open = (read_days(rows["EntryDate"]) <= part.end) & ~(left < part.start)
        return np.asarray(_is_in(rows["ProjectID"], projects) & is_open.to_numpy(dtype=bool))

    def _left_without_enrollment(self, rows: FileRows, number: int) -> np.ndarray:
        """Persons all of whose enrollments are gone."""
        if self._enrolled is None:
            self._enrolled = self.rows("Enrollment", RowLedger())
        enrolled = self._enrolled
        had = enrolled.frame.loc[enrolled[PART] < number, "PersonalID"]
        has = enrolled.frame.loc[enrolled.is_open, "PersonalID"]
        is_left = _is_in(rows["PersonalID"], set(had)) & ~_is_in(rows["PersonalID"], set(has))
        return np.asarray(is_left)

    def _ids(self, file: str, column: str, number: int) -> set[str]:
        """Identifiers of an export's own rows that are not deleted."""
        if file not in self.parts[number].paths:
            return set()
        frame = self._frame(file)
        is_own = (frame[PART] == number) & frame["DateDeleted"].isna()
        return set(frame.loc[is_own, column].dropna())


def _keep_last(rows: FileRows, file: str, is_deleted: pd.Series) -> None:
    """Set aside what a later export tells again, or says is deleted."""
    keys = list(KEYS[file])
    frame = rows.frame[[*keys, PART]].assign(is_live=~is_deleted)
    frame = frame.dropna(subset=keys[:1]).fillna(dict.fromkeys(keys, ""))
    last = frame.groupby(keys)[PART].transform("max")
    is_live = frame["is_live"].where(frame[PART] == last, other=False)
    lives_on = is_live.groupby([frame[key] for key in keys]).transform("max").astype(bool)
    is_earlier = (frame[PART] < last).reindex(rows.frame.index, fill_value=False)
    gone = (~lives_on).reindex(rows.frame.index, fill_value=False)
    rows.set_aside(is_earlier & gone, DELETED_LATER)
    rows.set_aside(is_earlier, LATER_EXPORT)


def _is_in(ids: pd.Series, known: set[str]) -> np.ndarray:
    """Which identifiers are among those known."""
    return np.asarray(ids.isin(known).to_numpy(dtype=bool))
