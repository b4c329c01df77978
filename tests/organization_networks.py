"""Small networks by hand or by chance."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd

from calaim_eval.integration import OrganizationNetwork
from calaim_eval.integration.organization_network.organization_network import matrix_of
from calaim_eval.results import Method


def network_of(
    dense: np.ndarray,
    *,
    is_directed: bool = True,
    members: np.ndarray | None = None,
    **more: object,
) -> OrganizationNetwork:
    """Network of a dense matrix of strengths; organizations are named o000, o001 ..."""

    def sparse(values: np.ndarray):
        at = np.nonzero(values)
        return matrix_of(*at, values[at], len(values))

    return OrganizationNetwork(
        np.array([f"o{i:03d}" for i in range(len(dense))], dtype=object),
        sparse(np.asarray(dense, dtype=float)),
        None if members is None else sparse(members),
        is_directed,
        Method("by hand"),
        **more,  # type: ignore[arg-type]
    )


def random_network(
    seed: int, *, n: int = 12, share: float = 0.25, is_directed: bool = True, weighted: bool = False
) -> OrganizationNetwork:
    """Random ties."""
    rng = np.random.default_rng(seed)
    dense = (rng.random((n, n)) < share).astype(float)
    if weighted:
        dense *= rng.integers(1, 30, (n, n))
    if not is_directed:
        dense = np.triu(dense)
        dense = dense + dense.T
    np.fill_diagonal(dense, 0)
    return network_of(dense, is_directed=is_directed)


def as_networkx(network: OrganizationNetwork) -> nx.Graph:
    """The same network in networkx, with `weight`."""
    graph = nx.DiGraph() if network.is_directed else nx.Graph()
    graph.add_nodes_from(network.organizations)
    at = network.strength.tocoo()
    names = network.organizations
    graph.add_weighted_edges_from(zip(names[at.row], names[at.col], at.data, strict=True))
    return graph


def rate(table, **keys: object) -> float:
    """The one rate with these keys."""
    frame = table.to_frame()
    for column, value in keys.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return float(frame["rate"].iloc[0])


def edges_network(
    edges: pd.DataFrame, nodes: list[str], *, is_directed: bool = True
) -> OrganizationNetwork:
    """Network of an edge list with `source` and `target`; self ties left out, others are one."""
    names = np.array(sorted(nodes), dtype=object)
    place = pd.Index(names)
    dense = np.zeros((len(names), len(names)))
    dense[place.get_indexer(edges["source"]), place.get_indexer(edges["target"])] = 1
    if not is_directed:
        dense = np.maximum(dense, dense.T)
    np.fill_diagonal(dense, 0)
    made = network_of(dense, is_directed=is_directed)
    return OrganizationNetwork(names, made.strength, None, is_directed, Method("edges"))
