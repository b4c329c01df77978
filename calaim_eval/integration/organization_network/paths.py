"""Shortest paths in a network: distances, components, how often an organization lies between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_SOURCES_AT_ONCE = 128


def distances(ties: csr_array) -> np.ndarray:
    """Steps from row to column along ties; infinite where there is no way; (n, n)."""
    from scipy.sparse.csgraph import shortest_path

    return np.asarray(shortest_path(ties, method="D", unweighted=True), dtype=float)


def weak_components(ties: csr_array) -> np.ndarray:
    """Component of each organization, whatever the direction of ties; (n,)."""
    from scipy.sparse.csgraph import connected_components

    _, component = connected_components(ties, directed=True, connection="weak")
    return np.asarray(component)


def reachable_pairs(ties: csr_array) -> tuple[float, float]:
    """Ordered pairs joined by a way along ties, and pairs joined by one both ways (unordered)."""
    from scipy.sparse.csgraph import connected_components

    is_reached = np.isfinite(distances(ties))
    n_strong, strong = connected_components(ties, directed=True, connection="strong")
    sizes = np.bincount(strong, minlength=n_strong).astype(float)
    return float(is_reached.sum() - len(is_reached)), float((sizes * (sizes - 1) / 2).sum())


def betweenness(ties: csr_array) -> np.ndarray:
    r"""Shortest paths through each organization, over ordered pairs of others; (n,).

    :math:`b_v = \sum_{s \ne v \ne t} \sigma_{st}(v) / \sigma_{st}` by Brandes' accumulation,
    many sources at once. Without direction every pair is counted twice.

    References
    ----------
    Brandes U (2001). J Math Sociol 25(2):163-177. doi:10.1080/0022250X.2001.9990249
    """
    forward, backward = ties.tocsr(), ties.T.tocsr()
    n = ties.shape[0]
    total = np.zeros(n)
    for first in range(0, n, _SOURCES_AT_ONCE):
        sources = np.arange(first, min(first + _SOURCES_AT_ONCE, n))
        total += _dependencies(forward, backward, sources)
    return total


def _dependencies(forward: csr_array, backward: csr_array, sources: np.ndarray) -> np.ndarray:
    """Sum over sources of what depends on each organization; (n,)."""
    n, rows = forward.shape[0], np.arange(len(sources))
    n_paths = np.zeros((n, len(sources)))
    n_paths[sources, rows] = 1.0
    level = np.full((n, len(sources)), -1, dtype=np.int32)
    level[sources, rows] = 0
    frontier, depth = n_paths.copy(), 0
    while frontier.any():
        reached = backward @ frontier
        depth += 1
        is_new = (level < 0) & (reached > 0)
        level[is_new] = depth
        frontier = np.where(is_new, reached, 0.0)
        n_paths += frontier
    depends = np.zeros_like(n_paths)
    for at in range(depth - 1, 0, -1):
        share = np.zeros_like(n_paths)
        is_at = level == at
        share[is_at] = (1.0 + depends[is_at]) / n_paths[is_at]
        carried = forward @ share
        depends += np.where(level == at - 1, carried * n_paths, 0.0)
    depends[sources, rows] = 0.0
    return np.asarray(depends.sum(axis=1))
