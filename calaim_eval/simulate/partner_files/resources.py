"""A resource directory of the simulated organizations: what they are contracted for, and where."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

_FIRST_CODE = 1000
_UPDATED = "2024-10-01"


def directory_of_contracts(
    contract: pd.DataFrame, organization: pd.DataFrame
) -> Mapping[str, pd.DataFrame]:
    """A service for each organization and service it is contracted for, in its counties.

    Parameters
    ----------
    contract, organization : pd.DataFrame
        As declared.

    Returns
    -------
    dict of str to pd.DataFrame
        `resource`, as `read_partner_files` gives it but for the mark of the source in front of
        `resource_id`, and `organization`, by which directories name it. A service all contracts of
        which have ended is inactive; codes are fictional, one a support.
    """
    services = sorted(contract["service"].unique())
    codes = {service: f"SIM-{_FIRST_CODE + place}" for place, service in enumerate(services)}
    keys = ["organization_id", "service"]
    rows = contract.sort_values([*keys, "county"], kind="stable")
    rows = rows.drop_duplicates([*keys, "county"]).reset_index(drop=True)
    is_active = contract["contract_end_date"].isna().groupby([contract[key] for key in keys]).any()
    room = contract.groupby(keys)["capacity_members"].max()
    pairs = pd.MultiIndex.from_frame(rows[keys])
    status = pd.Series(is_active.reindex(pairs).to_numpy()).map({True: "active", False: "inactive"})
    names = organization.set_index("organization_id")["organization_name"].to_dict()
    resource = pd.DataFrame(
        {
            "resource_id": rows["organization_id"] + "-" + rows["service"],
            "organization_id": rows["organization_id"],
            "resource_name": rows["organization_id"].map(names)
            + ": "
            + rows["service"].str.replace("_", " "),
            "resource_status": status,
            "resource_codes": rows["service"].map(codes),
            "service": rows["service"],
            "county": rows["county"],
            "county_basis": "area_served",
            "units_available": float("nan"),
            "units_in_all": room.reindex(pairs).to_numpy(dtype=float),
            "unit_name": "members",
            "last_updated_date": pd.Timestamp(_UPDATED),
        }
    )
    return {"resource": resource, "organization": organization}
