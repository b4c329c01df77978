"""Rate tables of a network: about organizations where every tie is large, else about members."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from calaim_eval.integration.about_organizations import about_organizations
from calaim_eval.integration.organization_network.organization_network import OrganizationNetwork
from calaim_eval.results import Method, RateTable
from calaim_eval.results.rate_table import RateKind

SMALLEST_SHOWN_TIE = 11
"""Distinct members from which on a tie is not about a few persons: CalHHS and CMS agree on it."""


def network_rates(
    network: OrganizationNetwork,
    measure: str,
    keys: pd.DataFrame,
    numerator: np.ndarray,
    denominator: np.ndarray,
    *,
    names: tuple[str, str],
    unit: str,
    estimator: str,
    reference: str = "",
    kind: RateKind = "rate",
) -> RateTable:
    """Rates of a network, fit for disclosure control.

    Where every tie is of `SMALLEST_SHOWN_TIE` members or more, or about no members, the table is
    about organizations and is shown. Else it is about members, with those of the smallest tie
    behind every row: a release hides it whole, because whether a tie of a few members is there
    could be read from it.

    Returns
    -------
    RateTable
    """
    table = about_organizations(
        measure,
        keys,
        numerator,
        denominator,
        names=names,
        unit=unit,
        kind=kind,
        method=Method(estimator, network.method.options, reference),
    )
    if not network.smallest_tie < SMALLEST_SHOWN_TIE:
        return table
    few = np.full(len(table), network.smallest_tie)
    return replace(table, about="members", n_members=few)
