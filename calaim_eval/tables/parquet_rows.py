"""Rows written to one parquet file some thousand at a time, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_GROUP = 50_000


class RowFile:
    """A parquet file that takes rows one by one; use it in a ``with`` block.

    Parameters
    ----------
    path : Path
    schema : pa.Schema
        Columns; what a row lacks is missing, what it has more is left out.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self.schema = schema
        self.held: list[Mapping[str, Any]] = []
        self.writer = pq.ParquetWriter(path, schema, compression="zstd")

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row."""
        self.held.append(row)
        if len(self.held) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        """Write the rows that are held."""
        import pyarrow as pa

        self.writer.write_table(pa.Table.from_pylist(self.held, schema=self.schema))
        self.held = []

    def __enter__(self) -> RowFile:
        return self

    def __exit__(self, kind: object, problem: object, trace: object) -> None:
        if kind is None:
            self._flush()
        self.writer.close()
