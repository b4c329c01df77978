"""Run a step in a process of its own and say what it cost: CPU seconds and peak memory."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

GB = 1024**3


@dataclass(frozen=True)
class Cost:
    """What a process cost.

    Attributes
    ----------
    cpu_s : float
        User and system seconds, of all its threads.
    wall_s : float
    peak_gb : float
        Largest resident memory.
    load : float
        Mean number of processes that wanted a core in the minute before its end.
    """

    cpu_s: float
    wall_s: float
    peak_gb: float
    load: float


def measured(script: Path, *arguments: str) -> Cost:
    """Run a script of this folder to its end; a failure ends the benchmark."""
    started = time.perf_counter()
    pid = os.posix_spawn(
        sys.executable, [sys.executable, str(script), *arguments], dict(os.environ)
    )
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"{script.name} {' '.join(arguments)}: exit {status}")
    return Cost(
        cpu_s=usage.ru_utime + usage.ru_stime,
        wall_s=time.perf_counter() - started,
        peak_gb=usage.ru_maxrss * 1024 / GB,
        load=os.getloadavg()[0],
    )


def size_gb(folder: Path) -> float:
    """Bytes of all files of a folder, GB."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / GB
