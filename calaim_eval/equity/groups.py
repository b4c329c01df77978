"""The groups of a rate: their names, their order, their total row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.results import ALL
from calaim_eval.schema import race_ethnicity_groups

UNKNOWN = "unknown"


def key_list(by: str | Sequence[str]) -> list[str]:
    """Grouping columns as a list."""
    return [by] if isinstance(by, str) else list(by)


def check_columns(frame: pd.DataFrame, names: Sequence[str]) -> None:
    """Raise TableError unless the frame has the columns."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        lacks = ", ".join(f"`{name}`" for name in missing)
        has = ", ".join(f"`{name}`" for name in frame.columns)
        raise TableError(f"the frame lacks {lacks}. It has {has}.")


def check_margins(margins: Sequence[str], by: Sequence[str]) -> None:
    """Raise TableError unless every margin is a grouping column."""
    unknown = [name for name in margins if name not in by]
    if unknown:
        raise TableError(
            f"`margins` names {', '.join(f'`{name}`' for name in unknown)}, which `by` does not: "
            f"{', '.join(f'`{name}`' for name in by)}."
        )


def as_groups(frame: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The frame with its grouping columns as text; a missing group is "unknown", never dropped."""
    return frame.assign(
        **{name: frame[name].astype("string").fillna(UNKNOWN).astype("str") for name in by}
    )


def with_margins(frame: pd.DataFrame, margins: Sequence[str]) -> Iterator[pd.DataFrame]:
    """The frame, and the frame with each set of margin columns set to "all"."""
    for size in range(len(margins) + 1):
        for chosen in combinations(margins, size):
            yield frame.assign(**dict.fromkeys(chosen, ALL))


def in_group_order(table: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Rows sorted: race and ethnicity in display order, the rest by name, "all" last.

    Numbers in names count as numbers: the band "5-9" comes before "18-44".
    """
    race = {group: i for i, group in enumerate(race_ethnicity_groups())}

    def rank(values: pd.Series) -> pd.Series:
        order = race if str(values.name).startswith("race_ethnicity") else {}
        names = sorted(set(values) - set(order) - {ALL}, key=_with_numbers)
        full = {**order, **{name: len(order) + i for i, name in enumerate(names)}}
        return values.map({**full, ALL: len(full)})

    return table.sort_values(list(by), key=rank, kind="stable").reset_index(drop=True)


def _with_numbers(name: str) -> list[tuple[str, int]]:
    """A name as pairs of words and the number behind them, to sort by."""
    return [(words, int(number or -1)) for words, number in re.findall(r"(\D*)(\d*)", str(name))]
