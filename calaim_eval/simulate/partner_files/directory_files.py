"""Write resource directories: HSDS datapackages of three versions, and an iCarol-shaped export."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pandas as pd

from calaim_eval.simulate.partner_files.source_ids import (
    SourceIds,
    rows_of,
    write_links,
    write_text,
)

HsdsVersion = Literal["2.x", "3.0", "3.1"]
_TAX = {
    "nonprofit": "Nonprofit",
    "for_profit": "For-profit",
    "public": "Government - County",
}
_LEVELS = ("Agency", "Program")


def write_hsds(
    tables: Mapping[str, pd.DataFrame], folder: Path | str, *, version: HsdsVersion = "3.1"
) -> Path:
    """Write organizations and services as the tables of an HSDS datapackage.

    Parameters
    ----------
    tables : mapping of str to pd.DataFrame
        `resource` (a row for each service in each county) and `organization`, as declared.
    folder : Path or str
        Gets the tables as CSV, and link files.
    version : {"2.x", "3.0", "3.1"}

    Returns
    -------
    Path
        The folder.

    Notes
    -----
    Not in 2.x: the day of the last change. Not before 3.1: units. In none: types of organizations,
    the day of the listing.
    """
    to, ids, resources, services = _begin(tables, folder, "hsds:")
    new = version != "2.x"
    organization = _agencies(tables, ids)
    organization["website" if new else "url"] = None
    write_text(to, "organizations", organization)
    columns = {
        "id": services["resource_id"],
        "organization_id": services["organization_id"],
        "name": services["resource_name"],
        "status": services["resource_status"],
    }
    if new:
        columns["last_modified"] = services["last_updated_date"]
    write_text(to, "services", pd.DataFrame(columns))
    _write_places(to, resources, services, version)
    _write_codes(to, services, version)
    if version == "3.1":
        _write_units(to, services)
    write_links(to, organizations=ids, services=_supports(resources))
    return to


def write_icarol(tables: Mapping[str, pd.DataFrame], folder: Path | str) -> Path:
    """Write organizations and services as rows of agencies and programs, as iCarol exports them.

    Parameters
    ----------
    tables : mapping of str to pd.DataFrame
        `resource` and `organization`, as declared.
    folder : Path or str
        Gets ``resources.csv``, and link files.

    Returns
    -------
    Path
        The folder.

    Notes
    -----
    Not written, since the export has no such column: units, types of organizations, the day of the
    listing.
    """
    to, ids, resources, services = _begin(tables, folder, "icarol:")
    agencies = _agencies(tables, ids)
    area = resources[resources["county_basis"] == "area_served"]
    area = area.groupby("resource_id", sort=False)["county"].agg("; ".join)
    state = resources[resources["county_basis"] == "state"].set_index("resource_id")["county_basis"]
    area = pd.concat([area, state.map({"state": "California"})])
    address = resources[resources["county_basis"] == "address"]
    first = address.drop_duplicates("resource_id").set_index("resource_id")["county"]
    own = services["resource_id"]
    programs = pd.DataFrame(
        {
            "ResourceAgencyNum": own,
            "PublicName": services["resource_name"],
            "TaxonomyLevelName": _LEVELS[1],
            "ParentAgencyNum": services["organization_id"],
            "AgencyStatus": services["resource_status"].map(
                {"active": "Active", "inactive": "Inactive"}
            ),
            "PhysicalCounty": own.map(first.to_dict()),
            "CoverageArea": own.map(area.to_dict()),
            "TaxonomyCodes": services["resource_codes"].str.replace(";", "; "),
            "UpdatedOn": services["last_updated_date"].dt.strftime("%m/%d/%Y"),
        }
    )
    named = pd.DataFrame(
        {
            "ResourceAgencyNum": agencies["id"],
            "PublicName": agencies["name"],
            "TaxonomyLevelName": _LEVELS[0],
            "ParentAgencyNum": "0",
            "IRSStatus": agencies["tax_status"],
        }
    )
    write_text(to, "resources", pd.concat([named, programs, _sites(address)], ignore_index=True))
    write_links(to, organizations=ids, services=_supports(resources))
    return to


def _begin(
    tables: Mapping[str, pd.DataFrame], folder: Path | str, mark: str
) -> tuple[Path, SourceIds, pd.DataFrame, pd.DataFrame]:
    """Folder, identifiers, rows by county and by service, as the source calls them."""
    to = Path(folder)
    ids = SourceIds(mark, "org-")
    resources = rows_of(tables, "resource")
    resources = resources.assign(
        resource_id=ids.own(resources["resource_id"]),
        organization_id=ids.of(resources["organization_id"]),
        last_updated_date=pd.to_datetime(resources["last_updated_date"]),
    )
    return to, ids, resources, resources.drop_duplicates("resource_id", ignore_index=True)


def _agencies(tables: Mapping[str, pd.DataFrame], ids: SourceIds) -> pd.DataFrame:
    """Organizations, those of the study by what the source calls them."""
    own = rows_of(tables, "organization")
    return pd.DataFrame(
        {
            "id": ids.of(own["organization_id"]),
            "name": own["organization_name"],
            "tax_status": own["ownership"].map(_TAX),
        }
    )


def _supports(resources: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Which code stands for which support: the first of a service that is one."""
    told = resources.dropna(subset=["service", "resource_codes"])
    codes = told["resource_codes"].str.split(";").str[0]
    return {
        ("taxonomy", str(code)): str(service)
        for code, service in zip(codes, told["service"], strict=True)
    }


def _write_places(
    to: Path, resources: pd.DataFrame, services: pd.DataFrame, version: HsdsVersion
) -> None:
    """Write areas served, and the addresses of services that have no area."""
    area = resources[resources["county_basis"].isin(["area_served", "state"])]
    words = (area["county"] + " County").where(area["county_basis"] != "state", "California")
    frame = pd.DataFrame({"id": _numbers("area", len(area)), "service_id": area["resource_id"]})
    told = "service_area" if version == "2.x" else "name"
    write_text(to, "service_areas", frame.assign(**{told: words}))
    at = resources[resources["county_basis"] == "address"]
    place = _numbers("place", len(at))
    write_text(to, "locations", pd.DataFrame({"id": place, "name": at["county"]}))
    pairs = pd.DataFrame(
        {"id": _numbers("at", len(at)), "service_id": at["resource_id"], "location_id": place}
    )
    write_text(to, "services_at_location" if version == "2.x" else "service_at_location", pairs)
    address = pd.DataFrame(
        {"id": _numbers("address", len(at)), "location_id": place, "region": at["county"]}
    )
    if version == "2.x":
        write_text(to, "physical_addresses", address)
    else:
        write_text(to, "addresses", address.assign(address_type="physical"))


def _write_codes(to: Path, services: pd.DataFrame, version: HsdsVersion) -> None:
    """Write the taxonomy codes of services."""
    codes = services[["resource_id", "resource_codes"]].dropna()
    codes = codes.assign(code=codes["resource_codes"].str.split(";")).explode("code")
    terms = pd.DataFrame({"code": codes["code"].drop_duplicates()})
    if version == "2.x":
        write_text(to, "taxonomy", terms.rename(columns={"code": "id"}))
        frame = {"service_id": codes["resource_id"], "taxonomy_id": codes["code"]}
        name = "services_taxonomy"
    else:
        write_text(to, "taxonomy_terms", terms.assign(id="term-" + terms["code"]))
        frame = {
            "link_id": codes["resource_id"],
            "link_entity": pd.Series("service", index=codes.index),
            "taxonomy_term_id": "term-" + codes["code"],
        }
        name = "attributes"
    rows = pd.DataFrame(frame)
    rows.insert(0, "id", _numbers("code", len(rows)))
    write_text(to, name, rows)


def _write_units(to: Path, services: pd.DataFrame) -> None:
    """Write what each service has room for."""
    named = sorted(services["unit_name"].dropna().unique())
    ids = {name: f"unit-{number}" for number, name in enumerate(named, start=1)}
    write_text(to, "units", pd.DataFrame({"id": list(ids.values()), "name": named}))
    has = services[["units_available", "units_in_all", "unit_name"]].notna().any(axis=1)
    rows = services[has]
    write_text(
        to,
        "service_capacity",
        pd.DataFrame(
            {
                "id": _numbers("capacity", len(rows)),
                "service_id": rows["resource_id"],
                "unit_id": rows["unit_name"].map(ids),
                "available": rows["units_available"],
                "maximum": rows["units_in_all"],
            }
        ),
    )


def _sites(address: pd.DataFrame) -> pd.DataFrame:
    """Sites of programs in further counties, and what joins the two."""
    further = address[address.duplicated("resource_id")]
    site = pd.Series(_numbers("site", len(further)), index=further.index, dtype=object)
    sites = pd.DataFrame(
        {
            "ResourceAgencyNum": site,
            "PublicName": further["county"],
            "TaxonomyLevelName": "Site",
            "PhysicalCounty": further["county"],
        }
    )
    joined = pd.DataFrame(
        {
            "ResourceAgencyNum": "at-" + site,
            "PublicName": further["county"],
            "TaxonomyLevelName": "ProgramAtSite",
            "ConnectsToSiteNum": site,
            "ConnectsToProgramNum": further["resource_id"],
        }
    )
    return pd.concat([sites, joined], ignore_index=True)


def _numbers(name: str, n: int) -> list[str]:
    """Identifiers of rows."""
    return [f"{name}-{number}" for number in range(1, n + 1)]
