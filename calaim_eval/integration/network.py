"""The plan-organization network: who contracts with whom, and who depends on whom."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.integration.about_organizations import about_organizations, two_columns
from calaim_eval.integration.bipartite import (
    bipartite_clustering,
    herfindahl_counts,
    incidence_matrix,
    shared_partner_pairs,
)
from calaim_eval.integration.contracts import (
    ORGANIZATION_TYPES,
    contracts_in_force,
    organization_trait,
)
from calaim_eval.integration.services import Program, services_in_quarter
from calaim_eval.integration.share_table import by_wilson, share_table
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.tables.ledger import RowLedger

_HERFINDAHL = "Rhoades SA (1993). The Herfindahl-Hirschman index. Fed Reserve Bull 79:188-189"
_ROBINS = (
    "Robins G, Alexander M (2004). Comput Math Organ Theory 10(1):69-94. "
    "doi:10.1023/B:CMOT.0000032580.12184.c0"
)


def contracts_per_organization(
    contract: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    quarter: str,
    ledger: RowLedger | None = None,
) -> RateTable:
    """Contracts and plans per contracted organization, by type.

    Each contract is a set of forms, portals and invoices: more contracts per organization is
    more burden, and one plan per organization is dependence (`single_plan_dependence`).

    Parameters
    ----------
    contract, organization : pd.DataFrame
        Columns of the tables of these names.
    quarter : str
        Contracts in force in it count.
    ledger : RowLedger, optional
        Gets the contract rows set aside.

    Returns
    -------
    RateTable
        Keys ``counted`` (``"contracts"``, ``"plans"``) and ``organization_type`` (``"all"`` is a
        margin); numerator: contracts, or distinct plan-organization ties; denominator:
        contracted organizations. No interval: the list is complete.
    """
    rows = contracts_in_force(
        contract, quarter=quarter, ledger=ledger, stage="contracts_per_organization"
    )
    types = _types(rows, organization)
    counts = {
        "contracts": rows[["organization_id", "plan", "contract_id"]].drop_duplicates(),
        "plans": rows[["organization_id", "plan"]].drop_duplicates(),
    }
    numerator = np.concatenate(
        [_by_type(units["organization_id"].map(types)) for units in counts.values()]
    )
    denominator = np.tile(_by_type(types), len(counts))
    keys = pd.MultiIndex.from_product(
        [list(counts), [ALL, *ORGANIZATION_TYPES]], names=["counted", "organization_type"]
    ).to_frame(index=False)
    return about_organizations(
        "Contracts and plans per organization",
        keys,
        numerator,
        denominator,
        names=("contracts_or_plan_ties", "contracted_organizations_all_types"),
        unit="per contracted organization",
        kind="rate",
        method=Method("Mean over all contracted organizations", {"quarter": quarter}),
        margins=("organization_type",),
    )


def single_plan_dependence(
    contract: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    quarter: str,
    ledger: RowLedger | None = None,
) -> RateTable:
    """Organizations that contract with exactly one plan, by type.

    Parameters
    ----------
    contract, organization, quarter, ledger
        As in `contracts_per_organization`.

    Returns
    -------
    RateTable
        Key ``organization_type`` with its margin ``"all"``; numerator: organizations with one
        plan; denominator: contracted organizations; Wilson interval. In a county with one plan
        an organization has no second to turn to; read it by county model.
    """
    rows = contracts_in_force(
        contract, quarter=quarter, ledger=ledger, stage="single_plan_dependence"
    )
    types = _types(rows, organization)
    n_plans = rows.groupby("organization_id")["plan"].nunique()
    numerator = _by_type(types[n_plans.reindex(types.index) == 1])
    denominator = _by_type(types)
    return share_table(
        "Organizations that contract with one plan only",
        pd.DataFrame({"organization_type": [ALL, *ORGANIZATION_TYPES]}),
        numerator,
        denominator,
        names=("organizations_with_one_plan", "contracted_organizations"),
        unit="share of contracted organizations",
        method=by_wilson({"quarter": quarter}),
        about="organizations",
        margins=("organization_type",),
    )


def contract_concentration(
    contract: pd.DataFrame, *, quarter: str, ledger: RowLedger | None = None
) -> RateTable:
    r"""Concentration of contracts on both sides: few plans, or few organizations, hold most.

    Parameters
    ----------
    contract, quarter, ledger
        As in `contracts_per_organization`.

    Returns
    -------
    RateTable
        Key ``side`` (``"plans"``, ``"organizations"``); the rate is the Herfindahl-Hirschman
        index :math:`\sum_i s_i^2` of shares of contracts, from 1/n (even) to 1 (one holds all);
        times 10,000 gives the index of the merger guidelines. Numerator: sum of squared
        contracts; denominator: square of all contracts.
    """
    rows = contracts_in_force(
        contract, quarter=quarter, ledger=ledger, stage="contract_concentration"
    )
    units = rows[["plan", "organization_id", "contract_id"]].drop_duplicates()
    sides = {"plans": units["plan"], "organizations": units["organization_id"]}
    sums = [herfindahl_counts(side.value_counts().to_numpy()) for side in sides.values()]
    return about_organizations(
        "Concentration of contracts (Herfindahl-Hirschman index)",
        pd.DataFrame({"side": list(sides)}),
        *two_columns(sums),
        names=("sum_of_squared_contracts", "squared_contracts"),
        unit="Herfindahl-Hirschman index (0 to 1)",
        kind="rate",
        method=Method("Herfindahl-Hirschman index", {"quarter": quarter}, _HERFINDAHL),
    )


def service_concentration(
    program_service: pd.DataFrame,
    *,
    quarter: str,
    program: Program = "any",
    ledger: RowLedger | None = None,
) -> RateTable:
    """Concentration of members served over organizations, by service.

    Parameters
    ----------
    program_service : pd.DataFrame
        Columns of the table `program_service`; services without an organization are left out.
    quarter : str
    program : {"any", "ecm", "community_support"}
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    RateTable
        Key ``service``; the rate is the Herfindahl-Hirschman index of organizations' shares of
        the members served; 1 where one organization serves them all. ``about="members"``, with
        the members served behind it in `n_members`.
    """
    rows = services_in_quarter(
        program_service,
        quarter=quarter,
        program=program,
        ledger=ledger,
        stage="service_concentration",
    ).dropna(subset=["organization_id"])
    served = rows[["service", "organization_id", "member_id"]].drop_duplicates()
    sizes = served.groupby(["service", "organization_id"]).size()
    services = list(sizes.index.unique("service"))
    sums = [herfindahl_counts(sizes.loc[s].to_numpy()) for s in services]
    numerator, denominator = two_columns(sums)
    members = served.groupby("service")["member_id"].nunique()
    empty = np.full(len(services), np.nan)
    return RateTable(
        measure="Concentration of members served (Herfindahl-Hirschman index)",
        keys=pd.DataFrame({"service": services}),
        numerator=numerator,
        denominator=denominator,
        conf_low=empty,
        conf_high=empty,
        n_members=members.reindex(services).to_numpy(dtype=float),
        numerator_name="sum_of_squared_members_by_organization",
        denominator_name="squared_members_served_by_organizations",
        unit="Herfindahl-Hirschman index (0 to 1)",
        kind="rate",
        method=Method("Herfindahl-Hirschman index", {"quarter": quarter}, _HERFINDAHL),
    )


def network_cohesion(
    contract: pd.DataFrame, *, quarter: str, ledger: RowLedger | None = None
) -> RateTable:
    r"""How dense the plan-organization network is, and how much partners overlap.

    Parameters
    ----------
    contract, quarter, ledger
        As in `contracts_per_organization`.

    Returns
    -------
    RateTable
        Key ``cohesion``:

        - ``density``: plan-organization ties over possible ones;
        - ``organizations_sharing_a_plan``: pairs of organizations with a plan in common;
        - ``plans_sharing_an_organization``: pairs of plans with an organization in common;
        - ``clustering``: :math:`4 C_4 / L_3`, the share of three-paths that close into a
          four-cycle (two plans that share one organization share another) [1]_.

    References
    ----------
    .. [1] Robins G, Alexander M (2004). Comput Math Organ Theory 10(1):69-94.
       doi:10.1023/B:CMOT.0000032580.12184.c0
    """
    rows = contracts_in_force(contract, quarter=quarter, ledger=ledger, stage="network_cohesion")
    ties = incidence_matrix(rows["plan"], rows["organization_id"])
    n_plans, n_organizations = ties.shape
    cycles, paths = bipartite_clustering(ties)
    sums = {
        "density": (float(ties.sum()), float(n_plans * n_organizations)),
        "organizations_sharing_a_plan": shared_partner_pairs(ties.T),
        "plans_sharing_an_organization": shared_partner_pairs(ties),
        "clustering": (4.0 * cycles, paths),
    }
    return about_organizations(
        "Cohesion of the plan-organization network",
        pd.DataFrame({"cohesion": list(sums)}),
        *two_columns(sums.values()),
        names=("ties_pairs_or_cycles", "possible_ties_pairs_or_paths"),
        unit="share of possible ties, pairs or three-paths",
        kind="proportion",
        method=Method("Bipartite density and clustering", {"quarter": quarter}, _ROBINS),
    )


def _types(rows: pd.DataFrame, organization: pd.DataFrame) -> pd.Series:
    """Type of every contracted organization, indexed by its id."""
    ids = pd.Series(rows["organization_id"].unique())
    return pd.Series(organization_trait(ids, organization).to_numpy(), index=ids.to_numpy())


def _by_type(types: pd.Series) -> np.ndarray:
    """Count in all and for every organization type."""
    counts = types.value_counts().reindex(ORGANIZATION_TYPES, fill_value=0).to_numpy(dtype=float)
    return np.concatenate([[counts.sum()], counts])
