"""Krackhardt's dimensions: is the network in one piece, top-down, without spare ties."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.integration.about_organizations import two_columns
from calaim_eval.integration.organization_network.network_rates import network_rates
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.integration.organization_network.paths import reachable_pairs, weak_components
from calaim_eval.results import RateTable


def network_hierarchy(network: OrganizationNetwork) -> RateTable:
    r"""Krackhardt connectedness, hierarchy and efficiency.

    Parameters
    ----------
    network : OrganizationNetwork

    Returns
    -------
    RateTable
        Key ``dimension``:

        - ``connectedness``: pairs joined by ties in any direction, over all pairs;
        - ``hierarchy``: pairs with a way in one direction only, over pairs with any way along
          ties; missing without directions;
        - ``efficiency``: :math:`1 - \sum_k (m_k - (n_k - 1)) / \sum_k (M_k - (n_k - 1))` over
          components of :math:`n_k` organizations, :math:`m_k` ties and :math:`M_k` possible ones:
          1 where no tie is spare. Missing where no component has more than two organizations
          (one with directions).

    References
    ----------
    Krackhardt D (1994). Graph theoretical dimensions of informal organizations. In: Carley KM,
    Prietula MJ (eds) Computational Organization Theory, 89-111. doi:10.4324/9781315806648
    """
    sums = {
        "connectedness": connected_pairs(network),
        "hierarchy": _one_way_pairs(network),
        "efficiency": spare_ties(network),
    }
    return network_rates(
        network,
        "Krackhardt dimensions",
        pd.DataFrame({"dimension": list(sums)}),
        *two_columns(sums.values()),
        names=("pairs_or_ties_not_spare", "possible_pairs_or_ties"),
        unit="index, 0 to 1",
        estimator="Krackhardt dimensions",
        reference="Krackhardt (1994), doi:10.4324/9781315806648",
    )


def connected_pairs(network: OrganizationNetwork) -> tuple[float, float]:
    """Pairs in one component, and all pairs."""
    sizes = np.bincount(weak_components(network.ties)).astype(float) if network.n else np.zeros(0)
    return float((sizes * (sizes - 1) / 2).sum()), network.n * (network.n - 1) / 2


def _one_way_pairs(network: OrganizationNetwork) -> tuple[float, float]:
    """Pairs reached in one direction only, and pairs reached in any."""
    if not network.is_directed:
        return np.nan, np.nan
    ordered, mutual = reachable_pairs(network.ties)
    return ordered - 2 * mutual, ordered - mutual


def spare_ties(network: OrganizationNetwork) -> tuple[float, float]:
    """Possible spare ties that are not there, and possible spare ties."""
    component = weak_components(network.ties)
    sizes = np.bincount(component).astype(float)
    possible = sizes * (sizes - 1) / (1.0 if network.is_directed else 2.0)
    most = float((possible - (sizes - 1)).sum())
    spare = network.n_ties - float((sizes - 1).sum())
    return most - spare, most
