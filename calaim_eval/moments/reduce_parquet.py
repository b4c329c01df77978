"""Reduce parquet files in any row order: the first of the routes that the rows fit.

Streamed (sorted by member, or members numbered), by coverage patterns, or a bucket of members at a
time. Each raises or declines before it gives anything wrong; all give the same numbers.
"""

from __future__ import annotations

import glob
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from calaim_eval.engine import engine_failures
from calaim_eval.engine.paths import exactly
from calaim_eval.errors import TableError
from calaim_eval.moments.cell_index import plain_labels
from calaim_eval.moments.cell_moments import CellMoments
from calaim_eval.moments.label_book import as_with_missing
from calaim_eval.moments.panel_rows import NOT_AT_RISK, PanelColumns, month_ordinals
from calaim_eval.moments.periods import period_frequency, present_months
from calaim_eval.moments.reduce import reduce_frame
from calaim_eval.moments.reduce_patterns import reduce_patterns
from calaim_eval.moments.streamed_rows import (
    DoesNotFitError,
    available_cores,
    columns_with_missing,
    stream_rows,
)

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ROWS_PER_BUCKET = 12_000_000
"""Rows held in memory at once (about 1 GB with two outcomes)."""

MEMORY_LIMIT_MB = 2_000
"""Memory the engine may hold; it takes half of it for 2 million members."""
LEAST_MEMORY_MB = 500
"""Below this an engine of several has no room to work."""

IN_ORDER, ADDRESSED = "in order", "addressed"
MOST_PARTS = 8
"""Parts that wait to be added up: each may have thousands of cells."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class ToCheck:
    """What one share has met and only all shares together can check.

    Attributes
    ----------
    ids : list of pa.Array
        Of members who may be in another share too.
    not_at_risk : dict[tuple[int, int], int]
        Rows not at risk, by file and row group.
    """

    ids: list[pa.Array] = field(default_factory=list)
    not_at_risk: dict[tuple[int, int], int] = field(default_factory=dict)


def reduce_query(
    query: Any, columns: PanelColumns, *, balanced_only: bool, processes: int = 1
) -> list[CellMoments]:
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
        return reduce_parquet(
            path, columns, where=where, balanced_only=balanced_only, processes=processes
        )


def reduce_parquet(
    path: str | Path,
    columns: PanelColumns,
    *,
    where: str | None = None,
    balanced_only: bool,
    processes: int = 1,
) -> list[CellMoments]:
    """Moments, in parts, of a file, a folder of files or a glob; the data choose the route."""
    import pyarrow.parquet as pq

    files = parquet_files(path)
    where = where or f"the parquet files at {path}"
    for file in files:
        schema = pq.read_schema(file)
        columns.require(schema.names, where=where)
        _refuse_zones(schema, columns, where=where)
    if not any(pq.read_metadata(file).num_rows for file in files):
        raise TableError(f"{where} have no rows.")
    if processes > 1:
        from calaim_eval.moments.reduce_processes import reduce_in_processes

        return reduce_in_processes(
            files, columns, processes=processes, where=where, balanced_only=balanced_only
        )
    for route in (IN_ORDER, ADDRESSED):
        found = reduce_streamed(files, columns, route, where=where, balanced_only=balanced_only)
        if found is not None:
            return found
    return reduce_by_engine(files, columns, where=where, balanced_only=balanced_only)


def _refuse_zones(schema: pa.Schema, columns: PanelColumns, *, where: str) -> None:
    """Raise TableError for months of a zone other than UTC: the engine would shift them."""
    for name in (columns.month, columns.cohort):
        zone = getattr(schema.field(name).type, "tz", None) if name in schema.names else None
        if zone not in (None, "UTC", "Etc/UTC", "+00:00"):
            raise TableError(
                f"{where}: `{name}` holds times of the zone {zone}, which a file keeps as UTC: a "
                "month that begins at midnight there may be another month here.\n"
                "  Write the first day of each month as a date without a time."
            )


def reduce_streamed(
    files: Sequence[Path],
    columns: PanelColumns,
    route: str,
    *,
    where: str,
    balanced_only: bool,
    share: tuple[int, int] = (0, 1),
    threads: int | None = None,
    to_check: ToCheck | None = None,
) -> list[CellMoments] | None:
    """Moments, in parts, of rows that are streamed; None where they do not fit the route.

    `share` (k, n) is the k-th of n parts of the members; `to_check` gets what all shares have to be
    checked for together (`account_for_rows`).
    """
    from calaim_eval.moments.reduce_addressed import reduce_addressed
    from calaim_eval.moments.reduce_in_order import is_in_order, reduce_in_order

    to_check = to_check or ToCheck()
    try:
        rows = stream_rows(files, columns, threads=threads)
        if route == IN_ORDER and not is_in_order(rows):
            return None
        asked: dict[str, Any] = {"where": where, "balanced_only": balanced_only, "share": share}
        reduced = (
            reduce_in_order(rows, **asked, ids=to_check.ids)
            if route == IN_ORDER
            else reduce_addressed(rows, **asked)
        )
        parts: list[CellMoments] = []
        for part in reduced:
            parts.append(part)
            if len(parts) == MOST_PARTS:
                parts = [reduce(add, parts)]
        to_check.not_at_risk.update(rows.not_at_risk)
        if share == (0, 1):
            account_for_rows(parts, columns, to_check.not_at_risk, n_rows=rows.n_rows)
    except DoesNotFitError:
        return None
    return parts


def account_for_rows(
    parts: Sequence[CellMoments],
    columns: PanelColumns,
    not_at_risk: Mapping[tuple[int, int], int],
    *,
    n_rows: int,
) -> None:
    """Note in the first part how many rows were not at risk.

    Raises
    ------
    DoesNotFitError
        There is no part, or rows were neither used nor left out nor not at risk: a range that the
        files give of their members is wrong.
    """
    n_used = sum(sum(part.provenance["rows"].values()) for part in parts)
    n_not_at_risk = sum(not_at_risk.values())
    if not parts or n_used + n_not_at_risk != n_rows:
        raise DoesNotFitError
    if columns.at_risk is not None:
        parts[0].provenance["rows"][NOT_AT_RISK] = n_not_at_risk


def reduce_by_engine(
    files: Sequence[Path],
    columns: PanelColumns,
    *,
    where: str,
    balanced_only: bool,
    share: tuple[int, int] = (0, 1),
    months: pd.Index | None = None,
    engines: int = 1,
) -> list[CellMoments]:
    """Moments, in parts, by coverage patterns or a bucket of members at a time.

    Parameters
    ----------
    share : tuple of int
        (k, n): the k-th of n parts of the members, by a hash.
    months : pd.Index, optional
        Those of all shares; by default those of the rows.
    engines : int
        How many work at the same time and share memory and cores.
    """
    import pyarrow.parquet as pq

    metadata = [pq.read_metadata(file) for file in files]
    n_rows = sum(of_file.num_rows for of_file in metadata)
    with _opened(files, engines) as (connection, source):
        rows = source
        if share != (0, 1):
            # A hash of its own: buckets within the share are told apart by the plain one.
            of_member = f"hash({_quoted(columns.member_id)}, 'share')"
            rows = source.filter(f"{of_member} % {share[1]} = {share[0]}")
        parts = reduce_patterns(
            connection, rows, columns, where=where, balanced_only=balanced_only, months=months
        )
        if parts is None:
            months = _months(source, columns, where=where) if months is None else months
            n_buckets = -(-n_rows // (share[1] * ROWS_PER_BUCKET))
            parts = _buckets(
                rows, columns, n_buckets, months=months, where=where, balanced_only=balanced_only
            )
    if len(parts) > 1 or share != (0, 1):
        missing = columns_with_missing(metadata, columns)
        return [_in_common_types(part, missing) for part in parts]
    return parts


def _buckets(
    rows: duckdb.DuckDBPyRelation,
    columns: PanelColumns,
    n_buckets: int,
    *,
    months: pd.Index,
    where: str,
    balanced_only: bool,
) -> list[CellMoments]:
    """Moments of a bucket of members at a time, each as a frame."""
    selected = rows.project(", ".join(_quoted(name) for name in columns.all))
    parts: list[CellMoments] = []
    for bucket in range(n_buckets):
        wanted = f"hash({_quoted(columns.member_id)}) % {n_buckets} = {bucket}"
        some = selected.filter(wanted) if n_buckets > 1 else selected
        frame = some.to_arrow_table().to_pandas()
        if len(frame):
            part = reduce_frame(
                frame, columns, months=months, where=where, balanced_only=balanced_only
            )
            parts.append(part)
        logger.info("reduced bucket %d of %d", bucket + 1, n_buckets)
    return parts


def engine_months(files: Sequence[Path], columns: PanelColumns, *, where: str) -> pd.Index:
    """The months of all rows at risk, for shares that are reduced apart."""
    with _opened(files, 1) as (_, source):
        return _months(source, columns, where=where)


@contextmanager
def _opened(
    files: Sequence[Path], engines: int
) -> Iterator[tuple[duckdb.DuckDBPyConnection, duckdb.DuckDBPyRelation]]:
    """An engine of its own with the rows of all files."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="calaim_eval_") as spill:
        config: dict[str, Any] = {
            "memory_limit": f"{max(MEMORY_LIMIT_MB // engines, LEAST_MEMORY_MB)}MB",
            "temp_directory": spill,
        }
        if engines > 1:
            config["threads"] = max(1, available_cores() // engines)
        with duckdb.connect(config=config) as connection:
            # A time with a zone is a month of that instant in UTC, wherever it is read.
            connection.execute("SET TimeZone = 'UTC'")
            # By name, each column is of a type that holds the values of every file.
            names = [exactly(file) for file in files]
            with engine_failures(doing="reading the parquet files"):
                yield connection, connection.read_parquet(names, union_by_name=True)


def _in_common_types(part: CellMoments, missing: set[str]) -> CellMoments:
    """A part whose labels have the types they have where a value is missing in another part."""

    def common(values: pd.Series) -> pd.Series:
        is_plain = values.name not in missing
        return values if is_plain else plain_labels(as_with_missing(values))

    names = (*part.stratum, *part.covariate_cells)
    clusters = part.clusters
    return replace(
        part,
        cells=part.cells.assign(**{name: common(part.cells[name]) for name in names}),
        clusters=None if clusters is None else replace(clusters, labels=common(clusters.labels)),
    )


def parquet_files(path: str | Path) -> list[Path]:
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
