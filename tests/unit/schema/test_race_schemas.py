"""Each declared schema against the crosswalk, row by row."""

import pytest

from calaim_eval.errors import TableError
from calaim_eval.schema import load_codes
from calaim_eval.schema.race_schemas import NO_ANSWER, race_schema, race_schemas

CROSSWALK = load_codes("race_ethnicity_crosswalk").to_dict("records")

# The words of each standard for the categories here, as 62 FR 58782 and 89 FR 22182 write them.
OMB_1997 = {
    "American Indian or Alaska Native": "aian",
    "Asian": "asian",
    "Black or African American": "black",
    "Native Hawaiian or Other Pacific Islander": "nhpi",
    "White": "white",
    "some other race": "other",
    "Asian or NHPI": "asian_pi_unsplit",
    "Asian or NHPI (cannot split)": "asian_pi_unsplit",
}
OMB_2024 = {
    "American Indian or Alaska Native": "aian",
    "Asian": "asian",
    "Black or African American": "black",
    "Hispanic or Latino": "hispanic",
    "Middle Eastern or North African": "mena",
    "Native Hawaiian or Pacific Islander": "nhpi",
    "White": "white",
    "White (may include MENA)": "white",
    "Asian or NHPI": "asian_pi_unsplit",
    "Asian or NHPI (cannot split)": "asian_pi_unsplit",
}
NOT_SAID = {"unknown", "any", "unknown/other", ""}


@pytest.mark.parametrize("row", CROSSWALK, ids=lambda r: f"{r['source_system']}-{r['code']}")
def test_every_row_of_the_crosswalk_has_its_category_in_each_standard(row):
    system, code = row["source_system"], row["code"]
    found = {name: race_schema(name).category_of(code, system) for name in race_schemas()}
    assert found["as_recorded"] == row["analysis_group_8"]
    if row["omb_1997_hispanic"] == "Hispanic or Latino":
        assert found["omb_1997"] == "hispanic"
    elif row["omb_1997_race"] not in NOT_SAID:
        assert found["omb_1997"] == OMB_1997[row["omb_1997_race"]]
    else:
        assert found["omb_1997"] in {*NO_ANSWER, "", "other"}
    if row["omb_2024"] not in NOT_SAID:
        assert found["omb_2024"] == OMB_2024[row["omb_2024"]]
    else:
        assert found["omb_2024"] in {*NO_ANSWER, "", "other"}
    own = {"meds": ("meds",), "x12_834": ("x12_834_dmg05_1109", "cdc_omb")}
    for name, systems in own.items():
        assert found[name] == (row["analysis_group_8"] if system in systems else None)


def test_categories_of_the_standards():
    seven = {"aian", "asian", "black", "hispanic", "mena", "nhpi", "white"}
    assert seven <= set(race_schema("omb_2024").categories)
    assert set(race_schema("hmis_fy2024").categories) == seven
    assert set(race_schema("hmis_fy2026").categories) == seven
    assert "mena" not in race_schema("omb_1997").categories
    assert race_schema("omb_1997").folds == {"mena": "white"}
    assert not race_schema("meds").allows_several


def test_american_indian_and_pacific_islander_are_categories_of_every_schema():
    for name in race_schemas():
        assert {"aian", "nhpi"} <= set(race_schema(name).categories), name


@pytest.mark.parametrize(
    ("schema", "hispanic"),
    [("hmis_fy2024", "HispanicLatinaeo"), ("hmis_fy2026", "HispanicLatinao")],
)
def test_hmis_columns_of_the_two_versions_differ_in_one_name(schema, hispanic):
    columns = race_schema(schema).columns
    assert set(columns) == {
        *("AmIndAKNative", "Asian", "BlackAfAmerican", "MidEastNAfrican"),
        *("NativeHIPacific", "White", "RaceNone", hispanic),
    }
    assert columns[hispanic]["1"] == "hispanic"
    assert columns["RaceNone"] == {"8": "unknown", "9": "declined", "99": "unknown"}


def test_words_of_the_standards_are_read_whatever_their_case():
    schema = race_schema("omb_2024")
    assert schema.category_of(" middle eastern or north african ") == "mena"
    assert schema.category_of("Native Hawaiian or Other Pacific Islander") == "nhpi"
    assert schema.category_of("Not Hispanic or Latino") == ""
    assert race_schema("omb_1997").category_of("Middle Eastern or North African") == "white"
    assert schema.category_of("purple") is None


def test_an_unknown_schema_lists_those_there_are():
    with pytest.raises(TableError, match=r"named `omb_2030`.*\n.*`omb_2024`"):
        race_schema("omb_2030")


def test_each_schema_says_where_it_comes_from():
    for name in race_schemas():
        schema = race_schema(name)
        assert schema.source
        assert schema.confirmed in {"yes", "partial", "no"}
        assert schema.question
