"""Temporary folders: they may hold member rows, so they never outlive the process."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path


def temporary_folder(prefix: str) -> Path:
    """New folder that is removed when Python ends, whatever happens before.

    Parameters
    ----------
    prefix : str
        Beginning of its name.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
