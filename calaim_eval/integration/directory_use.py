"""Services a resource directory lists: active, serving members, or idle, by county."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calaim_eval.errors import EstimationError
from calaim_eval.integration.about_organizations import about_organizations
from calaim_eval.integration.code_lists import known_counties
from calaim_eval.integration.inputs import set_aside, take_columns
from calaim_eval.integration.services import services_in_quarter
from calaim_eval.results import ALL, Method, RateTable
from calaim_eval.tables.ledger import RowLedger

STATES = ("serving", "idle", "no_support", "not_active")
_CELL = ["organization_id", "county", "service"]


def directory_use(
    resource: pd.DataFrame,
    program_service: pd.DataFrame,
    *,
    quarter: str,
    ledger: RowLedger | None = None,
) -> RateTable:
    """Listed services by whether they are active and serve members of the program.

    Listed is not contracted, and active in a directory is not serving anybody: the row ``"idle"``
    is what a directory promises and the program does not use.

    Parameters
    ----------
    resource, program_service : pd.DataFrame
        Columns of the tables of these names.
    quarter : str
        e.g. ``"2024Q4"``.
    ledger : RowLedger, optional
        Gets the rows set aside.

    Returns
    -------
    RateTable
        Keys ``county`` and ``state``, both with ``"all"``; numerator: listed services in the
        county; denominator: all of them. States: ``"serving"`` (active, and its organization
        served a member there with that support in the quarter), ``"idle"`` (active, and did not),
        ``"no_support"`` (active, for nothing the program pays), ``"not_active"`` (inactive, or not
        known to be active). A service listed for several counties is in each. About
        organizations.

    Raises
    ------
    TableError
        Columns are absent or cannot be read.
    EstimationError
        No service is listed for a county, or none was received in the quarter.
    """
    rows = take_columns(
        resource,
        table="resource",
        required=("resource_id", "organization_id"),
        optional=("county", "resource_status", "service"),
    )
    is_kept = set_aside(
        {
            "resource or organization missing": rows[["resource_id", "organization_id"]]
            .isna()
            .any(axis=1),
            "county missing or not one of the 58": ~rows["county"].isin(known_counties()),
            "listed twice in the county": rows.duplicated(["resource_id", "county"]),
        },
        table="resource",
        stage="directory_use",
        ledger=ledger,
    )
    if not is_kept.any():
        raise EstimationError(
            f"table `resource`: none of {len(rows):,} rows is listed for one of the 58 counties.\n"
            "  Say where each service is available."
        )
    listed = rows[is_kept].reset_index(drop=True)
    served = services_in_quarter(
        program_service, quarter=quarter, ledger=ledger, stage="directory_use"
    )
    serves = pd.MultiIndex.from_frame(listed[_CELL]).isin(
        pd.MultiIndex.from_frame(served[_CELL].dropna().drop_duplicates())
    )
    is_active = listed["resource_status"].eq("active").to_numpy(dtype=bool)
    is_support = listed["service"].notna().to_numpy()
    state = np.select(
        [~is_active, ~is_support, serves], ["not_active", "no_support", "serving"], default="idle"
    )
    present = [c for c in known_counties() if c in set(listed["county"])]
    keys = pd.MultiIndex.from_product([[ALL, *present], [ALL, *STATES]], names=["county", "state"])
    counts = pd.DataFrame({"county": listed["county"], "state": state}).value_counts()
    wide = counts.unstack("state").reindex(index=present, columns=STATES).fillna(0.0)  # noqa: PD010
    wide.loc[ALL] = wide.sum(axis=0)
    wide[ALL] = wide.sum(axis=1)
    return about_organizations(
        "Services in the resource directory",
        keys.to_frame(index=False),
        np.array([wide.loc[county, state] for county, state in keys]),
        np.array([wide.loc[county, ALL] for county, _ in keys]),
        names=("listed_services_by_state", "listed_services"),
        unit="share of listed services",
        kind="proportion",
        method=Method("Listed services by state", {"quarter": quarter}),
        margins=("county", "state"),
    )
