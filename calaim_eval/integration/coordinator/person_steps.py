"""Steps that persons of a local list went, one inside the other, by group."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import TableError, quoted
from calaim_eval.integration.inputs import UNKNOWN, as_text, iso_days
from calaim_eval.integration.share_table import share_table
from calaim_eval.results import ALL, Method, RateTable

PERSON = "person_id"


def person_columns(frame: pd.DataFrame, table: str, names: tuple[str, ...]) -> pd.DataFrame:
    """The columns wanted: persons as text, days without a time of day, `value` as a number.

    Days are dates, or text of year-month-day: 05.01.2024 is a day in January or in May.

    Raises
    ------
    TableError
        A column is absent, or holds what cannot be read.
    """
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise TableError(f"table `{table}` lacks {quoted(absent)}; it needs {quoted(names)}.")
    return pd.DataFrame({name: _read(frame[name], table, name) for name in names})


def nested_shares(
    reached: pd.DataFrame,
    *,
    group: pd.Series | None,
    measure: str,
    names: tuple[str, str],
    unit: str,
    method: Method,
    notes: tuple[str, ...],
) -> RateTable:
    """Persons who reached each step, among all listed; Wilson intervals.

    Parameters
    ----------
    reached : pd.DataFrame
        Index: person; one bool column a step, each inside the one before.
    group : pd.Series, optional
        Group of each person, indexed by person, named as the key; persons it lacks are
        ``"unknown"``.

    Raises
    ------
    TableError
        `group` has no name or a person twice.
    """
    steps = list(reached.columns)
    counts = pd.DataFrame({ALL: [*reached.sum(), len(reached)]}, index=[*steps, "listed"])
    if group is not None:
        of = _groups(reached.index, group)
        by_group = reached.groupby(of).sum().assign(listed=of.value_counts())
        counts = pd.concat([by_group.T, counts], axis=1)
    labels = counts.columns.to_numpy(dtype=object)
    keys = pd.DataFrame({"step": steps * len(labels)})
    if group is not None:
        keys.insert(0, str(group.name), np.repeat(labels, len(steps)))
    numerator = counts.loc[steps].to_numpy(dtype=float).T.ravel()
    denominator = np.repeat(counts.loc["listed"].to_numpy(dtype=float), len(steps))
    return share_table(
        measure,
        keys,
        numerator,
        denominator,
        names=names,
        unit=unit,
        method=method,
        margins=() if group is None else (str(group.name),),
        denominator_keys=() if group is None else (str(group.name),),
        notes=notes,
    )


def _groups(persons: pd.Index, group: pd.Series) -> pd.Series:
    """Group of each person listed, as text."""
    own = group.set_axis(as_text(group.index.to_series()).to_numpy())
    if group.name is None or own.index.has_duplicates:
        raise TableError(
            "`group` has no name, or a person twice. Give one group a person, in a column named "
            "as the table's key, such as `race_ethnicity`."
        )
    found = own.reindex(persons.astype(str)).astype("string").fillna(UNKNOWN)
    return pd.Series(found.to_numpy(dtype=object), index=persons)


def _read(values: pd.Series, table: str, name: str) -> pd.Series:
    """One column; what is there and cannot be read is an error, not a missing value."""
    if name == PERSON:
        return as_text(values)
    if name == "value":
        read = pd.to_numeric(values, errors="coerce").astype(float)
    else:
        read = iso_days(values)
    unread = int((read.isna() & values.notna()).sum())
    if unread:
        raise TableError(
            f"table `{table}`, column `{name}`: {unread} of {len(values)} values cannot be read. "
            "Give days as dates or as text of year-month-day (2024-01-31), and numbers without "
            "signs; leave unknown ones missing."
        )
    return read
