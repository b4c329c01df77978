"""Rows of parquet files as small whole numbers, a batch at a time, on several threads.

What does not fit (amounts, fractions of months, missing values where none may be, wide windows)
raises `DoesNotFitError`: another route reads it, and has the words for what is wrong.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from calaim_eval.moments.coverage_patterns import MOST_MONTHS
from calaim_eval.moments.label_book import LabelBook
from calaim_eval.moments.panel_rows import PanelColumns
from calaim_eval.moments.periods import INTEGER

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

ROWS_PER_BATCH = 131_072
MOST_THREADS = 4
LARGEST = 2**15
"""Larger outcomes are left to the dense route, which proves that their sums are exact."""
_PER_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


class DoesNotFitError(Exception):
    """These rows are for another route."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """One row group: which file, which of its row groups, and what the file says of its members.

    `low` and `high` are None where the file does not say.
    """

    file: int
    number: int
    n_rows: int
    low: Any
    high: Any


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows at risk of one batch; n_rows rows.

    Attributes
    ----------
    member : pa.Array
        Ids.
    month : np.ndarray
        Position on the axis, uint8.
    label : np.ndarray
        Number in the label book, int32.
    values : dict[str, np.ndarray]
    """

    member: pa.Array
    month: np.ndarray
    label: np.ndarray
    values: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.month)


@dataclass(frozen=True, slots=True, eq=False)
class StreamedRows:
    """Row groups of parquet files in order, and how their columns are read.

    Attributes
    ----------
    files : tuple[Path, ...]
    metadata : tuple[pq.FileMetaData, ...]
    groups : tuple[RowGroup, ...]
    schema : pa.Schema
    columns : PanelColumns
    frequency : str
    ordinals : np.ndarray
        Of the months with any row at risk; shape (T,).
    types : dict[str, np.dtype]
        Smallest type that holds each outcome.
    book : LabelBook
    threads : int
    not_at_risk : dict[tuple[int, int], int]
        Rows not at risk of each row group that was read to its end; by file and number.
    """

    files: tuple[Path, ...]
    metadata: tuple[pq.FileMetaData, ...]
    groups: tuple[RowGroup, ...]
    schema: pa.Schema
    columns: PanelColumns
    frequency: str
    ordinals: np.ndarray
    types: dict[str, np.dtype[Any]]
    book: LabelBook
    threads: int
    not_at_risk: dict[tuple[int, int], int]
    _month_table: tuple[int, np.ndarray] = field(repr=False, default=(0, np.empty(0)))

    @property
    def n_months(self) -> int:
        """Months of the axis."""
        return len(self.ordinals)

    @property
    def n_rows(self) -> int:
        """Rows of all files."""
        return sum(group.n_rows for group in self.groups)

    def batches(self, group: RowGroup) -> Iterator[Batch]:
        """Checked rows at risk of a row group; never an empty batch."""
        not_at_risk = 0
        for batch in _read(self, group, list(self.columns.all)):
            rows = _at_risk(batch, self.columns.at_risk)
            not_at_risk += batch.num_rows - rows.num_rows
            if not rows.num_rows:
                continue
            yield Batch(
                member=_without_missing(rows.column(self.columns.member_id)),
                month=_positions(_steps(rows.column(self.columns.month)), *self._month_table),
                label=self.book.codes(rows),
                values={
                    name: _whole(rows.column(name), dtype) for name, dtype in self.types.items()
                },
            )
        self.not_at_risk[group.file, group.number] = not_at_risk

    def in_order(
        self, work: Callable[[_Task], _Result], tasks: Iterable[_Task]
    ) -> Iterator[_Result]:
        """Results of `work` in the order of the tasks; few are worked on ahead."""
        if self.threads == 1:
            yield from map(work, tasks)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            waiting: deque[Future[_Result]] = deque()
            try:
                for task in tasks:
                    waiting.append(pool.submit(work, task))
                    if len(waiting) > self.threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


def stream_rows(
    files: Sequence[Path], columns: PanelColumns, *, threads: int | None = None
) -> StreamedRows:
    """How the rows of parquet files are read; the files' own statistics decide.

    Raises
    ------
    DoesNotFitError
        A column's type, the window or an outcome is for another route.
    """
    import pyarrow.parquet as pq

    schemas, metadata = [], []
    for name in files:
        with pq.ParquetFile(name) as file:
            schemas.append(file.schema_arrow)
            metadata.append(file.metadata)
    schema = _common_schema(schemas, columns)
    month = _type_of_month(schema, columns)
    low, high = _range(metadata, columns.month)
    if month == "M":
        first, last = (12 * (day.year - 1970) + day.month - 1 for day in (low, high))
    else:
        first, last = int(low), int(high)
    if last - first >= MOST_MONTHS:
        raise DoesNotFitError
    labels = schema.empty_table().select(list(columns.of_member)).schema
    rows = StreamedRows(
        files=tuple(files),
        metadata=tuple(metadata),
        groups=tuple(_groups(metadata, columns.member_id)),
        schema=schema,
        columns=columns,
        frequency=month,
        ordinals=np.arange(first, last + 1),
        types={name: _smallest(schema, metadata, name) for name in columns.outcomes},
        book=LabelBook(
            labels,
            columns_with_missing(metadata, columns),
            _number_ranges(schema, metadata, columns),
        ),
        threads=threads or min(MOST_THREADS, available_cores()),
        not_at_risk={},
        _month_table=_month_table(month, np.arange(first, last + 1)),
    )
    ordinals = rows.ordinals[_present(rows)]
    return replace(rows, ordinals=ordinals, _month_table=_month_table(month, ordinals))


def columns_with_missing(metadata: Sequence[Any], columns: PanelColumns) -> set[str]:
    """Columns of a member that miss a value anywhere, or may."""
    found = set()
    for name in columns.of_member:
        for statistics in _statistics(metadata, name):
            if statistics is None or not statistics.has_null_count or statistics.null_count:
                found.add(name)
                break
    return found


def _number_ranges(
    schema: pa.Schema, metadata: Sequence[Any], columns: PanelColumns
) -> dict[str, tuple[int, int]]:
    """Smallest and largest value of the columns of a member that hold whole numbers."""
    import pyarrow as pa

    ranges = {}
    for name in columns.of_member:
        if pa.types.is_integer(schema.field(name).type):
            said = list(_statistics(metadata, name))
            # A row group in which all are missing says nothing.
            known = [one for one in said if one is not None and one.has_min_max]
            told = [one is not None and (one.has_min_max or not one.num_values) for one in said]
            if known and all(told):
                ranges[name] = min(s.min for s in known), max(s.max for s in known)
    return ranges


def available_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _common_schema(schemas: Sequence[pa.Schema], columns: PanelColumns) -> pa.Schema:
    """Types of the columns that are read; the same in all files and fit for this route."""
    import pyarrow as pa

    kinds = pa.types
    first = schemas[0]
    if any(first.names.count(name) != 1 for name in columns.all):
        raise DoesNotFitError
    schema = pa.schema([first.field(name) for name in columns.all])
    for other in schemas[1:]:
        for name in columns.all:
            if other.get_field_index(name) < 0 or other.field(name).type != schema.field(name).type:
                raise DoesNotFitError

    def is_text(dtype: pa.DataType) -> bool:
        return bool(kinds.is_string(dtype) or kinds.is_large_string(dtype))

    def is_label(dtype: pa.DataType) -> bool:
        if kinds.is_dictionary(dtype):
            return is_text(dtype.value_type)
        return bool(
            is_text(dtype)
            or kinds.is_integer(dtype)
            or kinds.is_floating(dtype)
            or kinds.is_boolean(dtype)
            or kinds.is_date32(dtype)
            or (kinds.is_timestamp(dtype) and dtype.tz is None)
        )

    member, month = schema.field(columns.member_id).type, schema.field(columns.month).type
    fits = (
        (is_text(member) or kinds.is_integer(member))
        and (kinds.is_integer(month) or kinds.is_date32(month) or kinds.is_timestamp(month))
        and all(is_label(schema.field(name).type) for name in columns.of_member)
        and (columns.at_risk is None or kinds.is_boolean(schema.field(columns.at_risk).type))
    )
    if not fits or columns.member_id in columns.of_member:
        raise DoesNotFitError
    return schema


def _type_of_month(schema: pa.Schema, columns: PanelColumns) -> str:
    """Frequency of the months."""
    import pyarrow as pa

    return INTEGER if pa.types.is_integer(schema.field(columns.month).type) else "M"


def _statistics(metadata: Sequence[Any], name: str) -> Iterator[Any]:
    """Statistics of a column, by row group; None where there are none."""
    for of_file in metadata:
        names = of_file.schema.names
        index = names.index(name) if name in names else 0
        for number in range(of_file.num_row_groups):
            group = of_file.row_group(number)
            if group.num_rows:
                chunk = group.column(index)
                yield chunk.statistics if chunk.path_in_schema == name else None


def _range(metadata: Sequence[Any], name: str) -> tuple[Any, Any]:
    """Smallest and largest value of a column as the files say."""
    lows, highs = [], []
    for statistics in _statistics(metadata, name):
        if statistics is None or not statistics.has_min_max:
            raise DoesNotFitError
        lows.append(statistics.min)
        highs.append(statistics.max)
    if not lows:
        raise DoesNotFitError
    return min(lows), max(highs)


def _groups(metadata: Sequence[Any], member: str) -> Iterator[RowGroup]:
    """Row groups that have rows, with the range of their members."""
    statistics = _statistics(metadata, member)
    for file, of_file in enumerate(metadata):
        for number in range(of_file.num_row_groups):
            n_rows = of_file.row_group(number).num_rows
            if n_rows:
                said = next(statistics)
                known = said is not None and said.has_min_max
                yield RowGroup(
                    file, number, n_rows, said.min if known else None, said.max if known else None
                )


def _smallest(schema: pa.Schema, metadata: Sequence[Any], name: str) -> np.dtype[Any]:
    """Smallest type that holds an outcome."""
    import pyarrow as pa

    dtype = schema.field(name).type
    if pa.types.is_boolean(dtype):
        return np.dtype(np.uint8)
    if not (pa.types.is_integer(dtype) or pa.types.is_float32(dtype) or pa.types.is_float64(dtype)):
        raise DoesNotFitError
    low, high = _range(metadata, name)
    if not -LARGEST < low <= high < LARGEST:
        raise DoesNotFitError
    return np.dtype(np.uint8 if low >= 0 and high <= np.iinfo(np.uint8).max else np.int16)


def _read(rows: StreamedRows, group: RowGroup, names: list[str]) -> Iterator[pa.RecordBatch]:
    """Batches of a row group; texts of few values stay numbered."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = [
        name
        for name in names
        if name in rows.columns.of_member
        and (
            pa.types.is_string(rows.schema.field(name).type)
            or pa.types.is_large_string(rows.schema.field(name).type)
        )
    ]
    with pq.ParquetFile(
        rows.files[group.file], metadata=rows.metadata[group.file], read_dictionary=texts
    ) as file:
        yield from file.iter_batches(
            ROWS_PER_BATCH, row_groups=[group.number], columns=names, use_threads=False
        )


def _at_risk(batch: pa.RecordBatch, column: str | None) -> pa.RecordBatch:
    """The rows at risk."""
    if column is None:
        return batch
    return batch.filter(_without_missing(batch.column(column)))


def _without_missing(column: pa.Array) -> pa.Array:
    """The column, none of whose values is missing."""
    if column.null_count:
        raise DoesNotFitError
    return column


def _steps(column: pa.Array) -> np.ndarray:
    """Months as whole numbers: as they are, or days since 1970."""
    import pyarrow as pa

    _without_missing(column)
    if pa.types.is_date32(column.type):
        return np.asarray(column.view(pa.int32()).to_numpy())
    if pa.types.is_timestamp(column.type):
        steps = column.view(pa.int64()).to_numpy()
        return np.asarray(steps // _PER_DAY[column.type.unit])
    return np.asarray(column.to_numpy())


def _month_table(frequency: str, ordinals: np.ndarray) -> tuple[int, np.ndarray]:
    """First step of the axis, and the position of each step from it on; 255 off the axis."""
    if frequency == INTEGER:
        first = int(ordinals[0])
        table = np.full(int(ordinals[-1]) - first + 1, 255, dtype=np.uint8)
        table[ordinals - first] = np.arange(len(ordinals))
        return first, table
    months = ordinals.astype("datetime64[M]")
    starts = months.astype("datetime64[D]").astype(np.int64)
    ends = (months + 1).astype("datetime64[D]").astype(np.int64)
    table = np.full(int(ends[-1] - starts[0]), 255, dtype=np.uint8)
    for position, (start, end) in enumerate(zip(starts - starts[0], ends - starts[0], strict=True)):
        table[start:end] = position
    return int(starts[0]), table


def _positions(steps: np.ndarray, first: int, table: np.ndarray) -> np.ndarray:
    """Position on the axis of each row, uint8."""
    if int(steps.min()) < first or int(steps.max()) >= first + len(table):
        raise DoesNotFitError
    offset = steps - steps.dtype.type(first) if first else steps
    if len(table) < 255 and table[-1] == len(table) - 1:
        return offset.astype(np.uint8)
    positions = np.asarray(table[offset])
    if (positions == 255).any():
        raise DoesNotFitError
    return positions


def _whole(column: pa.Array, dtype: np.dtype[Any]) -> np.ndarray:
    """An outcome as small whole numbers."""
    _without_missing(column)
    given = column.to_numpy(zero_copy_only=False)
    with np.errstate(invalid="ignore"):
        values = np.asarray(given, dtype=dtype)
    # What the file says of its range is not taken on trust.
    if given.dtype != bool and not np.array_equal(values, given):
        raise DoesNotFitError
    return values


def _present(rows: StreamedRows) -> np.ndarray:
    """Which months of the window have a row at risk: of the first rows if those have all."""
    names = [rows.columns.month] + ([] if rows.columns.at_risk is None else [rows.columns.at_risk])

    def counted(group: RowGroup) -> np.ndarray:
        count = np.zeros(rows.n_months, dtype=np.int64)
        for batch in _read(rows, group, names):
            steps = _steps(_at_risk(batch, rows.columns.at_risk).column(rows.columns.month))
            if len(steps):
                count += np.bincount(_positions(steps, *rows._month_table), minlength=len(count))
        return count

    first = counted(rows.groups[0])
    if not first.all():
        for count in rows.in_order(counted, rows.groups[1:]):
            first += count
    if not first.any():
        raise DoesNotFitError
    return first > 0
