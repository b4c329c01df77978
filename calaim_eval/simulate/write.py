"""Writes the raw tables and the truth; nothing old is lost unless everything new is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from calaim_eval.errors import OutputError, StudyFileError
from calaim_eval.schema.tables import TABLES
from calaim_eval.simulate.columns import plain

if TYPE_CHECKING:
    import pyarrow as pa

FileFormat = Literal["parquet", "csv"]
MARKER = "simulation.json"
_IN_PARTS = ("medical_claim",)


class StudyWriter:
    """Writes into `*.partial` folders and puts them in place when the study is complete.

    Use as a context manager: an error leaves earlier files untouched and removes the partial ones.
    """

    def __init__(self, folder: Path, *, file_format: FileFormat) -> None:
        if file_format not in ("parquet", "csv"):
            raise StudyFileError(
                f"`file_format` is '{file_format}'; it must be one of 'parquet', 'csv'."
            )
        self.folder = folder
        self.file_format = file_format
        self.raw = folder / "raw.partial"
        self.truth = folder / "truth.partial"
        self._writers: dict[str, Any] = {}
        self.n_rows: dict[str, int] = {}

    def __enter__(self) -> StudyWriter:
        """Check that nothing of the user's would be overwritten, and make the partial folders."""
        raw = self.folder / "raw"
        if raw.exists() and any(raw.iterdir()) and not (self.folder / "truth" / MARKER).exists():
            raise OutputError(
                f"folder `{raw}` holds files that no simulation wrote; they are left as they are. "
                "Simulate into another folder."
            )
        try:
            for part in (self.raw, self.truth):
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir(parents=True)
        except OSError as error:
            raise OutputError(
                f"folder `{self.folder}` cannot be written ({error.strerror}). "
                "Check the path and the permissions."
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all files; put the folders in place, or remove them after an error."""
        for writer in self._writers.values():
            writer.close()
        if kind is not None:
            for part in (self.raw, self.truth):
                shutil.rmtree(part, ignore_errors=True)
            if isinstance(error, OSError):
                raise OutputError(
                    f"writing into `{self.folder}` failed ({error.strerror}). "
                    "Free space, or choose another folder."
                ) from error
            return
        for part, name in ((self.raw, "raw"), (self.truth, "truth")):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            part.replace(self.folder / name)

    def table(self, name: str, columns: dict[str, pa.Array], *, part: int = 0) -> None:
        """Append rows to a raw table, the columns it has; large tables are one file per chunk."""
        import pyarrow as pa

        fields = [field for field in TABLES[name].fields if field in columns]
        self.n_rows[name] = self.n_rows.get(name, 0) + len(columns[fields[0]])
        arrays = [columns[field] for field in fields]
        if name in _IN_PARTS:
            folder = self.raw / name
            folder.mkdir(exist_ok=True)
            rows = pa.Table.from_arrays(arrays, names=list(fields))
            self._write_part(rows, folder / f"part-{part:04d}.{self.file_format}")
            return
        rows = pa.Table.from_arrays([plain(array) for array in arrays], names=list(fields))
        self._append(rows, f"raw/{name}", self.raw / f"{name}.{self.file_format}")

    def truth_rows(self, name: str, frame: pd.DataFrame) -> None:
        """Append rows to a table of the truth."""
        import pyarrow as pa

        rows = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
        key = f"truth/{name}"
        if key in self._writers:
            rows = rows.cast(self._writers[key].schema)
        self._append(rows, key, self.truth / f"{name}.parquet")

    def truth_json(self, name: str, content: Any) -> None:
        """Write a small file of the truth."""
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (self.truth / name).write_text(text + "\n", encoding="utf-8")

    def truth_csv(self, name: str, rows: tuple[dict[str, str], ...]) -> None:
        """Write text rows as CSV."""
        path = self.truth / name
        pd.DataFrame(list(rows)).to_csv(path, index=False, lineterminator="\n")

    def _append(self, rows: pa.Table, key: str, path: Path) -> None:
        """Append to an open file, opening it first when new."""
        if key not in self._writers:
            self._writers[key] = self._open(path, rows.schema)
        self._writers[key].write_table(rows)

    def _open(self, path: Path, schema: pa.Schema) -> Any:
        """Open a file for rows of one schema."""
        if path.suffix == ".csv":
            import pyarrow.csv as pacsv

            return pacsv.CSVWriter(path, schema)
        import pyarrow.parquet as pq

        return pq.ParquetWriter(path, schema, compression="zstd", compression_level=1)

    def _write_part(self, rows: pa.Table, path: Path) -> None:
        """Write one part; dictionary columns are stored as plain text."""
        import pyarrow as pa

        if path.suffix == ".csv":
            import pyarrow.csv as pacsv

            decoded = [plain(column.combine_chunks()) for column in rows.columns]
            pacsv.write_csv(pa.Table.from_arrays(decoded, names=rows.column_names), path)
            return
        import pyarrow.parquet as pq

        pq.write_table(rows, path, compression="zstd", compression_level=1, store_schema=False)
