"""One run at a time in a folder: a second one waits until the first has ended."""

from __future__ import annotations

import errno
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

logger = logging.getLogger(__name__)

LOCK = ".lock"
_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_PAUSE_S = 0.2


@contextmanager
def one_at_a_time(folder: Path, *, doing: str) -> Iterator[None]:
    """Hold a folder while work is done in it; wait, with a warning, while another run holds it.

    The system lets go of it when the run that holds it ends, in whatever way. Where the folder
    cannot be written, or its file system knows no locks, work goes on without.

    Parameters
    ----------
    folder : Path
        Made when it is absent.
    doing : str
        What is being done, for the warning: ``"building member months"``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / LOCK).open("a+b")
    except OSError:
        # Who writes there next says why it cannot be done.
        yield
        return
    with stream:
        if _is_held(stream):
            logger.warning("%s: another run is at work in `%s`; waiting for its end", doing, folder)
            while _is_held(stream):
                time.sleep(_PAUSE_S)
        yield


def _is_held(stream: IO[bytes]) -> bool:
    """Whether another run holds the lock; if none does, it is ours until the file is closed."""
    try:
        if sys.platform == "win32":
            import msvcrt

            stream.seek(0)
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        return problem.errno in _HELD
    return False
