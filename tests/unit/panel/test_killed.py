"""Runs that are killed at any moment: the next run ends with the bytes of one that never was."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pandas as pd
import pytest

from calaim_eval.panel import build_member_months
from calaim_eval.tables import read_tables

N_BUCKETS = 8
N_MEMBERS = 120
WINDOW = {"first_month": "2022-01", "last_month": "2022-12"}
READ = f"""
import sys
from calaim_eval.tables import read_tables
read_tables(sys.argv[1], work_dir=sys.argv[2], n_buckets={N_BUCKETS})
"""
BUILD = READ.replace("read_tables(sys", "tables = read_tables(sys") + (
    "from calaim_eval.panel import build_member_months\n"
    "window = {'first_month': '2022-01', 'last_month': '2022-12'}\n"
    "build_member_months(tables, **window, out_dir=sys.argv[3])\n"
)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Raw files of members with overlapping spans and a few claims each."""
    folder = tmp_path_factory.mktemp("raw")
    rng = Random(20240131)
    day = pd.Timestamp("2021-10-01")
    days = [day + pd.Timedelta(days=rng.randrange(1300)) for _ in range(N_MEMBERS * 12)]
    members = [f"m{i:04d}" for i in range(N_MEMBERS)]
    spans = pd.DataFrame(
        {
            "member_id": members * 2,
            "enrollment_start_date": days[: 2 * N_MEMBERS],
            "enrollment_end_date": [
                start + pd.Timedelta(days=rng.randrange(400)) for start in days[: 2 * N_MEMBERS]
            ],
            "plan": [rng.choice(["Alpha", "Beta"]) for _ in range(2 * N_MEMBERS)],
        }
    )
    n_lines = 10 * N_MEMBERS
    claims = pd.DataFrame(
        {
            "member_id": [rng.choice(members) for _ in range(n_lines)],
            "claim_id": [f"c{i}" for i in range(n_lines)],
            "claim_line_number": 1,
            "claim_type": "institutional",
            "claim_start_date": days[-n_lines:],
            "bill_type_code": [rng.choice(["131", "111", "771"]) for _ in range(n_lines)],
            "revenue_center_code": [rng.choice(["0450", "0120", "0521"]) for _ in range(n_lines)],
            "facility_npi": [rng.choice("AB") for _ in range(n_lines)],
            "paid_amount": [rng.randrange(10**6) / 100 for _ in range(n_lines)],
        }
    )
    person = pd.DataFrame({"member_id": members, "birth_date": pd.Timestamp("1980-02-29")})
    for name, frame in (("eligibility", spans), ("medical_claim", claims), ("person", person)):
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def unbroken(raw, tmp_path_factory):
    """Tables and panel of a run that nobody killed."""
    work = tmp_path_factory.mktemp("unbroken")
    tables = read_tables(raw, work_dir=work / "tables", n_buckets=N_BUCKETS)
    build_member_months(tables, **WINDOW, out_dir=work / "panel")
    return work


def parts(folder: Path) -> dict[str, str]:
    """Digest of every part and count file, by its path."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*.parquet"))
    }


def run_until(script: str, arguments: list[Path], watched: Path, wanted: int, rng: Random) -> bool:
    """Start a process, kill it a moment after so many files are there; whether it was killed."""
    given = [str(argument) for argument in arguments]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *given],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 240
        while process.poll() is None and time.monotonic() < until:
            if len(list(watched.glob("*"))) >= wanted:
                time.sleep(rng.random() * 0.05)
                break
            time.sleep(0.002)
        was_running = process.poll() is None
    finally:
        process.kill()
        process.wait()
    return was_running


@pytest.mark.parametrize(
    "kills", [[(2, 6)], pytest.param([(0, 0), (1, 3), (4, 5), (6, 7)], marks=pytest.mark.slow)]
)
def test_a_panel_that_was_killed_is_the_panel(raw, unbroken, tmp_path, kills):
    rng = Random(len(kills))
    tables_dir, out = unbroken / "tables", tmp_path / "panel"
    for fewest, most in kills:
        wanted = rng.randint(fewest, most)
        assert run_until(BUILD, [raw, tables_dir, out], out / "buckets", wanted, rng)
        assert not (out / "manifest.json").exists(), "the panel counts as finished"
    finished = _finished_buckets(out)
    tables = read_tables(raw, work_dir=tables_dir, n_buckets=N_BUCKETS)
    build_member_months(tables, **WINDOW, out_dir=out)
    assert kills[-1][0] <= len(finished) < N_BUCKETS, "killed with some buckets done and some not"
    again = _finished_buckets(out)
    assert {number: again[number] for number in finished} == finished
    assert parts(out) == parts(unbroken / "panel")


def _finished_buckets(out: Path) -> dict[str, tuple[int, ...]]:
    """Times at which the files of buckets that are done were written, by number."""
    told = {}
    for stamp in (out / "buckets").glob("bucket-*.json"):
        number = stamp.stem.split("-")[1]
        files = [stamp, *out.rglob(f"part-{number}.parquet")]
        told[number] = tuple(file.stat().st_mtime_ns for file in files)
    return told


@pytest.mark.parametrize("kills", [[1], pytest.param([0, 1, 2, 3], marks=pytest.mark.slow)])
def test_a_reading_that_was_killed_is_the_reading(raw, unbroken, tmp_path, kills):
    work, rng = tmp_path / "tables", Random(len(kills))
    for wanted in kills:
        assert run_until(READ, [raw, work], work, wanted, rng)
    read_tables(raw, work_dir=work, n_buckets=N_BUCKETS)
    assert parts(work) == parts(unbroken / "tables")


@pytest.mark.slow
def test_two_runs_write_the_same_bytes(raw, unbroken, tmp_path):
    tables = read_tables(raw, work_dir=tmp_path / "tables", n_buckets=N_BUCKETS)
    build_member_months(tables, **WINDOW, out_dir=tmp_path / "panel")
    assert len(parts(tmp_path / "panel")) > N_BUCKETS
    assert parts(tmp_path / "tables") == parts(unbroken / "tables")
    assert parts(tmp_path / "panel") == parts(unbroken / "panel")
