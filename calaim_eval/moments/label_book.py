"""Distinct values of the columns of a member, numbered as rows stream by."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import pyarrow as pa

_SMALL = 1_000_000
_CLOSE = 1_000
_HELD = 4_000_000


class LabelBook:
    """Numbers 0.. of the distinct combinations of the columns of a member; safe among threads.

    Parameters
    ----------
    schema : pa.Schema
        Of the columns, in order.
    with_missing : set of str
        Columns that miss a value anywhere: their type is that of a column with missing values
        before the first of them is met.
    ranges : mapping of str to tuple of int
        Smallest and largest value of columns of whole numbers, where the files say so.
    """

    def __init__(
        self, schema: pa.Schema, with_missing: set[str], ranges: Mapping[str, tuple[int, int]]
    ) -> None:
        self._schema = schema
        self._with_missing = with_missing
        known = (ranges.get(name) for name in schema.names)
        # Numbers far apart are looked up; those close together are their own codes.
        self._ranges = [r if r and r[1] - r[0] < _CLOSE else (None, None) for r in known]
        self._tables: dict[tuple[tuple[Any, ...], ...], np.ndarray] = {}
        self._values: list[dict[Any, int]] = [{} for _ in schema.names]
        self._labels: dict[tuple[int, ...], int] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._labels)

    def codes(self, batch: pa.RecordBatch) -> np.ndarray:
        """Number of each row's combination; shape (n_rows,), int32.

        Raises
        ------
        DoesNotFitError
            More combinations are possible than there are whole numbers.
        """
        from calaim_eval.moments.streamed_rows import DoesNotFitError

        coded, values = [], []
        for name, (low, high) in zip(self._schema.names, self._ranges, strict=True):
            codes, distinct = _encoded(batch.column(name), low, high)
            coded.append(codes)
            values.append(distinct)
        sizes = tuple(len(distinct) for distinct in values)
        if math.prod(sizes) > np.iinfo(np.intp).max:
            raise DoesNotFitError
        if np.prod(sizes, dtype=float) > _SMALL:
            combined = np.ravel_multi_index(tuple(coded), sizes)
            present, place = np.unique(combined, return_inverse=True)
            return self._numbered(present, sizes, values)[place]
        combined = coded[0]
        for codes, size in zip(coded[1:], sizes[1:], strict=True):
            combined = combined * np.int32(size) + codes
        table = self._table(sizes, values)
        numbers = table[combined]
        if len(numbers) and int(numbers.min()) < 0:
            is_present = np.zeros(len(table), dtype=bool)
            is_present[combined] = True
            unknown = np.flatnonzero(is_present & (table < 0))
            table[unknown] = self._numbered(unknown, sizes, values)
            numbers = table[combined]
        return numbers

    def _table(self, sizes: tuple[int, ...], values: list[tuple[Any, ...]]) -> np.ndarray:
        """Numbers of all that is possible in such a batch, -1 for those not met yet."""
        key = tuple(values)
        with self._lock:
            if key not in self._tables:
                if sum(map(len, self._tables.values())) > _HELD:
                    self._tables.clear()
                self._tables[key] = np.full(int(np.prod(sizes)), -1, dtype=np.int32)
            return self._tables[key]

    def _numbered(
        self, combined: np.ndarray, sizes: tuple[int, ...], values: list[tuple[Any, ...]]
    ) -> np.ndarray:
        """Numbers of combinations, given by their position among all that are possible."""
        places = np.unravel_index(combined, sizes)
        with self._lock:
            columns = [
                [held.setdefault(distinct[i], len(held)) for i in place.tolist()]
                for held, distinct, place in zip(self._values, values, places, strict=True)
            ]
            rows = zip(*columns, strict=True)
            numbers = [self._labels.setdefault(row, len(self._labels)) for row in rows]
        return np.array(numbers, dtype=np.int32)

    def frame(self) -> pd.DataFrame:
        """The combinations in the order of their numbers; shape (n_labels, n_columns)."""
        import pyarrow as pa

        with self._lock:
            combinations, values = list(self._labels), [list(held) for held in self._values]
        rows = np.array(combinations, dtype=np.int64).reshape(len(combinations), -1)
        columns = {}
        for j, (name, held) in enumerate(zip(self._schema.names, values, strict=True)):
            dtype = self._schema.field(name).type
            dtype = dtype.value_type if pa.types.is_dictionary(dtype) else dtype
            column = pa.array(held, type=dtype).take(rows[:, j]).to_pandas()
            if name in self._with_missing:
                column = as_with_missing(column)
            columns[name] = column
        return pd.DataFrame(columns)


def as_with_missing(column: pd.Series) -> pd.Series:
    """A column in the type it has when values are missing, whether or not any is missing here."""
    if pd.api.types.is_bool_dtype(column.dtype):
        return column.astype(object)
    return column.astype(float) if pd.api.types.is_integer_dtype(column.dtype) else column


def _encoded(
    column: pa.Array, low: int | None, high: int | None
) -> tuple[np.ndarray, tuple[Any, ...]]:
    """Positions among the distinct values of a batch, and those; missing is one of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if low is not None and high is not None:
        return _offsets(column, low, high), (None, *range(low, high + 1))
    encoded = column if pa.types.is_dictionary(column.type) else pc.dictionary_encode(column)
    values = [None if value != value else value for value in encoded.dictionary.to_pylist()]
    indices = encoded.indices
    if indices.null_count:
        indices = indices.fill_null(len(values))
        values.append(None)
    codes = np.asarray(indices.to_numpy(zero_copy_only=False), dtype=np.int32)
    return codes, tuple(values) or (None,)


def _offsets(column: pa.Array, low: int, high: int) -> np.ndarray:
    """Whole numbers from `low` to `high` as 1, 2 ..., and 0 where missing; int32."""
    from calaim_eval.moments.streamed_rows import DoesNotFitError

    if column.null_count == 0:
        given = column.to_numpy()
        codes = (given.astype(np.int64) - low).astype(np.int32)
        codes += 1
    else:
        valid, data = column.buffers()
        dtype = np.dtype(column.type.to_pandas_dtype())
        given = np.frombuffer(data, dtype=dtype)[column.offset : column.offset + len(column)]
        bits = np.unpackbits(np.frombuffer(valid, dtype=np.uint8), bitorder="little")
        with np.errstate(over="ignore"):
            codes = (given.astype(np.int64) - low).astype(np.int32)
        codes += 1
        codes *= bits[column.offset : column.offset + len(column)]
    if len(codes) and (int(codes.min()) < 0 or int(codes.max()) > high - low + 1):
        raise DoesNotFitError
    return np.asarray(codes)
