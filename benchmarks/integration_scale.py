"""All integration measures of a quarter for a state: 100,000 referrals, 2,000 organizations.

A simulated study's tables are repeated under new identifiers, so that counts stay plausible.

Usage: ``python benchmarks/integration_scale.py [times]``
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

import calaim_eval as ce
from calaim_eval.simulate import simulate_medi_cal

TABLES = ("referral", "organization", "contract", "person", "program_service", "payment")
TIMES, COPIES_OF_ORGANIZATIONS = 30, 5


def repeated(frame: pd.DataFrame, times: int, *, own: tuple[str, ...]) -> pd.DataFrame:
    """Copies of a table; `own` identifiers are new in each, organizations in each of five."""
    copies = []
    for i in range(times):
        copy = frame.copy()
        for name in copy.columns:
            if name in own:
                copy[name] = copy[name].astype("string") + f"_{i}"
            elif name.endswith("organization_id"):
                copy[name] = copy[name].astype("string") + f"_{i % COPIES_OF_ORGANIZATIONS}"
        copies.append(copy)
    return pd.concat(copies, ignore_index=True)


def state(folder: Path, times: int) -> dict[str, pd.DataFrame]:
    """Tables of a state."""
    simulate_medi_cal(folder, members=20_000, seed=7)
    tables = ce.read_tables(folder / "raw", work_dir=folder / "tables")
    of_members = ("referral_id", "root_referral_id", "member_id", "payment_id")
    return {
        name: repeated(
            tables.frame(name),
            COPIES_OF_ORGANIZATIONS if name in ("organization", "contract") else times,
            own=("contract_id",) if name == "contract" else of_members,
        )
        for name in TABLES
    }


def main() -> None:
    """Measure and print."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else TIMES
    with TemporaryDirectory(prefix="integration-") as folder:
        frames = state(Path(folder), times)
        print({name: len(frame) for name, frame in frames.items()})
        started, cpu = time.perf_counter(), time.process_time()
        made = ce.integration_measures(frames, quarter="2024Q4", as_of="2025-03-31")
        ce.integration.partner_measures(frames, quarter="2024Q4", as_of="2025-03-31")
        ce.integration.time_to_service(
            frames["referral"],
            as_of="2025-03-31",
            by="race_ethnicity",
            person=frames["person"],
        )
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"{len(made)} tables: {wall:.1f} s, CPU {cpu:.1f} s, peak {peak():.2f} GB")


def peak() -> float:
    """Largest memory of this process in GB; NaN where the system does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
