"""Exports shaped as iCarol writes them: agencies, programs, sites, every row accounted for."""

import csv

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables.ledger import USED
from calaim_eval.tables.partners.icarol import COLUMNS, read_icarol

OTHERS = tuple(f"Phone{i}Number" for i in range(1, 6))


def record(number, level="Agency", parent="0", **more):
    row = dict.fromkeys((*COLUMNS, *OTHERS), "")
    row |= {"ResourceAgencyNum": number, "PublicName": f"Name {number}"}
    row |= {"TaxonomyLevelName": level, "ParentAgencyNum": parent, "AgencyStatus": "Active"}
    return row | more


def read(tmp_path, *rows):
    folder = tmp_path / "icarol"
    folder.mkdir(exist_ok=True)
    with (folder / "export.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, [*COLUMNS, *OTHERS])
        writer.writeheader()
        writer.writerows(rows)
    return read_icarol(folder)


def counts(found, stage="source"):
    frame = found.ledger.to_frame()
    here = frame[(frame["table"] == "icarol export") & (frame["stage"] == stage)]
    return dict(zip(here["reason"], here["n_rows"], strict=True))


def test_agencies_are_organizations_and_programs_are_their_services(tmp_path):
    found = read(
        tmp_path,
        record("1", IRSStatus="501(c)(3)", LegalStatus="None or unknown"),
        record("2", LegalStatus="Government - City", AgencyStatus="Inactive"),
        record("10", "Program", "1", CoverageArea="Kings County; Tulare County"),
        record("11", "Program", "2", AgencyStatus="Inactive", PhysicalCounty="Fresno"),
    )
    organizations = found.frame("organization").set_index("organization_id")
    assert organizations["ownership"].to_dict() == {"icarol:1": "nonprofit", "icarol:2": "public"}
    assert set(organizations["organization_type"]) == {"unknown"}
    rows = found.frame("resource")
    assert list(rows[["resource_id", "county", "county_basis"]].itertuples(index=False)) == [
        ("icarol:10", "Kings", "area_served"),
        ("icarol:10", "Tulare", "area_served"),
        ("icarol:11", "Fresno", "address"),
    ]
    assert rows["resource_status"].tolist() == ["active", "active", "inactive"]
    assert counts(found) == {USED: 4}
    assert found.version == f"{len(COLUMNS) + len(OTHERS)} columns"


def test_a_program_is_where_its_sites_are(tmp_path):
    found = read(
        tmp_path,
        record("1"),
        record("10", "Program", "1"),
        record("20", "Site", "1", PhysicalCounty="Madera"),
        record("21", "Site", "1", PhysicalCounty="Kern"),
        record("30", "ProgramAtSite", "1", ConnectsToProgramNum="10", ConnectsToSiteNum="20"),
        record("31", "Program At Site", "1", ConnectsToProgramNum="10", ConnectsToSiteNum="21"),
        record("32", "ProgramAtSite", "1", ConnectsToProgramNum="10", ConnectsToSiteNum="99"),
    )
    assert found.frame("resource")["county"].tolist() == ["Madera", "Kern"]
    assert counts(found) == {
        "program at a site without its program or its site in the export": 1,
        USED: 6,
    }


def test_rows_that_cannot_be_used_are_counted_by_reason(tmp_path):
    found = read(
        tmp_path,
        record("1"),
        record(""),
        record("2", "Volunteer opportunity"),
        record("10", "Program", "77"),
        record("11", "Program", "11"),
        record("12", "Program", "1", UpdatedOn="3/7/12"),
        record("12", "Program", "1", UpdatedOn="4/19/12", PublicName="Newer"),
        record("12", "Program", "1", UpdatedOn="4/19/12", PublicName="Newer"),
    )
    assert counts(found) == {
        "`ResourceAgencyNum` is missing": 1,
        "`TaxonomyLevelName` is no Agency, Program, Site or ProgramAtSite": 1,
        "exact duplicate": 1,
        "repeats `ResourceAgencyNum`; the latest is kept": 1,
        USED: 4,
    }
    remarks = counts(found, "notice")
    assert remarks["agency of the program not in the export (kept by its identifier)"] == 1
    assert remarks["program whose parent is itself (kept without an agency)"] == 1
    rows = found.frame("resource").set_index("resource_id")
    assert rows.loc["icarol:12", "resource_name"] == "Newer"
    assert rows.loc["icarol:12", "last_updated_date"] == pd.Timestamp("2012-04-19")
    assert rows.loc["icarol:10", "organization_id"] == "icarol:77"
    assert rows.loc["icarol:11", "organization_id"] is None


def test_days_are_read_one_by_one_however_each_is_written(tmp_path):
    days = ["2024-03-01", "2024-03-02T10:00:00Z", "3/3/24 10:00 AM", "2024-03-04 08:00:00", "soon"]
    rows = [record(str(i), "Program", "1", UpdatedOn=day) for i, day in enumerate(days, start=10)]
    rows += [record("15", "Program", "1", LastVerifiedOn="2024-03-05T23:00:00-08:00")]
    found = read(tmp_path, record("1"), *rows)
    read_as = found.frame("resource")["last_updated_date"]
    assert read_as.isna().tolist() == [False, False, False, False, True, False]
    assert read_as.dropna().dt.day.tolist() == [1, 2, 3, 4, 5]
    assert counts(found, "notice")["`UpdatedOn` cannot be read as a date (read as missing)"] == 1


@pytest.mark.parametrize(
    ("area", "expected"),
    [
        ("Kern County, CA", [("Kern", "area_served")]),
        (
            "Kern, California; Kings, California",
            [("Kern", "area_served"), ("Kings", "area_served")],
        ),
        ("California", [(None, "state")]),
        ("Kern; statewide", [(None, "state")]),
        ("City and County of San Francisco", [("San Francisco", "area_served")]),
    ],
)
def test_the_state_after_a_county_does_not_make_a_service_of_the_whole_state(
    tmp_path, area, expected
):
    found = read(tmp_path, record("1"), record("10", "Program", "1", CoverageArea=area))
    rows = found.frame("resource")[["county", "county_basis"]]
    assert list(rows.itertuples(index=False, name=None)) == expected


def test_a_non_profit_is_one_however_it_is_spelled(tmp_path):
    found = read(tmp_path, record("1", IRSStatus="Non Profit"), record("2", IRSStatus="Nonprofit"))
    assert found.frame("organization")["ownership"].tolist() == ["nonprofit", "nonprofit"]


@pytest.mark.parametrize(
    ("status", "ownership"),
    [
        ("Publicly traded corporation", None),
        ("Public benefit corporation", None),
        ("California nonprofit public benefit corporation", "nonprofit"),
        ("Governmental agency", "public"),
        ("Public", "public"),
        ("Government - State", "public"),
        ("Statewide cooperative", None),
    ],
)
def test_public_is_only_what_a_government_owns(tmp_path, status, ownership):
    found = read(tmp_path, record("1", LegalStatus=status))
    assert found.frame("organization")["ownership"].tolist() == [ownership]


def test_codes_are_mapped_to_a_support(tmp_path):
    (tmp_path / "icarol").mkdir()
    (tmp_path / "icarol" / "service_map.csv").write_text(
        "kind,code,service\ntaxonomy,BH-3000,housing_deposits\n", encoding="utf-8"
    )
    found = read(tmp_path, record("1"), record("10", "Program", "1", TaxonomyCodes="BH-1; BH-3000"))
    row = found.frame("resource").iloc[0]
    assert (row["service"], row["resource_codes"]) == ("housing_deposits", "BH-1;BH-3000")


def test_what_a_directory_lists_can_be_compared_between_two_dates(tmp_path):
    from calaim_eval.integration.asset_map import asset_map_change

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    kings, kern = ({"CoverageArea": each} for each in ("Kings", "Kern"))
    one = read(tmp_path / "a", record("1"), record("10", "Program", "1", **kings))
    two = read(
        tmp_path / "b",
        record("1"),
        record("2"),
        record("10", "Program", "1", **kings),
        record("11", "Program", "2", **kern),
    )
    maps = [each.frame("resource").assign(service="ecm") for each in (one, two)]
    changed = asset_map_change(*maps).to_frame().set_index("change")["numerator"]
    assert changed.to_dict() == {"appeared": 1, "left": 0, "stayed": 1, "all": 2}


def test_a_file_without_the_columns_is_refused(tmp_path):
    (tmp_path / "icarol").mkdir()
    (tmp_path / "icarol" / "jane.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(TableError, match="lacks column `ResourceAgencyNum`") as problem:
        read_icarol(tmp_path / "icarol")
    assert "jane" not in str(problem.value)


def test_a_file_that_is_passed_over_is_counted(tmp_path):
    (tmp_path / "icarol").mkdir()
    (tmp_path / "icarol" / "all.docx").write_bytes(b"x")
    notices = read(tmp_path, record("1")).ledger.to_frame().set_index("table")["n_rows"]
    assert notices["icarol files"] == 1


DOCUMENTED = """
ResourceAgencyNum ImportDate ImportStatus Refresh PublicName AlternateName OfficialName
TaxonomyLevelName ParentAgency ParentAgencyNum RecordOwner UniqueIDPriorSystem PhysicalCity
PhysicalCounty PhysicalStateProvince PhysicalPostalCode OtherCity OtherCounty Latitude Longitude
HoursOfOperation Phone1Number EmailAddressMain WebsiteAddress AgencyStatus AgencyClassification
AgencyDescription SearchHints CoverageArea CoverageAreaText Eligibility LicenseAccreditation
IRSStatus FEIN YearIncorporated AnnualBudgetTotal LegalStatus SourceOfFunds ExcludeFromWebsite
DisabilitiesAccess FeeStructureSource ApplicationProcess DocumentsRequired LanguagesOfferedList
CapacityType ServiceCapacity NormalWaitTime EnteredOn UpdatedOn MadeInactiveOn LastVerifiedOn
LastVerificationApprovedBy AvailableForDirectory AvailableForReferral PreferredProvider
ConnectsToSiteNum ConnectsToProgramNum LanguageOfRecord IsLinkOnly ProgramAgencyNamePublic
Categories TaxonomyTerm TaxonomyTerms TaxonomyCodes Coverage Hours
"""
"""Names in the import of iCarol records of the Community Information Online Consortium (2018)."""


def test_every_column_that_is_read_is_one_of_the_documented_ones():
    assert set(COLUMNS) <= set(DOCUMENTED.split())


def test_of_a_record_in_two_languages_the_english_one_counts_whichever_is_newer(tmp_path):
    french = {"PublicName": "Porte ouverte", "LanguageOfRecord": "French", "UpdatedOn": "5/1/2024"}
    found = read(
        tmp_path,
        record("1", LanguageOfRecord="English", UpdatedOn="1/1/2024"),
        record("1", **french),
        record("2", **french),
    )
    names = found.frame("organization").set_index("organization_id")["organization_name"]
    assert names.to_dict() == {"icarol:1": "Name 1", "icarol:2": "Porte ouverte"}
    assert counts(found) == {"the same record in a language other than English": 1, USED: 2}


def test_what_a_program_at_a_site_says_of_area_and_codes_is_said_of_the_program(tmp_path):
    found = read(
        tmp_path,
        record("1"),
        record("10", "Program", "1", TaxonomyCodes="BH-1800"),
        record("20", "Site", "1", PhysicalCounty="Madera", OtherCounty="Fresno"),
        record(
            "30",
            "ProgramAtSite",
            "1",
            ConnectsToProgramNum="10",
            ConnectsToSiteNum="20",
            CoverageArea="Kern County",
            TaxonomyCodes="BD-5000",
        ),
        record(
            "11", "Program", "1", ConnectsToSiteNum="20", AgencyStatus="Active, but do not refer"
        ),
    )
    rows = found.frame("resource").set_index("resource_id")
    assert rows.loc["icarol:10", ["county", "resource_codes"]].tolist() == [
        "Kern",
        "BH-1800;BD-5000",
    ]
    assert rows.loc["icarol:11", "county"].tolist() == ["Madera", "Fresno"]
    assert set(rows.loc["icarol:11", "resource_status"]) == {"unknown"}
    assert (
        counts(found, "notice")["active, but not to be referred to (status read as unknown)"] == 1
    )
