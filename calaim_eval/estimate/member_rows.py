"""A member-month frame as rows of a regression, checked like `reduce_panel` checks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import part_words
from calaim_eval.errors import TableError
from calaim_eval.estimate.exposure_terms import NEVER, event_times, used_rows
from calaim_eval.estimate.inference.clustering import member_cluster_notes
from calaim_eval.estimate.influence import MEMBER
from calaim_eval.estimate.member_frame import (
    WHERE,
    member_frame,
    require_columns,
    varying,
)
from calaim_eval.estimate.support import error_notes, has_single_member, support_frame
from calaim_eval.estimate.two_way.two_way_effects import TwoWayEffects, sums_by, two_way_effects
from calaim_eval.moments.panel_rows import PanelColumns
from calaim_eval.moments.periods import index_ordinals
from calaim_eval.results import EffectTable, Estimand, Method
from calaim_eval.results.effect_table import with_undefined


@dataclass(frozen=True, slots=True, eq=False)
class MemberRows:
    """n member-months.

    Attributes
    ----------
    months : pd.Index
    member, unit, month : np.ndarray
        Codes: the member, whose (or whose group's) effect the row has, the month; shape (n,).
    n_units : int
    y, weight : np.ndarray
        Shape (n,).
    covariates : np.ndarray
        Shape (n, p).
    cohort : np.ndarray
        Ordinal, `MISSING` = never exposed; shape (n,).
    event_time : np.ndarray
        Months since exposure, `NEVER` for those not exposed in the panel; shape (n,).
    cluster : np.ndarray
        Shape (n,).
    cluster_labels : pd.Index | None
        None where the cluster is the member.
    n_clusters : int
    """

    months: pd.Index
    member: np.ndarray
    unit: np.ndarray
    n_units: int
    month: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    covariates: np.ndarray
    cohort: np.ndarray
    event_time: np.ndarray
    cluster: np.ndarray
    cluster_labels: pd.Index | None
    n_clusters: int

    def __len__(self) -> int:
        return len(self.y)

    @property
    def is_nested(self) -> bool:
        """Whether the units lie within clusters, so that their effects cost no freedom."""
        first = np.zeros(self.n_units, dtype=np.int64)
        first[self.unit] = self.cluster
        return bool((first[self.unit] == self.cluster).all())

    @property
    def cluster_name(self) -> str:
        """The cluster column, ``"member"`` where every member is its own."""
        return MEMBER if self.cluster_labels is None else str(self.cluster_labels.name)

    @property
    def cluster_notes(self) -> tuple[str, ...]:
        """The number of clusters, and what to do when they are few."""
        return member_cluster_notes(self.cluster_name, self.cluster, self.event_time != NEVER)

    def two_way(self, chosen: np.ndarray | slice = slice(None)) -> TwoWayEffects:
        """Effects of units and months over the chosen rows."""
        return two_way_effects(
            self.unit[chosen],
            self.month[chosen],
            self.weight[chosen],
            n_units=self.n_units,
            n_months=len(self.months),
        )

    def sides(self, columns: np.ndarray, exposed: np.ndarray) -> list[np.ndarray]:
        """Support of each term's rows and of those they are compared with; (2, 3) each.

        `columns` (n, k) says which rows a term is about, `exposed` (n,) which are exposed.
        """
        is_count = bool((self.y >= 0).all() and (self.y == np.floor(self.y)).all())
        events = self.y if is_count else (self.y != 0).astype(float)
        return [
            np.stack(
                [
                    self._support(np.flatnonzero(rows), events)
                    for rows in (term, used_rows(term, exposed, self.month))
                ]
            )
            for term in columns.T
        ]

    def _support(self, rows: np.ndarray, events: np.ndarray) -> np.ndarray:
        """Members, events and member-months of some rows."""
        n_members = np.count_nonzero(np.bincount(self.member[rows]))
        return np.array([n_members, events[rows].sum(), len(rows)], dtype=float)


def member_rows(
    data: pd.DataFrame,
    *,
    member_id: str,
    month: str,
    cohort: str,
    outcome: str,
    covariates: Sequence[str] = (),
    weight: str | None = None,
    effects_of: str | None = None,
    cluster: str = MEMBER,
) -> MemberRows:
    """Checked rows; refuses what `reduce_panel` refuses, and an outcome that does not vary."""
    columns = PanelColumns(
        outcomes=(outcome, *covariates),
        member_id=member_id,
        month=month,
        cohort=cohort,
        stratum=() if effects_of in (None, member_id) else (str(effects_of),),
        cluster=None if cluster in (MEMBER, member_id) else cluster,
    )
    require_columns(data, columns.all if weight is None else (*columns.all, weight))
    coded = member_frame(data, columns)
    rows, n_members = coded.rows, len(coded.attributes)
    first_exposed = coded.cohort[rows.member]
    unit = coded.groups(columns.stratum[0])[0] if columns.stratum else None
    of_cluster, cluster_labels = coded.clusters(columns.cluster)
    return MemberRows(
        months=coded.months,
        member=rows.member,
        unit=rows.member if unit is None else unit[rows.member],
        n_units=n_members if unit is None else int(unit.max()) + 1,
        month=rows.month,
        y=varying(rows.values[outcome], outcome),
        weight=_weights(data, weight),
        covariates=_stacked([rows.values[c] for c in covariates], len(data)),
        cohort=first_exposed,
        event_time=event_times(
            first_exposed, coded.ordinals, last=int(index_ordinals(coded.months)[-1])
        ),
        cluster=rows.member if of_cluster is None else of_cluster[rows.member],
        cluster_labels=cluster_labels,
        n_clusters=n_members if cluster_labels is None else len(cluster_labels),
    )


def member_table(
    rows: MemberRows,
    residual_loads: np.ndarray,
    *,
    keys: pd.DataFrame,
    estimate: np.ndarray,
    sides: Sequence[np.ndarray],
    factor: float,
    estimand: Estimand,
    method: Method,
    notes: Sequence[str],
) -> EffectTable:
    """A table whose covariance is that of cluster sums of `residual_loads`, shape (n, m)."""
    influence = np.sqrt(factor) * sums_by(rows.cluster, residual_loads, rows.n_clusters)
    by_cluster = None
    if rows.cluster_labels is not None:
        by_cluster = pd.DataFrame(influence, index=rows.cluster_labels)
    covariance, by_cluster = with_undefined(
        influence.T @ influence, by_cluster, has_single_member(sides)
    )
    support = support_frame(sides)
    return EffectTable(
        keys=keys.reset_index(drop=True),
        estimate=estimate,
        covariance=covariance,
        support=support,
        estimand=estimand,
        method=method,
        cluster_influence=by_cluster,
        notes=tuple(dict.fromkeys([*notes, *error_notes(estimate, np.diag(covariance), support)])),
    )


def _weights(data: pd.DataFrame, column: str | None) -> np.ndarray:
    """Positive weights; 1 where no column is named."""
    if column is None:
        return np.ones(len(data))
    numbers = pd.to_numeric(data[column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    unusable = int((~(np.isfinite(numbers) & (numbers > 0))).sum())
    if unusable:
        raise TableError(
            f"{WHERE}: `{column}` is missing, infinite or not above 0 in "
            f"{part_words(unusable, len(data), 'rows')}. Drop rows of weight 0."
        )
    return np.asarray(numbers)


def _stacked(columns: list[np.ndarray], n: int) -> np.ndarray:
    """Columns side by side; shape (n, p)."""
    return np.stack(columns, axis=1) if columns else np.zeros((n, 0))
