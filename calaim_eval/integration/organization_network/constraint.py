"""Structural holes: how far an organization's partners depend on it, or it on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def structural_holes(network: OrganizationNetwork, *, weighted: bool = False) -> pd.DataFrame:
    r"""Burt's constraint and effective size of each organization.

    With :math:`p_{ij}` the share of i's ties (both directions) that are with j,
    :math:`c_i = \sum_j (p_{ij} + \sum_q p_{iq} p_{qj})^2`: low where partners are not tied to one
    another, so that the organization joins what is otherwise apart. Effective size is
    :math:`\sum_j (1 - \sum_q p_{iq} m_{jq})`, the partners less what they duplicate, with
    :math:`m_{jq}` j's tie with q over j's strongest.

    Parameters
    ----------
    network : OrganizationNetwork
    weighted : bool
        Whether ties count by strength (referrals) or all alike.

    Returns
    -------
    pd.DataFrame
        organization_id, n_partners, constraint, effective_size, efficiency (effective size over
        partners). Missing for an organization without a tie.

    References
    ----------
    Burt RS (1992). Structural Holes. Harvard University Press. doi:10.4159/9780674029095
    """
    strength = network.strength if weighted else network.ties
    both = (strength + strength.T).tocsr()
    n_partners = np.diff(both.indptr).astype(float)
    shares = _scaled_rows(both, np.asarray(both.sum(axis=1)).ravel())
    largest = both.max(axis=1).toarray().ravel() if both.shape[0] else np.zeros(0)
    marginal = _scaled_rows(both, largest)
    is_partner = both.copy()
    is_partner.data = np.ones_like(is_partner.data)
    direct_and_indirect = shares + (shares @ shares).multiply(is_partner)
    constraint = np.asarray(direct_and_indirect.power(2).sum(axis=1)).ravel()
    repeated = np.asarray((shares @ marginal.T).multiply(is_partner).sum(axis=1)).ravel()
    has_partner = n_partners > 0
    size = np.where(has_partner, n_partners - repeated, np.nan)
    return pd.DataFrame(
        {
            "organization_id": network.organizations,
            "n_partners": n_partners,
            "constraint": np.where(has_partner, constraint, np.nan),
            "effective_size": size,
            "efficiency": size / np.where(has_partner, n_partners, np.nan),
        }
    )


def _scaled_rows(matrix: csr_array, by: np.ndarray) -> csr_array:
    """Matrix with each row over a number; rows of zeros stay zero."""
    from scipy.sparse import diags_array

    factor = np.divide(1.0, by, out=np.zeros_like(by, dtype=float), where=by > 0)
    return (diags_array(factor) @ matrix).tocsr()
