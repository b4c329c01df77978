"""Capacity: how full organizations are, and how far their places reach for those eligible."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.code_lists import known_services
from calaim_eval.integration.contracts import contracts_in_force, organization_trait
from calaim_eval.integration.inputs import UNKNOWN, check_unique, set_aside, take_columns
from calaim_eval.integration.services import services_in_quarter
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.tables.ledger import RowLedger

_CELL = ["county", "service"]
_CAPACITY = (ALL, "stated", "not_stated")
_TRAITS = ("organization_type", "leadership", "population_served")


def capacity_use(
    contract: pd.DataFrame,
    program_service: pd.DataFrame,
    *,
    quarter: str,
    by: str = "service",
    organization: pd.DataFrame | None = None,
    ledger: RowLedger | None = None,
) -> RateTable:
    """Members served over the places organizations state: above 1, more are served than stated.

    Only members served by an organization that states a capacity there are set against places;
    the others have a row of their own, so that no small number hides between two tables. Places
    are those at a time and members those of the quarter: the rate is the upper end where members
    come and go.

    Parameters
    ----------
    contract, program_service : pd.DataFrame
        Columns of the tables of these names. Where rows of one contract repeat a capacity over
        counties or services, the plan's list must say the places of each.
    quarter : str
        e.g. ``"2024Q4"``.
    by : str
        ``"service"``, ``"county"``, or a trait of the organization: ``"organization_type"``,
        ``"leadership"``, ``"population_served"`` (needs `organization`).
    organization : pd.DataFrame, optional
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    RateTable
        Keys `by` with ``"all"`` (not the sum of the rows: a member may be in several) and
        ``capacity`` (``"stated"``, ``"not_stated"`` and their margin ``"all"``); numerator:
        distinct members served, ``"stated"`` where any organization that served them states
        places for the service in the county; denominator: places, in the rows ``"stated"`` only.
        No interval.

    Raises
    ------
    TableError
        Columns are absent or cannot be read.
    EstimationError
        No contract states a capacity, or `by` cannot be made.
    """
    places = _places(contract, quarter=quarter, ledger=ledger)
    served = services_in_quarter(
        program_service, quarter=quarter, ledger=ledger, stage="capacity_use"
    )
    unit = ["organization_id", *_CELL]
    stated = places.groupby(unit, as_index=False)["capacity_members"].sum()
    members = served[[*unit, "member_id"]].drop_duplicates()
    members = members.merge(stated[unit].assign(is_stated=True), how="left", on=unit)
    members["is_stated"] = members["is_stated"].notna()
    of_places = _label(stated, by, organization)
    of_members = _label(members, by, organization).fillna(UNKNOWN)
    order = _order(by, {*of_places, *of_members})
    groups = [members, *(members[of_members == value] for value in order)]
    numerator = np.concatenate([_members_by_capacity(group) for group in groups])
    total = stated["capacity_members"]
    sums = [total.sum(), *(total[of_places == value].sum() for value in order)]
    keys = pd.MultiIndex.from_product([[ALL, *order], _CAPACITY], names=[by, "capacity"])
    return _table(
        "Members served per stated place",
        keys.to_frame(index=False),
        numerator,
        np.concatenate([[np.nan, places_of, np.nan] for places_of in map(float, sums)]),
        names=(f"members_served_in_{quarter}_all_types", f"places_stated_in_{quarter}"),
        unit="members served per stated place",
        method=Method("Members over stated places", {"quarter": quarter}),
        n_members=numerator,
        notes=_unstated(contract, quarter),
        margins=("capacity",),
    )


def _members_by_capacity(rows: pd.DataFrame) -> np.ndarray:
    """Distinct members in all, with a stated capacity, and without."""
    is_stated = rows.groupby("member_id")["is_stated"].any()
    n_stated = float(is_stated.sum())
    return np.array([float(len(is_stated)), n_stated, len(is_stated) - n_stated])


def capacity_adequacy(
    contract: pd.DataFrame,
    eligible: pd.DataFrame,
    *,
    quarter: str,
    ledger: RowLedger | None = None,
) -> RateTable:
    """Places stated per member eligible, county by service, at both ends of the eligible.

    How many are eligible is never known exactly: population estimates, point-in-time counts and
    claims differ. The two rows of a cell bracket the truth.

    Parameters
    ----------
    contract : pd.DataFrame
        Columns of the table `contract`.
    eligible : pd.DataFrame
        One row a county and service: ``county``, ``service``, ``eligible_low``,
        ``eligible_high`` (members; ``0 < low <= high``).
    quarter : str
        Contracts in force in it count.
    ledger : RowLedger, optional
        Gets the contract rows set aside.

    Returns
    -------
    RateTable
        Keys ``county``, ``service`` and ``eligible`` (``"low"``, ``"high"``): places stated over
        members eligible. A cell with eligible members and no stated place is 0, and is the one to
        look at; places in cells without an estimate are counted in a note.

    Raises
    ------
    TableError
        Columns of `eligible` are absent, repeat a cell, or are not ``0 < low <= high``.
    EstimationError
        No contract states a capacity.
    """
    ends = _eligible(eligible)
    places = _places(contract, quarter=quarter, ledger=ledger)
    stated = places.groupby(_CELL)["capacity_members"].sum()
    cells = pd.MultiIndex.from_frame(ends[_CELL])
    numerator = stated.reindex(cells).fillna(0.0).to_numpy(dtype=float)
    outside = float(stated[~stated.index.isin(cells)].sum())
    keys = pd.concat([ends[_CELL].assign(eligible=end) for end in ("low", "high")])
    return _table(
        "Places stated per member eligible",
        keys.reset_index(drop=True),
        np.concatenate([numerator, numerator]),
        np.concatenate([ends["eligible_low"], ends["eligible_high"]]).astype(float),
        names=(f"places_stated_in_{quarter}", f"members_eligible_in_{quarter}"),
        unit="places per member eligible",
        method=Method("Places over eligible members, low and high", {"quarter": quarter}),
        n_members=np.full(len(keys), np.nan),
        notes=(
            *_unstated(contract, quarter),
            *(
                (f"{outside:,.0f} places are in cells without an estimate of those eligible.",)
                if outside
                else ()
            ),
        ),
    )


def _places(contract: pd.DataFrame, *, quarter: str, ledger: RowLedger | None) -> pd.DataFrame:
    """Contract rows in force that state a capacity for a service of the code list."""
    rows = _with_capacity(contract, quarter=quarter, ledger=ledger)
    is_stated = set_aside(
        {
            "service not in the code list": ~rows["service"].isin(known_services()),
            "states no capacity": rows["capacity_members"].isna(),
        },
        table="contract",
        stage="capacity: places stated",
        ledger=ledger,
    )
    stated = rows[is_stated]
    if stated.empty:
        raise EstimationError(
            f"table `contract`: none of {len(rows):,} rows in force in {quarter} states "
            "`capacity_members`.\n  Ask plans for the places in each contract."
        )
    return stated


def _with_capacity(
    contract: pd.DataFrame, *, quarter: str, ledger: RowLedger | None = None
) -> pd.DataFrame:
    """Contract rows in force with their capacity; each plan, organization, place and service once.

    A renewal may leave two rows of one contract in force in a quarter: the later one counts.
    """
    if "capacity_members" not in contract.columns:
        raise TableError(
            "table `contract` lacks column `capacity_members`.\n"
            "  Add the places under each contract; leave unknown ones empty."
        )
    capacity = take_columns(contract, table="contract", required=("capacity_members",))
    if (capacity["capacity_members"] < 0).any():
        raise TableError(
            "table `contract`, column `capacity_members`: "
            f"{int((capacity['capacity_members'] < 0).sum()):,} rows are below 0.\n"
            "  Give the places of the contract, or leave them empty."
        )
    numbered = contract.reset_index(drop=True).assign(
        contract_id=lambda f: np.arange(len(f)).astype(str)
    )
    rows = contracts_in_force(numbered, quarter=quarter, ledger=ledger, stage="capacity")
    place = rows["contract_id"].astype(int)
    rows["capacity_members"] = capacity["capacity_members"].to_numpy()[place]
    unit = ["plan", "organization_id", *_CELL]
    latest = rows.sort_values("contract_start_date", kind="stable", na_position="first")
    is_replaced = latest.duplicated(unit, keep="last").sort_index()
    is_kept = set_aside(
        {"replaced by a later row of the contract": is_replaced},
        table="contract",
        stage="capacity: latest rows",
        ledger=ledger,
    )
    return rows[is_kept]


def _unstated(contract: pd.DataFrame, quarter: str) -> tuple[str, ...]:
    """How many contract rows in force do not say how many places they hold."""
    rows = _with_capacity(contract, quarter=quarter)
    n_missing = int(rows["capacity_members"].isna().sum())
    if not n_missing:
        return ()
    return (
        f"{n_missing:,} of {len(rows):,} contracted services state no capacity and do not enter.",
    )


def _label(rows: pd.DataFrame, by: str, organization: pd.DataFrame | None) -> pd.Series:
    """Value of the breakdown for each row."""
    if by in _CELL:
        return rows[by].astype(object)
    if by in _TRAITS and organization is not None:
        return organization_trait(rows["organization_id"], organization, trait=by).astype(object)
    known = ", ".join(f"`{name}`" for name in (*_CELL, *_TRAITS))
    raise EstimationError(
        f"`by`: `{by}` is not one of {known}, or it needs `organization`.\n  Choose one of them."
    )


def _order(by: str, values: set[object]) -> list[str]:
    """Values in the order reports show them."""
    if by == "service":
        known = known_services()
        return [*(s for s in known if s in values), *sorted(map(str, values - {*known}))]
    return sorted(map(str, values), key=lambda v: (v == UNKNOWN, v))


def _eligible(eligible: pd.DataFrame) -> pd.DataFrame:
    """The estimates of those eligible, checked."""
    needed = [*_CELL, "eligible_low", "eligible_high"]
    missing = [name for name in needed if name not in getattr(eligible, "columns", ())]
    if missing:
        raise TableError(
            f"`eligible` lacks {', '.join(f'`{name}`' for name in missing)}.\n"
            "  Give one row a county and service with the low and high number of members eligible."
        )
    ends = eligible[needed].reset_index(drop=True)
    check_unique(ends, table="eligible", key=_CELL)
    low, high = (pd.to_numeric(ends[c], errors="coerce") for c in needed[2:])
    wrong = ~((low > 0) & (low <= high))
    if wrong.any():
        raise TableError(
            f"`eligible`: {int(wrong.sum())} of {len(ends)} rows are not 0 < low <= high.\n"
            "  Leave out cells without an estimate."
        )
    return ends.assign(eligible_low=low, eligible_high=high)


def _table(
    measure: str,
    keys: pd.DataFrame,
    numerator: np.ndarray,
    denominator: np.ndarray,
    *,
    names: tuple[str, str],
    unit: str,
    method: Method,
    n_members: np.ndarray,
    notes: tuple[str, ...],
    margins: tuple[str, ...] = (),
) -> RateTable:
    """Rates that are no shares and no samples: without interval."""
    empty = np.full(len(keys), np.nan)
    return RateTable(
        measure=measure,
        keys=keys,
        numerator=numerator,
        denominator=denominator,
        conf_low=empty,
        conf_high=empty,
        n_members=n_members,
        numerator_name=names[0],
        denominator_name=names[1],
        unit=unit,
        kind="rate",
        method=method,
        margins=margins,
        notes=notes,
    )
