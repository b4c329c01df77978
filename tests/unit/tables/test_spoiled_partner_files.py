"""Spoiled files of every kind of partner: reading never breaks off, and no row is lost."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import pandas as pd
import pytest

import calaim_eval as ce
from calaim_eval.tables.ledger import USED

from .hmis_files import basic, client, enrollment, event, write_hmis
from .test_fhir_sdoh import REQUEST, task
from .test_icarol import COLUMNS, record
from .test_plan_exchange import returned
from .test_survey_export import RAW, REDCAP

N = 30
SEEDS = range(8)


def rows_to(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)


def hmis(folder):
    files = basic()
    for i in range(N):
        files["Client"].append(client(f"p{i}", races=("White",)))
        files["Enrollment"].append(enrollment(f"n{i}", f"p{i}", entry=f"2023-02-{i % 28 + 1:02d}"))
        files["Exit"].append(files["Exit"][0] | {"EnrollmentID": f"n{i}"})
        files["Event"].append(event(f"v{i}", f"n{i}", result="1", told="2023-04-01"))
    write_hmis(folder, files)


def plan_exchange(folder):
    rows = [
        returned(f"9{i:07d}A", start="2025-01-01", status="Pending", day="2025-01-02")
        for i in range(N)
    ]
    rows_to(folder / "rtf.csv", [list(rows[0]), *[list(row.values()) for row in rows]])


def icarol(folder):
    rows = [record("1"), *[record(str(i), "Program", "1") for i in range(10, 10 + N)]]
    rows_to(folder / "export.csv", [list(COLUMNS), *[[row[c] for c in COLUMNS] for row in rows]])


def hsds(folder):
    names = [[f"o{i}", f"Partner {i}", "nonprofit"] for i in range(N)]
    rows_to(folder / "organizations.csv", [["id", "name", "tax_status"], *names])
    services = [[f"s{i}", f"o{i}", f"Meals {i}", "active"] for i in range(N)]
    rows_to(folder / "services.csv", [["id", "organization_id", "name", "status"], *services])
    areas = [[f"a{i}", f"s{i}", "Kern County"] for i in range(N)]
    rows_to(folder / "service_areas.csv", [["id", "service_id", "service_area"], *areas])


def survey(folder):
    rows = [[str(i), *RAW[1][1:]] for i in range(N)]
    rows_to(folder / "export.csv", [RAW[0], *rows])
    (folder / "layout.toml").write_text(REDCAP, encoding="utf-8")


WRITERS = {
    "hmis": hmis,
    "plan_exchange": plan_exchange,
    "icarol": icarol,
    "hsds": hsds,
    "survey": survey,
}


def spoil(path: Path, rng: random.Random) -> int:
    """Spoil some rows of a file in every way a file goes wrong; how many rows it has then."""
    with path.open(encoding="utf-8", newline="") as stream:
        header, *body = csv.reader(stream)
    out = []
    for row in body:
        cells = list(row)
        at = rng.randrange(len(cells))
        ways = {
            "short": lambda cells=cells: cells[:-1] if len(cells) > 2 else [*cells, "x"],
            "long": lambda cells=cells: [*cells, "x"],
            "blank": lambda cells=cells: [""] * len(cells),
            "gap": lambda cells=cells, at=at: [*cells[:at], "", *cells[at + 1 :]],
            "odd": lambda cells=cells, at=at: [*cells[:at], "13/45/20 ?", *cells[at + 1 :]],
            "number": lambda cells=cells, at=at: [*cells[:at], "99999", *cells[at + 1 :]],
            "other": lambda cells=cells, at=at: [
                *cells[:at],
                rng.choice(body)[at],
                *cells[at + 1 :],
            ],
        }
        if rng.random() < 0.1:
            out.append(cells)
        out.append(ways[rng.choice(list(ways))]() if rng.random() < 0.5 else cells)
    rng.shuffle(out)
    rows_to(path, [header, *out])
    return len(out)


@pytest.mark.parametrize("source", WRITERS)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_row_of_spoiled_files_is_used_or_counted(tmp_path, source, seed):
    rng = random.Random(f"{source} {seed}")
    folder = tmp_path / source
    WRITERS[source](folder)
    n_rows = sum(spoil(path, rng) for path in sorted(folder.glob("*.csv")) if path.stem != "Export")
    found = ce.read_partner_files(folder, source=source)
    ledger = found.ledger.to_frame().query("stage == 'source'")
    ledger = ledger[~ledger["table"].isin(["survey answers", "hmis Export"])]
    assert ledger["n_rows"].sum() == n_rows
    set_aside = ledger.loc[ledger["reason"] != USED, "n_rows"].sum()
    assert 0 < set_aside == len(found.rows_set_aside)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_spoiled_task_is_used_or_counted(tmp_path, seed):
    rng = random.Random(seed)
    tasks = [task(f"t{i}") for i in range(N)]
    for each in tasks:
        odd = {
            "partOf": rng.choice([[{"reference": f"Task/t{rng.randrange(N)}"}], "Task/t1", None]),
            "authoredOn": rng.choice(["soon", 5, None, "1800-01-01"]),
            "for": rng.choice([None, "x", {"reference": 5}, []]),
            "status": rng.choice(["odd", None, 7]),
            "executionPeriod": {"end": "1999-01-01"},
            "code": "fulfill",
        }
        if rng.random() < 0.6:
            name = rng.choice(list(odd))
            each[name] = odd[name]
    tasks += [dict(rng.choice(tasks)) for _ in range(3)]
    folder = tmp_path / "fhir"
    folder.mkdir()
    content = {"resourceType": "Bundle", "entry": [{"resource": r} for r in (REQUEST, *tasks)]}
    (folder / "a.json").write_text(json.dumps(content), encoding="utf-8")
    ledger = ce.read_partner_files(folder, source="fhir_sdoh").ledger
    assert ledger.total("fhir_sdoh Task", stage="source") == len(tasks)


def test_a_study_with_spoiled_files_of_a_partner_is_read_to_its_end(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    members = pd.DataFrame({"member_id": [f"m{i}" for i in range(N)]})
    members.assign(enrollment_start_date="2022-01-01", enrollment_end_date="2024-12-31").to_csv(
        raw / "eligibility.csv", index=False
    )
    members.assign(birth_date="1990-01-01").to_csv(raw / "person.csv", index=False)
    members.assign(
        claim_id=[f"c{i}" for i in range(N)],
        claim_line_number=1,
        claim_type="professional",
        claim_start_date="2022-02-02",
    ).to_csv(raw / "medical_claim.csv", index=False)
    folder = tmp_path / "hmis"
    hmis(folder)
    rng = random.Random(1)
    for path in sorted(folder.glob("*.csv")):
        if path.stem != "Export":
            spoil(path, rng)
    links = [[f"p{i}", f"m{i}"] for i in range(N)]
    rows_to(folder / "member_link.csv", [["source_person_id", "member_id"], *links])
    tables = ce.read_tables(raw, work_dir=tmp_path / "work", partners={"hmis": folder})
    ledger = tables.ledger
    handed_on = ledger.used("homeless_enrollment", stage="source")
    assert handed_on == ledger.total("homeless_enrollment", stage="read") > 0
