"""What a panel will take before it is begun: time, memory, disk, and what of it is already done.

The costs come from `plan_costs.csv`, measured by `benchmarks/panel_scale.py`; a short calibration
says how this machine compares with the one they were measured on.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from calaim_eval.engine import MEMORY_LIMIT_GB, bucket_count
from calaim_eval.engine.machine import calibration_s, free_disk_gb, free_memory_gb
from calaim_eval.panel.build import Engine, require_engine
from calaim_eval.panel.plan_costs import (
    costs_note,
    counting_cpu_s,
    measured_costs,
    panel_cpu_s,
    panel_from_claims_cpu_s,
    panel_peak_gb,
    reading_cpu_s,
    reading_peak_gb,
    reading_scratch_gb,
    spark_peak_gb,
)
from calaim_eval.panel.plan_sizes import (
    buckets_built,
    buckets_counted,
    counted,
    estimated,
    is_outdated,
    reading_done,
)
from calaim_eval.tables.fingerprint import read_manifest

_GB = 1024**3
_ON_SPARK = (
    "On Spark the panel is built from the claims, in one go (docs/scale.md): its processor time is "
    "what the engine 'duckdb' would take, and Spark takes more; memory is that of a local session, "
    "and a cluster's cores and disks are not seen from here."
)
_HEADROOM = 1.2
"""Free disk must be this many times what is expected: an estimate is no measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelPlan:
    """What reading the tables and building the panel will take on this machine.

    Attributes
    ----------
    engine : {"duckdb", "spark"}
        What builds the panel; the tables are read by DuckDB either way.
    n_members, n_lines, n_months, n_measures : int
        Members with eligibility, lines of claims and fills, months of the window, measures.
    is_counted : bool
        Whether members and lines are counted from the checked tables; else estimated from files.
    n_buckets : int
    n_tables_done, n_tables_buckets_done : int
        Tables staged and buckets settled of a reading under way; when it is finished, 0 and all.
    is_read : bool
        The reading is finished.
    n_buckets_built : int
        Buckets of the panel on disk; one whose input, window, rules or version of the package
        changed is built again.
    speed : float
        CPU time of a fixed piece of work here to that where the costs were measured; above 1 is
        slower.
    reading_cpu_s, panel_cpu_s : float
        CPU seconds still to do.
    peak_gb : float
        Largest memory of the process, GB.
    tables_gb, panel_gb, scratch_gb : float
        Disk for what is still to be written, GB: checked tables; the panel with care that is
        counted for it; and `scratch_gb`, which is free again at the end.
    free_disk_gb, free_memory_gb : float
        On this machine; memory is nan where the system does not say.
    n_cores : int
    """

    engine: Engine
    n_members: int
    n_lines: int
    n_months: int
    n_measures: int
    is_counted: bool
    n_buckets: int
    n_tables_done: int
    n_tables_buckets_done: int
    is_read: bool
    n_buckets_built: int
    speed: float
    reading_cpu_s: float
    panel_cpu_s: float
    peak_gb: float
    tables_gb: float
    panel_gb: float
    scratch_gb: float
    free_disk_gb: float
    free_memory_gb: float
    n_cores: int

    @property
    def disk_gb(self) -> float:
        """Disk that must be free for the run to end, GB."""
        return self.tables_gb + self.panel_gb + self.scratch_gb

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the run will not fit, each with what to do; none when it will."""
        found = []
        if self.disk_gb * _HEADROOM > self.free_disk_gb:
            found.append(
                f"The disk is too small: about {self.disk_gb:.1f} GB are to be written (keep "
                f"{self.disk_gb * _HEADROOM:.1f} GB free), and {self.free_disk_gb:.1f} GB are "
                "free. Free space, or put the study on a larger disk."
            )
        if self.peak_gb > self.free_memory_gb:
            found.append(
                f"Memory is short: about {self.peak_gb:.1f} GB are needed, and "
                f"{self.free_memory_gb:.1f} GB are free. Close other programs, or give the engine "
                "less: `memory_limit_gb` (study file, `[computing]`), which is slower."
            )
        return tuple(found)

    def __str__(self) -> str:
        """The plan as lines to read."""
        how = "counted" if self.is_counted else "estimated from the files"
        lines = [
            f"Members {self.n_members:,}, claim lines and fills {self.n_lines:,} ({how}); "
            f"{self.n_months} months, {self.n_measures} measures, {self.n_buckets} member buckets",
            f"Done already: {self._done()}",
            f"Still to do: reading {_duration(self.reading_cpu_s)}, panel "
            f"{_duration(self.panel_cpu_s)} of processor time; on {self.n_cores} free cores "
            f"{_duration(self.wall_s)} or more",
            f"Memory: {self.peak_gb:.1f} GB at the peak; {_gb(self.free_memory_gb)} free",
            f"Disk: tables {self.tables_gb:.1f} GB, panel {self.panel_gb:.1f} GB, for the time of "
            f"the run {self.scratch_gb:.1f} GB; {self.free_disk_gb:.1f} GB free",
            f"This machine needs {self.speed:.1f} times the processor time of the one the costs "
            f"were measured on ({costs_note()}); an estimate may be off by half.",
        ]
        if self.engine == "spark":
            lines.append(_ON_SPARK)
        return "\n".join([*lines, *(self.problems or ("It will fit.",))])

    @property
    def wall_s(self) -> float:
        """Least time by the clock: all cores free, and work divided among them as measured."""
        shared = min(self.n_cores, self.n_buckets * 8) * measured_costs()["parallel_share"]
        return (self.reading_cpu_s + self.panel_cpu_s) / max(1.0, shared)

    def _done(self) -> str:
        """How far an earlier run came."""
        if self.is_read:
            reading = "the tables are read"
        elif self.n_tables_done or self.n_tables_buckets_done:
            reading = (
                f"a reading was broken off after {self.n_tables_done} tables and "
                f"{self.n_tables_buckets_done} checked buckets, and goes on from there"
            )
        else:
            reading = "nothing of the reading"
        built = f"{self.n_buckets_built} of {self.n_buckets} buckets of the panel"
        return f"{reading}; {built} (those whose input, rules or version changed are built again)"


def plan_panel(
    raw: Path | None,
    *,
    tables_folder: Path,
    panel_folder: Path,
    n_months: int,
    n_measures: int,
    memory_limit_gb: float = MEMORY_LIMIT_GB,
    engine: Engine = "duckdb",
) -> PanelPlan:
    """Estimate what reading the raw files and building the panel will take.

    Nothing is read but sizes, row counts and, for the number of members, one column. Takes about
    a second.

    Parameters
    ----------
    raw : Path or None
        Folder of the raw files; None for a database, which can be planned once it is read.
    tables_folder, panel_folder : Path
        `work_dir` of `read_tables` and `out_dir` of `build_member_months`.
    n_months, n_measures : int
    memory_limit_gb : float
        What the engine may hold, GB; of Spark, the heap of a local session.
    engine : {"duckdb", "spark"}
        What builds the panel, as for `build_member_months`.

    Returns
    -------
    PanelPlan
        ``print(plan)`` says all of it.

    Raises
    ------
    TableError
        There is nothing to estimate from, or no such engine.
    """
    require_engine(engine)
    costs = measured_costs()
    manifest = read_manifest(tables_folder)
    if manifest is not None and is_outdated(manifest, raw):
        manifest = None
    is_read = manifest is not None
    if manifest is not None:
        n_members, n_lines = counted(tables_folder)
        n_buckets = int(manifest["n_buckets"])
    else:
        n_members, n_lines = estimated(raw, costs)
        n_buckets = bucket_count(n_members)
    staged, settled = reading_done(tables_folder, is_read=is_read, n_buckets=n_buckets)
    n_built = buckets_built(panel_folder, n_buckets, engine)
    to_build = 1.0 - n_built / n_buckets
    n_counted = min(buckets_counted(tables_folder), n_buckets) if is_read else 0
    # Care is counted of every bucket, built or not, once any is to be built; on Spark of none.
    to_count = 1.0 - n_counted / n_buckets if to_build and engine == "duckdb" else 0.0
    to_read = 0.0 if is_read else 1.0 - 0.5 * settled / n_buckets
    speed = calibration_s() / costs["calibration_cpu_s"]
    member_months = n_members * n_months * costs["covered_share"]
    whole_s = panel_cpu_s if engine == "duckdb" else panel_from_claims_cpu_s
    panel_s = to_build * whole_s(n_lines, member_months, n_measures, n_buckets)
    peaks_gb = [
        panel_peak_gb(n_lines, n_buckets, memory_limit_gb)
        if engine == "duckdb"
        else spark_peak_gb(memory_limit_gb)
    ]
    if not is_read:
        peaks_gb.append(reading_peak_gb(n_lines, memory_limit_gb))
    tables_gb = n_lines * costs["tables_bytes_per_line"] / _GB
    panel_gb = to_build * member_months * costs["panel_bytes_per_member_month"] / _GB
    return PanelPlan(
        engine=engine,
        n_members=n_members,
        n_lines=n_lines,
        n_months=n_months,
        n_measures=n_measures,
        is_counted=is_read,
        n_buckets=n_buckets,
        n_tables_done=staged,
        n_tables_buckets_done=settled,
        is_read=is_read,
        n_buckets_built=n_built,
        speed=speed,
        reading_cpu_s=to_read * speed * reading_cpu_s(n_lines),
        panel_cpu_s=speed * (panel_s + to_count * counting_cpu_s(n_lines)),
        peak_gb=max(peaks_gb),
        tables_gb=0.0 if is_read else tables_gb,
        panel_gb=panel_gb + to_count * tables_gb * costs["counted_share"],
        scratch_gb=0.0 if is_read else reading_scratch_gb(n_lines, tables_gb),
        free_disk_gb=free_disk_gb(tables_folder),
        free_memory_gb=free_memory_gb(),
        n_cores=os.cpu_count() or 1,
    )


def _duration(seconds: float) -> str:
    """A length of time in the unit a reader thinks in."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _gb(value: float) -> str:
    """Gigabytes, or that nobody knows."""
    return "unknown" if math.isnan(value) else f"{value:.1f} GB"
