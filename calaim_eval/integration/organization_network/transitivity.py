"""Do partners of a partner become partners: transitivity."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.integration.organization_network.network_rates import network_rates
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.integration.organization_network.two_paths import closed_two_paths
from calaim_eval.results import RateTable


def network_transitivity(network: OrganizationNetwork) -> RateTable:
    r"""Two-paths that are closed: of all i > j > k, those with a tie i > k.

    Parameters
    ----------
    network : OrganizationNetwork

    Returns
    -------
    RateTable
        One row, key ``measure`` (``"transitivity"``); without directions every two-path counts
        both ways, which leaves the share as it is.

    References
    ----------
    Wasserman S, Faust K (1994). Social Network Analysis, ch. 6. doi:10.1017/CBO9780511815478
    """
    ties = network.ties
    into, out = (np.asarray(ties.sum(axis=axis)).ravel() for axis in (0, 1))
    returns = ties.multiply(ties.T.tocsr()).sum()
    return network_rates(
        network,
        "Transitivity",
        pd.DataFrame({"measure": ["transitivity"]}),
        np.array([float(len(closed_two_paths(ties).first))]),
        np.array([float((into * out).sum() - returns)]),
        names=("closed_two_paths", "two_paths"),
        unit="share of two-paths",
        estimator="Transitivity",
        reference="Wasserman S, Faust K (1994). doi:10.1017/CBO9780511815478",
        kind="proportion",
    )
