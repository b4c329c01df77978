"""Tables of a database: the same tables as from files, once extracted, and nothing told."""

from __future__ import annotations

import json
from decimal import Decimal

import ibis
import pandas as pd
import pytest

from calaim_eval.errors import MissingExtraError, TableError
from calaim_eval.tables import database, read_tables
from calaim_eval.tables.database import check_address
from calaim_eval.tables.input_map import InputMap

MEMBERS = [f"m{i}" for i in range(25)]
SPANS = pd.DataFrame(
    {
        "member_id": MEMBERS,
        "enrollment_start_date": pd.to_datetime("2022-01-01"),
        "enrollment_end_date": pd.to_datetime("2022-12-31"),
        "secret_note": "never extracted",
    }
)
PERSONS = pd.DataFrame({"member_id": MEMBERS, "birth_date": "1990-02-03"})
CLAIMS = pd.DataFrame(
    {
        "claim_id": [f"c{i}" for i in range(50)],
        "claim_line_number": 1,
        "claim_type": "professional",
        "member_id": MEMBERS * 2,
        "claim_start_date": pd.to_datetime("2022-02-02 13:14:15"),
        "paid_amount": [Decimal(f"{i}.25") for i in range(50)],
    }
)
FRAMES = {"eligibility": SPANS, "person": PERSONS, "medical_claim": CLAIMS}


@pytest.fixture
def connection(tmp_path):
    backend = ibis.duckdb.connect(tmp_path / "plan.duckdb")
    for name, frame in FRAMES.items():
        backend.create_table(name, frame)
    yield backend
    backend.disconnect()


@pytest.fixture
def from_files(tmp_path):
    folder = tmp_path / "raw"
    folder.mkdir()
    for name, frame in FRAMES.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return read_tables(folder, work_dir=tmp_path / "work_of_files")


def same(one, other):
    assert one.names == other.names
    for name in one.names:
        order = list(one.frame(name).columns)
        pd.testing.assert_frame_equal(
            one.frame(name).sort_values(order, ignore_index=True),
            other.frame(name).sort_values(order, ignore_index=True),
        )
    pd.testing.assert_frame_equal(one.ledger.to_frame(), other.ledger.to_frame())


def test_a_database_gives_what_files_give(connection, from_files, tmp_path):
    same(from_files, read_tables(connection, work_dir=tmp_path / "work"))


def test_only_declared_columns_are_extracted(connection):
    opened = database._describe(connection, "eligibility", "eligibility", InputMap())
    assert set(opened.rows.columns) == set(SPANS.columns) - {"secret_note"}


def test_tables_elsewhere_under_other_names(connection, from_files, tmp_path):
    connection.raw_sql("CREATE SCHEMA warehouse")
    connection.raw_sql(
        "CREATE VIEW warehouse.spans AS SELECT member_id AS cin, * EXCLUDE (member_id) "
        "FROM eligibility"
    )
    tables = read_tables(
        connection,
        work_dir=tmp_path / "work",
        input_map=InputMap(
            files={"eligibility": "warehouse.spans"}, rename={"eligibility": {"cin": "member_id"}}
        ),
    )
    same(from_files, tables)


def test_unchanged_tables_are_not_extracted_again(connection, tmp_path, monkeypatch):
    read_tables(connection, work_dir=tmp_path / "work")
    monkeypatch.setattr(database, "_extract", None)
    read_tables(connection, work_dir=tmp_path / "work")
    with pytest.raises(TypeError):
        read_tables(connection, work_dir=tmp_path / "work", extraction="July 2")


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO person VALUES ('m99', '1991-01-01')",
        "UPDATE medical_claim SET claim_start_date = '2022-03-03' WHERE claim_id = 'c3'",
    ],
)
def test_changed_tables_are_extracted_again(connection, tmp_path, change):
    first = read_tables(connection, work_dir=tmp_path / "work").manifest["fingerprint"]
    connection.raw_sql(change)
    assert read_tables(connection, work_dir=tmp_path / "work").manifest["fingerprint"] != first


def test_a_killed_extraction_goes_on_with_the_next_table(connection, tmp_path, monkeypatch):
    extract, done = database._extract, []

    def extract_two(connection, table, folder):
        if len(done) == 2:
            raise KeyboardInterrupt
        extract(connection, table, folder)
        done.append(table.name)

    monkeypatch.setattr(database, "_extract", extract_two)
    with pytest.raises(KeyboardInterrupt):
        read_tables(connection, work_dir=tmp_path / "work")
    more = []
    monkeypatch.setattr(
        database, "_extract", lambda c, table, f: (more.append(table.name), extract(c, table, f))
    )
    tables = read_tables(connection, work_dir=tmp_path / "work")
    assert sorted(done + more) == sorted(FRAMES)
    assert len(more) == 1
    assert len(tables.frame("medical_claim")) == 50


def test_a_table_that_changes_while_it_is_read_is_refused(connection, tmp_path):
    table = database._describe(connection, "person", "person", InputMap())
    connection.raw_sql("DELETE FROM person WHERE member_id = 'm3'")
    with pytest.raises(TableError, match="had 25 rows, and 24 were extracted"):
        database._extract(connection, table, tmp_path / "person")
    assert not (tmp_path / "person").exists()


def test_an_empty_table_says_so(connection, tmp_path):
    connection.raw_sql("DELETE FROM medical_claim")
    with pytest.raises(TableError, match=r"`medical_claim`.*no rows"):
        read_tables(connection, work_dir=tmp_path / "work")


def test_a_missing_table_is_named_with_the_key_that_mends_it(connection, tmp_path):
    connection.drop_table("person")
    with pytest.raises(TableError, match=r'`person`.\n.*\[input.files\] person = "schema.name"'):
        read_tables(connection, work_dir=tmp_path / "work")
    with pytest.raises(TableError, match=r"opening database table people \(`person`\)"):
        read_tables(
            connection, work_dir=tmp_path / "w", input_map=InputMap(files={"person": "people"})
        )


def test_what_the_database_says_is_not_passed_on(connection, tmp_path):
    connection.raw_sql(
        "CREATE VIEW bad AS SELECT member_id, "
        "CAST(CASE WHEN member_id = 'm7' THEN 'born in 1990-QQ' END AS DATE) AS birth_date "
        "FROM person"
    )
    with pytest.raises(TableError) as raised:
        read_tables(
            connection, work_dir=tmp_path / "w", input_map=InputMap(files={"person": "bad"})
        )
    assert "QQ" not in str(raised.value)
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:tops3cret@host/db",
        "postgresql://me@host/db?password=tops3cret",
        "snowflake://me@account/db?Token=tops3cret",
        "postgresql://me@host/db?sslmode=require&sslpassword=tops3cret",
        "mssql://me@host/db?driver=x;PWD=tops3cret",
        "snowflake://me@account/db?private_key=tops3cret",
        "databricks://host/db?oauth_client_secret=tops3cret",
        "trino://me@host/db?userpass=tops3cret",
        "trino://me@host/db?access%5Ftoken=tops3cret",
        "mssql:///?odbc_connect=DRIVER%3Dx%3BUID%3Dme%3BPWD%3Dtops3cret",
        "mssql:///?odbc_connect=DRIVER%253Dx%253BPWD%253Dtops3cret",
        "mssql:///?odbc_connect=UID%3Dme%3B+Pwd+%3D+%7Btops3cret%7D",
        "postgresql://host/db?dsn=user%3Dme%20password%3Dtops3cret",
        "trino://host/db?extra=%7B%22password%22%3A+%22tops3cret%22%7D",
        "postgresql://host/db#pwd=tops3cret",
        "sqlserver://host;user=me;password=tops3cret",
        "snowflake://me@host/db?credentials=tops3cret",
        "snowflake://me@host/db?private_key_file_pwd=tops3cret",
        "trino://me@host/db?jwt=tops3cret",
        "trino://me@host/db?jwt_bearer=tops3cret",
        "azure://host/container?sig=tops3cret",
        "clickhouse://host/db?auth=tops3cret",
        "postgresql://me:tops3cret/x@host/db",
        "postgresql://me:tops3cret#x@host/db",
        "postgresql://me:tops3cret?x@host/db",
        "postgresql://me:/tops3cret@host/db",
        "postgresql://me:12/tops3cret@host/db",
        "postgresql://me@work:tops3cret/x@host/db",
    ],
)
def test_an_address_with_a_password_is_refused_and_not_repeated(address, tmp_path):
    with pytest.raises(TableError, match="holds a password") as raised:
        read_tables(address, work_dir=tmp_path / "work")
    assert "tops3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me@host/db?sslmode=verify-full&passfile=/home/me/.pgpass",
        "postgresql://me@host/db?sslcert=/c.pem&sslkey=/k.pem&keepalives=1",
        "mysql://me@host/db?ssl_key=/k.pem",
        "snowflake://me@host/db?private_key_file=/k.p8",
        "snowflake://me@host/db?authenticator=externalbrowser",
        "postgresql://host:5432/db?user=me@work&require_auth=scram-sha-256",
        "postgresql://[::1]:5432/design?assignment=x",
        "duckdb:///C:/me@work/panel.duckdb",
        "duckdb://C:/me@work/panel.duckdb",
        "mssql:///?odbc_connect=DRIVER%3Dx%3BSERVER%3Dtcp%3Ahost%2C1433%3BTrusted_Connection%3Dyes",
    ],
)
def test_an_address_that_says_where_a_secret_lies_is_none_that_holds_it(address):
    check_address(address)


def test_a_table_that_is_there_and_refused_is_not_taken_for_absent(connection, tmp_path):
    # A view whose table is gone is there, and the database refuses to read it.
    connection.raw_sql("CREATE TABLE base AS SELECT member_id FROM person")
    connection.raw_sql("CREATE VIEW custody AS SELECT * FROM base")
    connection.raw_sql("DROP TABLE base")
    with pytest.raises(TableError, match=r"custody.*the database refused"):
        read_tables(connection, work_dir=tmp_path / "work")


def test_what_a_database_says_when_asked_for_a_table_is_a_refusal(
    connection, tmp_path, monkeypatch
):
    table = connection.table

    def refusing(name, **others):
        if name == "referral":
            raise PermissionError("no right to m7")
        return table(name, **others)

    monkeypatch.setattr(connection, "table", refusing)
    with pytest.raises(TableError, match=r"referral.*the database refused") as raised:
        read_tables(connection, work_dir=tmp_path / "work")
    assert "m7" not in str(raised.value)


def test_optional_tables_that_are_absent_are_named_in_the_log(connection, tmp_path, caplog):
    read_tables(connection, work_dir=tmp_path / "work")
    (said,) = [each.getMessage() for each in caplog.records if "not given" in each.getMessage()]
    assert "`pharmacy_claim`" in said
    assert "`medical_claim`" not in said


def test_two_connections_of_equal_content_do_not_share_a_fingerprint(tmp_path):
    prints = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        backend = ibis.duckdb.connect(tmp_path / folder / "plan.duckdb")
        for name, frame in FRAMES.items():
            backend.create_table(name, frame)
        tables = read_tables(backend, work_dir=tmp_path / "work")
        prints.append(tables.manifest["fingerprint"])
        assert str(tmp_path) not in json.dumps(tables.manifest)
        backend.disconnect()
    assert prints[0] != prints[1]


def test_a_connection_that_cannot_be_told_from_another_needs_an_extraction(tmp_path):
    backend = ibis.duckdb.connect()
    for name, frame in FRAMES.items():
        backend.create_table(name, frame)
    with pytest.raises(TableError, match="extraction"):
        read_tables(backend, work_dir=tmp_path / "work")
    assert read_tables(backend, work_dir=tmp_path / "work", extraction="July").names
    backend.disconnect()


def test_an_address_is_opened_and_closed(connection, from_files, tmp_path):
    connection.disconnect()
    address = f"duckdb://{tmp_path}/plan.duckdb"
    tables = read_tables(address, work_dir=tmp_path / "work")
    same(from_files, tables)
    assert "plan.duckdb" not in json.dumps(tables.manifest)
    ibis.duckdb.connect(tmp_path / "plan.duckdb").raw_sql("CREATE TABLE open_for_writing (i INT)")


def test_no_connection_and_no_driver(monkeypatch, tmp_path):
    with pytest.raises(TableError, match="no connection to the duckdb database"):
        read_tables(f"duckdb://{tmp_path}/none/x.duckdb", work_dir=tmp_path / "work")

    def absent(_):
        raise ImportError

    monkeypatch.setattr(ibis, "connect", absent)
    with pytest.raises(MissingExtraError, match=r'pip install "calaim-eval\[database\]"'):
        read_tables("postgresql://host/db", work_dir=tmp_path / "work")


def test_a_database_has_no_other_format(tmp_path):
    with pytest.raises(TableError, match="not synthea files"):
        read_tables("postgresql://host/db", work_dir=tmp_path, source="synthea")
