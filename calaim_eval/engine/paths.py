"""Paths as the engine reads them: it takes brackets, `*` and `?` for patterns."""

from __future__ import annotations

import glob
from pathlib import Path


def exactly(path: Path | str) -> str:
    """A path in whose names brackets, ``*`` and ``?`` stand for themselves.

    Without it the engine would read ``data 1`` where a folder is called ``data [1]``.

    Examples
    --------
    >>> exactly("data [1]/part-0000.parquet")
    'data [[]1]/part-0000.parquet'
    """
    return glob.escape(str(path))
