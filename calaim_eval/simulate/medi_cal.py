"""Simulate a Medi-Cal: every input table of the contract, and the truth behind it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from calaim_eval.engine import track
from calaim_eval.errors import StudyFileError
from calaim_eval.simulate.calendar import make_calendar
from calaim_eval.simulate.chunk import CHUNK_MEMBERS, draw_chunk, write_chunk
from calaim_eval.simulate.truth import (
    ChunkTruth,
    TruthTotals,
    collect,
    count_worlds,
    identified_member_months,
    member_truth,
)
from calaim_eval.simulate.truth_tables import (
    IDENTIFICATION,
    county_phase_table,
    effects_table,
    funnel_table,
    injected_table,
    use_by_month_table,
)
from calaim_eval.simulate.world import World, make_world, write_shared_tables
from calaim_eval.simulate.write import MARKER, FileFormat, StudyWriter
from calaim_eval.version import __version__


@dataclass(frozen=True)
class SimulatedStudy:
    """Where a simulated study is, and how large.

    Attributes
    ----------
    folder : Path
        Holds `raw/` (the input tables) and `truth/`.
    members, seed : int
    n_rows : dict[str, int]
        Rows written by table.
    injected : dict[str, int]
        Counts of defects and of what was left out, by name.
    """

    folder: Path
    members: int
    seed: int
    n_rows: dict[str, int]
    injected: dict[str, int]

    @property
    def raw(self) -> Path:
        """Folder of the input tables."""
        return self.folder / "raw"

    @property
    def truth(self) -> Path:
        """Folder of the truth."""
        return self.folder / "truth"

    def truth_frame(self, name: str) -> pd.DataFrame:
        """Read one table of the truth, such as "effects" or "use_by_month"."""
        return pd.read_parquet(self.truth / f"{name}.parquet")

    def __repr__(self) -> str:
        """Counts only."""
        lines = self.n_rows.get("medical_claim", 0)
        return f"SimulatedStudy({self.members:,} members, {lines:,} claim lines, seed {self.seed})"


def simulate_medi_cal(
    folder: str | Path,
    *,
    members: int = 20_000,
    seed: int = 20260101,
    first_month: str = "2021-01",
    last_month: str = "2024-12",
    extract_date: str = "2025-06-30",
    file_format: FileFormat = "parquet",
) -> SimulatedStudy:
    """Simulate a Medi-Cal study with known effects, disparities and messiness.

    Use to learn the package, to test an analysis before real data arrive, and to measure bias and
    coverage of estimators. Every table of the contract is written as a plan would send it; the
    truth is written beside. Runs in chunks of 20,000 members, so memory stays flat.

    Parameters
    ----------
    folder : str or Path
        Gets `raw/<table>.parquet` (`raw/medical_claim/part-0000.parquet` ...) and `truth/`.
        An earlier simulation there is replaced; other files are never overwritten.
    members : int
        Members to simulate, at least 1. High-need members are oversampled about four times.
    seed : int
        Same seed, same content.
    first_month, last_month : str
        Window, such as "2021-01"; at least 12 months.
    extract_date : str
        Claims paid later are not in the files.
    file_format : {"parquet", "csv"}
        Format of the raw tables. The truth is always Parquet, JSON and CSV.

    Returns
    -------
    SimulatedStudy
        Paths, rows by table, counts of what was injected.

    Raises
    ------
    StudyFileError
        The window, the number of members or the format makes no sense.
    OutputError
        The folder cannot be written, or holds files that no simulation wrote.

    Notes
    -----
    What the truth assumes, and when a design identifies it, is stated in `truth/simulation.json`;
    every assumed number is in `truth/parameters.csv` with its source and status.

    Examples
    --------
    >>> import tempfile
    >>> study = simulate_medi_cal(Path(tempfile.mkdtemp()) / "demo", members=200, seed=1)
    >>> study.members
    200
    """
    _check_size(members, seed)
    calendar = make_calendar(first_month, last_month, extract_date)
    n_chunks = -(-members // CHUNK_MEMBERS)
    shared_seed, *chunk_seeds = np.random.SeedSequence(seed).spawn(n_chunks + 1)
    rng = np.random.default_rng(shared_seed)
    world = make_world(calendar, rng=rng)
    totals = TruthTotals()
    with StudyWriter(Path(folder), file_format=file_format) as writer:
        write_shared_tables(world, writer, rng=rng)
        for number in track(range(n_chunks), description="simulated members"):
            size = min(CHUNK_MEMBERS, members - number * CHUNK_MEMBERS)
            chunk_rng = np.random.default_rng(chunk_seeds[number])
            chunk = draw_chunk(world, number, size, rng=chunk_rng)
            truth = write_chunk(chunk, world, writer, injected=totals.injected)
            write_chunk_truth(truth, writer, totals)
        _write_truth(world, writer, totals, members=members, seed=seed, extract_date=extract_date)
    return SimulatedStudy(
        folder=Path(folder),
        members=members,
        seed=seed,
        n_rows=dict(sorted(writer.n_rows.items())),
        injected=injected_table(totals),
    )


def _check_size(members: int, seed: int) -> None:
    """Refuse sizes and seeds that make no sense."""
    if members < 1 or members > 100_000_000:
        raise StudyFileError(f"`members` is {members}; it must be between 1 and 100,000,000.")
    if seed < 0:
        raise StudyFileError(f"`seed` is {seed}; it must be 0 or larger.")


def write_chunk_truth(chunk: ChunkTruth, writer: StudyWriter, totals: TruthTotals) -> None:
    """Write the truth of single members and months, and add to the totals."""
    worlds = count_worlds(chunk)
    writer.truth_rows("member", member_truth(chunk))
    writer.truth_rows("identified_member_month", identified_member_months(chunk, worlds))
    collect(totals, chunk, worlds)


def _write_truth(
    world: World,
    writer: StudyWriter,
    totals: TruthTotals,
    *,
    members: int,
    seed: int,
    extract_date: str,
) -> None:
    """Write the totals of the truth and the file that says what they mean."""
    writer.truth_rows("effects", effects_table(totals))
    writer.truth_rows("county_phase_effect", county_phase_table(totals))
    writer.truth_rows("use_by_month", use_by_month_table(totals))
    writer.truth_rows("funnel", funnel_table(totals, world.parameters))
    writer.truth_csv("parameters.csv", world.parameters.rows)
    writer.truth_json("injected.json", injected_table(totals))
    calendar = world.calendar
    about: dict[str, Any] = {
        "about": "Simulated data: no row is a person. "
        "Numbers marked assumption in parameters.csv must not be cited.",
        "members": members,
        "seed": seed,
        "first_month": str(calendar.first_month),
        "last_month": str(calendar.first_month + calendar.n_months - 1),
        "extract_date": extract_date,
        "package_version": __version__,
        "identification": list(IDENTIFICATION),
        "rows": dict(sorted(writer.n_rows.items())),
    }
    writer.truth_json(MARKER, about)
