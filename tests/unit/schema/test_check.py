import datetime as dt

import ibis
import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.schema import TABLES, check_table
from calaim_eval.schema.rules import read_rows

SECRET = "SECRET-77"


def spans(**columns):
    n_rows = max(len(values) for values in columns.values()) if columns else 3
    frame = {
        "member_id": [f"m{i}" for i in range(n_rows)],
        "enrollment_start_date": ["2022-01-01"] * n_rows,
        "enrollment_end_date": ["2022-12-31"] * n_rows,
    }
    return pd.DataFrame({**frame, **columns})


def problems(frame, table="eligibility", **options):
    found = check_table(frame, table, **options)
    return {row.problem: row.n_rows for row in found.itertuples()}


def test_a_good_table_has_no_findings():
    assert check_table(spans(), "eligibility").empty


def test_missing_value_that_must_be_there():
    assert problems(spans(member_id=["a", " ", None, "b", "c"])) == {"`member_id` is missing": 2}


def test_dates_out_of_order():
    found = check_table(
        spans(enrollment_end_date=["2021-12-31", None, "2022-01-01"]), "eligibility"
    )
    assert found["problem"].tolist() == ["`enrollment_end_date` is before `enrollment_start_date`"]
    assert found["row_is_set_aside"].tolist() == [True]
    assert found["share_of_rows"].tolist() == [pytest.approx(1 / 3)]


def test_a_person_is_kept_whatever_the_dates_say():
    born = ["1980-05-05", "1980-05-05", "1980-13-05", "3080-05-05", "1980-05-05"]
    dead = ["1900-01-01", "1980-05-05", "1980-01-01", "2020-01-01", "x"]
    frame = pd.DataFrame({"member_id": list("abcde"), "birth_date": born, "death_date": dead})
    found = check_table(frame, "person")
    assert not found["row_is_set_aside"].any()
    assert "`death_date` is before `birth_date` (read as missing)" in set(found["problem"])
    rows = read_rows(ibis.memtable(frame), TABLES["person"], extract_date=None).to_pandas()
    assert rows["death_date"].notna().tolist() == [False, True, True, True, False]


def test_impossible_dates():
    frame = spans(
        enrollment_start_date=["1899-12-31", "1900-01-01", "2101-01-01", "2022-01-01"],
        enrollment_end_date=[None, "9999-12-31", None, "2099-12-31"],
        recorded_date=["2022-01-05", "2022-01-05", "2022-01-05", "3022-01-05"],
    )
    assert problems(frame) == {
        "`enrollment_start_date` is before 1900 or after 2100": 2,
        "`recorded_date` is an impossible date (read as missing)": 1,
    }


def test_after_the_extract_date_only_planned_dates_may_lie():
    frame = spans(
        enrollment_start_date=["2022-01-01", "2023-07-01", "2022-01-01"],
        enrollment_end_date=["2023-12-31", None, None],
    )
    late = {"`enrollment_start_date` is before 1900 or after the extract date": 1}
    assert problems(frame, extract_date="2023-06-30") == late
    assert problems(frame, extract_date=dt.date(2023, 6, 30)) == late
    assert problems(frame) == {}


def test_unlisted_values_become_other_or_set_the_row_aside():
    frame = spans(
        payer_type=["medicaid", "tricare", "medicare"], benefit_scope=["full", "some", "limited"]
    )
    found = check_table(frame, "eligibility").set_index("problem")
    assert found["row_is_set_aside"].to_dict() == {
        "`benefit_scope` is not an allowed value": True,
        "`payer_type` is not an allowed value (read as `other`)": False,
    }


def test_county_outside_the_list_is_remarked_on():
    frame = spans(county=["Los Angeles County", "Middlesex", None])
    assert problems(frame) == {"`county` is not in its code list (kept as it is)": 1}


def test_below_the_minimum():
    frame = pd.DataFrame(
        {
            "plan": ["p", "p"],
            "organization_id": ["1", "2"],
            "county": ["Kern", "Kern"],
            "service": ["ecm", "sobering_centers"],
            "contract_start_date": ["2022-01-01", "2022-01-01"],
            "capacity_members": ["-1", "10"],
        }
    )
    assert problems(frame, "contract") == {"`capacity_members` is below 0": 1}


def test_unknown_service_sets_the_row_aside():
    frame = pd.DataFrame(
        {
            "member_id": ["a", "b"],
            "program": ["ecm", "community_support"],
            "service": ["ecm", "gardening"],
            "record_type": ["service", "service"],
            "record_date": ["2022-05-01", "2022-05-01"],
        }
    )
    assert problems(frame, "program_service") == {
        "`service` is neither `ecm` nor a listed support": 1
    }


def test_a_program_that_is_not_the_services_sets_the_row_aside():
    frame = pd.DataFrame(
        {
            "member_id": list("abcd"),
            "program": ["ecm", "ecm", "community_support", "community_support"],
            "service": ["ecm", "housing_deposits", "ecm", "housing_deposits"],
            "record_type": "service",
            "record_date": "2022-05-01",
        }
    )
    assert problems(frame, "program_service") == {"`program` is not that of the `service`": 2}


def test_each_population_of_a_record_is_looked_for_in_its_code_list():
    frame = pd.DataFrame(
        {
            "member_id": list("abcdef"),
            "program": "ecm",
            "service": "ecm",
            "record_type": "identified",
            "record_date": "2022-05-01",
            "population_of_focus": ["1a", "1A; 2", "1a,smi", "1a 2", None, "12"],
        }
    )
    assert problems(frame, "program_service") == {
        "`population_of_focus` is not in its code list (kept as it is)": 3
    }


def test_repeats_of_a_key_are_counted():
    frame = pd.DataFrame({"member_id": ["a", "a", "b"], "birth_date": ["2000-01-01"] * 3})
    assert problems(frame, "person") == {"repeats the key (`member_id`)": 1}


def test_unlisted_race_codes_are_counted():
    codes = {"race_code": ["1", "Q", "Q"], "race_code_system": ["meds"] * 3}
    frame = pd.DataFrame({"member_id": ["a", "b", "c"], "birth_date": ["2000-01-01"] * 3, **codes})
    assert problems(frame, "person") == {"race code not in code list (kept as unknown)": 2}


def test_an_unreadable_value_here_and_there_is_a_finding():
    assert problems(spans(enrollment_start_date=["2022-01-01", "x", "2022-01-01"])) == {
        "`enrollment_start_date` cannot be read as a date": 1
    }


def test_a_column_of_another_type_is_structural():
    with pytest.raises(TableError, match=r"not read as date in 3 of 3 rows.*\n.*YYYY-MM-DD"):
        check_table(spans(enrollment_start_date=["jan", "feb", "mar"]), "eligibility")


def test_a_column_of_unlisted_values_is_structural_and_lists_the_allowed():
    with pytest.raises(TableError, match=r"`benefit_scope` is not one of .*\n.*`full`, `limited`"):
        check_table(spans(benefit_scope=["A", "B", "full"]), "eligibility")


def test_a_column_that_must_be_filled_and_is_not():
    with pytest.raises(TableError, match=r"`member_id` is missing in 2 of 3 rows"):
        check_table(spans(member_id=["a", None, None]), "eligibility")


def test_empty_table():
    with pytest.raises(TableError, match="table `eligibility` has no rows"):
        check_table(spans().iloc[:0], "eligibility")


def test_unknown_table():
    with pytest.raises(TableError, match=r"no table is named `enrolment`.*\n.*`eligibility`"):
        check_table(spans(), "enrolment")


def test_missing_column():
    with pytest.raises(TableError, match="lacks column `enrollment_end_date`"):
        check_table(spans().drop(columns="enrollment_end_date"), "eligibility")


def test_a_derived_table_must_not_repeat_its_key():
    months = pd.DataFrame(
        {"member_id": ["a", "a", "b"], "month": ["2022-01-01"] * 3, "covered_days": [31, 30, 31]}
    )
    with pytest.raises(
        TableError, match=r"1 of 3 rows repeat the key \(`member_id`, `month`\).*\n.*Overlapping"
    ):
        check_table(months, "member_month")


def test_months_as_periods_and_a_path(tmp_path):
    months = pd.DataFrame(
        {
            "member_id": ["a", "b"],
            "month": pd.PeriodIndex(["2022-01", "2101-02"], freq="M"),
            "covered_days": [31, -1],
        }
    )
    expected = {
        "`month` is before 1900 or after 2100": 1,
        "`covered_days` is below 0": 1,
    }
    assert problems(months, "member_month") == expected
    months.assign(month=months["month"].dt.start_time).to_parquet(tmp_path / "part-0000.parquet")
    assert problems(tmp_path, "member_month") == expected


def test_no_value_is_ever_shown():
    frame = spans(
        member_id=[SECRET, SECRET, None],
        enrollment_start_date=[SECRET, "2022-01-01", "2022-01-01"],
        benefit_scope=[SECRET, "full", "full"],
    )
    assert SECRET not in check_table(frame, "eligibility").to_string()
    with pytest.raises(TableError) as caught:
        check_table(frame.assign(enrollment_start_date=SECRET), "eligibility")
    assert SECRET not in str(caught.value)


def test_the_frame_is_not_changed():
    frame = spans(payer_type=["tricare", "medicaid", "medicaid"])
    before = frame.copy()
    check_table(frame, "eligibility")
    pd.testing.assert_frame_equal(frame, before)
