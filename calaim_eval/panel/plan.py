"""What a panel will take before it is begun: time, memory, disk, and what of it is already done.

The costs come from `plan_costs.csv`, measured by `benchmarks/panel_scale.py`; a short calibration
says how this machine compares with the one they were measured on.
"""

from __future__ import annotations

import csv
import math
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from calaim_eval.engine import bucket_count
from calaim_eval.errors import TableError
from calaim_eval.panel.resume import one_share_file, read_share
from calaim_eval.tables.fingerprint import read_manifest

CLAIM_TABLES = ("medical_claim", "pharmacy_claim")
_GB = 1024**3
_UNFINISHED = ".reading"
_HEADROOM = 1.2
"""Free disk must be this many times what is expected: an estimate is no measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelPlan:
    """What reading the tables and building the panel will take on this machine.

    Attributes
    ----------
    n_members, n_lines, n_months, n_measures : int
        Members with eligibility, lines of claims and fills, months of the window, measures.
    is_counted : bool
        Whether members and lines are counted from the checked tables; else estimated from files.
    n_buckets : int
    n_tables_done, n_tables_buckets_done : int
        Tables staged and buckets settled of a reading under way; all of them when it is finished.
    is_read : bool
        The reading is finished.
    n_buckets_built : int
        Buckets of the panel on disk; one whose input, window or rules changed is built again.
    speed : float
        CPU time of a fixed piece of work here to that where the costs were measured; above 1 is
        slower.
    reading_cpu_s, panel_cpu_s : float
        CPU seconds still to do.
    peak_gb : float
        Largest memory of the process, GB.
    tables_gb, panel_gb, scratch_gb : float
        Disk for what is still to be written, GB; `scratch_gb` is free again at the end.
    free_disk_gb, free_memory_gb : float
        On this machine; memory is nan where the system does not say.
    n_cores : int
    """

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
                f"{self.free_memory_gb:.1f} GB are free. Close other programs, or build with a "
                "smaller `memory_limit_gb` (build_member_months), which is slower."
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
        return "\n".join([*lines, *(self.problems or ("It will fit.",))])

    @property
    def wall_s(self) -> float:
        """Least time by the clock: all cores free, and work divided among them as measured."""
        shared = min(self.n_cores, self.n_buckets * 8) * _costs()["parallel_share"]
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
        return f"{reading}; {built} (those whose input or rules changed are built again)"


def plan_panel(
    raw: Path | None,
    *,
    tables_folder: Path,
    panel_folder: Path,
    n_months: int,
    n_measures: int,
    memory_limit_gb: float = 2.0,
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

    Returns
    -------
    PanelPlan
        ``print(plan)`` says all of it.

    Raises
    ------
    TableError
        There is nothing to estimate from.
    """
    costs = _costs()
    manifest = read_manifest(tables_folder)
    is_read = manifest is not None
    if manifest is not None:
        n_members, n_lines = _counted(tables_folder)
        n_buckets = int(manifest["n_buckets"])
    else:
        n_members, n_lines = _estimated(raw)
        n_buckets = bucket_count(n_members)
    staged, settled = _reading_done(tables_folder, is_read=is_read, n_buckets=n_buckets)
    n_built = min(_buckets_built(panel_folder, n_buckets), n_buckets)
    speed = _calibration_s() / costs["calibration_cpu_s"]
    member_months = n_members * n_months * costs["covered_share"]
    to_read = 0.0 if is_read else 1.0 - 0.5 * settled / n_buckets
    to_build = 1.0 - n_built / n_buckets
    panel_s = (
        n_lines * costs["panel_us_per_line"]
        + member_months * costs["panel_us_per_member_month"]
        + member_months * n_measures * costs["panel_us_per_member_month_and_measure"]
    ) / 1e6 + n_buckets * costs["panel_s_per_bucket"]
    tables_gb = n_lines * costs["tables_bytes_per_line"] / _GB
    panel_bytes = costs["panel_bytes_per_member_month"]
    return PanelPlan(
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
        reading_cpu_s=to_read * speed * n_lines * costs["reading_us_per_line"] / 1e6,
        panel_cpu_s=to_build * speed * panel_s,
        peak_gb=_peak_gb(n_lines / n_buckets, memory_limit_gb, is_read=is_read),
        tables_gb=0.0 if is_read else tables_gb,
        panel_gb=to_build * member_months * panel_bytes / _GB,
        scratch_gb=0.0 if is_read else tables_gb * costs["scratch_share"],
        free_disk_gb=shutil.disk_usage(_existing(tables_folder)).free / _GB,
        free_memory_gb=_free_memory_gb(),
        n_cores=os.cpu_count() or 1,
    )


def _peak_gb(lines_per_bucket: float, memory_limit_gb: float, *, is_read: bool) -> float:
    """Peak memory: what Python holds, and the engine's work on a bucket up to its limit."""
    costs = _costs()
    engine = costs["engine_gb_per_million_lines"] * lines_per_bucket / 1e6
    panel = min(memory_limit_gb, engine)
    reading = 0.0 if is_read else memory_limit_gb * costs["reading_share_of_limit"]
    return costs["base_gb"] + max(panel, reading)


def _counted(tables_folder: Path) -> tuple[int, int]:
    """Members and claim lines of checked tables."""
    import duckdb

    parts = [str(part) for part in (tables_folder / "eligibility").glob("part-*.parquet")]
    lines = sum(
        _parquet_rows(part)
        for name in CLAIM_TABLES
        for part in (tables_folder / name).glob("part-*.parquet")
    )
    with duckdb.connect() as connection:
        found = connection.execute(
            "SELECT approx_count_distinct(member_id) FROM read_parquet(?)", [parts]
        ).fetchone()
    return int(found[0]) if found else 0, lines


def _estimated(raw: Path | None) -> tuple[int, int]:
    """Members and claim lines by the raw files: rows of parquet, bytes of anything else."""
    if raw is None or not raw.is_dir():
        where = "a database" if raw is None else f"`{raw}`"
        raise TableError(
            f"a plan needs files to estimate from, and {where} holds none that can be seen.\n"
            "  Read the tables first (`calaim-eval check`); the panel is planned after that."
        )
    costs = _costs()
    rows = {"eligibility": 0.0, "other": 0.0}
    for file in raw.rglob("*"):
        if not file.is_file() or file.name.startswith("."):
            continue
        name = "/".join(part.lower() for part in file.relative_to(raw).parts)
        if file.suffix == ".parquet":
            n_rows = float(_parquet_rows(file))
        else:
            packed = file.suffix.lower() in (".gz", ".zip", ".zst", ".bz2", ".xz")
            per_row = costs["raw_bytes_per_row_packed" if packed else "raw_bytes_per_row"]
            n_rows = file.stat().st_size / per_row
        rows["eligibility" if "elig" in name or "enroll" in name else "other"] += n_rows
    n_lines = round(rows["other"])
    n_members = rows["eligibility"] / costs["spans_per_member"]
    if not n_members:
        n_members = n_lines / costs["lines_per_member"]
    if not n_members:
        raise TableError(
            f"a plan needs files to estimate from, and `{raw}` is empty.\n"
            "  Put the raw files there, or name their folder in the study file."
        )
    return max(1, round(n_members)), n_lines


def _parquet_rows(file: Path) -> int:
    """Rows of a parquet file, as it says itself; none of a damaged one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(file).num_rows)
    except (pa.ArrowException, OSError):
        return 0


def _reading_done(tables_folder: Path, *, is_read: bool, n_buckets: int) -> tuple[int, int]:
    """Tables staged and buckets settled."""
    if is_read:
        return 0, n_buckets
    under_way = tables_folder / _UNFINISHED
    staged = len(list(under_way.glob("*/staged/*.json")))
    return staged, len(list(under_way.glob("*/bucket-*.json")))


def _buckets_built(panel_folder: Path, n_buckets: int) -> int:
    """Buckets of the panel whose counts are on disk."""
    if read_share(one_share_file(panel_folder)):
        return n_buckets
    return len(list((panel_folder / "buckets").glob("bucket-*.json")))


def _calibration_s() -> float:
    """CPU seconds of a fixed piece of the engine's work, the better of two."""
    import duckdb

    work = "SELECT count(DISTINCT hash(i) % 500_000), sum(sqrt(i)) FROM range(2_000_000) AS t(i)"
    spent = []
    with duckdb.connect(config={"threads": 1}) as connection:
        for _ in range(2):
            started = time.process_time()
            connection.execute(work).fetchall()
            spent.append(time.process_time() - started)
    return min(spent)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.resolve()
    while not folder.exists():
        folder = folder.parent
    return folder


def _free_memory_gb() -> float:
    """Memory that can be had without swapping, GB; nan where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 / _GB
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GB
    except (OSError, ValueError, AttributeError):
        return math.nan


@cache
def _read_costs() -> tuple[dict[str, str], ...]:
    """Rows of the measured costs."""
    path = files("calaim_eval.panel") / "plan_costs.csv"
    with path.open("r", encoding="utf-8") as stream:
        return tuple(csv.DictReader(stream))


def _costs() -> Mapping[str, float]:
    """Measured costs by name."""
    return {row["cost"]: float(row["value"]) for row in _read_costs()}


def costs_note() -> str:
    """Machine and date of the measured costs."""
    (row,) = (row for row in _read_costs() if row["cost"] == "calibration_cpu_s")
    return row["source"]


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
