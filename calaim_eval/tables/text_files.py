"""Read delimited text files: header, delimiter and quotes as they are, never guessed from a sample.

The engine's own guess from a sample is not used: a quote that first occurs later, or one bad line
at the end, can make it take a line of data for the header.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from calaim_eval.engine import atomic_file, track
from calaim_eval.errors import TableError

if TYPE_CHECKING:
    import ibis

DELIMITERS = (",", "\t", "|", ";")
_BLOCK_BYTES = 1 << 20


def read_text(paths: Sequence[Path], table: str, *, backend: ibis.BaseBackend) -> ibis.Table:
    """Open text files of one table; every column is text.

    The first line is the header, and the delimiter is the one of `DELIMITERS` it has most of. Text
    is UTF-8; a cell may be in double quotes, and then hold the delimiter, a line break or a
    doubled quote. Parts may have different columns: what a part lacks is missing there.

    Raises
    ------
    TableError
        A file has no header, repeats a column name or cannot be read.
    """
    import ibis

    headers: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for path in paths:
        headers.setdefault(_header(path, table), []).append(str(path))
    columns = list(dict.fromkeys(name for _, names in headers for name in names))
    parts = []
    for (delimiter, names), same in headers.items():
        rows = backend.read_csv(
            same,
            columns=dict.fromkeys(names, "VARCHAR"),
            auto_detect=False,
            header=True,
            delim=delimiter,
            quote='"',
            escape='"',
        )
        absent = {name: ibis.null("string") for name in columns if name not in names}
        parts.append(rows.mutate(**absent).select(*columns))
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def unpack(paths: Sequence[Path], folder: Path) -> tuple[Path, ...]:
    """Unpack `.bz2` and `.zip` files, which the engine cannot read, into a folder.

    Raises
    ------
    TableError
        A file is damaged, or an archive holds more or fewer than one file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unpacked = []
    for number, path in enumerate(track(paths, description="unpacking files")):
        target = folder / f"part-{number:04d}.csv"
        try:
            with (
                _open_packed(path) as stream,
                atomic_file(target) as temporary,
                temporary.open("wb") as out,
            ):
                shutil.copyfileobj(stream, out, _BLOCK_BYTES)
        except (OSError, EOFError, zipfile.BadZipFile) as problem:
            raise TableError(
                f"`{path.name}` cannot be unpacked ({type(problem).__name__}).\n"
                "  It is damaged or cut short; fetch or write it again."
            ) from None
        unpacked.append(target)
    return tuple(unpacked)


@contextmanager
def _open_packed(path: Path) -> Iterator[IO[bytes]]:
    """Bytes of a packed file; of the one file in an archive."""
    if path.name.lower().endswith(".bz2"):
        with bz2.open(path, "rb") as stream:
            yield stream
        return
    with zipfile.ZipFile(path) as archive:
        names = [each for each in archive.namelist() if not each.endswith("/")]
        if len(names) != 1:
            raise TableError(
                f"`{path.name}` holds {len(names)} files.\n"
                "  Pack one file a table, or unpack it into a folder named after the table."
            )
        with archive.open(names[0]) as member:
            yield member


def _open_text(path: Path) -> IO[str]:
    """A text file, packed or not, as text."""
    import pyarrow as pa

    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    if path.name.lower().endswith(".zst"):
        stream: Any = pa.input_stream(str(path), compression="zstd")
        return io.TextIOWrapper(stream, encoding="utf-8-sig", newline="")
    return path.open("rt", encoding="utf-8-sig", newline="")


def _header(path: Path, table: str) -> tuple[str, tuple[str, ...]]:
    """Delimiter and column names of a text file."""
    try:
        with _open_text(path) as stream:
            line = stream.readline()
    except (OSError, EOFError, UnicodeDecodeError) as problem:
        raise TableError(
            f"table `{table}`: `{path.name}` cannot be read ({type(problem).__name__}).\n"
            "  It is damaged, cut short, or not UTF-8 text; fetch or write it again."
        ) from None
    delimiter = max(DELIMITERS, key=line.count)
    names = tuple(next(csv.reader([line], delimiter=delimiter), []))
    if not any(name.strip() for name in names):
        raise TableError(
            f"table `{table}`: `{path.name}` has no header.\n"
            "  Its first line must name the columns."
        )
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise TableError(
            f"table `{table}`: `{path.name}` has more than one column `{repeated[0]}`.\n"
            "  Give each column a name of its own."
        )
    return delimiter, names
