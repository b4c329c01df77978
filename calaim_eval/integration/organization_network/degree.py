"""Partners and strength of each organization."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.integration.organization_network.network_rates import network_rates
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.results import RateTable


def network_degree(network: OrganizationNetwork) -> RateTable:
    r"""Partners of each organization, as a share of all others.

    Parameters
    ----------
    network : OrganizationNetwork

    Returns
    -------
    RateTable
        Keys ``organization_id`` and ``direction``: ``"in"`` (organizations it gets referrals
        from), ``"out"`` (it refers to), ``"any"``; numerator: partners; denominator: other
        organizations, :math:`n - 1`. Without directions only ``"any"``.

    References
    ----------
    Freeman LC (1978). Centrality in social networks. Soc Networks 1(3):215-239.
    doi:10.1016/0378-8733(78)90021-7
    """
    counts = partner_counts(network)
    keys = pd.MultiIndex.from_product(
        [network.organizations, list(counts)], names=["organization_id", "direction"]
    ).to_frame(index=False)
    return network_rates(
        network,
        "Partners of each organization",
        keys,
        np.column_stack(list(counts.values())).ravel(),
        np.full(len(keys), max(network.n - 1, 0), dtype=float),
        names=("partner_organizations", "other_organizations"),
        unit="share of other organizations",
        estimator="Degree",
        reference="Freeman (1978), doi:10.1016/0378-8733(78)90021-7",
        kind="proportion",
    )


def network_strength(network: OrganizationNetwork) -> pd.DataFrame:
    """Referrals, or reported strength, that each organization receives and sends.

    Parameters
    ----------
    network : OrganizationNetwork

    Returns
    -------
    pd.DataFrame
        organization_id, in_strength, out_strength. Sums over ties of any size are counts about
        members: the referral measures release them, by group.
    """
    strength = network.strength
    return pd.DataFrame(
        {
            "organization_id": network.organizations,
            "in_strength": np.asarray(strength.sum(axis=0), dtype=float).ravel(),
            "out_strength": np.asarray(strength.sum(axis=1), dtype=float).ravel(),
        }
    )


def partner_counts(network: OrganizationNetwork) -> dict[str, np.ndarray]:
    """Number of partners by direction; each of shape (n,)."""
    ties = network.ties
    any_way = ties.maximum(ties.T.tocsr()).sum(axis=1)
    if not network.is_directed:
        return {"any": np.asarray(any_way).ravel()}
    return {
        "in": np.asarray(ties.sum(axis=0)).ravel(),
        "out": np.asarray(ties.sum(axis=1)).ravel(),
        "any": np.asarray(any_way).ravel(),
    }
