import datetime as dt
from decimal import Decimal

import ibis
import pandas as pd
import pyarrow as pa
import pytest

from calaim_eval.schema.values import is_recorded, read_value


def read(values, field):
    column = ibis.memtable(pd.DataFrame({"given": values})).given
    read = read_value(column, field).to_pandas()
    return [None if pd.isna(value) else value for value in read]


def days(values, field="claim_start_date"):
    return [None if value is None else pd.Timestamp(value).date() for value in read(values, field)]


def test_dates_in_every_documented_form():
    expected = dt.date(2022, 3, 4)
    forms = ["2022-03-04", " 2022-03-04 ", "2022-03-04T23:59:59Z", "20220304", "03/04/2022"]
    forms += ["3/4/2022", "2022-03-04T14:22:27.454318+00:00", "3/4/2022 10:15"]
    forms += ["04MAR2022", "4-Mar-2022", "04MAR2022:10:15:00"]
    assert days(forms) == [expected] * len(forms)


def test_what_is_no_date_is_missing():
    assert days(["2022-13-01", "yesterday", "2022-02-30", "31/12/2022", "30FEB2022"]) == [None] * 5


def test_dates_that_are_typed_already():
    stamps = pd.Series(pd.to_datetime(["2022-03-04 22:00", None]))
    assert days(stamps) == [dt.date(2022, 3, 4), None]
    assert days([dt.date(2022, 3, 4)]) == [dt.date(2022, 3, 4)]
    assert days([20220304]) == [dt.date(2022, 3, 4)]


def test_open_end_is_missing_only_where_an_end_may_be_open():
    assert days(["9999-12-31", "2022-01-31"], "enrollment_end_date") == [None, dt.date(2022, 1, 31)]
    assert days(["9999-12-31"], "claim_start_date") == [dt.date(9999, 12, 31)]


def test_month_is_its_first_day():
    assert days(["2022-03-17", "2022-03"], "month") == [dt.date(2022, 3, 1)] * 2


@pytest.mark.parametrize("text", ["", " ", "NULL", "NaN", "None", ".", "\\N", "<NA>"])
def test_texts_that_stand_for_missing(text):
    assert read([text, "x"], "member_id") == [None, "x"]


def test_numbers():
    assert read(["12.5", "$1,200.50", "-3", "abc", "inf", "nan"], "paid_amount") == [
        12.5,
        1200.5,
        -3.0,
        None,
        None,
        None,
    ]
    assert read(["3", "3.0", "3.5", "x"], "days_supply") == [3, 3, None, None]
    assert read([3.0, None], "days_supply") == [3, None]


def test_a_comma_that_may_be_a_decimal_one_is_never_passed_over():
    german = ["12,50", "1.234,56", "1.234,567", "12,5000", "1,00,000", ",500", "1,23"]
    assert read(german, "paid_amount") == [None] * len(german)
    english = ["1,234", "-1,234,567.8", "$ 12,345.00", "-$1,000", "$-1,000"]
    english += ["$1234.50", "$ 5", "-$3", "1,234,567,890.12", ".5", "1e3"]
    plain = [1234, -1234567.8, 12345, -1000, -1000, 1234.5, 5, -3, 1234567890.12, 0.5, 1000]
    assert read(english, "paid_amount") == plain


def test_booleans():
    given = ["1", "no", "TRUE", "f", "maybe", ""]
    assert read(given, "is_transported") == [True, False, True, False, None, None]


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("hcpcs_code", " g9008 ", "G9008"),
        ("hcpcs_modifier_4", "u1", "U1"),
        ("revenue_center_code", "450", "0450"),
        ("revenue_center_code", "0450", "0450"),
        ("place_of_service_code", "2", "02"),
        ("diagnosis_code_1", "z59.01", "Z5901"),
        ("diagnosis_code", "j06.9", "J069"),
        ("planned_code", "Z51.11", "Z5111"),
        ("ndc_code", "00002-1433-80", "00002143380"),
        ("county", "LOS ANGELES COUNTY", "Los Angeles"),
        ("county", "San Francisco", "San Francisco"),
        ("county", "Middlesex County", "Middlesex"),
        ("sex", "F", "female"),
        ("payer_type", "Self-Pay", "self_pay"),
        ("payer_type", "Medi-Cal", "medicaid"),
        ("service", "Asthma Remediation", "asthma_remediation"),
        ("population_of_focus", "1A", "1a"),
        ("population_of_focus", " 1A; 2 ;3", "1a;2;3"),
        ("population_of_focus", "1a, 2|3;", "1a;2;3"),
        ("population_of_focus", " ; ", None),
        ("member_id", " aB1 ", "aB1"),
    ],
)
def test_one_spelling(field, given, expected):
    assert read([given], field) == [expected]


def test_numbers_read_as_text_lose_the_trailing_zero_of_a_spreadsheet():
    assert read([450.0, None], "revenue_center_code") == ["0450", None]
    assert read([123456789012], "claim_id") == ["123456789012"]


def test_numbers_that_are_no_whole_number_of_the_engine_stay_readable():
    assert read([1e20, float("inf"), 5.0, 2.5], "paid_amount") == [1e20, None, 5.0, 2.5]
    assert read([5.0, 1e20, float("inf"), None], "claim_id")[:1] == ["5"]
    assert read([5.0, 1e20, float("inf"), None], "days_supply") == [5, None, None, None]
    assert read(["5", "1e20"], "days_supply") == [5, None]


def test_decimals_read_as_text_are_written_as_whole_numbers_are():
    given = pa.array([Decimal("450.00"), Decimal("12.50"), None], pa.decimal128(12, 2))
    column = ibis.memtable(pa.table({"given": given})).given
    codes = read_value(column, "claim_id").to_pandas()
    assert codes.iloc[:2].tolist() == ["450", "12.50"]
    assert pd.isna(codes.iloc[2])


def test_recorded_is_told_from_missing():
    column = ibis.memtable({"given": ["x", "", "9999-12-31"]}).given
    assert is_recorded(column, "enrollment_end_date").to_pandas().tolist() == [True, False, False]
