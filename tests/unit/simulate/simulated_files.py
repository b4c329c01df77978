"""Reading the files of a simulated study."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pandas as pd

from calaim_eval.simulate import SimulatedStudy

MEMBERS = 2_000


def raw_path(study: SimulatedStudy, table: str) -> str:
    """Path, or pattern of paths, of one raw table."""
    folder = study.raw / table
    return str(folder / "*.parquet" if folder.is_dir() else Path(f"{folder}.parquet"))


def raw(study: SimulatedStudy, table: str) -> pd.DataFrame:
    """One raw table."""
    return duckdb.sql(f"SELECT * FROM '{raw_path(study, table)}'").df()
