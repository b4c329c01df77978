"""Read delimited text files: header, delimiter and quotes as they are, never guessed from a sample.

The engine's own guess from a sample is not used: a quote that first occurs later, or one bad line
at the end, can make it take a line of data for the header.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from calaim_eval.engine import atomic_file, track
from calaim_eval.engine.paths import exactly
from calaim_eval.errors import TableError
from calaim_eval.schema.fields import FIELDS

if TYPE_CHECKING:
    import ibis

DELIMITERS = (",", "\t", "|", ";")
_BLOCK_BYTES = 1 << 20
_MAX_HEADER_LINES = 50

UNPACKED = (".gz", ".zst", ".bz2", ".xz", ".zip")
"""Packings of one file that are read."""
NOT_UNPACKED = (
    *(".lzma", ".7z", ".rar", ".z", ".lz", ".lz4", ".br", ".zipx", ".cab"),
    *(
        ".tar",
        ".tgz",
        ".tar.gz",
        ".tbz",
        ".tbz2",
        ".tar.bz2",
        ".txz",
        ".tar.xz",
        ".tzst",
        ".tar.zst",
    ),
)
"""Packings that are not read: what lies in one would be passed over."""

UNREADABLE = (
    OSError,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    RuntimeError,
    NotImplementedError,
    UnicodeDecodeError,
)
"""What opening or reading a packed or plain text file can raise: damage, a password, no UTF-8."""


def read_text(paths: Sequence[Path], table: str, *, backend: ibis.BaseBackend) -> ibis.Table:
    """Open text files of one table; every column is text.

    The first line is the header, and the delimiter is the one of `DELIMITERS` it has most of. Text
    is UTF-8; a cell may be in double quotes, and then hold the delimiter, a line break or a
    doubled quote. Parts may have different columns, in any order and case: what a part lacks is
    missing there. A column without a name, as a delimiter at the end of each line makes, is not
    one the table can use.

    Raises
    ------
    TableError
        A file has no header, repeats a column name or cannot be read.
    """
    import ibis

    headers: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    spellings: dict[str, str] = {}
    for path in paths:
        delimiter, given = _header(path, table)
        same_case = tuple(spellings.setdefault(name.lower(), name) for name in given)
        headers.setdefault((delimiter, same_case), []).append(exactly(path))
    columns = list(spellings.values())
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
    """Unpack `.bz2`, `.xz` and `.zip` files, which the engine cannot read, into a folder.

    Raises
    ------
    TableError
        A file is damaged, or an archive holds more or fewer than one file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unpacked = []
    for number, path in enumerate(track(paths, description="unpacking files")):
        target = folder / f"part-{number:04d}.csv"
        with atomic_file(target) as temporary, temporary.open("wb") as out:
            for block in _blocks(path):
                out.write(block)
        unpacked.append(target)
    return tuple(unpacked)


def _blocks(path: Path) -> Iterator[bytes]:
    """Content of a packed file, block by block; only failures to read it are told as damage."""
    try:
        with _open_bytes(path) as stream:
            while block := stream.read(_BLOCK_BYTES):
                yield block
    except UNREADABLE as problem:
        raise TableError(
            f"`{path.name}` cannot be unpacked ({type(problem).__name__}).\n"
            "  It is damaged, cut short, locked with a password or packed by a method that is not "
            "read; fetch it again, or pack it as .gz."
        ) from None


@contextmanager
def open_text(
    path: Path, *, errors: str = "strict", encoding: str = "utf-8-sig"
) -> Iterator[IO[str]]:
    """Open a text file, packed or not, as text with its line breaks as they are.

    Parameters
    ----------
    path : Path
        `.gz`, `.zst`, `.bz2`, `.xz` and `.zip` (of one file), in any case, are unpacked on the
        way; any other name is plain text. Text is UTF-8, with or without a byte order mark.
    errors : str
        What becomes of bytes that are not of the encoding, as in `open`.
    encoding : str
        As in `open`.

    Raises
    ------
    TableError
        An archive holds more or fewer than one file.
    UNREADABLE
        The file is damaged, cut short, locked or not UTF-8. Reading raises them too.

    Examples
    --------
    >>> import gzip, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.csv.gz"
    >>> _ = path.write_bytes(gzip.compress(b"member_id"))
    >>> with open_text(path) as stream:
    ...     stream.read()
    'member_id'
    """
    with (
        _open_bytes(path) as packed,
        io.TextIOWrapper(packed, encoding=encoding, errors=errors, newline="") as stream,
    ):
        yield stream


def encoding_of(path: Path) -> str:
    """Encoding of a text file: UTF-8, UTF-16 by its mark, else Windows-1252 as spreadsheets save.

    Raises
    ------
    UNREADABLE
        The file is damaged, cut short or locked.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _open_bytes(path) as stream:
        block = stream.read(_BLOCK_BYTES)
        if bytes(block[:2]) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return "utf-16"
        try:
            while block:
                decoder.decode(bytes(block))
                block = stream.read(_BLOCK_BYTES)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


@contextmanager
def _open_bytes(path: Path) -> Iterator[Any]:
    """Bytes of a file, unpacked; of the one file in an archive."""
    name = path.name.lower()
    if name.endswith(".zip"):
        with _open_member(path) as member:
            yield member
    elif name.endswith(".gz"):
        with gzip.open(path, "rb") as stream:
            yield stream
    elif name.endswith(".bz2"):
        with bz2.open(path, "rb") as stream:
            yield stream
    elif name.endswith(".xz"):
        with lzma.open(path, "rb") as stream:
            yield stream
    elif name.endswith(".zst"):
        import pyarrow as pa

        yield pa.input_stream(str(path), compression="zstd")
    else:
        with path.open("rb") as stream:
            yield stream


@contextmanager
def _open_member(path: Path) -> Iterator[IO[bytes]]:
    """Bytes of the one file in an archive."""
    with zipfile.ZipFile(path) as archive:
        names = [each for each in archive.namelist() if not each.endswith("/")]
        if len(names) != 1:
            raise TableError(
                f"`{path.name}` holds {len(names)} files.\n"
                "  Pack one file a table, or unpack it into a folder named after the table."
            )
        with archive.open(names[0]) as member:
            yield member


def _header(path: Path, table: str) -> tuple[str, tuple[str, ...]]:
    """Delimiter and column names of a text file."""
    try:
        with open_text(path) as stream:
            line = _first_record(stream)
    except UNREADABLE as problem:
        raise TableError(
            f"table `{table}`: `{path.name}` cannot be read ({type(problem).__name__}).\n"
            "  It is damaged, cut short, or not UTF-8 text; fetch it again, or write it as UTF-8, "
            "for example with `iconv -f WINDOWS-1252 -t UTF-8`."
        ) from None
    delimiter = max(DELIMITERS, key=line.count)
    names = tuple(next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter), []))
    if not any(name.strip() for name in names):
        raise TableError(
            f"table `{table}`: `{path.name}` has no header.\n"
            "  Its first line must name the columns."
        )
    names = tuple(name if name.strip() else f"(no name {i})" for i, name in enumerate(names, 1))
    refuse_repeats(names, f"table `{table}`: `{path.name}`")
    return delimiter, names


def _first_record(stream: IO[str]) -> str:
    """First line, and those that a name in quotes with a line break in it goes on in."""
    lines = [stream.readline()]
    while "".join(lines).count('"') % 2 and len(lines) < _MAX_HEADER_LINES:
        lines.append(stream.readline())
    return "".join(lines)


def refuse_repeats(names: Sequence[str], where: str) -> None:
    """Raise when two columns have one name, in any case.

    The name is shown where it can be no value of a row that is taken for the header.

    Raises
    ------
    TableError
    """
    folded = [name.lower() for name in names]
    twice = next((name for name in folded if folded.count(name) > 1), None)
    if twice is None:
        return
    places = [number for number, name in enumerate(folded, 1) if name == twice]
    shown = f"`{names[places[0] - 1]}`" if twice.strip() in FIELDS else "of one name"
    raise TableError(
        f"{where} has more than one column {shown}: columns {places[0]} and {places[1]}.\n"
        "  Give each column a name of its own; upper and lower case do not tell them apart."
    )
