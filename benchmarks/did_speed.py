"""Time from member months to an event study, against one DuckDB group-by pass over the same file.

    python benchmarks/did_speed.py [member_months ...]

The floor reads the same columns and adds up outcome and rows by cohort and month: what any
estimator must at least do. Both run in this process, so the ratio is comparable between machines.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from calaim_eval.estimate import aggregate, group_time_att
from calaim_eval.moments import CellMoments, reduce_panel

MONTHS = 48
GROUPS = ["white", "hispanic", "black", "asian", "aian", "nhpi", "unknown"]
SHARES = [0.3, 0.4, 0.1, 0.12, 0.02, 0.01, 0.05]


def panel(member_months: int, *, seed: int = 1) -> pd.DataFrame:
    """Unbalanced member months in random order: three cohorts, half never exposed."""
    rng = np.random.default_rng(seed)
    members = round(member_months / MONTHS / 0.9)
    cohort = rng.choice([12.0, 20.0, 28.0, np.nan], members, p=[0.15, 0.2, 0.15, 0.5])
    group = pd.Categorical.from_codes(rng.choice(len(GROUPS), members, p=SHARES), GROUPS)
    member = np.repeat(np.arange(members), MONTHS)
    frame = pd.DataFrame(
        {
            "member_id": member,
            "month": np.tile(np.arange(MONTHS), members),
            "cohort": cohort[member],
            "race_ethnicity": group[member],
            "ed_visits": rng.poisson(0.08, len(member)),
        }
    )
    return frame.sample(n=min(member_months, len(frame)), random_state=seed)


def seconds(run: Callable[[], object]) -> float:
    """Best of three, so that other work on the machine counts less."""
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def event_study(moments: CellMoments) -> object:
    """Effects by cohort and month, then by event time, with joint covariance."""
    return aggregate(group_time_att(moments, outcome="ed_visits"), by="event_time")


def floor(path: Path) -> object:
    """One pass over the file."""
    with duckdb.connect() as connection:
        return connection.execute(
            "SELECT cohort, month, sum(ed_visits), count(*) FROM read_parquet(?) GROUP BY 1, 2",
            [str(path)],
        ).fetchall()


def main(sizes: list[int]) -> None:
    print("| member-months | source | reduce s | estimate s | group-by pass s | ratio |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            frame = panel(size)
            path = Path(folder) / f"panel_{size}.parquet"
            frame.to_parquet(path, index=False)
            at_least = seconds(lambda path=path: floor(path))
            for source, data, options in (
                ("frame", frame, {}),
                ("frame, by race", frame, {"stratum": "race_ethnicity"}),
                ("parquet", path, {}),
            ):
                moments = reduce_panel(
                    data, outcomes=["ed_visits"], **options, unbalanced="cell_means"
                )
                reducing = seconds(
                    lambda data=data, options=options: reduce_panel(
                        data, outcomes=["ed_visits"], **options, unbalanced="cell_means"
                    )
                )
                estimating = seconds(lambda moments=moments: event_study(moments))
                ratio = (reducing + estimating) / at_least
                print(
                    f"| {size:,} | {source} | {reducing:.2f} | {estimating:.2f} | "
                    f"{at_least:.3f} | {ratio:.0f} |"
                )


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [1_000_000, 10_000_000])
