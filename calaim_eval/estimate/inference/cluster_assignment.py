"""Which clusters (counties) were exposed when, and how else it could have been dealt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import factorial, prod

import numpy as np
import pandas as pd

from calaim_eval.errors import DesignError, EstimationError
from calaim_eval.estimate.inference.cluster_moments import require_clusters
from calaim_eval.moments import CellMoments, ClusterSums
from calaim_eval.moments.cell_index import label_codes


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """The actual cohort of each cluster, and the others it is compared with.

    Attributes
    ----------
    cohort : pd.Series
        Cohort of each cluster, labels as in ``moments.cells``; shape (n_clusters,).
    codes : np.ndarray
        The same as codes 0..; shape (n_clusters,).
    blocks : list of np.ndarray
        Positions of the clusters among which cohorts are permuted.
    is_enumerated : bool
        All other assignments are taken, none by chance.
    draws : int
    rng : np.random.Generator | None
    """

    cohort: pd.Series
    codes: np.ndarray
    blocks: list[np.ndarray]
    is_enumerated: bool
    draws: int
    rng: np.random.Generator | None

    def others(self) -> Iterator[pd.Series]:
        """Other assignments: every one but the actual, or `draws` by chance (any may come)."""
        first = np.unique(self.codes, return_index=True)[1]
        dealt = self._every_other() if self.is_enumerated else self._drawn()
        for codes in dealt:
            yield self.cohort.iloc[first[codes]].reset_index(drop=True)

    def _every_other(self) -> Iterator[np.ndarray]:
        """Codes of every assignment but the actual one; shape (n_clusters,) each."""
        orders = (_orders(tuple(self.codes[block].tolist())) for block in self.blocks)
        for chosen in product(*orders):
            dealt = self.codes.copy()
            for block, order in zip(self.blocks, chosen, strict=True):
                dealt[block] = order
            if not np.array_equal(dealt, self.codes):
                yield dealt

    def _drawn(self) -> Iterator[np.ndarray]:
        """Codes of random assignments."""
        if self.rng is None:
            raise EstimationError(
                f"there are more assignments of clusters than {self.draws + 1}, too many to "
                "enumerate with this `draws`. Give rng=np.random.default_rng(seed)."
            )
        for _ in range(self.draws):
            dealt = self.codes.copy()
            for block in self.blocks:
                dealt[block] = self.rng.permutation(self.codes[block])
            yield dealt


def cluster_assignment(
    moments: CellMoments,
    *,
    rng: np.random.Generator | None,
    draws: int,
    within: Mapping[object, object] | None,
    what: str,
) -> Assignment:
    """The assignment of clusters to cohorts that the moments show, or the reason there is none."""
    sums = require_clusters(moments, at_least=3, what=what)
    if draws < 1:
        raise EstimationError(f"{what}: draws={draws}; give at least 1.")
    cohort = _cohort_of_cluster(moments, sums, what)
    codes = label_codes(cohort)[0]
    blocks = _blocks(sums, within, what)
    n_possible = prod(_n_orders(codes[block]) for block in blocks)
    if n_possible < 2:
        raise DesignError(
            f"{what}: the {sums.n_clusters} clusters by {sums.name} can be assigned in one way "
            "only (every cluster of a block has the same cohort). Use wider blocks, or a design "
            "with exposed and comparison clusters."
        )
    is_enumerated = n_possible - 1 <= draws
    return Assignment(cohort, codes, blocks, is_enumerated, draws, rng)


def _cohort_of_cluster(moments: CellMoments, sums: ClusterSums, what: str) -> pd.Series:
    """The one cohort of each cluster, or DesignError."""
    code_of_cell = label_codes(moments.cells["cohort"])[0]
    own = code_of_cell[sums.cell]
    low = np.full(sums.n_clusters, np.iinfo(np.int64).max)
    high = np.full(sums.n_clusters, -1)
    np.minimum.at(low, sums.cluster, own)
    np.maximum.at(high, sums.cluster, own)
    n_mixed = int((low != high).sum())
    if n_mixed:
        raise DesignError(
            f"{what}: {n_mixed} of {sums.n_clusters} clusters by {sums.name} hold members of "
            "several cohorts, so exposure was not assigned by cluster and there is no assignment "
            "to permute. Use it with design_county_phase, or use wild_bootstrap_p_values."
        )
    first = np.unique(code_of_cell, return_index=True)[1]
    return moments.cells["cohort"].iloc[first[low]].reset_index(drop=True)


def _blocks(
    sums: ClusterSums, within: Mapping[object, object] | None, what: str
) -> list[np.ndarray]:
    """Positions of the clusters of each block."""
    if within is None:
        return [np.arange(sums.n_clusters)]
    labels = sums.labels.map(dict(within))
    if labels.isna().any():
        raise EstimationError(
            f"{what}: `within` gives no block for {int(labels.isna().sum())} of "
            f"{sums.n_clusters} clusters by {sums.name}."
        )
    codes = label_codes(labels)[0]
    return [np.flatnonzero(codes == code) for code in np.unique(codes)]


def _n_orders(codes: np.ndarray) -> int:
    """Different orders of codes some of which repeat."""
    repeats = np.unique(codes, return_counts=True)[1]
    return factorial(len(codes)) // prod(factorial(int(n)) for n in repeats)


def _orders(codes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every different order of some codes, each once."""
    if not codes:
        yield ()
        return
    for code in sorted(set(codes)):
        rest = list(codes)
        rest.remove(code)
        for order in _orders(tuple(rest)):
            yield (code, *order)
