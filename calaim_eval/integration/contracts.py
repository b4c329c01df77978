"""Contracts in force in a quarter, and what kind of organization holds them."""

from __future__ import annotations

import pandas as pd

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.inputs import (
    UNKNOWN,
    check_values,
    quarter_days,
    set_aside,
    take_columns,
)
from calaim_eval.schema.fields import FIELDS
from calaim_eval.tables.ledger import RowLedger

ORGANIZATION_TYPES = FIELDS["organization_type"].values


def contracts_in_force(
    contract: pd.DataFrame,
    *,
    quarter: str,
    ledger: RowLedger | None = None,
    stage: str = "contracts in force",
) -> pd.DataFrame:
    """Contract rows in force on at least one day of the quarter.

    A contract without a start date is taken as in force (it is on the plan's list), one without
    an end date as open.

    Parameters
    ----------
    contract : pd.DataFrame
        Columns of the table `contract`.
    quarter : str
        e.g. ``"2024Q4"``.
    ledger : RowLedger, optional
        Gets the rows set aside and the reason of each.
    stage : str
        Stage name in the ledger.

    Returns
    -------
    pd.DataFrame
        contract_id, plan, organization_id, county, service and the two dates.

    Raises
    ------
    TableError
        Columns are absent or cannot be read.
    EstimationError
        No contract is in force in the quarter.
    """
    first, last = quarter_days(quarter)
    rows = take_columns(
        contract,
        table="contract",
        required=("plan", "organization_id", "county", "service"),
        optional=("contract_id", "contract_start_date", "contract_end_date"),
    )
    keys = ["plan", "organization_id", "county", "service"]
    is_kept = set_aside(
        {
            "plan, organization, county or service missing": rows[keys].isna().any(axis=1),
            "ends before it starts": rows["contract_end_date"] < rows["contract_start_date"],
            "starts after the quarter": rows["contract_start_date"] > last,
            "ended before the quarter": rows["contract_end_date"] < first,
        },
        table="contract",
        stage=stage,
        ledger=ledger,
    )
    if not is_kept.any():
        raise EstimationError(
            f"table `contract`: none of {len(rows):,} rows is in force in {quarter}.\n"
            "  Check `quarter`, and whether `contract_start_date` and `contract_end_date` are "
            "those of the contract and not of the file."
        )
    return rows[is_kept].reset_index(drop=True)


def organization_trait(
    organization_id: pd.Series, organization: pd.DataFrame, *, trait: str = "organization_type"
) -> pd.Series:
    """Trait of each organization id; ``"unknown"`` where the roster does not say.

    Raises
    ------
    TableError
        The roster repeats an organization with different traits, or holds a trait that is not
        in the code list.
    """
    roster = take_columns(
        organization, table="organization", required=("organization_id", trait)
    ).drop_duplicates()
    if FIELDS[trait].values:
        check_values(roster, table="organization", column=trait)
    conflicting = roster["organization_id"].dropna().duplicated()
    if conflicting.any():
        raise TableError(
            f"table `organization`: {int(conflicting.sum()):,} organizations are listed with more "
            f"than one `{trait}`.\n  Agree on one per organization; the coders' own calls belong "
            "in `coder_1_organization_type` and `coder_2_organization_type`."
        )
    known = roster.dropna().set_index("organization_id")[trait]
    return organization_id.map(known).fillna(UNKNOWN)


def is_listed(organization_id: pd.Series, organization: pd.DataFrame) -> pd.Series:
    """Whether each organization id is in the roster; a missing id is not."""
    roster = take_columns(organization, table="organization", required=("organization_id",))
    return organization_id.isin(roster["organization_id"].dropna().unique())


def trait_values(trait: str, present: pd.Series) -> list[str]:
    """Values of a trait in the order of its code list; those present where it has none."""
    listed = list(FIELDS[trait].values) or sorted(set(present.dropna()) - {UNKNOWN})
    return listed if UNKNOWN in listed else [*listed, UNKNOWN]
