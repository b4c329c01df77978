"""What this machine is: how fast, and how much memory and disk are free."""

from __future__ import annotations

import math
import os
import shutil
import time
from pathlib import Path

_GB = 1024**3


def calibration_s() -> float:
    """CPU seconds of a fixed piece of the engine's work, the better of two; a few tenths."""
    import duckdb

    work = "SELECT count(DISTINCT hash(i) % 500_000), sum(sqrt(i)) FROM range(2_000_000) AS t(i)"
    spent = []
    with duckdb.connect(config={"threads": 1}) as connection:
        for _ in range(2):
            started = time.process_time()
            connection.execute(work).fetchall()
            spent.append(time.process_time() - started)
    return min(spent)


def free_disk_gb(folder: Path) -> float:
    """Free disk where a folder is or will be, GB."""
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / _GB


def free_memory_gb() -> float:
    """Memory that can be had without swapping, GB; nan where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 / _GB
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GB
    except (OSError, ValueError, AttributeError):
        return math.nan
