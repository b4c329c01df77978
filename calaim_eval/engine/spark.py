"""Run a recipe on Spark: the same expressions in Spark's language, all members at once.

Held rows go to parquet in a folder, written by the session itself, and so does what the recipe
writes; nothing but counts passes through this process.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calaim_eval.engine.failures import DISK_FULL, NOT_ALLOWED, output_error
from calaim_eval.engine.recipe import Recipe, Step
from calaim_eval.errors import CalaimEvalError, MissingExtraError, OutputError, TableError

if TYPE_CHECKING:
    import ibis
    import pandas as pd
    import sqlglot.expressions as sge

_INSTALL = 'pip install "calaim-eval[spark]"'
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
"""Settings a recipe runs under, whatever the session's own are: overflow is an error, not null."""


@dataclass(frozen=True, slots=True)
class SparkOutput:
    """Where Spark puts the rows of a `Recipe.write`.

    Attributes
    ----------
    folder : Path
        Gets ``part-0000.parquet`` and on, one a part, empty ones too.
    sort_by : tuple[str, ...]
        Columns rows are sorted by within a part.
    """

    folder: Path
    sort_by: tuple[str, ...]


@contextmanager
def open_spark(
    *, temp_folder: Path, memory_limit_gb: float = 2.0, n_parts: int = 1
) -> Iterator[Any]:
    """Open a Spark session with settings of its own, as an Ibis backend.

    A session that is already active (a cluster's notebook) gives the work to its cluster; its own
    settings and views are left alone. Without one a local session is started, and stopped again.

    Parameters
    ----------
    temp_folder : Path
        Where a local session spills member rows.
    memory_limit_gb : float
        Heap of a local session, GB; a session that is already there keeps its own.
    n_parts : int
        Parts that shuffled rows of a local session are divided into, at least one a core.

    Yields
    ------
    ibis.BaseBackend
        Backend ``"pyspark"``.

    Raises
    ------
    MissingExtraError
        PySpark or Java is absent.
    """
    session_class = _session_class()
    active = session_class.getActiveSession()
    session = active or _local_session(session_class, temp_folder, memory_limit_gb, n_parts)
    try:
        own = session.newSession()
        for name, value in _SETTINGS.items():
            own.conf.set(name, value)
        yield _as_ibis(own)
    finally:
        if active is None:
            session.stop()


def _session_class() -> Any:
    """PySpark's session class."""
    try:
        from pyspark.sql import SparkSession
    except ImportError:
        raise MissingExtraError(
            "the engine 'spark' needs PySpark, which is not installed.\n"
            f"  Install it: {_INSTALL}. Or leave the engine at 'duckdb'."
        ) from None
    return SparkSession


def _local_session(
    session_class: Any, temp_folder: Path, memory_limit_gb: float, n_parts: int
) -> Any:
    """A session on this machine's cores."""
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        raise MissingExtraError(
            "the engine 'spark' needs Java 17 or newer; no `java` is on the path and `JAVA_HOME` "
            "is not set.\n  Install Java, or leave the engine at 'duckdb'."
        )
    builder = (
        session_class.builder.master("local[*]")
        .appName("calaim-eval")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.memory", f"{memory_limit_gb * 1024:.0f}m")
        .config("spark.local.dir", str(temp_folder.resolve()))
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", str(max(n_parts, os.cpu_count() or 1)))
    )
    try:
        session = builder.getOrCreate()
    except Exception as problem:
        raise MissingExtraError(
            f"a local Spark session cannot be started ({type(problem).__name__}).\n"
            "  Check that `java -version` says 17 or newer, or leave the engine at 'duckdb'."
        ) from None
    # Spark's own warnings may quote plans with literals of the data.
    session.sparkContext.setLogLevel("OFF")
    return session


def _as_ibis(session: Any) -> Any:
    """The session as an Ibis backend."""
    import ibis

    return ibis.pyspark.connect(session)


@contextmanager
def spark_failures(*, doing: str) -> Iterator[None]:
    """Run Spark work; raise what went wrong as one of this package's errors, without its text.

    Raises
    ------
    OutputError
        The disk is full, a file may not be written, or memory is not enough.
    TableError
        The input cannot be read.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except CalaimEvalError:
        raise
    except (PySparkException, Py4JError) as problem:
        raise _translated(problem, doing) from None
    except OSError as problem:
        raise output_error(problem, doing) from None


def _translated(problem: Exception, doing: str) -> CalaimEvalError:
    """Error of this package for one of Spark's, by kind."""
    text = str(problem).lower()
    if any(sign in text for sign in DISK_FULL):
        return OutputError(f"{doing}: the disk is full.\n  Free space, or choose another folder.")
    if any(sign in text for sign in NOT_ALLOWED):
        return OutputError(
            f"{doing}: writing is not allowed there.\n  Choose a folder you may write to."
        )
    if "outofmemoryerror" in text or "java heap space" in text:
        return OutputError(
            f"{doing}: Spark's memory was not enough.\n"
            "  Raise `memory_limit_gb`, or give the session's executors more memory."
        )
    condition = getattr(problem, "getCondition", lambda: None)() or type(problem).__name__
    return TableError(
        f"{doing}: Spark stopped ({condition}).\n"
        "  If a file is damaged, fetch or write it again; else build with the engine 'duckdb' and "
        "report this as a defect."
    )


def run_on_spark(
    recipe: Recipe,
    backend: Any,
    *,
    sources: Mapping[str, Sequence[Path]],
    outputs: Mapping[str, SparkOutput],
    part_of: tuple[str, Sequence[str]],
    n_parts: int,
    held_folder: Path,
) -> dict[str, pd.DataFrame]:
    """Run every step of a recipe on all rows at once.

    Parameters
    ----------
    recipe : Recipe
    backend : ibis.BaseBackend
        What `open_spark` yields.
    sources : mapping of str to sequence of Path
        Parquet files ``part-0000.parquet`` and on of every source.
    outputs : mapping of str to SparkOutput
        Where every `write` goes; its rows have the key of `part_of`.
    part_of : tuple of str and sequence of str
        A column, and sources that have it: a row is written to the part of that number which the
        value's rows were read from, so that the parts are those of the sources.
    n_parts : int
    held_folder : Path
        For held rows; emptied at the end. On a cluster every node must reach it by this path.

    Returns
    -------
    dict[str, pd.DataFrame]
        Rows of every `fetch`, by name.
    """
    session = backend._session
    held_folder = held_folder.resolve()
    for name, files in sources.items():
        session.read.parquet(*[_address(file) for file in files]).createOrReplaceTempView(name)
    for name, rows in recipe.lookups.items():
        session.createDataFrame(_arrow(rows)).createOrReplaceTempView(name)
    key, named = part_of
    parts = _parts_by_key(session, key, [sources[name] for name in named])
    fetched = {}
    try:
        for step in recipe.steps:
            if step.rows is None:
                session.catalog.dropTempView(step.name)
                shutil.rmtree(held_folder / step.name, ignore_errors=True)
                continue
            rows = session.sql(_sql(step, backend))
            if step.kind == "keep":
                where = _address(held_folder / step.name)
                rows.write.mode("overwrite").parquet(where)
                session.read.parquet(where).createOrReplaceTempView(step.name)
            elif step.kind == "fetch":
                fetched[step.name] = rows.toArrow().to_pandas()
            else:
                placed = rows.join(parts, key)
                _write_parts(placed, outputs[step.name], n_parts, held_folder / step.name)
    finally:
        shutil.rmtree(held_folder, ignore_errors=True)
    return fetched


def _address(path: Path) -> str:
    """A local path as Spark takes it; a shared file system is mounted on every node."""
    return path.resolve().as_uri()


def _arrow(rows: ibis.Table) -> Any:
    """A small table in memory."""
    op = rows.op()
    return op.data.to_pyarrow(op.schema)


def _parts_by_key(session: Any, key: str, sources: Sequence[Sequence[Path]]) -> Any:
    """Part number of each value of the key: `key`, `part`."""
    pattern = "part-([0-9]+)"
    found = None
    for files in sources:
        read = session.read.parquet(*[_address(file) for file in files])
        rows = read.selectExpr(
            key, f"CAST(regexp_extract(_metadata.file_name, '{pattern}', 1) AS INT) AS part"
        )
        found = rows if found is None else found.unionByName(rows)
    return found.distinct() if found is not None else None


def _write_parts(rows: Any, output: SparkOutput, n_parts: int, scratch: Path) -> None:
    """Write one sorted file a part, then put all of them in place."""
    schema = rows.drop("part").schema
    ordered = rows.repartition(n_parts, "part").sortWithinPartitions("part", *output.sort_by)
    ordered.write.mode("overwrite").partitionBy("part").parquet(_address(scratch))
    output.folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for folder in scratch.glob("part=*"):
        files = list(folder.glob("*.parquet"))
        if len(files) != 1:
            raise OutputError(
                f"writing `{output.folder}`: Spark wrote {len(files)} files for one part.\n"
                "  Unset `spark.sql.files.maxRecordsPerFile` in the session."
            )
        written[int(folder.name.split("=")[1])] = files[0]
    for number in range(n_parts):
        target = output.folder / f"part-{number:04d}.parquet"
        if number in written:
            shutil.move(written[number], target)
        else:
            _write_empty(schema, target)
    with suppress(OSError):
        shutil.rmtree(scratch)


def _write_empty(schema: Any, path: Path) -> None:
    """A part without rows."""
    import pyarrow.parquet as pq
    from pyspark.sql.pandas.types import to_arrow_schema

    pq.write_table(to_arrow_schema(schema).empty_table(), path, compression="zstd")


def _sql(step: Step, backend: Any) -> str:
    """One step in Spark's language, every column of its declared type."""
    if step.rows is None:
        raise ValueError(step.kind)
    query = backend.compiler.to_sqlglot(step.rows)
    query = query.transform(_any_number).transform(_days_since_1970).transform(_days_after)
    names = backend.compiler.type_mapper
    columns = ", ".join(
        f"CAST(`{column}` AS {names.to_string(dtype)}) AS `{column}`"
        for column, dtype in step.rows.schema().items()
    )
    return f"SELECT {columns} FROM ({query.sql(dialect=backend.dialect)}) AS step"


def _any_number(node: sge.Expression) -> sge.Expression:
    """Row numbers in no order, within no group: any number of its own will do.

    Counting up would bring every row to one machine.
    """
    import sqlglot.expressions as sge

    if not isinstance(node, sge.Window) or not isinstance(node.this, sge.RowNumber):
        return node
    order = node.args.get("order")
    is_ordered = order is not None and any(
        not isinstance(each, sge.Null) for each in order.expressions
    )
    if node.args.get("partition_by") or is_ordered:
        return node
    # Like a row number, it begins at 1.
    return sge.Paren(
        this=sge.Add(
            this=sge.Anonymous(this="MONOTONICALLY_INCREASING_ID"), expression=sge.convert(1)
        )
    )


def _days_since_1970(node: sge.Expression) -> sge.Expression:
    """Days since 1970 as the number a date is stored as, not as a difference of timestamps."""
    import sqlglot.expressions as sge

    if not isinstance(node, sge.DateDiff) or not isinstance(node.expression, sge.DateFromParts):
        return node
    begin = [int(node.expression.args[part].name) for part in ("year", "month", "day")]
    unit = node.args.get("unit")
    if begin != [1970, 1, 1] or unit is None or unit.name.upper() != "DAY":
        return node
    return sge.Anonymous(this="UNIX_DATE", expressions=[node.this])


def _days_after(node: sge.Expression) -> sge.Expression:
    """Days added to a date as a number, not as an interval written out and read again."""
    import sqlglot.expressions as sge

    if not isinstance(node, sge.Add) or not isinstance(node.this, sge.DateFromParts):
        return node
    days = node.expression
    if not isinstance(days, sge.Cast) or not isinstance(days.this, sge.Concat):
        return node
    number, unit = days.this.expressions
    if unit.name != " days":
        return node
    return sge.Anonymous(this="DATE_ADD", expressions=[node.this, sge.cast(number, "int")])
