"""How many of the possible ties are there, and how many go both ways."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.integration.organization_network.network_rates import network_rates
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.results import RateTable

_BOOK = "Wasserman S, Faust K (1994). doi:10.1017/CBO9780511815478"


def network_density(network: OrganizationNetwork) -> RateTable:
    r"""Ties over possible ties, :math:`m / (n (n - 1))`; without direction over half of that.

    Parameters
    ----------
    network : OrganizationNetwork

    Returns
    -------
    RateTable
        One row, key ``measure`` (``"density"``).

    References
    ----------
    Wasserman S, Faust K (1994). Social Network Analysis, ch. 4. doi:10.1017/CBO9780511815478
    """
    return network_rates(
        network,
        "Density",
        pd.DataFrame({"measure": ["density"]}),
        np.array([float(network.n_ties)]),
        np.array([float(network.n_possible)]),
        names=("ties", "possible_ties"),
        unit="share of possible ties",
        estimator="Density",
        reference=_BOOK,
        kind="proportion",
    )


def network_reciprocity(network: OrganizationNetwork) -> RateTable:
    """Ties that are returned.

    Parameters
    ----------
    network : OrganizationNetwork
        With directions.

    Returns
    -------
    RateTable
        Key ``counted``: ``"ties"`` (returned ties over ties), ``"pairs"`` (pairs with ties both
        ways over pairs with any tie). Missing where the ties have no direction.

    References
    ----------
    Wasserman S, Faust K (1994). Social Network Analysis, ch. 13. doi:10.1017/CBO9780511815478
    """
    mutual, one_way = dyads(network)
    if not network.is_directed:
        mutual = one_way = np.nan
    return network_rates(
        network,
        "Reciprocity",
        pd.DataFrame({"counted": ["ties", "pairs"]}),
        np.array([2 * mutual, mutual], dtype=float),
        np.array([2 * mutual + one_way, mutual + one_way], dtype=float),
        names=("returned_ties_or_pairs", "ties_or_tied_pairs"),
        unit="share returned",
        estimator="Reciprocity",
        reference=_BOOK,
        kind="proportion",
    )


def dyads(network: OrganizationNetwork) -> tuple[float, float]:
    """Pairs with ties both ways, and pairs with one."""
    ties = network.ties
    mutual = float(ties.multiply(ties.T.tocsr()).sum()) / 2
    return mutual, float(ties.nnz) - 2 * mutual
