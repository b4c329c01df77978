"""Numbers of a two-mode network: pairs that share a partner, four-cycles, concentration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def incidence_matrix(first: pd.Series, second: pd.Series) -> csr_array:
    """0/1 matrix of ties; rows are the distinct values of `first`, columns those of `second`."""
    from scipy.sparse import csr_array

    rows, row_names = pd.factorize(first)
    columns, column_names = pd.factorize(second)
    ties = csr_array(
        (np.ones(len(rows)), (rows, columns)), shape=(len(row_names), len(column_names))
    )
    ties.data[:] = 1.0  # parallel contracts between the same two are one tie
    return ties


def shared_partner_pairs(ties: csr_array) -> tuple[float, float]:
    """Pairs of rows with a column in common, and all pairs of rows."""
    n = ties.shape[0]
    shared = (ties @ ties.T).tocsr()
    diagonal = int((shared.diagonal() > 0).sum())
    return (shared.nnz - diagonal) / 2, n * (n - 1) / 2


def mean_shared_partners(ties: csr_array) -> float:
    """Mean number of columns that a pair of rows has in common."""
    n = ties.shape[0]
    shared = ties @ ties.T
    return float((shared.sum() - shared.diagonal().sum()) / (n * (n - 1)))


def bipartite_clustering(ties: csr_array) -> tuple[float, float]:
    """Four-cycles and three-paths; clustering is four times the first over the second.

    A four-cycle is two rows and two columns fully tied; a three-path is a tie with one more tie
    at each end.
    """
    shared = (ties @ ties.T).tocoo()
    off = shared.row < shared.col
    overlap = shared.data[off]
    cycles = float((overlap * (overlap - 1) / 2).sum())
    row_degree, column_degree = ties.sum(axis=1), ties.sum(axis=0)
    pairs = ties.tocoo()
    paths = float(((row_degree[pairs.row] - 1) * (column_degree[pairs.col] - 1)).sum())
    return cycles, paths


def herfindahl_counts(counts: np.ndarray) -> tuple[float, float]:
    """Sum of squares and squared sum of counts; their ratio is the Herfindahl-Hirschman index."""
    values = np.asarray(counts, dtype=float)
    return float((values**2).sum()), float(values.sum() ** 2)
