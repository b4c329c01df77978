"""Counts of one member bucket, and their sums over buckets: small frames without members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

KEYS = {
    "counts": ["check", "table", "columns", "plan", "county", "month", "code", "feed"],
    "members": ["check", "table"],
    "lines": ["feed", "plan", "month"],
    "member_months": ["plan", "month"],
    "payments": ["table", "month", "lag"],
}
"""Frames of counts, and the columns that tell their rows apart; all others are summed."""
_SUMS = {
    "counts": ["n", "of"],
    "members": ["n_members"],
    "lines": ["n_lines"],
    "member_months": ["n_member_months"],
    "payments": ["n_lines"],
}
Counts = dict[str, pd.DataFrame]


def no_counts() -> Counts:
    """Empty frames."""
    return {
        name: pd.DataFrame({column: [] for column in [*keys, *_SUMS[name]]})
        for name, keys in KEYS.items()
    }


def add_up(parts: Iterable[Mapping[str, pd.DataFrame]]) -> Counts:
    """Counts of several buckets added up."""
    given = list(parts)
    total = no_counts()
    for name, keys in KEYS.items():
        frames = [part[name] for part in given if name in part and len(part[name])]
        if frames:
            stacked = pd.concat(frames, ignore_index=True)
            summed = stacked.groupby(keys, sort=False, dropna=False)[_SUMS[name]].sum()
            total[name] = summed.astype("int64").reset_index()
    return total


def as_counts(rows: pd.DataFrame, *, check: str, table: str, columns: str = "") -> pd.DataFrame:
    """Rows with `n`, `of` and any of the dimensions as rows of the frame ``counts``."""
    length = len(rows)
    content: dict[str, object] = {
        "check": [check] * length,
        "table": [table] * length,
        "columns": [columns] * length,
    }
    for dimension in KEYS["counts"][3:]:
        is_there = dimension in rows.columns
        content[dimension] = rows[dimension].to_numpy() if is_there else [""] * length
    if "month" in rows.columns:
        content["month"] = [month_text(month) for month in rows["month"]]
    for column in ("n", "of"):
        content[column] = pd.to_numeric(rows[column]).fillna(0).to_numpy(dtype="int64")
    return pd.DataFrame(content)


def from_wide(
    wide: pd.DataFrame, checks: Sequence[str], *, table: str, by: Sequence[str]
) -> pd.DataFrame:
    """Counts of many checks out of one frame with the columns `<check>` and `<check>__of`."""
    n_checks, n_rows = len(checks), len(wide)
    long = pd.DataFrame(
        {
            **{column: np.tile(wide[column].to_numpy(), n_checks) for column in by},
            "n": wide[list(checks)].to_numpy().T.ravel(),
            "of": wide[[f"{check}__of" for check in checks]].to_numpy().T.ravel(),
        }
    )
    counted = as_counts(long, check="", table=table)
    counted["check"] = np.repeat(np.array(checks, dtype=object), n_rows)
    return counted.loc[counted["of"] > 0]


def as_members(found: Mapping[str, int], *, table: str) -> pd.DataFrame:
    """Distinct members by check as rows of the frame ``members``."""
    return pd.DataFrame(
        [(check, table, int(n)) for check, n in found.items()],
        columns=[*KEYS["members"], "n_members"],
    )


def month_text(month: float | str) -> str:
    """A month number as 2024-01; text stays as it is."""
    if isinstance(month, str):
        return month
    return f"{int(month) // 12:04d}-{int(month) % 12 + 1:02d}"
