"""Tables from frames that are already in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.schema.fields import FIELDS
from calaim_eval.schema.race_ethnicity import derive_race_ethnicity
from calaim_eval.schema.tables import TABLES
from calaim_eval.tables.ledger import USED, RowLedger
from calaim_eval.tables.tables import Tables, _require_declared, column_names


def tables_from_frames(
    frames: Mapping[str, pd.DataFrame], *, work_dir: Path | None, n_buckets: int | None
) -> Tables:
    """Normalise, bucket and write frames; see `Tables.from_frames`."""
    import pyarrow.parquet as pq

    folder = Path(tempfile.mkdtemp(prefix="calaim_tables_")) if work_dir is None else Path(work_dir)
    buckets = n_buckets or 1
    ledger = RowLedger()
    for name, frame in frames.items():
        _require_declared(name)
        data = _canonical(frame, name)
        (folder / name).mkdir(parents=True, exist_ok=True)
        n_parts = buckets if "member_id" in data else 1
        part_of = (
            pd.util.hash_array(data["member_id"].to_numpy(dtype=object)) % n_parts
            if n_parts > 1
            else pd.Series(0, index=data.index)
        )
        for part in range(n_parts):
            rows = _arrow(data[part_of == part], name)
            pq.write_table(rows, folder / name / f"part-{part:04d}.parquet")
        ledger.add(name, USED, len(data), stage="read")
    return Tables(folder, buckets, tuple(frames), ledger, {"n_buckets": buckets})


def _canonical(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Declared columns in order, each of its declared type."""
    missing = [column for column in TABLES[name].required if column not in frame]
    if missing:
        raise TableError(f"table `{name}` lacks column `{missing[0]}`.")
    data = pd.DataFrame(index=frame.index)
    for column in TABLES[name].fields:
        given = (
            frame[column] if column in frame else pd.Series(None, index=frame.index, dtype="str")
        )
        data[column] = _typed(given, FIELDS[column].dtype)
    return data.reset_index(drop=True)


def _typed(values: pd.Series, dtype: str) -> pd.Series:
    """One column as its declared type."""
    if dtype in ("date", "month"):
        return pd.to_datetime(values).astype("datetime64[us]")
    target: Any = {"integer": "Int64", "number": "float64", "boolean": "boolean"}.get(dtype, "str")
    return values.astype(target)


def _arrow(data: pd.DataFrame, name: str) -> Any:
    """Arrow table of a part, dates as date32, persons with their derived group."""
    import pyarrow as pa

    types = {"string": pa.string(), "date": pa.date32(), "month": pa.date32()}
    types |= {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}
    if name == "person":
        data = data.assign(race_ethnicity=derive_race_ethnicity(data)["race_ethnicity"])
    schema = pa.schema([(c, types[FIELDS[c].dtype]) for c in column_names(name)])
    return pa.Table.from_pandas(data, schema=schema, preserve_index=False)
