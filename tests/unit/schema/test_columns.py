import pytest

from calaim_eval.errors import TableError
from calaim_eval.schema import TABLES
from calaim_eval.schema.columns import match_columns

SPANS = TABLES["eligibility"]


def test_case_and_blanks_do_not_matter():
    found = match_columns(["MEMBER_ID", " Enrollment_Start_Date", "enrollment_end_date"], SPANS)
    assert found["member_id"] == "MEMBER_ID"
    assert found["enrollment_start_date"] == " Enrollment_Start_Date"


def test_missing_column_names_the_file_and_the_rename():
    given = ["member_id", "enrollment_start_date", "enrollment_end_dt"]
    with pytest.raises(TableError) as caught:
        match_columns(given, SPANS, source="elig_2024.parquet")
    assert str(caught.value) == (
        "table `eligibility` lacks column `enrollment_end_date` (file elig_2024.parquet).\n"
        "  It has `enrollment_end_dt`. Rename: read_tables(..., rename="
        '{"eligibility": {"enrollment_end_dt": "enrollment_end_date"}}).\n'
        '  In the study file: [input.rename.eligibility] "enrollment_end_dt" = '
        '"enrollment_end_date".'
    )


def test_missing_column_without_a_likely_name_lists_what_is_there():
    with pytest.raises(TableError, match=r"lacks columns `enr.*\n.*It has `member_id`, `zz`\. Add"):
        match_columns(["member_id", "zz"], SPANS)


def test_a_file_without_header_does_not_have_its_first_row_shown():
    with pytest.raises(TableError, match="None of its 2 columns has a declared name") as caught:
        match_columns(["SECRET", "2022-01-01"], SPANS)
    assert "SECRET" not in str(caught.value)


def test_rename_is_followed():
    given = ["cin", "enrollment_start_date", "enrollment_end_date"]
    assert match_columns(given, SPANS, rename={"cin": "member_id"})["member_id"] == "cin"


def test_case_and_blanks_of_a_renamed_column_do_not_matter():
    given = ["CIN ", "enrollment_start_date", "enrollment_end_date"]
    assert match_columns(given, SPANS, rename={"cin": "member_id"})["member_id"] == "CIN "
    both = ["CIN", "cin", "enrollment_start_date", "enrollment_end_date"]
    assert match_columns(both, SPANS, rename={"cin": "member_id"})["member_id"] == "cin"


def test_rename_to_an_undeclared_column():
    with pytest.raises(
        TableError, match=r"declares no column `membr_id`. Did you mean `member_id`"
    ):
        match_columns(["cin"], SPANS, rename={"cin": "membr_id"})


def test_rename_of_a_column_that_is_not_there():
    with pytest.raises(TableError, match=r"has no column `cni`\. Did you mean `cin`"):
        match_columns(["cin"], SPANS, rename={"cni": "member_id"})


def test_two_columns_for_one():
    with pytest.raises(
        TableError, match="two columns for `member_id`: `member_id` and `MEMBER_ID`"
    ):
        match_columns(["member_id", "MEMBER_ID"], SPANS)
