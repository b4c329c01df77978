"""Tables or views of a database: extracted once to parquet, then read as files are."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

from calaim_eval.engine import atomic_folder, track
from calaim_eval.engine.paths import exactly
from calaim_eval.errors import CalaimEvalError, MissingExtraError, TableError
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.formats import SourceTables
from calaim_eval.tables.input_map import InputMap
from calaim_eval.tables.sources import lacking_tables, log_absent, wanted_columns

if TYPE_CHECKING:
    import ibis

ROWS_PER_CHUNK = 50_000
_SECRET_WORDS = ("pass", "pwd", "token", "secret", "key", "credential", "jwt")
"""Words in the name of an option that make its value one to keep out of an address."""
_SECRETS = ("auth", "sig", "signature")
"""Names of such options; longer ones with these words are others (`authenticator`, `design`)."""
_PLACES = re.compile(r"(?:sslkey|ssl_key|keytab|.*(?:file|path))$")
"""Options with such a word that say where a secret lies, and do not hold it."""
_OPTION = re.compile(r"(\w+)(?:\s*=|[\"']\s*:)")
"""Name of an option wherever it stands, also within the value of another one."""
_IN_ONE_FILE = ("duckdb", "sqlite")


@dataclass(frozen=True)
class DatabaseTable:
    """One declared table in a database.

    Attributes
    ----------
    name : str
        Declared table.
    place : str
        Table or view, with its schema where the study names one.
    rows : ibis.Table
        The columns that are extracted, cast to what parquet and the engine hold alike.
    n_rows : int
    sha256 : str
        Of the query, the number of rows and the latest value of every date column.
    """

    name: str
    place: str
    rows: ibis.Table
    n_rows: int
    sha256: str


def is_database(place: object) -> bool:
    """Whether a place is the address of a database or an Ibis connection, not a folder."""
    if isinstance(place, str):
        return "://" in place
    return hasattr(place, "list_tables")


def mark_of(place: object, *, extraction: str = "") -> str:
    """What tells one database from another in a manifest: a hash, empty for a folder.

    Of an address, or of what a connection is connected to. A connection that does not say needs
    the name of an extraction.

    Raises
    ------
    TableError
        A connection cannot be told from another, and there is no `extraction`.
    """
    if not is_database(place):
        return ""
    said = str(place) if isinstance(place, str) else _connected_to(place)
    if not said and not extraction:
        raise TableError(
            "the Ibis connection does not say which database it is connected to.\n"
            "  Name what is extracted: extraction='2025-07-02'. Another name reads it anew."
        )
    return hashlib.sha256(said.encode()).hexdigest() if said else ""


def _connected_to(connection: Any) -> str:
    """Kind, catalog and schema of a connection, and its file; empty where it says none of them."""
    said = [_told(connection, name) for name in ("current_catalog", "current_database")]
    if connection.name in _IN_ONE_FILE:
        # The catalog is the name of the file without its folder; without a file it is in memory.
        with _refusals("asking a connection for its file"):
            listed = connection.raw_sql("PRAGMA database_list").fetchall()
        said = [str(path) for _, _, path in listed if path]
    return "\n".join([connection.name, *said]) if any(said) else ""


def _told(connection: Any, name: str) -> str:
    """What a connection says of itself; empty where this kind of database has no such thing."""
    try:
        return str(getattr(connection, name) or "")
    except Exception:  # each kind has its own error for what it does not have
        return ""


def check_address(address: str) -> None:
    """Raise when the address of a database holds a password, a token, a secret or a key.

    Also one within the value of an option, as in ``odbc_connect=``, or behind ``#``, and a password
    with ``/``, ``?`` or ``#`` that are not encoded. Options that name the file of one
    (``passfile``, ``sslkey``) may stay.

    Raises
    ------
    TableError
        The message does not repeat the address.
    """
    has_password = urlsplit(address).password or _cuts_host_short(address)
    if has_password or any(map(_is_secret, _options(address))):
        raise TableError(
            "the address of the database holds a password.\n"
            "  Leave it out: keep it in the environment (PGPASSWORD) or in ~/.pgpass, or pass an "
            "Ibis connection to read_tables()."
        )


def _cuts_host_short(address: str) -> bool:
    """Whether a password may have ended the host, and its ``@`` stands behind it."""
    parts = urlsplit(address)
    _, colon, port = parts.netloc.rpartition("@")[2].rpartition(":")
    if not colon or parts.scheme in _IN_ONE_FILE:
        return False
    return "@" in parts.path + parts.fragment or ("@" in parts.query and not port.isdigit())


def _options(address: str) -> set[str]:
    """Names of all options of an address, in lower case, also of those a value or an anchor has."""
    query = urlsplit(address).query.replace(";", "&")
    names = set(parse_qs(query, keep_blank_values=True))
    text = address
    while (plain := unquote_plus(text)) != text:
        text = plain
    return {name.lower() for name in (*names, *_OPTION.findall(text))}


def _is_secret(option: str) -> bool:
    """Whether the value of an option is one to keep out of an address."""
    is_named = option in _SECRETS or any(word in option for word in _SECRET_WORDS)
    return is_named and not _PLACES.match(option)


@contextmanager
def connect(place: str | ibis.BaseBackend) -> Iterator[ibis.BaseBackend]:
    """Connection to a database; one that was opened here is closed again.

    Parameters
    ----------
    place : str or ibis.BaseBackend
        Address such as ``"postgresql://user@host/database"``, or a connection, which stays open.

    Raises
    ------
    TableError
        The address holds a password, or there is no connection.
    MissingExtraError
        The driver is not installed.
    """
    if not isinstance(place, str):
        yield place
        return
    check_address(place)
    import ibis

    kind = urlsplit(place).scheme
    try:
        connection = ibis.connect(place)
    except ImportError:
        raise MissingExtraError(
            f"the driver for `{kind}` databases is not installed.\n"
            '  For PostgreSQL: pip install "calaim-eval[database]"; for others see Ibis.'
        ) from None
    except Exception as problem:
        raise TableError(
            f"no connection to the {kind} database ({type(problem).__name__}).\n"
            "  Check host, database and user in `database`, and the password in the environment "
            "(PGPASSWORD) or ~/.pgpass."
        ) from None
    try:
        yield connection
    finally:
        connection.disconnect()


def open_database(
    connection: ibis.BaseBackend, *, backend: ibis.BaseBackend, input_map: InputMap
) -> SourceTables:
    """Open the declared tables of a database.

    Parameters
    ----------
    connection : ibis.BaseBackend
    backend : ibis.BaseBackend
        Engine that reads what is extracted.
    input_map : InputMap
        `files` names tables or views, ``"schema.name"`` where they are not in the default schema.
        Without it tables are found by their declared names.

    Returns
    -------
    SourceTables
        Nothing is extracted before `convert` is called.

    Raises
    ------
    TableError
        A table is not there, or the database refuses.

    Notes
    -----
    A database has no files to hash. What is compared with the earlier reading is the query of each
    table, its number of rows and the latest value of each of its date columns. A change that
    touches none of these goes unnoticed: change `extraction` to extract again.
    """
    places = _find_places(connection, input_map)
    tables = {name: _describe(connection, name, at, input_map) for name, at in places.items()}
    opened = SourceTables(
        tables={},
        labels={name: f"database table {table.place}" for name, table in tables.items()},
        files=(),
        described=tuple(
            {"table": each.name, "file": each.place, "n_rows": each.n_rows, "sha256": each.sha256}
            for each in tables.values()
        ),
    )
    return replace(opened, convert=partial(_extract_all, opened, connection, tables, backend))


def _find_places(connection: ibis.BaseBackend, input_map: InputMap) -> dict[str, str]:
    """Table or view of each declared table."""
    inputs = [table for table in TABLES.values() if table.is_input]
    found = {}
    for table in inputs:
        if table.name in input_map.files:
            found[table.name] = input_map.files[table.name]
        elif _is_there(connection, table.name):
            found[table.name] = table.name
    lacking = lacking_tables(found)
    if lacking:
        listed = ", ".join(f"`{name}`" for name in lacking)
        raise TableError(
            f"the database has no table or view named {listed}.\n"
            f'  Name the one that holds it: [input.files] {lacking[0]} = "schema.name".'
        )
    log_absent(found)
    return found


def _is_there(connection: ibis.BaseBackend, name: str) -> bool:
    """Whether the default schema has a table or view of a name; a refusal is none of both.

    Some databases say "not found" of a view that cannot be read: it is listed all the same.
    """
    from ibis.common.exceptions import TableNotFound

    with _refusals(f"looking for database table {name}"):
        try:
            connection.table(name)
        except TableNotFound:
            return name in _listed(connection)
    return True


def _listed(connection: Any) -> set[str]:
    """Tables and views of the default schema."""
    if connection.name != "duckdb":
        return set(connection.list_tables())
    # Ibis 12 cannot list those of newer versions of DuckDB.
    query = (
        "SELECT table_name FROM information_schema.tables "
        "WHERE table_schema = current_schema() AND table_catalog = current_database()"
    )
    return {name for (name,) in connection.raw_sql(query).fetchall()}


def _describe(
    connection: ibis.BaseBackend, name: str, place: str, input_map: InputMap
) -> DatabaseTable:
    """Columns to extract of one table, and what is known about its content."""
    import ibis

    *schema, own = place.split(".")
    within = tuple(schema) if len(schema) > 1 else (schema[0] if schema else None)
    with _refusals(f"opening database table {place} (`{name}`)"):
        whole = connection.table(own, database=within)
        rename = input_map.rename.get(name, {})
        rows = whole.select(**_columns(whole, name, place, rename))
        dates = [column for column in rows.columns if _declared(column, rename) in _DATES]
        facts = rows.aggregate(
            n_rows=rows.count(), **{f"latest_{i}": rows[c].max() for i, c in enumerate(dates)}
        )
        found = connection.to_pyarrow(facts).to_pylist()[0]
        text = "\n".join([str(ibis.to_sql(rows)), *(str(found[key]) for key in sorted(found))])
    digest = hashlib.sha256(text.encode()).hexdigest()
    return DatabaseTable(name, place, rows, int(found["n_rows"]), digest)


_DATES = frozenset(name for name, field in FIELDS.items() if field.dtype in ("date", "month"))


def _declared(column: str, rename: Mapping[str, str]) -> str:
    """Declared name of a column."""
    return rename.get(column, column.strip().lower())


def _columns(
    whole: ibis.Table, name: str, place: str, rename: Mapping[str, str]
) -> dict[str, ibis.Value]:
    """Columns a declared table can use, under the names they have."""
    wanted = wanted_columns(name, rename)
    chosen = {
        column: _as_plain(whole[column], _declared(column, rename))
        for column in whole.columns
        if column.strip().lower() in wanted
    }
    if not chosen:
        raise TableError(
            f"table `{name}`: none of the {len(whole.columns)} columns of database table {place} "
            "has a declared name.\n  Rename them: [input.rename." + name + "]."
        )
    return chosen


def _as_plain(column: ibis.Value, declared: str) -> ibis.Value:
    """A column in a type that every database and parquet hold alike."""
    kind = column.type()
    dtype = FIELDS[declared].dtype if declared in FIELDS else "string"
    if kind.is_timestamp() and dtype in ("date", "month"):
        return column.cast("date")
    if kind.is_decimal() and dtype in ("number", "integer"):
        return column.cast("float64")
    if kind.is_integer() or kind.is_floating() or kind.is_boolean() or kind.is_date():
        return column
    return column if kind.is_string() else column.cast("string")


def _extract_all(
    opened: SourceTables,
    connection: ibis.BaseBackend,
    tables: Mapping[str, DatabaseTable],
    backend: ibis.BaseBackend,
    scratch: Path,
) -> SourceTables:
    """Extract what is not extracted yet, table after table, and open it."""
    read = {}
    for name, table in tables.items():
        folder = scratch / name
        if not folder.is_dir():
            _extract(connection, table, folder)
        read[name] = backend.read_parquet(f"{exactly(folder)}/part-*.parquet")
    return replace(opened, tables=read)


def _extract(connection: ibis.BaseBackend, table: DatabaseTable, folder: Path) -> None:
    """Write one table to parquet parts, whole or not at all."""
    doing = f"extracting database table {table.place} (`{table.name}`)"
    with atomic_folder(folder) as filling:
        if connection.name == "duckdb":
            # The engine of the reading writes parquet itself, and gives no batches of rows.
            with _refusals(doing):
                connection.to_parquet(table.rows, filling / "part-000000.parquet")
        else:
            _write_batches(connection, table, filling, doing)
        n_rows = _count_rows(filling)
        if n_rows != table.n_rows:
            raise TableError(
                f"database table {table.place} (`{table.name}`) had {table.n_rows:,} rows, and "
                f"{n_rows:,} were extracted: it changes while it is read.\n"
                "  Run it again when it is at rest, or read a copy of it."
            )


def _write_batches(
    connection: ibis.BaseBackend, table: DatabaseTable, folder: Path, doing: str
) -> None:
    """Fetch rows some at a time and write each batch as a part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _refusals(doing):
        batches = connection.to_pyarrow_batches(table.rows, chunk_size=ROWS_PER_CHUNK)
    pq.write_table(batches.schema.empty_table(), folder / "part-empty.parquet")
    n_chunks = math.ceil(table.n_rows / ROWS_PER_CHUNK)
    steps = track(_fetched(batches, doing), description=f"extracting {table.name}", total=n_chunks)
    for number, batch in enumerate(steps):
        part = pa.Table.from_batches([batch])
        pq.write_table(part, folder / f"part-{number:06d}.parquet", compression="zstd")


def _fetched(batches: Any, doing: str) -> Iterator[Any]:
    """Batches of rows; what the database says on the way is not passed on."""
    found = iter(batches)
    while True:
        with _refusals(doing):
            batch = next(found, None)
        if batch is None:
            return
        yield batch


def _count_rows(folder: Path) -> int:
    """Rows of all parts in a folder."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(part).num_rows for part in folder.glob("part-*.parquet"))


@contextmanager
def _refusals(doing: str) -> Iterator[None]:
    """Raise what a database says as an error of this package, without its text.

    Texts of databases quote values of rows and connection settings.
    """
    try:
        yield
    except CalaimEvalError:
        raise
    except Exception as problem:
        raise TableError(
            f"{doing}: the database refused ({type(problem).__name__}).\n"
            "  Check that the table or view is there, its columns have plain types and you may "
            "read it."
        ) from None
