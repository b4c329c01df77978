"""A real PostgreSQL server, started for these tests and stopped after them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables import database, read_tables
from calaim_eval.tables.input_map import InputMap

PASSWORD = "test-only-7f3a"
N_CLAIMS = 1000

SCHEMA = """
CREATE SCHEMA warehouse;
CREATE TYPE warehouse.sex AS ENUM ('F', 'M');
CREATE TABLE warehouse.person (
  cin numeric PRIMARY KEY, birth_date date, sex warehouse.sex, race_code char(5),
  race_code_system text, ssn text);
INSERT INTO warehouse.person
  SELECT 1000 + i, date '1950-01-01' + i, CASE WHEN i % 2 = 0 THEN 'F' ELSE 'M' END::warehouse.sex,
         '3', 'meds', '999-99-9999'
  FROM generate_series(1, 40) i;
CREATE TABLE warehouse.spans (
  cin numeric, begin_ts timestamp, end_date date, aid varchar(3), payer text);
INSERT INTO warehouse.spans
  SELECT 1000 + i, timestamp '2022-01-01 00:00', CASE WHEN i % 4 = 0 THEN NULL
         ELSE date '2022-12-31' END, 'M1', 'MCAL' FROM generate_series(1, 40) i;
CREATE MATERIALIZED VIEW warehouse.lines AS
  SELECT md5(i::text)::uuid AS claim_id, 1::smallint AS claim_line_number,
         'professional'::text AS claim_type, 1000 + 1 + i % 40 AS cin,
         date '2022-01-01' + i % 365 AS claim_start_date, (i * 0.01)::numeric(12, 2) AS paid_amount,
         CASE WHEN i % 10 = 0 THEN '99213' END AS hcpcs_code
  FROM generate_series(1, 1000) i;
"""
INPUT = InputMap(
    files={
        "eligibility": "warehouse.spans",
        "person": "warehouse.person",
        "medical_claim": "warehouse.lines",
    },
    rename={
        "eligibility": {
            "cin": "member_id",
            "begin_ts": "enrollment_start_date",
            "end_date": "enrollment_end_date",
            "aid": "aid_code",
            "payer": "payer_type",
        },
        "person": {"cin": "member_id"},
        "medical_claim": {"cin": "member_id"},
    },
    values={"eligibility": {"payer_type": {"MCAL": "medicaid"}}},
    constants={"medical_claim": {"plan": "Plan A"}},
)


def programs():
    """Folder of the server's programs, or None."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


def as_other_user():
    """What to put before a command so that it does not run as root, which the server refuses."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("tests run as root and `setpriv` is absent: PostgreSQL does not run as root")
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture(scope="module")
def server():
    """Address of an empty database; the server listens on a free port of this machine only."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: calaim-eval[database]")
    binaries = programs()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    prefix = as_other_user()
    folder = Path(tempfile.mkdtemp(prefix="pg_"))
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    if prefix:
        shutil.chown(folder, 65534, 65534)
        shutil.chown(folder / "password", 65534, 65534)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*command):
        done = subprocess.run(
            [*prefix, *map(str, command)], capture_output=True, cwd=folder, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr.decode()

    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    control = [binaries / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log"]
    try:
        run(
            *(binaries / "initdb", "-D", folder / "data", "-U", "study", "-A", "scram-sha-256"),
            *(f"--pwfile={folder / 'password'}", "--encoding=UTF8", "--locale=C", "--no-sync"),
        )
        run(*control, "-o", options, "start")
        try:
            yield f"postgresql://study@127.0.0.1:{port}/postgres"
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def address(server, monkeypatch):
    """Address of the database with the tables of a plan's warehouse, the password apart."""
    import psycopg

    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS warehouse CASCADE")
        connection.execute(SCHEMA)
    return server


def test_tables_views_and_types_of_postgresql(address, tmp_path, monkeypatch):
    monkeypatch.setattr(database, "ROWS_PER_CHUNK", 64)
    tables = read_tables(address, work_dir=tmp_path / "work", input_map=INPUT, n_buckets=3)
    spans, persons, lines = (
        tables.frame(name) for name in ("eligibility", "person", "medical_claim")
    )
    assert sorted(spans["member_id"]) == sorted(str(1000 + i) for i in range(1, 41))
    assert spans["enrollment_end_date"].isna().sum() == 10
    assert set(spans["payer_type"]) == {"medicaid"}
    assert persons.set_index("member_id").loc["1002", "sex"] == "female"
    assert set(persons["race_ethnicity"]) == {"black"}
    assert len(lines) == lines["claim_id"].nunique() == N_CLAIMS
    assert lines["paid_amount"].sum() == pytest.approx(0.01 * N_CLAIMS * (N_CLAIMS + 1) / 2)
    assert lines["claim_start_date"].max() == pd.Timestamp("2022-12-31")
    assert lines["hcpcs_code"].notna().sum() == N_CLAIMS / 10
    assert set(lines["plan"]) == {"Plan A"}


def test_nothing_secret_is_written(address, tmp_path):
    work = tmp_path / "work"
    tables = read_tables(address, work_dir=work, input_map=INPUT)
    written = json.dumps(tables.manifest)
    for secret in (PASSWORD, "127.0.0.1", "999-99-9999", "study@"):
        assert secret not in written
    assert not [path for path in work.rglob("*") if b"999-99-9999" in _bytes(path)]


def _bytes(path):
    return path.read_bytes() if path.is_file() else b""


def test_read_again_only_when_something_changed(address, tmp_path, monkeypatch):
    import psycopg

    read_tables(address, work_dir=tmp_path / "work", input_map=INPUT)
    extract = database._extract
    monkeypatch.setattr(database, "_extract", None)
    read_tables(address, work_dir=tmp_path / "work", input_map=INPUT)
    monkeypatch.setattr(database, "_extract", extract)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DELETE FROM warehouse.spans WHERE cin = 1001")
    again = read_tables(address, work_dir=tmp_path / "work", input_map=INPUT)
    assert len(again.frame("eligibility")) == 40 - 1


def test_a_wrong_password_says_what_to_check(address, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "wrong-one-1")
    with pytest.raises(TableError, match="no connection to the postgresql database") as raised:
        read_tables(address, work_dir=tmp_path / "work", input_map=INPUT)
    assert "wrong-one-1" not in str(raised.value)
    assert "127.0.0.1" not in str(raised.value)


def test_a_table_one_may_not_read(address, tmp_path):
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute(f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'")
        connection.execute("GRANT USAGE ON SCHEMA warehouse TO reader")
    as_reader = address.replace("study@", "reader@")
    with pytest.raises(
        TableError, match=r"warehouse.spans \(`eligibility`\): the database refused"
    ):
        read_tables(as_reader, work_dir=tmp_path / "work", input_map=INPUT)
