"""Coverage: which counties have an organization that serves, not merely one under contract."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.code_lists import known_counties, services_offered
from calaim_eval.integration.contracts import contracts_in_force
from calaim_eval.integration.services import services_in_quarter
from calaim_eval.integration.share_table import by_wilson, share_table
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.tables.ledger import RowLedger

_CELL = ["county", "service"]


def service_coverage(
    contract: pd.DataFrame,
    program_service: pd.DataFrame,
    *,
    quarter: str,
    counties: Sequence[str] | None = None,
    services: Sequence[str] | None = None,
    ledger: RowLedger | None = None,
) -> RateTable:
    """Active over contracted organizations, county by service, cells with none included.

    An organization is active in a cell when it served at least one member there in the quarter
    under a contract in force. A contract is not a service.

    Parameters
    ----------
    contract, program_service : pd.DataFrame
        Columns of the tables of these names.
    quarter : str
        e.g. ``"2024Q4"``.
    counties : sequence of str, optional
        Counties to report. Default: the 58 of the code list.
    services : sequence of str, optional
        Services to report. Default: ECM and the Community Supports in effect by the quarter.
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    RateTable
        Keys ``county``, ``service``: every combination; numerator: active organizations;
        denominator: contracted organizations; rate NaN where none is contracted.

    Raises
    ------
    TableError
        Columns are absent, or no service record names its county.
    EstimationError
        No contract is in force or no service was received in the quarter, or a county or service
        asked for is not in the code list.
    """
    counties = known_counties() if counties is None else _known(counties, known_counties())
    offered = services_offered(quarter)
    services = offered if services is None else _known(services, offered)
    grid = pd.MultiIndex.from_product([counties, services], names=_CELL)
    contracted = _pairs(
        contracts_in_force(contract, quarter=quarter, ledger=ledger, stage="coverage")
    )
    served = _pairs(_located_services(program_service, quarter=quarter, ledger=ledger))
    active = contracted.merge(served, how="inner")
    numerator = _organizations(active, grid)
    denominator = _organizations(contracted, grid)
    return share_table(
        "Active organizations by county and service",
        grid.to_frame(index=False),
        numerator,
        denominator,
        names=(f"active_organizations_in_{quarter}", f"contracted_organizations_in_{quarter}"),
        unit="share of contracted organizations",
        method=by_wilson(
            {"quarter": quarter, "active": "at least one member served in the quarter"}
        ),
        about="organizations",
        notes=_notes(contracted, served, active, grid),
    )


def coverage_summary(coverage: RateTable, *, at_least: int = 1) -> RateTable:
    """Counties with at least so many active organizations, by service.

    Parameters
    ----------
    coverage : RateTable
        What `service_coverage` returned.
    at_least : int
        1: the service can be had; 2: members have a choice, and one closure leaves a provider.

    Returns
    -------
    RateTable
        Key ``service``; numerator: counties with at least `at_least` active organizations;
        denominator: counties. No interval: the counties are all there are, not a sample.

    Raises
    ------
    EstimationError
        The table is not one of coverage, or `at_least` is below 1.
    """
    if list(coverage.keys.columns) != _CELL:
        raise EstimationError(
            f"coverage_summary: the table has keys {list(coverage.keys.columns)}, expected "
            f"{_CELL}.\n  Pass what service_coverage() returned."
        )
    if at_least < 1:
        raise EstimationError("`at_least` is below 1.\n  Give 1 or more active organizations.")
    cells = coverage.keys.assign(is_covered=coverage.numerator >= at_least)
    table = cells.groupby("service", sort=False)["is_covered"].agg(["sum", "size"])
    empty = np.full(len(table), np.nan)
    return RateTable(
        measure=f"Counties with at least {at_least} active organization{'s'[: at_least > 1]}",
        keys=pd.DataFrame({"service": table.index.to_numpy()}),
        numerator=table["sum"].to_numpy(dtype=float),
        denominator=table["size"].to_numpy(dtype=float),
        conf_low=empty,
        conf_high=empty,
        n_members=empty,
        numerator_name=f"counties_with_{at_least}_or_more_active_organizations",
        denominator_name="counties",
        unit="share of counties",
        kind="proportion",
        method=Method(
            "Share of all counties, no sampling interval",
            {**coverage.method.options, "at_least": at_least},
        ),
        about="organizations",
        notes=coverage.notes,
    )


def contracted_but_idle(
    contract: pd.DataFrame,
    program_service: pd.DataFrame,
    *,
    quarter: str,
    ledger: RowLedger | None = None,
) -> RateTable:
    """Organizations under contract for a service that served nobody with it in the quarter.

    Counted per organization, not per county: an organization that serves in one of its five
    counties is not idle.

    Parameters
    ----------
    contract, program_service, quarter, ledger
        As in `service_coverage`.

    Returns
    -------
    RateTable
        Key ``service`` including ``"all"`` (idle for every service it is contracted for; not the
        sum of the rows, since organizations offer several); numerator: idle organizations;
        denominator: contracted organizations.
    """
    stage = "contracted_but_idle"
    columns = ["organization_id", "service"]
    in_force = contracts_in_force(contract, quarter=quarter, ledger=ledger, stage=stage)
    offered = services_offered(quarter)
    contracted = in_force.loc[in_force["service"].isin(offered), columns]
    if contracted.empty:
        raise EstimationError(
            f"table `contract`: none of {len(in_force):,} rows in force in {quarter} is for a "
            "service of the code list in effect then.\n  Check `service` against the code list "
            "`community_support`."
        )
    served = services_in_quarter(program_service, quarter=quarter, ledger=ledger, stage=stage)
    pairs = contracted.drop_duplicates().merge(
        served[columns].dropna().drop_duplicates(), how="left", indicator="found"
    )
    pairs["is_active"] = pairs["found"] == "both"
    anywhere = pairs.groupby("organization_id")["is_active"].any()
    by_service = pairs.groupby("service")["is_active"].agg(["sum", "size"])
    order = [service for service in offered if service in by_service.index]
    active = np.array([anywhere.sum(), *by_service.loc[order, "sum"]], dtype=float)
    n_contracted = np.array([len(anywhere), *by_service.loc[order, "size"]], dtype=float)
    return share_table(
        "Contracted but idle organizations",
        pd.DataFrame({"service": [ALL, *order]}),
        n_contracted - active,
        n_contracted,
        names=(f"idle_organizations_in_{quarter}", f"contracted_organizations_in_{quarter}"),
        unit="share of contracted organizations",
        method=by_wilson({"quarter": quarter}),
        about="organizations",
        notes=_not_in_effect(in_force, offered),
    )


def _not_in_effect(in_force: pd.DataFrame, offered: list[str]) -> tuple[str, ...]:
    """Organizations under contract for a service that is not in effect, counted."""
    outside = in_force.loc[~in_force["service"].isin(offered), "organization_id"].nunique()
    if not outside:
        return ()
    return (
        f"{outside:,} organizations hold contracts for services not in effect in the quarter; "
        "those are not counted as idle.",
    )


def _located_services(
    program_service: pd.DataFrame, *, quarter: str, ledger: RowLedger | None
) -> pd.DataFrame:
    """Services of the quarter that name county and organization."""
    rows = services_in_quarter(program_service, quarter=quarter, ledger=ledger, stage="coverage")
    is_placed = rows[["county", "organization_id"]].notna().all(axis=1)
    if not is_placed.any():
        raise TableError(
            f"table `program_service`: none of {len(rows):,} services received in {quarter} names "
            "both `county` and `organization_id`, so coverage would read as zero everywhere.\n"
            "  Fill them (county of service, organization that served)."
        )
    if ledger is not None:
        ledger.note(
            "program_service",
            "service without county or organization: not in coverage",
            int((~is_placed).sum()),
        )
    return rows[is_placed]


def _pairs(rows: pd.DataFrame) -> pd.DataFrame:
    """Distinct organizations within county and service."""
    return rows[["organization_id", *_CELL]].drop_duplicates()


def _organizations(pairs: pd.DataFrame, grid: pd.MultiIndex) -> np.ndarray:
    """Organizations in each cell of the grid; 0 where there is none."""
    counted: np.ndarray = (
        pairs.groupby(_CELL).size().reindex(grid, fill_value=0).to_numpy(dtype=float)
    )
    return counted


def _known(wanted: Sequence[str], listed: list[str]) -> list[str]:
    """Counties or services asked for, checked against the list."""
    names = [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted))
    unknown = [name for name in names if name not in listed]
    if unknown or not names:
        raise EstimationError(
            f"{len(unknown)} of {len(names)} names asked for are not in the code list: {unknown}.\n"
            f"  Known: {', '.join(listed[:6])} ... ({len(listed)} in all; see the data dictionary)."
        )
    return names


def _notes(
    contracted: pd.DataFrame, served: pd.DataFrame, active: pd.DataFrame, grid: pd.MultiIndex
) -> tuple[str, ...]:
    """Organizations outside the grid or outside the contract list, counted."""
    notes = []
    n_uncontracted = len(served) - len(active)
    if n_uncontracted:
        notes.append(
            f"{n_uncontracted:,} combinations of organization, county and service served members "
            "without a contract in the list; they are not counted as active."
        )
    outside = ~pd.MultiIndex.from_frame(contracted[_CELL]).isin(grid)
    if outside.any():
        notes.append(
            f"{int(outside.sum()):,} contracted combinations of organization, county and service "
            "lie outside the counties and services reported."
        )
    return tuple(notes)
