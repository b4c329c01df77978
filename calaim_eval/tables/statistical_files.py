"""SAS, Stata and SPSS files, converted once to parquet in chunks of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from calaim_eval.engine import atomic_folder, track
from calaim_eval.errors import MissingExtraError, TableError

if TYPE_CHECKING:
    import pyarrow as pa

STATISTICAL_SUFFIXES = (".sas7bdat", ".xpt", ".dta", ".sav")
VALUES_PER_CHUNK = 4_000_000
"""Values held in memory at a time, about 0.5 GB as Python objects."""
_LARGEST_WHOLE = 2**53
_READERS = {
    ".sas7bdat": "read_sas7bdat",
    ".xpt": "read_xport",
    ".dta": "read_dta",
    ".sav": "read_sav",
}


def convert_statistical(
    paths: Sequence[Path], folder: Path, *, wanted: frozenset[str] | None = None
) -> tuple[Path, ...]:
    """Convert statistical files of one table to parquet parts.

    Codes stay codes: value labels are not applied. Dates become dates, date-times timestamps,
    missing values of every kind (`.A` to `.Z`, user-defined) missing. What was converted before
    is used again.

    Parameters
    ----------
    paths : sequence of Path
        Files with a suffix of `STATISTICAL_SUFFIXES`.
    folder : Path
        Where the parts go, one folder a file.
    wanted : frozenset of str, optional
        Columns to convert, in lower case; all by default.

    Returns
    -------
    tuple[Path, ...]
        Parquet parts.

    Raises
    ------
    MissingExtraError
        `pyreadstat` is not installed.
    TableError
        A file cannot be read.
    """
    _require_pyreadstat()
    for number, path in enumerate(paths):
        converted = folder / f"file-{number:04d}"
        if not converted.is_dir():
            with atomic_folder(converted) as filling:
                _convert_one(path, filling, wanted)
    return tuple(sorted(folder.glob("file-*/part-*.parquet")))


def _require_pyreadstat() -> None:
    """Raise unless pyreadstat can be imported."""
    try:
        import pyreadstat  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            "SAS, Stata and SPSS files are read with `pyreadstat`, which is not installed.\n"
            '  Install it: pip install "calaim-eval[statistical]".'
        ) from None


def _convert_one(path: Path, folder: Path, wanted: frozenset[str] | None) -> None:
    """Write the chunks of one file as parquet parts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    described = _read(path, metadataonly=True)[1]
    names = [
        name for name in described.column_names if wanted is None or name.strip().lower() in wanted
    ] or described.column_names[:1]
    is_text = {name: described.readstat_variable_types[name] == "string" for name in names}
    never_filled = set(names)
    for number, frame in enumerate(_chunks(path, names, described.number_rows)):
        columns = {name: _to_arrow(frame[name], is_text=is_text[name]) for name in names}
        # A column without values says nothing about its type: the parts with values do.
        filled = {name: column for name, column in columns.items() if column is not None}
        never_filled -= set(filled)
        part = pa.table(filled) if filled else pa.table({names[0]: pa.nulls(len(frame), "string")})
        pq.write_table(part, folder / f"part-{number:05d}.parquet", compression="zstd")
    empty = pa.table({name: pa.nulls(0, "string") for name in names if name in never_filled})
    if empty.num_columns:
        pq.write_table(empty, folder / "part-empty.parquet")


def _chunks(path: Path, names: list[str], n_rows: int | None) -> Iterator[pd.DataFrame]:
    """Rows of a file, some at a time, with a progress bar."""
    size = max(1, VALUES_PER_CHUNK // len(names))
    total = None if n_rows is None else max(1, -(-n_rows // size))
    offsets = range(0, n_rows or size, size) if n_rows is not None else _endless(size)
    for offset in track(offsets, description=f"converting {path.suffix} file", total=total):
        frame, _ = _read(path, usecols=names, row_offset=offset, row_limit=size)
        if frame.empty and offset:
            return
        yield frame
        if len(frame) < size:
            return


def _endless(size: int) -> Iterator[int]:
    """Row offsets of a file that does not say how many rows it has."""
    offset = 0
    while True:
        yield offset
        offset += size


def _read(path: Path, **options: Any) -> tuple[pd.DataFrame, Any]:
    """Read a file, or raise without the library's own text, which may quote values."""
    import pyreadstat

    reader: Callable[..., tuple[pd.DataFrame, Any]] = getattr(
        pyreadstat, _READERS[path.suffix.lower()]
    )
    try:
        return reader(str(path), **options)
    except (pyreadstat.ReadstatError, OSError, ValueError, OverflowError, UnicodeError) as problem:
        raise TableError(
            f"`{path.name}` cannot be read as a {path.suffix} file ({type(problem).__name__}).\n"
            "  It is damaged, cut short, or of a version that is not read; export it again, or as "
            ".csv."
        ) from None


def _to_arrow(column: pd.Series, *, is_text: bool) -> pa.Array | None:
    """A column as Arrow array; None where it has no value."""
    import pyarrow as pa

    missing = column.isna().to_numpy()
    if missing.all() or (is_text and not column[~missing].astype(bool).any()):
        return None
    if is_text:
        return pa.array(column.astype(object).where(~missing, None), type=pa.string())
    if column.dtype == object:
        held = pa.array(column.where(~missing, None), from_pandas=True)
        return (
            held
            if pa.types.is_date(held.type) or pa.types.is_timestamp(held.type)
            else (pa.array([None if each is None else str(each) for each in held.to_pylist()]))
        )
    if column.dtype.kind == "M":
        return pa.array(column, type=pa.timestamp("us"), from_pandas=True)
    numbers = column.to_numpy(dtype="float64")
    held = numbers[~missing]
    is_whole = bool(np.all(held == np.round(held)) and np.all(np.abs(held) < _LARGEST_WHOLE))
    whole = np.where(missing, 0, numbers).astype("int64") if is_whole else numbers
    return pa.array(whole, mask=missing)
