"""A panel from frames built elsewhere: typed, checked and written as one part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.panel.columns import (
    BASE_COLUMNS,
    EXPOSURE_COLUMNS,
    POPULATION_COLUMNS,
    column_types,
)
from calaim_eval.panel.measures import EXPOSURES, MEASURES
from calaim_eval.panel.member_months import ALL_MEASURES, MemberMonths
from calaim_eval.panel.rules import PanelRules
from calaim_eval.panel.temporary import gone_with_panel, panel_folder
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.ledger import USED, RowLedger

MONTH_COLUMNS = (*BASE_COLUMNS, *ALL_MEASURES)


def write_frames(
    member_month: pd.DataFrame,
    member_exposure: pd.DataFrame | None,
    member_population: pd.DataFrame | None,
    *,
    folder: str | Path | None,
    rules: PanelRules,
    feeds: Sequence[str],
) -> MemberMonths:
    """Write the frames and their manifest; see `MemberMonths.from_frames`."""
    _check_columns(member_month, MONTH_COLUMNS, TABLES["member_month"].required, "member_month")
    given = pd.DataFrame({"member_id": [], "service": []}, dtype="str")
    exposure = given if member_exposure is None else member_exposure
    _check_columns(exposure, EXPOSURE_COLUMNS, ("member_id", "service"), "member_exposure")
    none = pd.DataFrame({"member_id": [], "population": []}, dtype="str")
    populations = none if member_population is None else member_population
    key = ("member_id", "population")
    _check_columns(populations, POPULATION_COLUMNS, key, "member_population")
    _check_key(member_month)
    place = panel_folder() if folder is None else Path(folder)
    months = _typed(member_month, MONTH_COLUMNS).sort_values(["member_id", "month"])
    _write(months, place / "member_month")
    _write(_typed(exposure, EXPOSURE_COLUMNS), place / "member_exposure")
    _write(_typed(populations, POPULATION_COLUMNS), place / "member_population")
    ledger = RowLedger()
    ledger.add("member_month", USED, len(months), stage="panel")
    panel = MemberMonths(
        folder=place,
        n_buckets=1,
        first_month=months["month"].min().to_period("M"),
        last_month=months["month"].max().to_period("M"),
        rules=rules,
        ledger=ledger,
        n_members=months["member_id"].nunique(),
        n_member_months=len(months),
        feeds=frozenset(feeds),
        notes=("Built from frames, not from raw tables.",),
    )
    panel.save_manifest({})
    return panel if folder is not None else gone_with_panel(panel)


def _check_columns(
    frame: pd.DataFrame, known: Sequence[str], required: Sequence[str], table: str
) -> None:
    """Raise unless the required columns are there and no column is unknown."""
    missing = [column for column in required if column not in frame]
    if missing:
        raise TableError(
            f"frame `{table}` lacks column `{missing[0]}`.\n"
            f"  It needs {', '.join(f'`{each}`' for each in required)}."
        )
    unknown = [column for column in frame if column not in known]
    if unknown:
        listed = ", ".join(f"`{each}`" for each in known)
        raise TableError(
            f"frame `{table}` has {len(unknown)} columns the panel does not know, first "
            f"`{unknown[0]}`.\n  Drop or rename them. Columns: {listed}."
        )


def _check_key(member_month: pd.DataFrame) -> None:
    """Raise unless there are rows, one a member and month."""
    if member_month.empty:
        raise TableError("frame `member_month` has no rows.\n  A panel needs one covered month.")
    starts = pd.to_datetime(member_month["month"])
    key = pd.DataFrame({"member_id": member_month["member_id"], "month": starts})
    repeats = int(key.duplicated().sum())
    if repeats:
        raise TableError(
            f"frame `member_month`: {repeats:,} of {len(key):,} rows repeat the key (`member_id`, "
            "`month`).\n  Add up or drop them: the panel has one row per member and month."
        )
    if (starts.dt.day != 1).any():
        raise TableError(
            f"frame `member_month`: {int((starts.dt.day != 1).sum()):,} of {len(key):,} values of "
            "`month` are not the first day of a month.\n"
            '  Use `month.dt.to_period("M").dt.to_timestamp()`.'
        )


def _typed(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The columns in order, each of its declared type, absent ones missing."""
    data = pd.DataFrame(index=frame.index)
    for column, dtype in column_types(columns, {**MEASURES, **EXPOSURES}).items():
        values = frame[column] if column in frame else pd.Series(None, index=frame.index)
        if dtype in ("date", "month"):
            data[column] = pd.to_datetime(values).astype("datetime64[s]")
        else:
            target: Any = {"integer": "Int64", "number": "float64", "boolean": "boolean"}
            data[column] = values.astype(target.get(dtype, "str"))
    return data


def _write(data: pd.DataFrame, folder: Path) -> None:
    """Write the one part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"M": pa.date32(), "i": pa.int64(), "f": pa.float64(), "b": pa.bool_()}
    schema = pa.schema(
        [(column, types.get(dtype.kind, pa.string())) for column, dtype in data.dtypes.items()]
    )
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pandas(data, schema=schema, preserve_index=False)
    pq.write_table(table, folder / "part-0000.parquet")
