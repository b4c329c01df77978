"""Local community-based organizations: without outside parents and new entrants."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.integration.contracts import contracts_in_force, organization_trait
from calaim_eval.integration.inputs import Day, as_day, take_columns
from calaim_eval.integration.share_table import by_wilson, share_table
from calaim_eval.results import RateTable
from calaim_eval.tables.ledger import RowLedger


def local_cbo_share(
    contract: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    quarter: str,
    entered_before: Day = "2022-01-01",
    ledger: RowLedger | None = None,
) -> RateTable:
    """Share of contracted organizations that are local community-based organizations.

    "Community-based" on a roster includes branches of out-of-county and out-of-state parents and
    organizations founded for CalAIM. This measure takes them out, one condition at a time.

    Parameters
    ----------
    contract, organization : pd.DataFrame
        Columns of the tables of these names; `organization` with ``headquarters_county`` and
        ``market_entry_date``.
    quarter : str
        Contracts in force in it count.
    entered_before : day
        Organizations that began to serve in California on or after it are entrants. Default:
        the start of CalAIM.
    ledger : RowLedger, optional
        Gets the contract rows set aside.

    Returns
    -------
    RateTable
        Key ``definition``, each row over all contracted organizations:

        - ``cbo``: every community-based organization;
        - ``cbo_headquartered_where_contracted``: headquarters in a county it is contracted for;
        - ``cbo_before_calaim``: began to serve before `entered_before`;
        - ``local_cbo``: both;
        - ``local_cbo_if_unrecorded_are_local``: counts what is not recorded as local. The truth
          lies between the last two.

    Raises
    ------
    TableError
        Columns are absent or cannot be read.
    EstimationError
        No contract is in force.
    """
    cutoff = as_day(entered_before, name="entered_before")
    rows = contracts_in_force(contract, quarter=quarter, ledger=ledger, stage="local_cbo_share")
    roster = take_columns(
        organization,
        table="organization",
        required=("organization_id", "organization_type"),
        optional=("headquarters_county", "market_entry_date"),
    ).drop_duplicates("organization_id")
    pairs = rows[["organization_id", "county"]].drop_duplicates()
    pairs = pairs.merge(roster, how="left", on="organization_id")
    pairs["is_at_home"] = pairs["headquarters_county"] == pairs["county"]
    organizations = pairs.groupby("organization_id").agg(
        is_at_home=("is_at_home", "any"),
        headquarters_county=("headquarters_county", "first"),
        market_entry_date=("market_entry_date", "first"),
    )
    types = organization_trait(organizations.index.to_series(), organization)
    return _local_rows(organizations, is_cbo=types == "cbo", cutoff=cutoff, quarter=quarter)


def _local_rows(
    organizations: pd.DataFrame, *, is_cbo: pd.Series, cutoff: pd.Timestamp, quarter: str
) -> RateTable:
    """The five definitions, narrowest conditions last."""
    at_home = organizations["is_at_home"]
    is_early = organizations["market_entry_date"] < cutoff
    home_unrecorded = organizations["headquarters_county"].isna()
    entry_unrecorded = organizations["market_entry_date"].isna()
    counted = {
        "cbo": is_cbo,
        "cbo_headquartered_where_contracted": is_cbo & at_home,
        "cbo_before_calaim": is_cbo & is_early,
        "local_cbo": is_cbo & at_home & is_early,
        "local_cbo_if_unrecorded_are_local": is_cbo
        & (at_home | home_unrecorded)
        & (is_early | entry_unrecorded),
    }
    numerator = np.array([float(mask.sum()) for mask in counted.values()])
    denominator = np.full(len(counted), float(len(organizations)))
    n_unrecorded = int((is_cbo & (home_unrecorded | entry_unrecorded)).sum())
    return share_table(
        "Local community-based organizations",
        pd.DataFrame({"definition": list(counted)}),
        numerator,
        denominator,
        names=("contracted_cbos_by_definition", "contracted_organizations_all_types"),
        unit="share of contracted organizations",
        method=by_wilson({"quarter": quarter, "entered_before": str(cutoff.date())}),
        about="organizations",
        notes=(
            f"{n_unrecorded:,} of {int(is_cbo.sum()):,} community-based organizations lack a "
            "headquarters county or a date of market entry: counted as not local.",
        )
        if n_unrecorded
        else (),
    )
