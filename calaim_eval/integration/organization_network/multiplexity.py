"""How many kinds of tie join the same two organizations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.organization_network.network_rates import network_rates
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.results import RateTable


def network_multiplexity(networks: Mapping[str, OrganizationNetwork]) -> RateTable:
    """Tied pairs of organizations by the number of kinds of tie between them.

    Referrals alone break when a person leaves; pairs that also share data, money or a table to
    meet at are harder to undo.

    Parameters
    ----------
    networks : mapping of tie type to OrganizationNetwork
        Over the same organizations; a tie in either direction joins a pair.

    Returns
    -------
    RateTable
        Key ``n_tie_types``: ``"1"``, ``"2"`` ... and ``"2 or more"``; numerator: pairs with that
        many kinds of tie; denominator: pairs with any.

    Raises
    ------
    EstimationError
        Fewer than two networks, or networks of different organizations.

    References
    ----------
    Provan KG, Fish A, Sydow J (2007). Interorganizational networks at the network level. J Manage
    33(3):479-516. doi:10.1177/0149206307302554
    """
    if len(networks) < 2:
        raise EstimationError(
            f"multiplexity: {len(networks)} kind of tie; two at least are needed."
        )
    pairs = [network.undirected() for network in networks.values()]
    first = pairs[0]
    if any(not np.array_equal(p.organizations, first.organizations) for p in pairs):
        raise EstimationError(
            "multiplexity: the networks are of different organizations.\n"
            "  Give each the same `organizations`."
        )
    total = sum((p.ties for p in pairs[1:]), start=first.ties)
    kinds = np.bincount(total.data.astype(int), minlength=len(pairs) + 1)[1:] / 2
    numerator = np.array([*kinds, kinds[1:].sum()])
    fewest = min(pairs, key=lambda p: np.nan_to_num(p.smallest_tie, nan=np.inf))
    return network_rates(
        fewest,
        "Kinds of tie between two organizations",
        pd.DataFrame({"n_tie_types": [*map(str, range(1, len(pairs) + 1)), "2 or more"]}),
        numerator,
        np.full(len(numerator), kinds.sum()),
        names=("tied_pairs_by_kinds_of_tie", "tied_pairs"),
        unit="share of tied pairs",
        estimator="Multiplexity",
        reference="Provan, Fish and Sydow (2007), doi:10.1177/0149206307302554",
        kind="proportion",
    )
