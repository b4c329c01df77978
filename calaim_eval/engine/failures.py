"""Turn what the engine raises into errors a user can act on, without its text.

The engine's own messages quote values of rows, so none of them is passed on.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from calaim_eval.errors import CalaimEvalError, OutputError, TableError

DISK_FULL = ("no space left", "disk full", "not enough space", "max_temp_directory_size")
NOT_ALLOWED = ("permission denied", "read-only file system", "access is denied")

_CAUSES = (
    (
        "not utf-8",
        "It is not UTF-8 text; write it again as UTF-8, for example with "
        "`iconv -f WINDOWS-1252 -t UTF-8`.",
    ),
    (
        "expected number of columns",
        "A row there has more or fewer cells than the header: a delimiter or line break within a "
        "value needs double quotes around the value.",
    ),
    ("unterminated quote", "A double quote is not closed, or one within a value not doubled."),
    (
        "state machine reached an invalid state",
        "Its lines do not all end alike (some in CR and LF, some in LF), or a double quote within "
        "a value is not doubled; write it again.",
    ),
)
_DAMAGED = "It is damaged, cut short or not of the type its name says; fetch or write it again."


@contextmanager
def engine_failures(*, doing: str) -> Iterator[None]:
    """Run engine work; raise what went wrong as one of this package's errors.

    Parameters
    ----------
    doing : str
        What is being done, for the message: ``"reading `eligibility.parquet`"``.

    Raises
    ------
    OutputError
        The disk is full, a file may not be written, or the memory limit is too small.
    TableError
        The input cannot be read.
    """
    import duckdb

    try:
        yield
    except CalaimEvalError:
        raise
    except duckdb.OutOfMemoryException:
        raise OutputError(
            f"{doing}: the engine's memory limit was not enough.\n"
            "  Raise `memory_limit_gb`, or use more buckets (`n_buckets`)."
        ) from None
    except duckdb.Error as problem:
        raise _translated(problem, doing) from None
    except OSError as problem:
        raise output_error(problem, doing) from None


def output_error(problem: OSError, doing: str) -> OutputError:
    """`OutputError` for a failed write, with the next step."""
    if problem.errno == errno.ENOSPC:
        return OutputError(f"{doing}: the disk is full.\n  Free space, or choose another folder.")
    reason = problem.strerror or type(problem).__name__
    return OutputError(
        f"{doing}: it cannot be written ({reason}).\n"
        "  Check that the folder exists, that you may write there and that no program has the "
        "file open."
    )


def _translated(problem: Exception, doing: str) -> CalaimEvalError:
    """Error of this package for an engine error, by kind."""
    text = str(problem).lower()
    if any(sign in text for sign in DISK_FULL):
        return OutputError(f"{doing}: the disk is full.\n  Free space, or choose another folder.")
    if any(sign in text for sign in NOT_ALLOWED):
        return OutputError(
            f"{doing}: writing is not allowed there.\n  Choose a folder you may write to."
        )
    line = re.search(r"line:?\s*(\d+)", text)
    where = f" at line {int(line[1]):,}" if line else ""
    return TableError(
        f"{doing}: the file cannot be read{where} ({type(problem).__name__}).\n"
        f"  {next((cause for sign, cause in _CAUSES if sign in text), _DAMAGED)}"
    )
