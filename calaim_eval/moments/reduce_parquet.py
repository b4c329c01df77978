"""Reduce parquet files in any row order: by coverage patterns, or a bucket of members at a time."""

from __future__ import annotations

import glob
import logging
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.moments.cell_moments import CellMoments
from calaim_eval.moments.panel_rows import PanelColumns, month_ordinals
from calaim_eval.moments.periods import period_frequency, present_months
from calaim_eval.moments.reduce import reduce_frame
from calaim_eval.moments.reduce_patterns import reduce_patterns

ROWS_PER_BUCKET = 12_000_000
"""Rows held in memory at once (about 1 GB with two outcomes)."""

MEMORY_LIMIT = "2GB"
"""Memory the engine may hold; it takes half of it for 2 million members."""

logger = logging.getLogger(__name__)


def reduce_query(query: Any, columns: PanelColumns, *, balanced_only: bool) -> list[CellMoments]:
    """Moments, in parts, of an Ibis table, a DuckDB relation or a Polars lazy frame.

    The query runs once; its rows lie in the system's temporary folder until they are reduced.
    """
    where = "the table"
    lazy = hasattr(query, "sink_parquet")
    columns.require(query.collect_schema().names() if lazy else query.columns, where=where)
    with tempfile.TemporaryDirectory(prefix="calaim_eval_") as folder:
        path = Path(folder) / "rows.parquet"
        if lazy:
            query.select(*columns.all).sink_parquet(path)
        else:
            query.select(*columns.all).to_parquet(str(path))
        return reduce_parquet(path, columns, where=where, balanced_only=balanced_only)


def reduce_parquet(
    path: str | Path, columns: PanelColumns, *, where: str | None = None, balanced_only: bool
) -> list[CellMoments]:
    """Moments, in parts, of a file, a folder of files or a glob; the data choose the route."""
    import duckdb
    import pyarrow.parquet as pq

    files = _files(path)
    where = where or f"the parquet files at {path}"
    columns.require(pq.read_schema(files[0]).names, where=where)
    with (
        tempfile.TemporaryDirectory(prefix="calaim_eval_") as spill,
        duckdb.connect(
            config={"memory_limit": MEMORY_LIMIT, "temp_directory": spill}
        ) as connection,
    ):
        # A time with a zone is a month of that instant in UTC, wherever it is read.
        connection.execute("SET TimeZone = 'UTC'")
        source = connection.read_parquet([str(file) for file in files])
        n_rows = sum(pq.read_metadata(file).num_rows for file in files)
        if n_rows == 0:
            raise TableError(f"{where} have no rows.")
        found = reduce_patterns(
            connection, source, columns, where=where, balanced_only=balanced_only
        )
        if found is not None:
            return found
        months = _months(source, columns, where=where)
        n_buckets = -(-n_rows // ROWS_PER_BUCKET)
        selected = source.project(", ".join(_quoted(name) for name in columns.all))
        parts: list[CellMoments] = []
        for bucket in range(n_buckets):
            wanted = f"hash({_quoted(columns.member_id)}) % {n_buckets} = {bucket}"
            rows = selected.filter(wanted) if n_buckets > 1 else selected
            frame = rows.to_arrow_table().to_pandas()
            if len(frame):
                part = reduce_frame(
                    frame, columns, months=months, where=where, balanced_only=balanced_only
                )
                parts.append(part)
            logger.info("reduced bucket %d of %d", bucket + 1, n_buckets)
    return parts


def _files(path: str | Path) -> list[Path]:
    """Files meant by a file, a folder or a glob, in order."""
    place = Path(path)
    if place.is_file():
        return [place]
    if place.is_dir():
        files = sorted(place.rglob("*.parquet"))
    else:
        files = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207
    if not files:
        raise TableError(f"no parquet file is at {path}. Give a file, a folder or a glob.")
    return files


def _months(source: object, columns: PanelColumns, *, where: str) -> pd.Index:
    """The months with any row at risk, read before the buckets so that all share an axis."""
    month = _quoted(columns.month)
    at_risk = "" if columns.at_risk is None else f" WHERE {_quoted(columns.at_risk)}::DOUBLE > 0"
    distinct = source.query("panel", f"SELECT DISTINCT {month} FROM panel{at_risk}")  # type: ignore[attr-defined]
    frame = distinct.to_arrow_table().to_pandas()
    ordinals = month_ordinals(frame, columns, where=where)
    return present_months(ordinals, period_frequency(frame[columns.month]))


def _quoted(name: str) -> str:
    """A column name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
