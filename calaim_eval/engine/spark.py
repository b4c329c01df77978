"""Open a Spark session for recipes, and turn what it raises into errors a user can act on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from calaim_eval.engine.failures import DISK_FULL, NOT_ALLOWED, output_error
from calaim_eval.engine.open import MEMORY_LIMIT_GB
from calaim_eval.errors import CalaimEvalError, MissingExtraError, OutputError, TableError

_INSTALL = 'pip install "calaim-eval[spark]"'
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}
"""Settings a recipe runs under, whatever the session's own are: overflow is an error, not null."""


@contextmanager
def open_spark(
    *, temp_folder: Path, memory_limit_gb: float = MEMORY_LIMIT_GB, n_parts: int = 1
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
