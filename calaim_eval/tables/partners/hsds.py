"""Read HSDS datapackages (Open Referral), 2.x, 3.0 and 3.1: organizations, services, where.

The version is told by tables and columns, for many packages say nothing or something else about
themselves.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.tables.formats import SOURCE
from calaim_eval.tables.ledger import RowLedger
from calaim_eval.tables.partners.directory_rows import (
    NONE,
    Place,
    organization_frame,
    resource_frame,
)
from calaim_eval.tables.partners.directory_words import ownership_of, status_of
from calaim_eval.tables.partners.links import find_links, link_paths
from calaim_eval.tables.partners.partner_tables import PartnerTables, joined_frames
from calaim_eval.tables.partners.row_files import is_row_file
from calaim_eval.tables.partners.row_places import PlacedLedger
from calaim_eval.tables.partners.text_rows import FileRows, by_value, read_file_rows, read_header
from calaim_eval.tables.sources import SourceFiles

NAME = "hsds"
FILES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "organizations": (
        ("organizations", "organization"),
        ("id", "name", "tax_status", "legal_status", "last_modified"),
    ),
    "services": (
        ("services", "service"),
        (
            *("id", "organization_id", "name", "status", "taxonomy_ids", "assured_date"),
            "last_modified",
        ),
    ),
    "service_at_location": (
        ("services_at_location", "service_at_location"),
        ("id", "service_id", "location_id"),
    ),
    "locations": (("locations", "location"), ("id", "name", "latitude", "longitude")),
    "addresses": (
        ("physical_addresses", "addresses", "address"),
        ("id", "location_id", "region", "state_province", "address_type"),
    ),
    "service_areas": (
        ("service_areas", "service_area"),
        ("id", "service_id", "service_at_location_id", "service_area", "name", "extent"),
    ),
    "services_taxonomy": (
        ("services_taxonomy", "service_taxonomy"),
        ("id", "service_id", "taxonomy_id"),
    ),
    "attributes": (("attributes", "attribute"), ("id", "link_id", "taxonomy_term_id")),
    "taxonomy_terms": (("taxonomy_terms", "taxonomy_term", "taxonomy"), ("id", "code")),
    "service_capacity": (
        ("service_capacity", "service_capacities"),
        ("id", "service_id", "unit_id", "available", "maximum", "updated"),
    ),
    "units": (("units", "unit"), ("id", "name")),
}
"""Tables that are read: names of their files over the versions, and columns."""
SIGNS = {
    "2.x": (
        *("services_at_location", "physical_addresses", "services_taxonomy", "taxonomy"),
        *("regular_schedules", "eligibility", "payments_accepted"),
    ),
    "3.0": (
        *("service_at_location", "addresses", "taxonomy_terms", "attributes", "schedules"),
        *("taxonomies", "organization_identifiers", "cost_options"),
    ),
    "3.1": ("service_capacity", "service_capacities", "units", "url", "urls"),
}
"""Files that a version has and the one before it has not."""
NOT_NEEDED = "table that holds nothing the study needs"
NO_ORGANIZATION = "organization not in `organizations` (kept by its identifier)"
NO_SERVICE = "service not in `services`, or set aside there"
NO_LOCATION = "location not in `locations`"
NO_COUNTY = "service without a county that can be told (kept)"
NO_NUMBER = "`{}` is no number of 0 or more (read as missing)"
FURTHER = "further capacity of the same service"


def read_hsds(folder: Path) -> PartnerTables:
    """Read the CSV files of an HSDS datapackage.

    Parameters
    ----------
    folder : Path
        The tables by their HSDS names, text, packed or not. Beside them may lie
        `organization_link` and `service_map` (kind ``taxonomy``).

    Returns
    -------
    PartnerTables
        `organization` and `resource`.

    Raises
    ------
    TableError
        `organizations` or `services` is missing, or a file cannot be read.
    """
    ledger = PlacedLedger()
    links = find_links(folder, NAME, ledger)
    files = _files(folder)
    version = _version(files, ledger)
    read = {name: _rows(name, files, ledger) for name in FILES}
    _count_others(files, ledger)
    organizations = _organizations(read["organizations"])
    services = _services(read["services"], organizations)
    capacity = _capacities(read["service_capacity"], read["units"], services)
    services = services.merge(capacity, on="resource_id", how="left")
    places = _places(read, services)
    codes = _codes(read, services)
    resources = resource_frame(services, places, codes, links)
    unknown = resources.loc[resources["county_basis"] == NONE, "resource_id"].nunique()
    ledger.note(f"{NAME} services", NO_COUNTY, int(unknown))
    frames = {"organization": organization_frame(organizations, links), "resource": resources}
    paths = (*files.values(), *link_paths(folder))
    return PartnerTables(
        NAME,
        version,
        joined_frames([frames]),
        ledger,
        (SourceFiles(NAME, paths, "", is_bulk=True),),
    )


def _files(folder: Path) -> dict[str, Path]:
    """Files of a folder by name without suffix."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        name = path.name.lower()
        if is_row_file(path) and path not in link_paths(folder):
            stem = name.split(".")[0]
            if stem in found:
                raise TableError(
                    f"{NAME}: `{stem}` is there twice in one folder.\n  Keep one of the two."
                )
            found[stem] = path
    for table in ("organizations", "services"):
        if not set(FILES[table][0]) & set(found):
            raise TableError(
                f"`{folder}` lacks `{table}.csv` of an HSDS datapackage.\n"
                "  Unpack the package, with its tables under their HSDS names."
            )
    return found


def _version(files: dict[str, Path], ledger: RowLedger) -> str:
    """Version by the tables and columns that are there; signs of two are remarked on."""
    signs = {version: sum(name in files for name in names) for version, names in SIGNS.items()}
    organizations = next(files[name] for name in FILES["organizations"][0] if name in files)
    wanted = FILES["organizations"][1]
    heads = read_header(organizations, f"{NAME} organizations", wanted)
    header = {head.strip().lower() for head in heads}
    signs["3.0"] += len(header & {"website", "parent_organization_id", "uri"})
    signs["2.x"] += len(header & {"url"})
    areas = next((files[name] for name in FILES["service_areas"][0] if name in files), None)
    if areas is not None:
        head = read_header(areas, f"{NAME} service_areas", FILES["service_areas"][1])
        signs["3.1"] += "service_at_location_id" in head
    newer = "3.1" if signs["3.1"] else "3.0"
    if signs["2.x"] and (signs["3.0"] or signs["3.1"]):
        ledger.note(f"{NAME} package", "tables of version 2.x among those of 3", signs["2.x"])
        return f"2.x, {newer}"
    return newer if signs["3.0"] or signs["3.1"] else "2.x"


def _rows(name: str, files: dict[str, Path], ledger: RowLedger) -> FileRows:
    """Rows of one table over the names of its file; none where it is not there."""
    names, columns = FILES[name]
    paths = [files[each] for each in names if each in files]
    if not paths:
        empty = pd.DataFrame(columns=list(columns), dtype=object)
        return FileRows(f"{NAME} {name}", empty, ledger, is_there=False)
    rows = read_file_rows(paths, f"{NAME} {name}", ledger, columns=columns, required=("id",))
    rows.require("id")
    by = "last_modified" if "last_modified" in columns else "id"
    rows.keep_latest(["id"], by=by)
    return rows


def _count_others(files: dict[str, Path], ledger: RowLedger) -> None:
    """Count the rows of tables that are not needed."""
    known = {each for names, _ in FILES.values() for each in names}
    for name, path in files.items():
        if name not in known:
            rows = read_file_rows([path], f"{NAME} other tables", ledger, columns=("id",))
            ledger.add(f"{NAME} other tables", NOT_NEEDED, len(rows.frame), stage=SOURCE)


def _organizations(rows: FileRows) -> pd.DataFrame:
    """Organizations with their ownership, where it is said."""
    kept = rows.frame.iloc[rows.used()]
    said = by_value(kept["tax_status"], ownership_of)
    legal = by_value(kept["legal_status"], ownership_of)
    return pd.DataFrame(
        {
            "organization_id": kept["id"],
            "organization_name": kept["name"],
            "ownership": said.where(said.notna(), legal),
        }
    )


def _services(rows: FileRows, organizations: pd.DataFrame) -> pd.DataFrame:
    """Services; those of an organization that is not there are kept."""
    rows.note(~rows["organization_id"].isin(organizations["organization_id"]), NO_ORGANIZATION)
    changed = rows.day("last_modified", is_needed=False)
    assured = rows.day("assured_date", is_needed=False)
    at = rows.used()
    kept = rows.frame.iloc[at]
    return pd.DataFrame(
        {
            "resource_id": kept["id"],
            "organization_id": kept["organization_id"],
            "resource_name": kept["name"],
            "resource_status": kept["status"].map(status_of),
            "last_updated_date": changed.where(changed.notna(), assured).iloc[at],
            "taxonomy_ids": kept["taxonomy_ids"],
        }
    ).reset_index(drop=True)


def _capacities(rows: FileRows, units: FileRows, services: pd.DataFrame) -> pd.DataFrame:
    """One capacity a service."""
    rows.set_aside(~rows["service_id"].isin(services["resource_id"]), NO_SERVICE)
    open_rows = rows.frame[rows.is_open]
    again = pd.Series(data=False, index=rows.frame.index)
    again[open_rows.index] = open_rows.duplicated("service_id")
    rows.set_aside(again, FURTHER)
    number = {name: pd.to_numeric(rows[name], errors="coerce") for name in ("available", "maximum")}
    number = {
        name: each.where(each.between(0, float("inf"), inclusive="left"))
        for name, each in number.items()
    }
    for name, each in number.items():
        rows.note(rows[name].notna() & each.isna(), NO_NUMBER.format(name))
    at = rows.used()
    kept = rows.frame.iloc[at]
    named = units.frame.iloc[units.used()].set_index("id")["name"]
    return pd.DataFrame(
        {
            "resource_id": kept["service_id"],
            "units_available": number["available"].iloc[at],
            "units_in_all": number["maximum"].iloc[at],
            "unit_name": kept["unit_id"].map(named.to_dict()),
        }
    )


def _places(read: dict[str, FileRows], services: pd.DataFrame) -> Place:
    """Areas served and addresses by service."""
    known = services["resource_id"]
    locations, at, addresses = (
        read[name] for name in ("locations", "service_at_location", "addresses")
    )
    for axis, limit in (("latitude", 90), ("longitude", 180)):
        value = pd.to_numeric(locations[axis], errors="coerce")
        locations.note(value.abs() > limit, f"{axis} out of range (kept; it is not used)")
    own = locations.frame.iloc[locations.used()]
    at.set_aside(~at["service_id"].isin(known), NO_SERVICE)
    at.set_aside(~at["location_id"].isin(own["id"]), NO_LOCATION)
    given = at.frame.iloc[at.used()]
    addresses.set_aside(~addresses["location_id"].isin(own["id"]), NO_LOCATION)
    told = addresses.frame.iloc[addresses.used()]
    told = told[told["region"].notna() & (told["address_type"] != "postal")]
    pairs = given.merge(told, on="location_id", suffixes=("", "_address"))
    places = Place(addresses=_lists(pairs["service_id"], pairs["region"]))
    areas = read["service_areas"]
    by_place = dict(zip(given["id"], given["service_id"], strict=True))
    of_place = areas["service_at_location_id"].map(by_place)
    areas.frame["service_id"] = areas["service_id"].where(areas["service_id"].notna(), of_place)
    areas.set_aside(~areas["service_id"].isin(known), NO_SERVICE)
    kept = areas.frame.iloc[areas.used()]
    for column in ("service_area", "name", "extent"):
        for service, texts in _lists(kept["service_id"], kept[column]).items():
            places.areas.setdefault(service, []).extend(texts)
    return places


def _codes(read: dict[str, FileRows], services: pd.DataFrame) -> dict[str, list[str]]:
    """Taxonomy codes by service, over the three ways in which versions tell them."""
    known = services["resource_id"]
    terms = read["taxonomy_terms"]
    named = terms.frame.iloc[terms.used()]
    code = named["code"].where(named["code"].notna(), named["id"])
    code_of = dict(zip(named["id"], code, strict=True))
    found: dict[str, list[str]] = defaultdict(list)
    ways = (("services_taxonomy", "service_id", "taxonomy_id"),)
    for name, of, to in (*ways, ("attributes", "link_id", "taxonomy_term_id")):
        rows = read[name]
        is_other = ~rows[of].isin(known)
        rows.set_aside(is_other, NO_SERVICE if of == "service_id" else "attribute of no service")
        kept = rows.frame.iloc[rows.used()]
        for service, term in zip(kept[of], kept[to], strict=True):
            if term is not None:
                found[service].append(code_of.get(term, term))
    for service, ids in zip(known, services["taxonomy_ids"], strict=True):
        for term in (ids or "").replace(",", ";").split(";"):
            if term.strip():
                found[service].append(code_of.get(term.strip(), term.strip()))
    return found


def _lists(keys: pd.Series, texts: pd.Series) -> dict[str, list[str]]:
    """Texts by key, missing ones left out."""
    found: dict[str, list[str]] = defaultdict(list)
    for key, text in zip(keys, texts, strict=True):
        if isinstance(text, str):
            found[key].append(text)
    return dict(found)
