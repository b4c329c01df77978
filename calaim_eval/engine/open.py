"""Open the engine that runs Ibis expressions; no other room knows that it is DuckDB."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.errors import OutputError

if TYPE_CHECKING:
    import ibis

logger = logging.getLogger(__name__)

MEMORY_LIMIT_GB = 1.5
"""Memory the engine may hold unless told otherwise: with Python, a process stays under 2 GB."""


def open_engine(
    *,
    memory_limit_gb: float = MEMORY_LIMIT_GB,
    threads: int | None = None,
    temp_folder: Path | str | None = None,
) -> ibis.BaseBackend:
    """Open an Ibis backend with a memory limit.

    Parameters
    ----------
    memory_limit_gb : float
        Memory the engine may hold, in GB; above it, work spills to `temp_folder`.
    threads : int, optional
        Threads to use; all cores by default.
    temp_folder : Path or str, optional
        Where to spill; by default a folder of its own in the system's temporary folder. It holds
        member rows while a query runs, so on a shared machine name a restricted folder.

    Returns
    -------
    ibis.BaseBackend
        An in-memory database of its own; ``disconnect()`` it when done.

    Raises
    ------
    OutputError
        The memory limit is not positive, or the spill folder cannot be made.

    Examples
    --------
    >>> import ibis
    >>> open_engine(memory_limit_gb=0.5).execute(ibis.literal(2) + 3)
    5
    """
    import duckdb
    import ibis

    if memory_limit_gb <= 0:
        raise OutputError(
            f"`memory_limit_gb` is {memory_limit_gb:g}; the engine needs some memory.\n"
            "  Give a number above 0, such as 2.0."
        )
    options: dict[str, object] = {
        "memory_limit": f"{memory_limit_gb * 1000:.0f}MB",
        "temp_directory": str(_spill_folder(temp_folder)),
        "preserve_insertion_order": False,
    }
    if threads is not None:
        options["threads"] = threads
    try:
        backend = ibis.duckdb.connect(":memory:", **options)
        # In a notebook DuckDB would draw a bar of its own for every query.
        backend.raw_sql("SET enable_progress_bar = false")
    except duckdb.Error as problem:
        raise OutputError(
            f"the engine cannot be opened with `memory_limit_gb` {memory_limit_gb:g} and `threads` "
            f"{threads} ({type(problem).__name__}).\n  Give other values, or leave them out."
        ) from problem
    return backend


def _spill_folder(temp_folder: Path | str | None) -> Path:
    """Folder for spilled work; made when it is absent."""
    folder = Path(temp_folder) if temp_folder else Path(tempfile.gettempdir()) / "calaim_eval_spill"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise OutputError(
            f"the engine cannot use `{folder}` for temporary files ({problem.strerror}).\n"
            "  Tables and panels are made where you may write: check the folder's permissions, or "
            "name another one."
        ) from problem
    return folder
