"""Units with an outcome and declared factors: checked once for every method that compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError, quoted
from calaim_eval.estimate.covariates import covariate_columns, require_full_rank

UNITS_PER_TERM = 5
"""With fewer units a term the coefficients say more about the units than about the factors."""
FEWEST_CLUSTERS = 6
"""With fewer clusters no interval that allows for them means anything."""


@dataclass(frozen=True, slots=True, eq=False)
class FactorRows:
    """Units of a comparison, one row each.

    Attributes
    ----------
    outcome : np.ndarray
        Shape (n,).
    values : np.ndarray
        Factors as columns, without an intercept; shape (n, p).
    terms : tuple[str, ...]
        Of each column; of a category ``"plan_model=coop"``.
    factor : np.ndarray
        Position of the factor each column belongs to; shape (p,).
    factors : tuple[str, ...]
    cluster : np.ndarray
        Code of the cluster of each unit; shape (n,). Without clusters every unit is one.
    cluster_names : pd.Index
    members : np.ndarray | None
        Members behind each unit; shape (n,).
    notes : tuple[str, ...]
        Units set aside.
    trials : np.ndarray | None
        What the outcome is a share of; shape (n,).
    """

    outcome: np.ndarray
    values: np.ndarray
    terms: tuple[str, ...]
    factor: np.ndarray
    factors: tuple[str, ...]
    cluster: np.ndarray
    cluster_names: pd.Index
    members: np.ndarray | None
    notes: tuple[str, ...]
    trials: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def n_clusters(self) -> int:
        """Clusters with a unit that is used."""
        return len(self.cluster_names)


def factor_rows(
    data: pd.DataFrame,
    *,
    outcome: str,
    factors: Sequence[str],
    categorical: Sequence[str] = (),
    cluster: str | None = None,
    members: str | None = None,
    trials: str | None = None,
) -> FactorRows:
    """Units that have the outcome and every factor, as numbers.

    Parameters
    ----------
    data : pd.DataFrame
        One row per unit: county, county × plan, county × plan × support, or organization.
    outcome : str
        A number, or true/false.
    factors, categorical : sequence of str
        Columns of numbers or true/false, and columns whose values are categories (the first in
        order is the reference).
    cluster : str, optional
        Column of what units share, such as ``"county"``.
    members : str, optional
        Column with the number of members behind each unit, where units stand for members.
    trials : str, optional
        Column with what the outcome is a share of, such as ``"n_referrals"``.

    Raises
    ------
    TableError
        A column is absent, infinite, or no number; `members` is negative or missing; `trials` is
        not above 0, or the outcome no share.
    EstimationError
        No factor; a constant outcome; factors that are constant or follow from others; fewer than
        five units a term, or fewer than six clusters.
    """
    where = "the table of units"
    named = [outcome, *(c for c in (cluster, members, trials) if c is not None)]
    absent = [name for name in named if name not in data.columns]
    if absent:
        raise TableError(f"{where} lacks {quoted(absent)}; it has {quoted(list(data.columns))}.")
    columns = covariate_columns(data, factors, categorical, where=where)
    if not columns.names:
        raise EstimationError("no factor is named. Name at least one in `factors`.")
    y = _outcome(data[outcome])
    codes, names = _clusters(data, cluster)
    kept = np.flatnonzero(np.isfinite(y) & columns.is_known & (codes >= 0))
    columns = columns.among(kept)
    rows = FactorRows(
        outcome=y[kept],
        values=columns.values,
        terms=columns.names,
        factor=_factor_of(columns.names, factors, categorical),
        factors=(*factors, *categorical),
        cluster=np.unique(codes[kept], return_inverse=True)[1],
        cluster_names=names[np.unique(codes[kept])],
        members=_members(data, members, kept),
        notes=_left_out(len(data), len(kept), outcome),
        trials=_trials(data, trials, kept, y[kept]),
    )
    _require_enough(rows, is_clustered=cluster is not None)
    if np.ptp(rows.outcome) == 0:
        raise EstimationError(
            f"`{outcome}` has one value in all {len(rows)} units: nothing goes with it."
        )
    require_full_rank(rows.values, rows.terms, where=where)
    return rows


def _outcome(values: pd.Series) -> np.ndarray:
    """The outcome as numbers, NaN where missing; nothing that is there becomes missing."""
    y = pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    bad = int((np.isinf(y) | (np.isnan(y) & values.notna().to_numpy())).sum())
    if bad:
        raise TableError(
            f"`{values.name}` is infinite or no number in {bad} of {len(y)} units. Write numbers "
            "without signs or units; leave unknown ones empty."
        )
    return np.asarray(y)


def _clusters(data: pd.DataFrame, cluster: str | None) -> tuple[np.ndarray, pd.Index]:
    """Code of each unit's cluster (-1 where it has none) and the clusters."""
    if cluster is None:
        return np.arange(len(data)), pd.RangeIndex(len(data))
    codes, names = pd.factorize(data[cluster], sort=True)
    return np.asarray(codes), pd.Index(names, name=cluster)


def _factor_of(
    terms: Sequence[str], factors: Sequence[str], categorical: Sequence[str]
) -> np.ndarray:
    """Position of the factor of each term; categories come behind numbers, in order."""
    counts = [sum(term.startswith(f"{name}=") for term in terms) for name in categorical]
    return np.repeat(np.arange(len(factors) + len(categorical)), [1] * len(factors) + counts)


def _members(data: pd.DataFrame, members: str | None, kept: np.ndarray) -> np.ndarray | None:
    """Members behind the units used."""
    if members is None:
        return None
    counts = pd.to_numeric(data[members], errors="coerce").to_numpy(dtype=float)[kept]
    bad = int((~(counts >= 0)).sum())
    if bad:
        raise TableError(
            f"`{members}` is missing or negative in {bad} of {len(kept)} units. Give the number "
            "of members behind each unit, 0 where there are none."
        )
    return np.asarray(counts)


def _trials(
    data: pd.DataFrame, trials: str | None, kept: np.ndarray, share: np.ndarray
) -> np.ndarray | None:
    """What the shares of the units used are shares of."""
    if trials is None:
        return None
    counts = pd.to_numeric(data[trials], errors="coerce").to_numpy(dtype=float)[kept]
    bad = int((~(counts > 0) | ~np.isfinite(counts) | (share < 0) | (share > 1)).sum())
    if bad:
        raise TableError(
            f"`{trials}` is not above 0, or the outcome is not between 0 and 1, in {bad} of "
            f"{len(kept)} units. Give the share, and the number of referrals it is a share of."
        )
    return np.asarray(counts)


def _left_out(n_all: int, n_used: int, outcome: str) -> tuple[str, ...]:
    """Units without the outcome, a factor or a cluster."""
    if n_all == n_used:
        return ()
    return (
        f"Units set aside because `{outcome}`, a factor or the cluster is missing: "
        f"{n_all - n_used:,} of {n_all:,}.",
    )


def _require_enough(rows: FactorRows, *, is_clustered: bool) -> None:
    """Refuse what could not be told apart from chance."""
    needed = UNITS_PER_TERM * len(rows.terms)
    if len(rows) < needed:
        raise EstimationError(
            f"{len(rows)} units with everything known for {len(rows.terms)} terms; "
            f"{UNITS_PER_TERM} a term are needed ({needed}). Leave factors out, or compare "
            "descriptively."
        )
    if is_clustered and rows.n_clusters < FEWEST_CLUSTERS:
        raise EstimationError(
            f"{rows.n_clusters} clusters; {FEWEST_CLUSTERS} are needed for an interval that allows "
            "for them. Take a finer cluster, or compare descriptively."
        )
