"""A member-month frame as arrays with one row a member: for methods that need the members."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import part_words
from calaim_eval.errors import TableError
from calaim_eval.estimate.covariates import covariate_columns, require_full_rank
from calaim_eval.estimate.member_frame import (
    WHERE,
    member_frame,
    require_columns,
    varying,
)
from calaim_eval.moments.cell_index import row_codes
from calaim_eval.moments.panel_rows import PanelColumns, rows_at_risk
from calaim_eval.moments.periods import index_ordinals


@dataclass(frozen=True, slots=True, eq=False)
class MemberPanel:
    """n members in T months.

    Attributes
    ----------
    months : pd.Index
    outcome : np.ndarray
        0 where not covered; shape (n, T).
    is_covered : np.ndarray
        Shape (n, T), bool.
    cohort : np.ndarray
        Ordinal of the first exposed month, `MISSING` = never; shape (n,).
    strata : pd.DataFrame
        One row per stratum; one row without columns where there are none.
    stratum : np.ndarray
        Row of `strata` of each member; shape (n,).
    covariates : tuple[np.ndarray, ...]
        Standardized; shape (n,), or (n, T) where one changes within a member.
    cluster : np.ndarray | None
        Position in `cluster_labels`; None where every member is a cluster; shape (n,).
    cluster_labels : pd.Index | None
    n_unknown : int
        Member-months set aside for a missing covariate.
    is_count : bool
        Whether every outcome is a whole number of 0 or more.
    """

    months: pd.Index
    outcome: np.ndarray
    is_covered: np.ndarray
    cohort: np.ndarray
    strata: pd.DataFrame
    stratum: np.ndarray
    covariates: tuple[np.ndarray, ...]
    cluster: np.ndarray | None
    cluster_labels: pd.Index | None
    n_unknown: int
    is_count: bool

    @property
    def axis(self) -> np.ndarray:
        """Ordinals of the months; shape (T,)."""
        return index_ordinals(self.months)

    @property
    def is_complete(self) -> np.ndarray:
        """Members covered in every month; shape (n,), bool."""
        return np.asarray(self.is_covered.all(axis=1))

    @property
    def events(self) -> np.ndarray:
        """Events by member and month; of amounts, months that are not 0; shape (n, T)."""
        return self.outcome if self.is_count else self.outcome != 0

    def design(self, members: np.ndarray, month: int) -> np.ndarray:
        """Intercept and covariates of some members as of a month; shape (len(members), 1 + p)."""
        columns = [c[members] if c.ndim == 1 else c[members, month] for c in self.covariates]
        return np.column_stack([np.ones(len(members)), *columns])

    def take(self, members: np.ndarray) -> MemberPanel:
        """Some of the members."""
        return replace(
            self,
            outcome=self.outcome[members],
            is_covered=self.is_covered[members],
            cohort=self.cohort[members],
            stratum=self.stratum[members],
            covariates=tuple(c[members] for c in self.covariates),
            cluster=None if self.cluster is None else self.cluster[members],
        )


def member_panel(
    frame: pd.DataFrame,
    columns: PanelColumns,
    *,
    covariates: tuple[str, ...],
    categorical: tuple[str, ...],
) -> MemberPanel:
    """Members as rows; `columns` names one outcome.

    Raises
    ------
    TableError
        What `reduce_panel` refuses; a fraction of a month at risk; a covariate that is absent,
        infinite or no number.
    EstimationError
        An outcome that does not vary; covariates that are constant or follow from one another.
    """
    require_columns(frame, columns.all)
    given = covariate_columns(frame, covariates, categorical, where=WHERE)
    is_used = given.is_known & _is_at_risk(frame, columns)
    n_unknown = int((~given.is_known & _is_at_risk(frame, columns)).sum())
    frame = frame[is_used]
    if frame.empty:
        raise TableError(f"{WHERE} has no member-month at risk with every covariate known.")
    given = given.among(is_used)
    values = given.values
    require_full_rank(values, given.names, where=WHERE)
    coded = member_frame(frame, columns)
    rows = coded.rows
    outcome = np.zeros((rows.n_members, len(coded.months)))
    is_covered = np.zeros(outcome.shape, dtype=bool)
    outcome[rows.member, rows.month] = varying(
        rows.values[columns.outcomes[0]], columns.outcomes[0]
    )
    is_covered[rows.member, rows.month] = True
    stratum, strata = _strata(coded.labels, columns)
    cluster, cluster_labels = coded.clusters(columns.cluster)
    return MemberPanel(
        months=coded.months,
        outcome=outcome,
        is_covered=is_covered,
        cohort=coded.cohort,
        strata=strata,
        stratum=stratum,
        covariates=tuple(
            _by_member(column, rows.member, rows.month, outcome.shape)
            for column in ((values - values.mean(axis=0)) / values.std(axis=0)).T
        ),
        cluster=cluster,
        cluster_labels=cluster_labels,
        n_unknown=n_unknown,
        is_count=bool((outcome >= 0).all() and (outcome == np.floor(outcome)).all()),
    )


def _is_at_risk(frame: pd.DataFrame, columns: PanelColumns) -> np.ndarray:
    """Rows at risk; shape (n_rows,), bool. A part of a month has no place in a change."""
    fraction = rows_at_risk(frame, columns.at_risk, where=WHERE)
    if fraction is None:
        return np.ones(len(frame), dtype=bool)
    partial = int(((fraction > 0) & (fraction < 1)).sum())
    if partial:
        raise TableError(
            f"{WHERE}: `{columns.at_risk}` is a fraction in "
            f"{part_words(partial, len(frame), 'rows')}. "
            "A member's change between two months needs whole months: give true/false, or use "
            "group_time_att with `covariate_cells`, which weighs fractions."
        )
    return np.asarray(fraction > 0)


def _by_member(
    values: np.ndarray, member: np.ndarray, month: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    """A column of rows by member: (n,) where constant within members, else (n, T)."""
    first = np.zeros(shape[0])
    first[member] = values
    if (first[member] == values).all():
        return first
    wide = np.zeros(shape)
    wide[member, month] = values
    return wide


def _strata(labels: pd.DataFrame, columns: PanelColumns) -> tuple[np.ndarray, pd.DataFrame]:
    """Stratum of each member, and the labels of the strata in order."""
    if not columns.stratum:
        return np.zeros(len(labels), dtype=np.int64), pd.DataFrame(index=range(1))
    names = list(columns.stratum)
    stratum, first = row_codes(labels[names])
    return stratum, labels.iloc[first][names].reset_index(drop=True)
