"""HSDS datapackages: versions, counties, codes, capacity, every row accounted for."""

import csv
import json

import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables.ledger import USED
from calaim_eval.tables.partners.directory_words import counties_in, ownership_of
from calaim_eval.tables.partners.hsds import read_hsds

ORGANIZATION = {"id": "o1", "name": "Harbor House", "tax_status": "Non-profit"}
SERVICE = {"id": "s1", "organization_id": "o1", "name": "Meals", "status": "active"}


def write(folder, **tables):
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns)
            writer.writeheader()
            writer.writerows(rows)
    return folder


def read(tmp_path, **tables):
    base = {"organizations": [ORGANIZATION], "services": [SERVICE]}
    return read_hsds(write(tmp_path / "hsds", **(base | tables)))


def counts(found, table, stage="source"):
    frame = found.ledger.to_frame()
    here = frame[(frame["table"] == f"hsds {table}") & (frame["stage"] == stage)]
    return dict(zip(here["reason"], here["n_rows"], strict=True))


def place(found):
    rows = found.frame("resource")
    return list(zip(rows["county"], rows["county_basis"], strict=True))


@pytest.mark.parametrize(
    ("dataset", "version", "measured"),
    [
        ("hsds20_sample_datapackage", "2.x", "service_at_location"),
        ("hsds30_spec_example", "3.0", "service_at_location"),
    ],
)
def test_published_packages_are_read_whole(shared, dataset, version, measured):
    """Rows of reference values `hsds20_sample_datapackage` and `hsds30_spec_example`."""
    found = read_hsds(shared / "reference" / "integration" / "data" / dataset)
    assert found.version == version
    values = pd.read_csv(shared / "reference" / "integration" / "reference_values.csv", dtype=str)
    values = values[values["dataset"] == dataset].set_index("measure")["value"]
    every = "rows in each table except header"
    for name, ours in (
        ("organizations", "organizations"),
        ("services", "services"),
        ("locations", "locations"),
        ("services_at_location", measured),
    ):
        expected = int(values.get(f"rows {name}", values.get(every)))
        assert sum(counts(found, ours).values()) == expected
    assert len(found.frame("organization")) == sum(counts(found, "organizations").values())
    assert found.frame("resource")["resource_id"].nunique() == counts(found, "services")[USED]


def test_every_table_of_a_package_is_counted(shared):
    folder = shared / "reference" / "integration" / "data" / "hsds30_spec_example"
    found = read_hsds(folder)
    frame = found.ledger.to_frame()
    n_rows = frame.loc[frame["stage"] == "source", "n_rows"].sum()
    assert n_rows == len(list(folder.glob("*.csv"))) == 21


def test_an_impossible_place_of_the_published_package_is_remarked_on(shared):
    """Latitude 100 in the example of the specification."""
    found = read_hsds(shared / "reference" / "integration" / "data" / "hsds30_spec_example")
    assert counts(found, "locations", "notice") == {
        "latitude out of range (kept; it is not used)": 1
    }


def test_a_package_in_the_columns_of_3_1_is_told_by_its_capacity(shared, tmp_path):
    schema = shared / "reference" / "integration" / "data" / "hsds31dev_schema" / "datapackage.json"
    tables = {}
    for each in json.loads(schema.read_text(encoding="utf-8"))["resources"]:
        columns = [column["name"] for column in each["schema"]["fields"]] or ["id", "name"]
        tables[each["path"].removesuffix(".csv")] = [dict.fromkeys(columns, "x") | {"id": "x"}]
    found = read(tmp_path, **tables)
    assert found.version == "3.1"


@pytest.mark.parametrize(
    ("tables", "version"),
    [
        ({"services_at_location": [{"id": "a", "service_id": "s1", "location_id": "l"}]}, "2.x"),
        ({"addresses": [{"id": "a", "location_id": "l"}]}, "3.0"),
        ({"units": [{"id": "u", "name": "beds"}]}, "3.1"),
        ({"units": [{"id": "u"}], "taxonomy": [{"id": "t"}]}, "2.x, 3.1"),
    ],
)
def test_versions_are_told_by_tables(tmp_path, tables, version):
    found = read(tmp_path, **tables)
    assert found.version == version
    remarked = bool(counts(found, "package", "notice"))
    assert remarked == ("," in version)


def test_counties_come_from_areas_served_before_addresses(tmp_path):
    located = {
        "locations": [{"id": "l1", "name": "x"}],
        "service_at_location": [{"id": "a1", "service_id": "s1", "location_id": "l1"}],
        "addresses": [{"id": "d1", "location_id": "l1", "region": "Fresno County"}],
    }
    assert place(read(tmp_path / "a", **located)) == [("Fresno", "address")]
    area = {"id": "r1", "service_id": "s1", "name": "Kings County and Tulare"}
    found = read(tmp_path / "b", service_areas=[area], **located)
    assert place(found) == [("Kings", "area_served"), ("Tulare", "area_served")]
    whole = {"id": "r1", "service_id": "", "service_at_location_id": "a1", "extent": "Statewide"}
    assert place(read(tmp_path / "c", service_areas=[whole], **located)) == [(None, "state")]
    nowhere = read(tmp_path / "d")
    assert place(nowhere) == [(None, "none")]
    assert counts(nowhere, "services", "notice") == {
        "service without a county that can be told (kept)": 1
    }


@pytest.mark.parametrize(
    ("text", "counties"),
    [
        ("Kings", ("Kings",)),
        ("kings COUNTY", ("Kings",)),
        ("County of Orange", ("Orange",)),
        ("near Lake Shasta", ()),
        ("San Francisco, CA; San Mateo", ("San Francisco", "San Mateo")),
        ("", ()),
        (None, ()),
    ],
)
def test_only_what_is_nothing_but_a_county_is_one(text, counties):
    assert counties_in(text)[0] == counties


@pytest.mark.parametrize(
    ("text", "ownership"),
    [
        ("Nonprofit (501(c)(3))", "nonprofit"),
        ("not-for-profit", "nonprofit"),
        ("For Profit", "for_profit"),
        ("City and County", "public"),
        ("Non-governmental", None),
        ("Limited Company", None),
        ("", None),
    ],
)
def test_ownership_is_read_where_it_is_said(text, ownership):
    assert ownership_of(text) == ownership


def test_codes_are_told_in_three_ways_and_mapped_to_a_support(tmp_path):
    folder = tmp_path / "hsds"
    folder.mkdir()
    (folder / "service_map.csv").write_text(
        "kind,code,service\ntaxonomy,BD-5000,medically_tailored_meals\n", encoding="utf-8"
    )
    found = read(
        tmp_path,
        services=[
            SERVICE | {"taxonomy_ids": "BD-1, BD-2"},
            SERVICE | {"id": "s2"},
            SERVICE | {"id": "s3"},
        ],
        services_taxonomy=[{"id": "x", "service_id": "s2", "taxonomy_id": "BD-5000"}],
        attributes=[
            {"id": "y", "link_id": "s3", "taxonomy_term_id": "t1"},
            {"id": "z", "link_id": "phone", "taxonomy_term_id": "t1"},
        ],
        taxonomy_terms=[{"id": "t1", "code": "BD-9"}],
    )
    rows = found.frame("resource")
    assert rows["resource_codes"].tolist() == ["BD-1;BD-2", "BD-5000", "BD-9"]
    assert rows["service"].tolist() == [None, "medically_tailored_meals", None]
    assert counts(found, "attributes") == {"attribute of no service": 1, USED: 1}


def test_capacity_of_3_1_goes_with_its_service(tmp_path):
    capacity = {"service_id": "s1", "unit_id": "u1", "available": "3", "maximum": "10"}
    found = read(
        tmp_path,
        service_capacity=[
            capacity | {"id": "c1"},
            capacity | {"id": "c2"},
            capacity | {"id": "c3", "service_id": "gone"},
        ],
        units=[{"id": "u1", "name": "beds"}],
    )
    row = found.frame("resource").iloc[0]
    assert (row["units_available"], row["units_in_all"], row["unit_name"]) == (3, 10, "beds")
    assert counts(found, "service_capacity") == {
        "further capacity of the same service": 1,
        "service not in `services`, or set aside there": 1,
        USED: 1,
    }


def test_unknown_organizations_and_services_are_counted(tmp_path):
    found = read(
        tmp_path,
        services=[SERVICE, SERVICE | {"id": "s2", "organization_id": "gone"}, SERVICE | {"id": ""}],
        service_areas=[{"id": "r", "service_id": "gone", "name": "Kings"}],
        service_at_location=[{"id": "a", "service_id": "s1", "location_id": "gone"}],
    )
    assert counts(found, "services") == {"`id` is missing": 1, USED: 2}
    remark = "organization not in `organizations` (kept by its identifier)"
    assert counts(found, "services", "notice")[remark] == 1
    assert counts(found, "service_areas") == {
        "service not in `services`, or set aside there": 1,
        USED: 0,
    }
    assert counts(found, "service_at_location") == {"location not in `locations`": 1, USED: 0}
    assert found.frame("resource")["organization_id"].tolist() == ["hsds:o1", "hsds:gone"]


def test_a_linked_organization_adds_no_row_and_names_its_services(tmp_path):
    folder = tmp_path / "hsds"
    folder.mkdir()
    (folder / "organization_link.csv").write_text(
        "source_organization_id,organization_id\no1,ORG-1\n", encoding="utf-8"
    )
    found = read(tmp_path)
    assert found.names == ("resource",)
    assert found.frame("resource")["organization_id"].tolist() == ["ORG-1"]


def test_what_is_read_is_what_was_written(tmp_path):
    """A package written out again from what was read gives the same."""
    first = read(tmp_path / "one", service_areas=[{"id": "r", "service_id": "s1", "name": "Kings"}])
    rows = first.frame("resource").iloc[0]
    again = read(
        tmp_path / "two",
        organizations=[
            {"id": "o1", "name": first.frame("organization").iloc[0]["organization_name"]}
            | {"tax_status": first.frame("organization").iloc[0]["ownership"]}
        ],
        services=[SERVICE | {"name": rows["resource_name"], "status": rows["resource_status"]}],
        service_areas=[{"id": "r", "service_id": "s1", "name": rows["county"]}],
    )
    for name in first.names:
        pd.testing.assert_frame_equal(first.frame(name), again.frame(name))


def test_a_package_without_services_says_what_to_do(tmp_path):
    with pytest.raises(TableError, match=r"lacks `services\.csv`"):
        read_hsds(write(tmp_path / "x", organizations=[ORGANIZATION]))


def test_a_table_that_is_there_twice_is_refused(tmp_path):
    folder = write(tmp_path / "hsds", organizations=[ORGANIZATION], services=[SERVICE])
    (folder / "services.tsv").write_text("id\ts9\n", encoding="utf-8")
    with pytest.raises(TableError, match="`services` is there twice"):
        read_hsds(folder)


def test_a_capacity_that_is_no_number_is_remarked_on(tmp_path):
    rows = [
        {"id": "c1", "service_id": "s1", "unit_id": "u1", "available": "a few", "maximum": "12"}
    ]
    found = read(tmp_path, service_capacity=rows, units=[{"id": "u1", "name": "beds"}])
    row = found.frame("resource").iloc[0]
    assert pd.isna(row["units_available"])
    assert row["units_in_all"] == 12
    assert counts(found, "service_capacity", "notice") == {
        "`available` is no number of 0 or more (read as missing)": 1
    }
