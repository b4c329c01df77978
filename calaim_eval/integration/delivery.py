"""Who delivers: organizations, contracts and members by type of organization, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.contracts import (
    ORGANIZATION_TYPES,
    contracts_in_force,
    is_listed,
    organization_trait,
)
from calaim_eval.integration.inputs import UNKNOWN
from calaim_eval.integration.services import Program, services_in_quarter
from calaim_eval.integration.share_table import by_wilson, share_table
from calaim_eval.results import RateTable
from calaim_eval.tables.ledger import RowLedger

_BREAKDOWNS = ("county", "plan", "service")


def delivery_organizations(
    contract: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    quarter: str,
    by: Sequence[str] = (),
    ledger: RowLedger | None = None,
) -> RateTable:
    """Contracted organizations by type: which share of them are community-based.

    Read it beside `delivery_contracts` and `delivery_members`: many community-based
    organizations on the list may serve few of the members.

    Parameters
    ----------
    contract, organization : pd.DataFrame
        Columns of the tables of these names.
    quarter : str
        Contracts in force on at least one day of it count, e.g. ``"2024Q4"``.
    by : sequence of {"county", "plan", "service"}
        Report within these; an organization counts once in each.
    ledger : RowLedger, optional
        Gets the contract rows set aside.

    Returns
    -------
    RateTable
        Keys `by` and ``organization_type`` (every type, also with 0); numerator: distinct
        organizations of the type; denominator: distinct organizations. An organization that the
        roster lacks is ``"unknown"``, a row of its own.

    Raises
    ------
    TableError
        Columns are absent, or an organization type is not in the code list.
    EstimationError
        No contract is in force.

    Examples
    --------
    >>> contract = pd.DataFrame(
    ...     {
    ...         "plan": ["a", "a", "b"],
    ...         "organization_id": ["1", "2", "2"],
    ...         "county": "Kings",
    ...         "service": "ecm",
    ...         "contract_start_date": "2024-01-01",
    ...     }
    ... )
    >>> organization = pd.DataFrame(
    ...     {"organization_id": ["1", "2"], "organization_type": ["cbo", "clinic"]}
    ... )
    >>> table = delivery_organizations(contract, organization, quarter="2024Q4")
    >>> table.select(table.numerator > 0).to_frame()[["organization_type", "rate"]]
      organization_type  rate
    0               cbo   0.5
    1            clinic   0.5
    """
    rows, notes = _typed_contracts(
        contract, organization, quarter=quarter, ledger=ledger, stage="delivery_organizations"
    )
    return _shares_by_type(
        rows,
        unit_columns=["organization_id"],
        by=by,
        measure="Contracted organizations by type",
        names=("contracted_organizations", "contracted_organizations_all_types"),
        unit="share of contracted organizations",
        quarter=quarter,
        notes=notes,
    )


def delivery_contracts(
    contract: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    quarter: str,
    by: Sequence[str] = (),
    ledger: RowLedger | None = None,
) -> RateTable:
    """Contracts by type of organization: for-profit organizations often hold several each.

    A contract is one plan, organization and ``contract_id``; without ids, one plan and
    organization, whatever the number of counties and services under it.

    Parameters
    ----------
    contract, organization, quarter, by, ledger
        As in `delivery_organizations`.

    Returns
    -------
    RateTable
        Keys `by` and ``organization_type``; numerator: contracts held by the type; denominator:
        all contracts.
    """
    rows, notes = _typed_contracts(
        contract, organization, quarter=quarter, ledger=ledger, stage="delivery_contracts"
    )
    return _shares_by_type(
        rows,
        unit_columns=["plan", "organization_id", "contract_id"],
        by=by,
        measure="Contracts by type of organization",
        names=("contracts", "contracts_all_types"),
        unit="share of contracts",
        quarter=quarter,
        notes=notes,
    )


def delivery_members(
    program_service: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    quarter: str,
    program: Program = "any",
    by: Sequence[str] = (),
    ledger: RowLedger | None = None,
) -> RateTable:
    """Members served by type of organization: the share that says who really delivers.

    A member served by two types in the quarter counts once in each: the shares may add up to
    more than one and the rows have no margin.

    Parameters
    ----------
    program_service, organization : pd.DataFrame
        Columns of the tables of these names.
    quarter : str
        Services received in it count.
    program : {"any", "ecm", "community_support"}
    by : sequence of {"county", "plan", "service"}
        Report within these; a member counts once in each.
    ledger : RowLedger, optional
        Gets the service rows set aside.

    Returns
    -------
    RateTable
        Keys `by` and ``organization_type``; numerator: distinct members served by the type;
        denominator: distinct members served by anyone. Services without an organization, or by
        one that the roster lacks, are ``"unknown"``.
    """
    rows = services_in_quarter(
        program_service, quarter=quarter, program=program, ledger=ledger, stage="delivery_members"
    )
    rows["organization_type"] = organization_trait(rows["organization_id"], organization)
    name = {"any": "members_served", "ecm": "members_served_by_ecm"}.get(
        program, "members_served_by_community_supports"
    )
    return _shares_by_type(
        rows,
        unit_columns=["member_id"],
        by=by,
        measure="Members served by type of organization",
        names=(f"{name}_in_{quarter}", f"{name}_in_{quarter}_all_types"),
        unit="share of members served",
        quarter=quarter,
        notes=(
            "A member served by two types of organization counts once in each: shares may add up "
            "to more than one.",
        ),
        about_members=True,
    )


def _typed_contracts(
    contract: pd.DataFrame,
    organization: pd.DataFrame,
    *,
    quarter: str,
    ledger: RowLedger | None,
    stage: str,
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Contracts in force with the type of their organization, and what a reader must know."""
    rows = contracts_in_force(contract, quarter=quarter, ledger=ledger, stage=stage)
    rows["organization_type"] = organization_trait(rows["organization_id"], organization)
    n_unlisted = rows.loc[
        ~is_listed(rows["organization_id"], organization), "organization_id"
    ].nunique()
    if not n_unlisted:
        return rows, ()
    return rows, (
        f"{n_unlisted:,} contracted organizations are not in the organization table; their type "
        "is unknown.",
    )


def _shares_by_type(
    rows: pd.DataFrame,
    *,
    unit_columns: list[str],
    by: Sequence[str],
    measure: str,
    names: tuple[str, str],
    unit: str,
    quarter: str,
    notes: tuple[str, ...],
    about_members: bool = False,
) -> RateTable:
    """Distinct units by organization type over distinct units, within the breakdown."""
    breakdown = _breakdown(by)
    rows = rows.assign(**{c: rows[c].fillna(UNKNOWN) for c in breakdown}) if breakdown else rows
    totals = _distinct(rows, unit_columns=unit_columns, within=breakdown)
    typed = _distinct(rows, unit_columns=unit_columns, within=[*breakdown, "organization_type"])
    keys = totals[breakdown].merge(
        pd.DataFrame({"organization_type": list(ORGANIZATION_TYPES)}), how="cross"
    )
    table = keys.merge(typed, how="left", on=[*breakdown, "organization_type"])
    numerator = table["n"].fillna(0).to_numpy(dtype=float)
    denominator = np.repeat(totals["n"].to_numpy(dtype=float), len(ORGANIZATION_TYPES))
    return share_table(
        measure,
        keys,
        numerator,
        denominator,
        names=names,
        unit=unit,
        method=by_wilson({"quarter": quarter}),
        about="members" if about_members else "organizations",
        notes=notes,
    )


def _distinct(rows: pd.DataFrame, *, unit_columns: list[str], within: list[str]) -> pd.DataFrame:
    """Distinct units within each combination of columns, as column `n`."""
    units = rows[[*within, *[c for c in unit_columns if c not in within]]].drop_duplicates()
    if not within:
        return pd.DataFrame({"n": [len(units)]})
    return units.groupby(within, sort=True, observed=True).size().rename("n").reset_index()


def _breakdown(by: Sequence[str]) -> list[str]:
    """Breakdown columns, checked."""
    wanted = [by] if isinstance(by, str) else list(by)
    unknown = [c for c in wanted if c not in _BREAKDOWNS]
    if unknown:
        raise EstimationError(
            f"`by`: {unknown} cannot break down who delivers.\n"
            f"  Choose among {', '.join(f'`{c}`' for c in _BREAKDOWNS)}."
        )
    return wanted
