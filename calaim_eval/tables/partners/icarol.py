"""Read resource exports shaped as iCarol writes them: one wide row an agency, program or site."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pandas as pd

from calaim_eval.errors import TableError
from calaim_eval.tables.partners.directory_rows import (
    NONE,
    Place,
    organization_frame,
    resource_frame,
)
from calaim_eval.tables.partners.directory_words import ownership_of, status_of
from calaim_eval.tables.partners.links import find_links, link_paths, note_passed_over
from calaim_eval.tables.partners.partner_tables import PartnerTables, joined_frames
from calaim_eval.tables.partners.row_files import is_row_file
from calaim_eval.tables.partners.row_places import PlacedLedger
from calaim_eval.tables.partners.text_rows import (
    FileRows,
    by_value,
    read_days,
    read_file_rows,
    read_header,
)
from calaim_eval.tables.sources import SourceFiles

NAME = "icarol"
COLUMNS = (
    *("ResourceAgencyNum", "PublicName", "TaxonomyLevelName", "ParentAgencyNum", "AgencyStatus"),
    *("PhysicalCounty", "CoverageArea", "CoverageAreaText", "Coverage", "IRSStatus"),
    *("LegalStatus", "TaxonomyCodes", "ConnectsToSiteNum", "ConnectsToProgramNum", "UpdatedOn"),
    *("LastVerifiedOn", "OtherCounty", "LanguageOfRecord"),
)
REQUIRED = ("ResourceAgencyNum", "PublicName", "TaxonomyLevelName", "ParentAgencyNum")
AGENCY, PROGRAM, SITE, AT_SITE = "agency", "program", "site", "programatsite"
DAYS = {"changed": "UpdatedOn", "verified": "LastVerifiedOn"}
LEVELS = (AGENCY, PROGRAM, SITE, AT_SITE)
NO_LEVEL = "`TaxonomyLevelName` is no Agency, Program, Site or ProgramAtSite"
NO_AGENCY = "agency of the program not in the export (kept by its identifier)"
CIRCLE = "program whose parent is itself (kept without an agency)"
NO_COUNTY = "program without a county that can be told (kept)"
IN_ANOTHER_LANGUAGE = "the same record in a language other than English"
NOT_REFERRED_TO = "active, but not to be referred to (status read as unknown)"
NO_PROGRAM = "program at a site without its program or its site in the export"


def read_icarol(folder: Path) -> PartnerTables:
    """Read the iCarol exports of a folder.

    Parameters
    ----------
    folder : Path
        Text files or workbooks with the columns of the export, all of one date. Beside them may lie
        `organization_link` and `service_map` (kind ``taxonomy``).

    Returns
    -------
    PartnerTables
        `organization` of agencies and `resource` of programs, each in its counties.

    Raises
    ------
    TableError
        There is no such file, or one lacks a needed column.
    """
    ledger = PlacedLedger()
    links = find_links(folder, NAME, ledger)
    paths = tuple(
        path
        for path in sorted(folder.iterdir())
        if is_row_file(path) and path not in link_paths(folder)
    )
    if not paths:
        raise TableError(
            f"`{folder}` holds no text file or workbook.\n  Export all resources as CSV."
        )
    rows = read_file_rows(paths, f"{NAME} export", ledger, columns=COLUMNS, required=REQUIRED)
    rows.require("ResourceAgencyNum")
    for day, written in DAYS.items():
        rows.frame[day] = _days(rows[written])
    level = rows["TaxonomyLevelName"].astype("string").str.lower().str.replace(" ", "")
    rows.frame["level"] = level.astype(object).where(level.notna(), None)
    rows.set_aside(~rows["level"].isin(LEVELS), NO_LEVEL)
    rows.set_aside(_is_translation(rows), IN_ANOTHER_LANGUAGE)
    rows.keep_latest(["ResourceAgencyNum"], by="changed")
    rows.note(rows["AgencyStatus"].str.lower().str.contains("not refer", na=False), NOT_REFERRED_TO)
    for day, written in DAYS.items():
        is_bad = rows[day].notna() & read_days(rows[day]).isna()
        rows.note(is_bad, f"`{written}` cannot be read as a date (read as missing)")
    organizations, services, places, codes = _frames(rows)
    resources = resource_frame(services, places, codes, links)
    unknown = resources.loc[resources["county_basis"] == NONE, "resource_id"].nunique()
    ledger.note(f"{NAME} export", NO_COUNTY, int(unknown))
    found = {"organization": organization_frame(organizations, links), "resource": resources}
    n_columns = len(read_header(paths[0], f"{NAME} export", COLUMNS))
    every_path = (*paths, *link_paths(folder))
    note_passed_over(folder, NAME, every_path, ledger)
    files = SourceFiles(NAME, every_path, ".csv", is_bulk=True)
    return PartnerTables(NAME, f"{n_columns} columns", joined_frames([found]), ledger, (files,))


def _frames(
    rows: FileRows,
) -> tuple[pd.DataFrame, pd.DataFrame, Place, dict[str, list[str]]]:
    """Agencies, programs, where programs are and what codes they have."""
    level, own = rows["level"], rows["ResourceAgencyNum"]
    parent = rows["ParentAgencyNum"].where(rows["ParentAgencyNum"] != "0", None)
    is_program = level == PROGRAM
    rows.note(is_program & (parent == own), CIRCLE)
    parent = parent.where(parent != own, None)
    agencies = own[rows.is_open & (level == AGENCY).to_numpy()]
    rows.note(is_program & parent.notna() & ~parent.isin(agencies), NO_AGENCY)
    programs = own[rows.is_open & is_program.to_numpy()]
    sites = own[rows.is_open & (level == SITE).to_numpy()]
    is_pair = level == AT_SITE
    is_whole = rows["ConnectsToProgramNum"].isin(programs) & rows["ConnectsToSiteNum"].isin(sites)
    rows.set_aside(is_pair & ~is_whole, NO_PROGRAM)
    rows.frame["parent"] = parent
    kept = rows.frame.iloc[rows.used()]
    return (
        _organizations(kept[kept["level"] == AGENCY]),
        _programs(kept[kept["level"] == PROGRAM]),
        _places(kept),
        _codes(kept),
    )


def _is_translation(rows: FileRows) -> pd.Series:
    """Rows of a record that is there in English too."""
    own = rows["ResourceAgencyNum"]
    is_english = rows["LanguageOfRecord"].str.lower().str.startswith("en", na=False)
    is_other = rows["LanguageOfRecord"].notna() & ~is_english
    return is_other & own.isin(own[is_english & rows.is_open])


def _organizations(kept: pd.DataFrame) -> pd.DataFrame:
    """Agencies with their ownership, where it is said."""
    tax = by_value(kept["IRSStatus"], ownership_of)
    legal = by_value(kept["LegalStatus"], ownership_of)
    return pd.DataFrame(
        {
            "organization_id": kept["ResourceAgencyNum"],
            "organization_name": kept["PublicName"],
            "ownership": tax.where(tax.notna(), legal),
        }
    )


def _programs(kept: pd.DataFrame) -> pd.DataFrame:
    """Programs as services of their agency."""
    verified, changed = read_days(kept["verified"]), read_days(kept["changed"])
    return pd.DataFrame(
        {
            "resource_id": kept["ResourceAgencyNum"],
            "organization_id": kept["parent"],
            "resource_name": kept["PublicName"],
            "resource_status": kept["AgencyStatus"].map(status_of),
            "last_updated_date": changed.where(changed.notna(), verified),
        }
    ).reset_index(drop=True)


def _places(kept: pd.DataFrame) -> Place:
    """Areas programs serve, and counties of their addresses and sites.

    What a program at a site says of its area is said of the program.
    """
    places = Place(defaultdict(list), defaultdict(list))
    counties = {
        row.ResourceAgencyNum: [text for text in (row.PhysicalCounty, row.OtherCounty) if text]
        for row in kept.itertuples(index=False)
    }
    for row in kept[kept["level"].isin([PROGRAM, AT_SITE])].itertuples(index=False):
        is_program = row.level == PROGRAM
        program = row.ResourceAgencyNum if is_program else row.ConnectsToProgramNum
        areas = (row.CoverageArea, row.CoverageAreaText, row.Coverage)
        places.areas[program] += [text for text in areas if text is not None]
        own = counties[row.ResourceAgencyNum] if is_program else []
        places.addresses[program] += [*own, *counties.get(row.ConnectsToSiteNum, [])]
    return places


def _codes(kept: pd.DataFrame) -> dict[str, list[str]]:
    """Taxonomy codes of programs and of programs at sites, parted by a semicolon in the export."""
    codes: dict[str, list[str]] = defaultdict(list)
    for row in kept[kept["level"].isin([PROGRAM, AT_SITE])].itertuples(index=False):
        program = row.ResourceAgencyNum if row.level == PROGRAM else row.ConnectsToProgramNum
        parts = (row.TaxonomyCodes or "").replace(",", ";").split(";")
        codes[program] += [code.strip() for code in parts if code.strip()]
    return codes


def _days(texts: pd.Series) -> pd.Series:
    """Days as text, years of two digits made whole: these are days of the last decades."""
    parts = texts.astype("string").str.extract(r"^(\d{1,2})/(\d{1,2})/(\d{2}|\d{4})(?: .*)?$")
    year = parts[2].where(parts[2].str.len() == 4, _century(parts[2]) + parts[2])
    slashed = year + "-" + parts[0].str.zfill(2) + "-" + parts[1].str.zfill(2)
    found = slashed.where(slashed.notna(), texts.astype("string"))
    return found.astype(object).where(found.notna(), None)


def _century(years: pd.Series) -> pd.Series:
    """19 for years from 70 on, else 20."""
    return years.fillna("00").ge("70").map({True: "19", False: "20"}).astype("string")
