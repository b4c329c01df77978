"""A member-level frame, checked like `reduce_panel` checks it, and coded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.moments.panel_rows import (
    PanelColumns,
    PanelRows,
    code_rows,
    label_members,
    member_attributes,
    member_codes,
    month_ordinals,
)
from calaim_eval.moments.periods import (
    index_ordinals,
    label_ordinals,
    period_frequency,
    present_months,
)

WHERE = "the data frame"
NAME_THEM = " Name the columns: `member_id`, `month`, `cohort`, `outcome`."


@dataclass(frozen=True, slots=True, eq=False)
class MemberFrame:
    """The member-months of a frame as codes, and what holds of each of the n members.

    Attributes
    ----------
    months : pd.Index
        The distinct months, in order.
    rows : PanelRows
        One for each row of the frame, in its order.
    attributes : pd.DataFrame
        Cohort, strata and cluster as in the frame; n rows.
    labels : pd.DataFrame
        The same as labels of cells, the cohort as ``"cohort"``; n rows.
    cohort : np.ndarray
        Ordinal of the first exposed month, `MISSING` = never; shape (n,).
    """

    months: pd.Index
    rows: PanelRows
    attributes: pd.DataFrame
    labels: pd.DataFrame
    cohort: np.ndarray

    @property
    def ordinals(self) -> np.ndarray:
        """Ordinal of the month of each row."""
        return np.asarray(index_ordinals(self.months)[self.rows.month])

    def groups(self, column: str, *, word: str = "group") -> tuple[np.ndarray, pd.Index]:
        """Codes of a grouping of members, none of them missing, and its labels in order."""
        codes, labels = pd.factorize(self.attributes[column], sort=True)
        if (codes < 0).any():
            raise TableError(
                f"{WHERE}: `{column}` is missing for some of {len(codes):,} members. Give them a "
                f"{word} of their own, or leave them out."
            )
        return np.asarray(codes, dtype=np.int64), pd.Index(labels, name=column)

    def clusters(self, column: str | None) -> tuple[np.ndarray | None, pd.Index | None]:
        """Cluster of each member, and the labels of the clusters; (None, None): members.

        Clusters of one member each are members, whatever the column is called.
        """
        if column is None:
            return None, None
        codes, labels = self.groups(column, word="cluster")
        if are_members(codes, np.arange(len(codes))):
            return None, None
        require_clusters(labels)
        return codes, labels


def member_frame(frame: pd.DataFrame, columns: PanelColumns) -> MemberFrame:
    """Codes of a frame that has the columns; every row counts a whole month.

    Raises
    ------
    TableError
        What `reduce_panel` refuses of keys, months, outcomes and what is said of a member.
    """
    member = member_codes(frame, columns, where=WHERE)
    ordinals = month_ordinals(frame, columns, where=WHERE)
    frequency = period_frequency(frame[columns.month])
    months = present_months(ordinals, frequency)
    attributes = member_attributes(frame, columns, member=member, where=WHERE)
    rows = code_rows(
        frame,
        columns,
        member=member,
        n_members=len(attributes),
        month=np.searchsorted(index_ordinals(months), ordinals),
        at_risk=None,
        n_months=len(months),
        where=WHERE,
    )
    labels = label_members(attributes, columns, months=months, frequency=frequency)
    cohort = label_ordinals(labels["cohort"], frequency)
    return MemberFrame(months, rows, attributes, labels, cohort)


def require_columns(data: pd.DataFrame, named: Sequence[str], *, advice: str = NAME_THEM) -> None:
    """Refuse what is no frame, a frame without rows, or without a named column."""
    if not isinstance(data, pd.DataFrame):
        raise TableError(
            f"member-level data must be a pandas data frame, not a {type(data).__name__}."
        )
    absent = [f"`{name}`" for name in dict.fromkeys(named) if name not in data.columns]
    if absent:
        raise TableError(
            f"{WHERE} lacks {', '.join(absent)}. It has "
            f"{', '.join(f'`{c}`' for c in data.columns)}.{advice}"
        )
    if data.empty:
        raise TableError(f"{WHERE} has no rows.")


def varying(values: np.ndarray, outcome: str, *, rows: str = "member-months") -> np.ndarray:
    """The outcome, refused where every row has the same."""
    if (values == values[0]).all():
        raise EstimationError(
            f"`{outcome}` is the same in all {len(values):,} {rows}: there is nothing to "
            "estimate. Check the column."
        )
    return values


def are_members(codes: np.ndarray, member: np.ndarray) -> bool:
    """Whether each cluster holds one member only: its label may be an id, and is not to be told.

    Both are codes 0.., of members or of rows; shape (n,).
    """
    first = np.zeros(int(codes.max()) + 1, dtype=np.int64)
    first[codes] = member
    return bool((first[codes] == member).all())


def require_clusters(labels: pd.Index) -> None:
    """Refuse a single cluster."""
    if len(labels) < 2:
        raise EstimationError(
            f"cluster={labels.name!r}: there is one cluster only, so no variance between "
            "clusters can be estimated. Use cluster='member'."
        )
