"""Exports of one HMIS over time: what is deleted, absent from a full export, or only changed."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest

from calaim_eval.tables.ledger import USED
from calaim_eval.tables.partners import hmis_layers
from calaim_eval.tables.partners.hmis import read_hmis
from calaim_eval.tables.partners.text_rows import read_file_rows

from .hmis_files import UPDATED, basic, client, enrollment, event, write_hmis

FULL, DELTA = "2", "1"
DELETED = {"DateDeleted": "2024-03-01 08:00:00"}


def export(files, made, directive, *, start="2023-01-01", end="2023-12-31", period="3"):
    """The files with what their export says of itself."""
    own = {"ImplementationID": "I1", "SourceID": "S", "CSVVersion": "2026 v1", "ExportDate": made}
    own |= {"ExportDirective": directive, "ExportPeriodType": period}
    files["Export"] = [own | {"ExportStartDate": start, "ExportEndDate": end}]
    return files


def service(identifier, enrolled, day):
    row = {"ServicesID": identifier, "EnrollmentID": enrolled, "PersonalID": "x"}
    return row | {"DateProvided": day, "RecordType": "200", "TypeProvided": "200"} | UPDATED


def read(tmp_path, *exports):
    """Exports in folders whose names are against their order."""
    for number, files in enumerate(exports):
        write_hmis(tmp_path / "hmis" / f"{9 - number}", {k: v for k, v in files.items() if v})
    return read_hmis(tmp_path / "hmis")


def counts(found, file):
    frame = found.ledger.to_frame()
    here = frame[(frame["table"] == f"hmis {file}") & (frame["stage"] == "source")]
    return dict(zip(here["reason"], here["n_rows"], strict=True))


def ids(found, table, column):
    return [] if table not in found.names else sorted(found.frame(table)[column])


def without(files, **gone):
    """The files without some records: file to identifiers of its first column."""
    for name, identifiers in gone.items():
        key = next(iter(files[name][0]))
        files[name] = [row for row in files[name] if row[key] not in identifiers]
    return files


def test_a_record_a_later_export_says_is_deleted_is_gone_from_the_earlier(tmp_path):
    later = {
        "Client": [client("a", races=("White",))],
        "Enrollment": [enrollment("2", "a", "p2", "2023-03-01", **DELETED)],
        "Event": [event("e1", "1", **DELETED)],
    }
    found = read(
        tmp_path,
        export(basic(), "2024-02-01", FULL),
        export(later, "2024-03-02", DELTA),
    )
    enrolled = ids(found, "homeless_enrollment", "homeless_enrollment_id")
    assert enrolled == ["hmis:I1:1", "hmis:I1:3"]
    assert ids(found, "social_referral", "referral_id") == ["hmis:I1:event:e2"]
    assert counts(found, "Enrollment") == {
        "deleted in the HMIS (`DateDeleted`)": 1,
        "deleted in a later export (`DateDeleted`)": 1,
        USED: 2,
    }
    place = found.rows_set_aside.query("table == 'hmis Enrollment'").set_index("reason")
    earlier = place.loc["deleted in a later export (`DateDeleted`)"]
    assert (earlier["place"], earlier["row"]) == ("export 1 of 2 by date", 3)


def test_a_record_deleted_and_then_entered_again_is_there(tmp_path):
    gone = {"Client": [client("a")], "Enrollment": [enrollment("1", "a", **DELETED)]}
    again = {"Client": [client("a")], "Enrollment": [enrollment("1", "a", entry="2023-01-11")]}
    found = read(
        tmp_path,
        export(basic(), "2024-02-01", FULL),
        export(gone, "2024-03-02", DELTA),
        export(again, "2024-04-02", DELTA),
    )
    stay = found.frame("homeless_enrollment").set_index("homeless_enrollment_id")
    assert stay.loc["hmis:I1:1", "entry_date"] == pd.Timestamp("2023-01-11")


def test_what_a_later_full_export_lacks_is_gone_with_what_hangs_on_it(tmp_path):
    first = basic()
    first["Services"] = [service("s1", "1", "2023-02-01"), service("s3", "3", "2023-02-01")]
    later = without(basic(), Enrollment=("3",), Client=("b",), Event=("e2",))
    later["Services"] = [service("s9", "1", "2023-02-09")]
    found = read(tmp_path, export(first, "2024-02-01", FULL), export(later, "2024-03-01", FULL))
    assert ids(found, "homeless_person", "member_id") == ["hmis:I1:a"]
    assert len(found.frame("homeless_enrollment")) == 2
    # s1 is of an enrollment the later export has, within its days; s3 hangs on one that is gone.
    assert ids(found, "homeless_service", "homeless_service_id") == ["hmis:I1:s9"]
    assert ids(found, "social_referral", "referral_id") == ["hmis:I1:event:e1"]
    absent = "not in a later full export of its project and time (deleted since)"
    assert counts(found, "Enrollment")[absent] == 1
    assert counts(found, "Client")[absent] == 1
    assert counts(found, "Services") == {
        absent: 1,
        "enrollment not in `Enrollment`, or set aside there": 1,
        USED: 1,
    }
    for name, rows in first.items():
        if name != "Export":
            assert sum(counts(found, name).values()) == len(rows) + len(later[name])


@pytest.mark.parametrize(
    ("directive", "options", "projects"),
    [
        (DELTA, {}, ("p1", "p2")),
        (FULL, {"period": "1"}, ("p1", "p2")),
        (FULL, {"start": "2023-09-01"}, ("p1", "p2")),
        (FULL, {"end": "2023-01-09", "start": "2022-01-01"}, ("p1", "p2")),
        (FULL, {"start": ""}, ("p1", "p2")),
        (FULL, {}, ("p2",)),
    ],
)
def test_absence_says_nothing_where_the_export_does_not_reach(
    tmp_path, directive, options, projects
):
    """Enrollment 1 is in p1, from 2023-01-10 to 2023-06-30."""
    later = without(basic(), Enrollment=("1",), Exit=("1",), Event=("e1",))
    later["Project"] = [row for row in later["Project"] if row["ProjectID"] in projects]
    found = read(
        tmp_path,
        export(basic(), "2024-02-01", FULL),
        export(later, "2024-03-01", directive, **options),
    )
    stay = found.frame("homeless_enrollment").set_index("homeless_enrollment_id")
    assert stay.loc["hmis:I1:1", "exit_date"] == pd.Timestamp("2023-06-30")
    assert "hmis:I1:a" in ids(found, "homeless_person", "member_id")


def test_an_exit_of_a_delta_export_ends_the_enrollment_of_an_earlier_one(tmp_path):
    delta = {
        "Client": [client("b", races=("Asian",))],
        "Enrollment": [enrollment("2", "a", "p2", "2023-03-02")],
        "Exit": [{"EnrollmentID": "3", "ExitDate": "2023-08-01", "Destination": "410"} | UPDATED],
    }
    found = read(tmp_path, export(basic(), "2024-02-01", FULL), export(delta, "2024-03-01", DELTA))
    stay = found.frame("homeless_enrollment").set_index("homeless_enrollment_id")
    assert stay.loc["hmis:I1:3", "exit_date"] == pd.Timestamp("2023-08-01")
    assert stay.loc["hmis:I1:1", "exit_date"] == pd.Timestamp("2023-06-30")
    assert stay.loc["hmis:I1:2", "entry_date"] == pd.Timestamp("2023-03-02")
    races = found.frame("race_record").groupby("member_id")["race_item"].agg(set)
    assert races["hmis:I1:a"] == {"White"}
    assert races["hmis:I1:b"] == {"Asian"}


def test_an_exit_a_later_full_export_no_longer_has_is_taken_back(tmp_path):
    later = basic()
    later["Exit"] = [
        {"EnrollmentID": "2", "ExitDate": "2023-05-01", "Destination": "410"} | UPDATED
    ]
    found = read(tmp_path, export(basic(), "2024-02-01", FULL), export(later, "2024-03-01", FULL))
    stay = found.frame("homeless_enrollment").set_index("homeless_enrollment_id")
    assert pd.isna(stay.loc["hmis:I1:1", "exit_date"])
    assert stay.loc["hmis:I1:2", "exit_date"] == pd.Timestamp("2023-05-01")


def test_files_of_many_full_exports_are_each_read_a_few_times(tmp_path, monkeypatch):
    n_read = Counter()

    def counted(files, *given, **options):
        n_read.update(files)
        return read_file_rows(files, *given, **options)

    monkeypatch.setattr(hmis_layers, "read_file_rows", counted)
    days = [f"2024-{month:02d}-01" for month in range(1, 9)]
    found = read(tmp_path, *(export(basic(), day, FULL) for day in days))
    assert len(ids(found, "homeless_enrollment", "homeless_enrollment_id")) == 3
    # Once for its rows, and once or, of enrollments, twice for what other files ask of it.
    assert max(n_read.values()) <= 3


def test_an_enrollment_whose_exit_was_deleted_is_open_again(tmp_path):
    first, second, third = basic(), basic(), without(basic(), Enrollment=["1"])
    second["Exit"] = [second["Exit"][0] | DELETED]
    third["Exit"] = []
    # The third reaches from after the exit: without the exit the enrollment would be in it.
    found = read(
        tmp_path,
        export(first, "2024-02-01", FULL),
        export(second, "2024-03-02", DELTA),
        export(third, "2024-04-02", FULL, start="2023-09-01", end="2024-03-31"),
    )
    assert ids(found, "homeless_enrollment", "homeless_enrollment_id") == ["hmis:I1:2", "hmis:I1:3"]
