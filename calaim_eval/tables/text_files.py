"""Read delimited text files: header, delimiter and quotes as they are, never guessed from a sample.

The engine's own guess from a sample is not used: a quote that first occurs later, or one bad line
at the end, can make it take a line of data for the header.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from calaim_eval.errors import TableError

if TYPE_CHECKING:
    import ibis

DELIMITERS = (",", "\t", "|", ";")


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


def _header(path: Path, table: str) -> tuple[str, tuple[str, ...]]:
    """Delimiter and column names of a text file."""
    opener = gzip.open if path.name.endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
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
