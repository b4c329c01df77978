"""Rows of groups that overlap, from labels that hold every group of a member.

Sums over members add up over labels, since a member has one label. A row of a group is the sum
over the labels that name the group; the "all" row counts every member once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from calaim_eval.equity.groups import in_group_order
from calaim_eval.errors import EstimationError
from calaim_eval.results import RateTable
from calaim_eval.results.intervals import wilson_interval
from calaim_eval.schema.overlapping import JOIN, overlapping_columns

NOTE = (
    "Rows by `{}` overlap: a member is in every group named, each row is a part of all members, "
    "and rows are never added up."
)


def overlap_notes(by: Sequence[str]) -> tuple[str, ...]:
    """What a reader must know of rows that overlap."""
    return tuple(NOTE.format(column) for column in overlapping_columns(by))


def one_row_a_group(sums: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Sums by label to sums by group, for the columns of `by` whose groups overlap.

    Parameters
    ----------
    sums : pd.DataFrame
        One row per combination of `by`; the other columns are sums over members, or flags that
        hold for a row if they hold for all its members.
    by : sequence of str
        Grouping columns. Labels hold groups joined by ``";"``.

    Returns
    -------
    pd.DataFrame
        As it was where no group overlaps.
    """
    columns = overlapping_columns(by)
    if not columns:
        return sums
    rows = sums
    for column in columns:
        parted = rows[column].str.split(JOIN).map(lambda each: list(dict.fromkeys(each)))
        rows = rows.assign(**{column: parted}).explode(column, ignore_index=True)
    flags = [c for c in rows.columns if c not in by and pd.api.types.is_bool_dtype(rows[c])]
    how = {c: "all" if c in flags else "sum" for c in rows.columns if c not in by}
    return rows.groupby(list(by), as_index=False).agg(how)[list(sums.columns)]


def rates_in_combination(table: RateTable) -> RateTable:
    r"""Proportions by label to proportions by group, each member in every group of its label.

    Use on a table of your own that was made by a column of labels. `rate_by_group`,
    `proportion_by_group`, `members_by_group` and `access_funnel` do it themselves.

    Parameters
    ----------
    table : RateTable
        Proportions or counts of members, with a key `race_ethnicity_in_combination` or
        `population_of_focus` whose labels hold groups joined by ``";"``.

    Returns
    -------
    RateTable
        One row per group and other keys, with Wilson's interval. `overlaps` names the key, which
        is no margin any more. A table that says it overlaps already is given back as it is.

    Raises
    ------
    EstimationError
        The table has no such key, or holds rates, whose variance is not in the table.

    Notes
    -----
    A group's numerator is :math:`\sum_{\ell \ni g} x_\ell` over labels :math:`\ell`; so is its
    denominator, where that depends on the key.
    """
    columns = overlapping_columns(table.keys.columns)
    if columns and set(columns) <= set(table.overlaps):
        return table
    if not columns or table.kind == "rate" or isinstance(table.per, np.ndarray):
        raise EstimationError(
            f"rates_in_combination: `{table.measure}` has no key of overlapping groups, or holds "
            "rates.\n  Take rates by such a column with rate_by_group(panel, by=...), which makes "
            "a row of each group."
        )
    by = list(table.keys.columns)
    own = by if table.denominator_keys is None else list(table.denominator_keys)
    sums = table.keys.astype(str).assign(
        x=table.numerator, n=table.denominator, m=table.n_members, without=np.isnan(table.conf_low)
    )
    rows = in_group_order(one_row_a_group(sums, by), by)
    rows = _in_order_of(rows, table.keys, columns)
    count = rows["x"].to_numpy(dtype=float)
    total = rows["n"].to_numpy(dtype=float)
    if not set(columns) & set(own):
        others = table.keys[own].astype(str).assign(n=table.denominator).drop_duplicates()
        total = (
            rows[own].merge(others, on=own, how="left")["n"].to_numpy(dtype=float)
            if own
            else np.full(len(rows), float(table.denominator[0]))
        )
    low, high = wilson_interval(count, total)
    without = rows["without"].to_numpy(dtype=bool)
    return replace(
        table,
        keys=rows[by],
        numerator=count,
        denominator=total,
        conf_low=np.where(without, np.nan, table.per * low),
        conf_high=np.where(without, np.nan, table.per * high),
        n_members=rows["m"].to_numpy(dtype=float),
        margins=tuple(c for c in table.margins if c not in columns),
        overlaps=(*table.overlaps, *(c for c in columns if c not in table.overlaps)),
        notes=(*table.notes, *overlap_notes(columns)),
    )


def _in_order_of(rows: pd.DataFrame, keys: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Rows by group, the other keys in the order they had: stages of a funnel stay in order."""
    others = [c for c in keys.columns if c not in columns]
    place = {c: {v: i for i, v in enumerate(dict.fromkeys(keys[c].astype(str)))} for c in others}
    groups = {c: {v: i for i, v in enumerate(dict.fromkeys(rows[c]))} for c in columns}
    order = rows[list(keys.columns)].apply(lambda v: v.map((place | groups)[v.name]))
    return rows.iloc[order.sort_values(list(keys.columns), kind="stable").index].reset_index(
        drop=True
    )
