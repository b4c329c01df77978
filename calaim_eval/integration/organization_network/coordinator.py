"""What falls apart when one organization, such as a coordinator, is taken out."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.about_organizations import two_columns
from calaim_eval.integration.organization_network.centralization import (
    LEAST_RESPONSE,
    betweenness_sums,
)
from calaim_eval.integration.organization_network.hierarchy import (
    connected_pairs,
    spare_ties,
)
from calaim_eval.integration.organization_network.network_rates import network_rates
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.integration.organization_network.paths import (
    betweenness,
    reachable_pairs,
    weak_components,
)
from calaim_eval.results import RateTable

WITH, WITHOUT = "with_coordinator", "without_coordinator"


def without_coordinator(network: OrganizationNetwork, coordinator: str) -> RateTable:
    """Measures of the network as it is, and of what is left without one organization.

    The second network is not a forecast: partners might find other ways. It says how much of
    what joins the others goes through the one.

    Parameters
    ----------
    network : OrganizationNetwork
    coordinator : str
        Its ``organization_id``; see `main_broker` where none is named beforehand.

    Returns
    -------
    RateTable
        Keys ``network`` (``"with_coordinator"``, ``"without_coordinator"``) and ``measure``:
        ``density``; ``connectedness`` (pairs joined, in any direction); ``reachability`` (ordered
        pairs joined along ties); ``largest_component`` (organizations in it, over all);
        ``components`` and ``isolates`` (their number, over organizations); ``efficiency``;
        ``betweenness_centralization`` (missing where fewer than 70 % answered a survey); and
        ``others_connected``: pairs of the other organizations that are joined, with the
        coordinator there and without, so that the difference is what it alone joins.

    Raises
    ------
    EstimationError
        The coordinator is not in the network, or fewer than two others are.
    """
    rest = network.without(coordinator)
    if rest.n < 2:
        raise EstimationError(
            f"without `{coordinator}` the network has {rest.n} organizations; two at least are "
            "needed."
        )
    others = np.arange(network.n) != network.positions([coordinator])[0]
    rows = {
        WITH: {**_measures(network), "others_connected": _joined(network, others)},
        WITHOUT: {**_measures(rest), "others_connected": connected_pairs(rest)},
    }
    keys = pd.DataFrame(
        [(name, measure) for name, values in rows.items() for measure in values],
        columns=["network", "measure"],
    )
    return network_rates(
        network,
        "Network with and without the coordinator",
        keys,
        *two_columns(pair for values in rows.values() for pair in values.values()),
        names=("ties_pairs_organizations_or_sums", "possible_ones"),
        unit="share or index, 0 to 1",
        estimator="Network measures with one organization taken out",
        reference="Krackhardt (1994), doi:10.4324/9781315806648",
    )


def main_broker(network: OrganizationNetwork) -> str:
    """Organization that most shortest paths between others go through; the first of equals."""
    if not network.n:
        raise EstimationError("the network has no organization.")
    return str(network.organizations[int(np.argmax(betweenness(network.ties)))])


def _measures(network: OrganizationNetwork) -> dict[str, tuple[float, float]]:
    """Numerator and denominator of each measure of one network."""
    n = float(network.n)
    sizes = np.bincount(weak_components(network.ties)).astype(float)
    ordered, _ = reachable_pairs(network.ties)
    return {
        "density": (float(network.n_ties), float(network.n_possible)),
        "connectedness": connected_pairs(network),
        "reachability": (ordered, n * (n - 1)),
        "largest_component": (sizes.max(), n),
        "components": (float(len(sizes)), n),
        "isolates": (float((sizes == 1).sum()), n),
        "efficiency": spare_ties(network),
        "betweenness_centralization": betweenness_sums(network)
        if network.response_rate >= LEAST_RESPONSE and network.n > 2
        else (np.nan, np.nan),
    }


def _joined(network: OrganizationNetwork, others: np.ndarray) -> tuple[float, float]:
    """Pairs of the others that are in one component, the coordinator being there."""
    sizes = np.bincount(weak_components(network.ties)[others]).astype(float)
    n = float(others.sum())
    return float((sizes * (sizes - 1) / 2).sum()), n * (n - 1) / 2
