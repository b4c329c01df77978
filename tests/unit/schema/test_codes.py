import pytest

from calaim_eval.errors import TableError
from calaim_eval.schema import TABLES, code_list_names, load_codes
from calaim_eval.schema.fields import FIELDS


def test_every_column_names_a_code_list_that_exists():
    named = {field.code_list for field in FIELDS.values() if field.code_list}
    assert named <= set(code_list_names())


def test_every_table_names_declared_columns_only():
    for table in TABLES.values():
        ordered = [column for pair in table.date_order for column in pair]
        used = {*table.fields, *table.required, *table.not_null, *table.key, *ordered}
        assert used <= set(FIELDS)
        assert used == set(table.fields)


def test_codes_are_text_with_leading_zeros_and_empty_cells():
    counties = load_codes("county")
    assert len(counties) == 58
    assert counties["fips"].str.fullmatch(r"06\d{3}").all()
    assert not counties.isna().any().any()


def test_every_row_says_where_it_comes_from():
    for name in code_list_names():
        codes = load_codes(name)
        standing = codes["confirmed" if "confirmed" in codes else "status"]
        assert (standing != "").all(), name
        assert (codes["source"] != "").all(), name


def test_a_copy_is_given_each_time():
    first = load_codes("county")
    first.loc[0, "county"] = "changed"
    assert load_codes("county").loc[0, "county"] == "Alameda"


def test_unknown_name_lists_the_code_lists():
    with pytest.raises(TableError, match=r"no code list is named `counties`.*\n.*`county`"):
        load_codes("counties")
    with pytest.raises(TableError, match="Did you mean `service_codes`"):
        load_codes("service_code")
