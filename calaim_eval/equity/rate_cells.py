"""Counts by group and stratum with what is needed for their variance, from frames or rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from calaim_eval.design.ledger import part_words
from calaim_eval.equity.groups import as_groups, check_columns, in_group_order
from calaim_eval.equity.rate_gap import rate_std_error
from calaim_eval.errors import EstimationError, TableError
from calaim_eval.estimate.member_frame import are_members
from calaim_eval.results import ALL, RateTable
from calaim_eval.results.effect_table import with_undefined
from calaim_eval.results.smallest_support import fewest_events

Kind = Literal["rate", "proportion"]


@dataclass(frozen=True, slots=True, eq=False)
class RateCells:
    """Numerators and denominators of G groups in m strata.

    Attributes
    ----------
    groups : list[str]
    strata : pd.DataFrame
        Labels of the strata; m rows.
    numerator, denominator : np.ndarray
        Shape (G, m).
    kind : {"rate", "proportion"}
    variance : np.ndarray | None
        Of the numerators given the denominators, where cells are independent; shape (G, m).
    rows : pd.DataFrame | None
        Sums by cluster: codes `cluster`, `group`, `stratum`, and `y`, `n`; in place of `variance`.
    clusters : pd.Index | None
        Labels of clusters that are not members.
    support : pd.DataFrame
        By group; the columns disclosure control reads.
    smallest : pd.DataFrame
        By group, that of its smallest stratum.
    """

    groups: list[str]
    strata: pd.DataFrame
    numerator: np.ndarray
    denominator: np.ndarray
    kind: Kind
    variance: np.ndarray | None
    rows: pd.DataFrame | None
    clusters: pd.Index | None
    support: pd.DataFrame
    smallest: pd.DataFrame

    def covariance(
        self, in_numerator: np.ndarray, in_denominator: np.ndarray, pairs: np.ndarray
    ) -> tuple[np.ndarray, pd.DataFrame | None]:
        """Covariance of k quantities from their gradients, and the clusters' influence.

        Parameters
        ----------
        in_numerator, in_denominator : np.ndarray
            Shape (k, G, m).
        pairs : np.ndarray
            Positions of the two groups each quantity compares; shape (k, 2).
        """
        if self.rows is not None:
            return self._clustered(self.rows, in_numerator, in_denominator, pairs)
        flat = in_numerator.reshape(len(in_numerator), -1)
        if self.kind == "proportion" and self.variance is None:
            other = in_denominator.reshape(len(in_denominator), -1)
            y, n = self.numerator.ravel(), self.denominator.ravel()
            return ((flat + other) * y) @ (flat + other).T + (other * (n - y)) @ other.T, None
        variance = self.numerator if self.variance is None else self.variance
        return (flat * variance.ravel()) @ flat.T, None

    def degrees(self, pairs: np.ndarray) -> np.ndarray | None:
        """Clusters of the two groups of each quantity, less one; None unless clusters are few."""
        if self.rows is None or self.clusters is None:
            return None
        cluster, group = self.rows["cluster"].to_numpy(), self.rows["group"].to_numpy()
        own = [len(np.unique(cluster[np.isin(group, pair)])) - 1.0 for pair in pairs]
        return np.where(np.array(own) > 0, own, np.nan)

    def _clustered(
        self,
        rows: pd.DataFrame,
        in_numerator: np.ndarray,
        in_denominator: np.ndarray,
        pairs: np.ndarray,
    ) -> tuple[np.ndarray, pd.DataFrame | None]:
        """Cross-product of the influences of the clusters, factor n/(n - 1)."""
        group, stratum, cluster = (rows[c].to_numpy() for c in ("group", "stratum", "cluster"))
        factor, undefined = np.ones((len(pairs), len(self.groups))), np.zeros(len(pairs), bool)
        for pair in np.unique(pairs, axis=0):
            own, is_pair = np.isin(group, pair), (pairs == pair).all(axis=1)
            each, is_alone = _factor(cluster[own], group[own], n_groups=len(self.groups))
            factor[is_pair] = each
            undefined[is_pair] = is_alone[pair].any()
        influence = np.sqrt(factor[:, group]) * (
            in_numerator[:, group, stratum] * rows["y"].to_numpy()
            + in_denominator[:, group, stratum] * rows["n"].to_numpy()
        )
        n_clusters = int(cluster.max()) + 1
        sums = np.stack(
            [np.bincount(cluster, weights=each, minlength=n_clusters) for each in influence], axis=1
        )
        named = None if self.clusters is None else pd.DataFrame(sums, index=self.clusters)
        return with_undefined(sums.T @ sums, named, undefined)


def cells_of_rates(rates: RateTable, *, by: str, within: Sequence[str]) -> RateCells:
    """Cells of a table of rates by group and stratum; total rows are left out."""
    keys = [by, *within]
    extra = [c for c in rates.keys.columns if c not in keys]
    check_columns(rates.keys, keys)
    if rates.kind == "count" or isinstance(rates.per, np.ndarray) or extra:
        raise EstimationError(
            f"`{rates.measure}`: needs one measure with a denominator, by {keys}; it holds kind "
            f"'{rates.kind}' by {list(rates.keys.columns)}.\n  Select one measure, and name all "
            "its other keys in `within`."
        )
    is_part = ~(rates.keys[keys].astype(str) == ALL).any(axis=1)
    part = rates.select(is_part)
    variance = np.nan_to_num(rate_std_error(part) / rates.per * part.denominator) ** 2
    frame = part.keys[keys].assign(
        y=part.numerator, n=part.denominator, v=variance, members=part.n_members
    )
    is_rate = rates.kind == "rate"
    # A member may be in several strata of a rate; the fullest stratum counts none twice.
    n_members = frame.groupby(by)["members"].agg("max" if is_rate else "sum")
    return _cells(
        frame,
        by=by,
        within=within,
        kind="rate" if is_rate else "proportion",
        members=n_members,
        smallest=frame.groupby(by)["members"].min(),
        has_variance=is_rate,
    )


def cells_of_frame(
    data: pd.DataFrame,
    *,
    by: str,
    within: Sequence[str],
    kind: Kind,
    numerator: str,
    denominator: str,
    member_id: str | None,
    cluster: str | None,
) -> RateCells:
    """Cells of a frame of counts, or of rows of members."""
    keys = [by, *within]
    named = [c for c in (member_id, cluster) if c is not None]
    check_columns(data, [*keys, numerator, denominator, *named])
    _check_counts(data, numerator=numerator, denominator=denominator, kind=kind)
    frame = as_groups(data, keys)[keys].assign(
        y=data[numerator].astype(float), n=data[denominator].astype(float)
    )
    frame = frame.assign(**{f"_{i}": data[c] for i, c in enumerate(named)})
    frame = frame[(frame[keys] != ALL).all(axis=1)].reset_index(drop=True)
    for i, c in enumerate(named):
        missing = int(frame[f"_{i}"].isna().sum())
        if missing:
            raise TableError(
                f"the frame: `{c}` is missing in {part_words(missing, len(frame), 'rows')}."
            )
    members, smallest = _members(frame, by=by, within=within, kind=kind, has_ids=bool(member_id))
    cells = _cells(frame, by=by, within=within, kind=kind, members=members, smallest=smallest)
    if not named:
        return cells
    return _with_clusters(cells, frame, by=by, within=within, member_id=member_id, cluster=cluster)


def _cells(
    frame: pd.DataFrame,
    *,
    by: str,
    within: Sequence[str],
    kind: Kind,
    members: pd.Series,
    smallest: pd.Series,
    has_variance: bool = False,
) -> RateCells:
    """Sums of the rows by group and stratum, refused where a group lacks a stratum."""
    columns = ["y", "n", *(["v"] if has_variance else [])]
    sums = frame.groupby([by, *within])[columns].sum()
    groups = in_group_order(frame[[by]].drop_duplicates(), [by])[by].tolist()
    strata = in_group_order(frame[list(within)].drop_duplicates(), list(within))
    order = pd.MultiIndex.from_tuples(
        [(g, *s) for g in groups for s in strata.itertuples(index=False, name=None)]
    )
    full = sums.reindex(order)
    shape = (len(groups), len(strata))
    y, n = (full[c].to_numpy().reshape(shape) for c in ("y", "n"))
    empty = ~(n > 0)
    if empty.any():
        lacking = ", ".join(f"'{g}'" for g, e in zip(groups, empty.any(axis=1), strict=True) if e)
        raise EstimationError(
            f"{int(empty.any(axis=1).sum())} of {len(groups)} groups ({lacking}) have nobody in "
            f"one of {len(strata)} strata of {', '.join(f'`{c}`' for c in within)}, so their rate "
            "there is not known.\n"
            "  Use wider strata, or leave out groups that cannot be compared."
        )
    names = ("n_events", "member_months")
    totals = pd.DataFrame({names[0]: y.sum(axis=1), names[1]: n.sum(axis=1)}, index=groups)
    least = pd.DataFrame({names[0]: fewest_events(y.T), names[1]: n.min(axis=1)}, index=groups)
    if kind == "proportion":
        totals["member_months"] = least["member_months"] = np.nan
    return RateCells(
        groups=groups,
        strata=strata,
        numerator=y,
        denominator=n,
        kind=kind,
        variance=full["v"].to_numpy().reshape(shape) if has_variance else None,
        rows=None,
        clusters=None,
        support=totals.assign(n_members=members.reindex(groups).to_numpy(dtype=float)),
        smallest=least.assign(n_members=smallest.reindex(groups).to_numpy(dtype=float)),
    )


def _members(
    frame: pd.DataFrame, *, by: str, within: Sequence[str], kind: Kind, has_ids: bool
) -> tuple[pd.Series, pd.Series]:
    """Members behind each group and behind its smallest stratum; NaN where not known."""
    keys = [by, *within]
    if has_ids:
        cells = frame.groupby(keys)["_0"].nunique()
        return frame.groupby(by)["_0"].nunique(), cells.groupby(by).min()
    totals = frame.groupby(keys)["n"].sum()
    by_group = totals.groupby(by)
    if kind == "proportion":
        return by_group.sum(), by_group.min()
    return by_group.sum() * np.nan, by_group.min() * np.nan


def _with_clusters(
    cells: RateCells,
    frame: pd.DataFrame,
    *,
    by: str,
    within: Sequence[str],
    member_id: str | None,
    cluster: str | None,
) -> RateCells:
    """The cells with the sums of each cluster."""
    own = "_0" if cluster is None or member_id is None else "_1"
    codes, labels = pd.factorize(frame[own], sort=True)
    if len(labels) < 2:
        raise EstimationError(
            f"`{cluster or member_id}` holds one cluster only, so no variance between clusters "
            "can be estimated."
        )
    stratum = pd.MultiIndex.from_frame(cells.strata)
    rows = pd.DataFrame(
        {
            "cluster": codes,
            "group": pd.Index(cells.groups).get_indexer(frame[by]),
            "stratum": stratum.get_indexer(pd.MultiIndex.from_frame(frame[list(within)])),
            "y": frame["y"],
            "n": frame["n"],
        }
    )
    are_ids = cluster is None or (
        member_id is not None and are_members(codes, pd.factorize(frame["_0"])[0])
    )
    sums = rows.groupby(["cluster", "group", "stratum"], as_index=False)[["y", "n"]].sum()
    named = None if are_ids else pd.Index(labels, name=cluster)
    return replace(cells, rows=sums, clusters=named)


def _factor(
    cluster: np.ndarray, group: np.ndarray, *, n_groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """n/(n - 1) of the clusters by group, and whether one cluster is all there is; shape (G,) each.

    Of all these clusters together where some hold several groups.
    """
    pairs = np.unique(np.stack([cluster, group]), axis=1)
    n_clusters = len(np.unique(cluster))
    if pairs.shape[1] > n_clusters:
        counts = np.full(n_groups, n_clusters)
    else:
        counts = np.bincount(pairs[1], minlength=n_groups)
    return counts / np.maximum(counts - 1, 1), counts < 2


def _check_counts(data: pd.DataFrame, *, numerator: str, denominator: str, kind: Kind) -> None:
    """Refuse counts that are missing, negative or, of members, more than their denominator."""
    for name in (numerator, denominator):
        if not pd.api.types.is_numeric_dtype(data[name].dtype):
            raise TableError(f"the frame: `{name}` holds {data[name].dtype}, not numbers.")
        values = data[name].to_numpy(dtype=float, na_value=np.nan)
        wrong = int((~(np.isfinite(values) & (values >= 0))).sum())
        if wrong:
            raise TableError(
                f"the frame: `{name}` is missing, infinite or negative in "
                f"{part_words(wrong, len(data), 'rows')}. Drop what was not observed."
            )
    more = int((data[numerator].astype(float) > data[denominator].astype(float)).sum())
    if kind == "proportion" and more:
        raise TableError(
            f"the frame: `{numerator}` is above `{denominator}` in "
            f"{part_words(more, len(data), 'rows')}, so it is no proportion.\n"
            '  Events over time are kind="rate".'
        )
