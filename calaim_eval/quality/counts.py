"""Counts of one member bucket, and their sums over buckets: small frames without members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
    keys = KEYS["counts"]
    named = rows.assign(check=check, table=table, columns=columns)
    for dimension in keys[3:]:
        if dimension not in named.columns:
            named[dimension] = ""
    named["month"] = [_month_text(month) for month in named["month"]]
    for column in ("n", "of"):
        named[column] = pd.to_numeric(named[column]).fillna(0).astype("int64")
    return named[[*keys, "n", "of"]]


def from_wide(
    wide: pd.DataFrame, checks: Sequence[str], *, table: str, by: Sequence[str]
) -> list[pd.DataFrame]:
    """Counts of many checks out of one frame with the columns `<check>` and `<check>__of`."""
    return [
        as_counts(
            wide[[*by, check, f"{check}__of"]].rename(columns={check: "n", f"{check}__of": "of"}),
            check=check,
            table=table,
        ).loc[lambda rows: rows["of"] > 0]
        for check in checks
    ]


def as_members(found: Mapping[str, int], *, table: str) -> pd.DataFrame:
    """Distinct members by check as rows of the frame ``members``."""
    return pd.DataFrame(
        [(check, table, int(n)) for check, n in found.items()],
        columns=[*KEYS["members"], "n_members"],
    )


def _month_text(month: object) -> str:
    """A month number as 2024-01; text stays as it is."""
    if isinstance(month, str):
        return month
    number = int(month)  # type: ignore[call-overload]
    return f"{number // 12:04d}-{number % 12 + 1:02d}"
