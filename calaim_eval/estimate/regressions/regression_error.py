"""Covariance of regression coefficients from each row's influence, clustered one or two ways."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calaim_eval.errors import EstimationError
from calaim_eval.estimate.two_way.two_way_fit import crv1_factor


def clustered(
    influence: np.ndarray, clusters: Sequence[np.ndarray], *, n_coefficients: int
) -> tuple[np.ndarray, np.ndarray | None, bool]:
    r"""Sandwich covariance with the factor G/(G-1) x (N-1)/(N-K).

    Two ways: :math:`V_1 + V_2 - V_{12}` with the smaller G throughout (Cameron, Gelbach and Miller
    2011, doi:10.1198/jbes.2010.07136).

    Returns
    -------
    tuple[np.ndarray, np.ndarray | None, bool]
        Covariance (p, p); influence of each cluster (G, p), one way only; whether a negative
        eigenvalue was set to 0.
    """
    sizes = [len(np.unique(codes)) for codes in clusters]
    if min(sizes) < 2:
        raise EstimationError(
            "there is one cluster only, so no variance between clusters can be estimated. Use "
            "cluster='member'."
        )
    factor = crv1_factor(min(sizes), len(influence), n_coefficients)
    if len(clusters) == 1:
        sums = np.sqrt(factor) * cluster_sums(influence, clusters[0])
        return sums.T @ sums, sums, False
    both = np.unique(np.stack(clusters, axis=1), axis=0, return_inverse=True)[1].ravel()
    parts = [cluster_sums(influence, codes) for codes in (*clusters, both)]
    raw = factor * (parts[0].T @ parts[0] + parts[1].T @ parts[1] - parts[2].T @ parts[2])
    size = np.sqrt(np.maximum(np.diag(factor * parts[2].T @ parts[2]), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(raw / np.outer(size, size))
    if values.min() >= -1e-12 * max(values.max(), 0.0):
        return raw, None, False
    mended = (vectors * np.clip(values, 0.0, None)) @ vectors.T
    return mended * np.outer(size, size), None, True


def cluster_sums(values: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Sums of rows by cluster; shape (G, p)."""
    n_clusters = int(codes.max()) + 1
    return np.column_stack(
        [np.bincount(codes, weights=column, minlength=n_clusters) for column in values.T]
    )
