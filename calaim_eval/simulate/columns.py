"""Arrays of codes and day numbers turned into Arrow columns without a Python object per value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = -1
NO_DAY = np.int32(-(2**31))


class Words:
    """A growing list of distinct texts, each known by its number."""

    def __init__(self, texts: tuple[str, ...] = ()) -> None:
        self.numbers: dict[str, int] = {}
        for text in texts:
            self.code(text)

    def code(self, text: str) -> int:
        """Return the number of a text, adding it when new; empty text is missing."""
        if not text:
            return MISSING
        return self.numbers.setdefault(text, len(self.numbers))

    def codes(self, texts: tuple[str, ...] | list[str]) -> NDArray[np.int32]:
        """Return the numbers of several texts."""
        return np.array([self.code(text) for text in texts], dtype=np.int32)

    @property
    def texts(self) -> list[str]:
        """All texts by number."""
        return list(self.numbers)


def text_column(codes: NDArray[Any], words: Words | tuple[str, ...] | list[str]) -> pa.Array:
    """Make a dictionary column; negative codes are missing."""
    import pyarrow as pa

    texts = words.texts if isinstance(words, Words) else list(words)
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, pa.array(texts, pa.string()))


def object_column(values: NDArray[Any]) -> pa.Array:
    """Make a text column from Python strings and None."""
    import pyarrow as pa

    return pa.array(values, pa.string())


def constant_column(text: str | None, n: int) -> pa.Array:
    """Repeat one text."""
    import pyarrow as pa

    return pa.repeat(pa.scalar(text, pa.string()), n)


def date_column(days: NDArray[Any]) -> pa.Array:
    """Make a date column from day numbers; `NO_DAY` is missing."""
    import pyarrow as pa

    days = days.astype(np.int32)
    return pa.array(days, mask=days == NO_DAY).cast(pa.int32()).view(pa.date32())


def integer_column(values: NDArray[Any], *, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Make an integer column."""
    import pyarrow as pa

    return pa.array(values.astype(np.int64), mask=missing)


def number_column(values: NDArray[Any], *, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Make a column of numbers."""
    import pyarrow as pa

    return pa.array(values.astype(np.float64), mask=missing)


def boolean_column(values: NDArray[np.bool_]) -> pa.Array:
    """Make a boolean column."""
    import pyarrow as pa

    return pa.array(values)


def id_column(prefix: str, numbers: NDArray[Any], *, width: int) -> pa.Array:
    """Make identifiers such as M000000042; negative numbers are missing."""
    import pyarrow as pa

    n, size = len(numbers), len(prefix) + width
    characters = np.empty((n, size), dtype=np.uint8)
    characters[:, : len(prefix)] = np.frombuffer(prefix.encode("ascii"), dtype=np.uint8)
    rest = np.maximum(numbers.astype(np.int64), 0)
    for position in range(size - 1, len(prefix) - 1, -1):
        rest, digit = np.divmod(rest, 10)
        characters[:, position] = digit + ord("0")
    offsets = np.arange(0, (n + 1) * size, size, dtype=np.int32)
    column = pa.StringArray.from_buffers(
        n, pa.py_buffer(offsets), pa.py_buffer(characters.tobytes())
    )
    is_missing = numbers < 0
    if not is_missing.any():
        return column
    import pyarrow.compute as pc

    return pc.if_else(pa.array(~is_missing), column, pa.scalar(None, pa.string()))


def plain(column: pa.Array) -> pa.Array:
    """Decode a dictionary column to plain text."""
    import pyarrow as pa

    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column
