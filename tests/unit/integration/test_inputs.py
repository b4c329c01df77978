from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from calaim_eval.errors import EstimationError, TableError
from calaim_eval.integration.inputs import (
    as_day,
    check_unique,
    check_values,
    names_as_text,
    quarter_days,
    set_aside,
    take_columns,
)
from calaim_eval.tables import RowLedger


def _take(frame: pd.DataFrame) -> pd.DataFrame:
    return take_columns(
        frame, table="referral", required=("referral_id",), optional=("referred_date", "plan")
    )


def test_columns_come_back_in_their_declared_types_and_absent_optional_ones_empty():
    frame = pd.DataFrame({"referral_id": [7, 8], "referred_date": [dt.date(2024, 1, 2), None]})
    before = frame.copy()
    taken = _take(frame)
    assert taken["referral_id"].tolist() == ["7", "8"]
    assert taken["referred_date"].tolist() == [pd.Timestamp("2024-01-02"), pd.NaT]
    assert taken["plan"].isna().all()
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    "ids",
    [
        pd.Series([1, 20, None]),
        pd.Series([1, 20, None], dtype="Float64"),
        pd.Series([1, 20, None], dtype="Int64"),
        pd.Series([1, 20, None], dtype="double[pyarrow]"),
        pd.Series([1.0, 20.0, None], dtype="category"),
        pd.Series([1.0, "20", None], dtype=object),
        pd.Series([Decimal("1.00"), Decimal(20), None], dtype=object),
        pd.Series(["1", "20", None]),
    ],
)
def test_whole_numbers_are_the_same_ids_however_a_frame_holds_them(ids):
    taken = _take(pd.DataFrame({"referral_id": ids}))["referral_id"]
    assert taken.isna().tolist() == [False, False, True]
    assert taken.dropna().tolist() == ["1", "20"]


def test_only_numbers_that_are_whole_lose_their_point_and_text_is_left_as_it_is():
    frame = pd.DataFrame({"referral_id": pd.Series([1.5, 2.0, float("inf"), "007", "3.0"])})
    assert _take(frame)["referral_id"].tolist() == ["1.5", "2", "inf", "007", "3.0"]


@pytest.mark.parametrize("dtype", ["object", "string", "str", "category", "string[pyarrow]"])
def test_blanks_around_an_id_are_no_part_of_it_and_blanks_alone_are_missing(dtype):
    frame = pd.DataFrame({"referral_id": pd.Series([" a", "a\u00a0", "a b ", "  "], dtype=dtype)})
    found = _take(frame)["referral_id"]
    assert found.tolist()[:3] == ["a", "a", "a b"]
    assert found.isna().tolist() == [False, False, False, True]
    assert names_as_text([" a", "", "b "]) == ["a", "b"]


@pytest.mark.parametrize("dtype", ["object", "string", "str", "category", "string[pyarrow]"])
def test_missing_text_stays_missing_whatever_the_dtype(dtype):
    frame = pd.DataFrame({"referral_id": pd.Series(["a", None], dtype=dtype)})
    assert _take(frame)["referral_id"].isna().tolist() == [False, True]


def test_the_open_end_of_a_span_can_be_read():
    frame = pd.DataFrame({"referral_id": ["a"], "referred_date": ["9999-12-31"]})
    assert _take(frame)["referred_date"].dt.year.tolist() == [9999]


def test_a_day_with_a_time_and_zone_is_that_day():
    frame = pd.DataFrame({"referral_id": ["a"]}).assign(
        referred_date=pd.Timestamp("2024-01-02 23:30", tz="America/Los_Angeles")
    )
    assert _take(frame)["referred_date"].tolist() == [pd.Timestamp("2024-01-02")]
    assert as_day(frame["referred_date"].iloc[0], name="as_of") == pd.Timestamp("2024-01-02")


def test_a_missing_column_is_named_with_the_one_that_looks_like_it():
    with pytest.raises(TableError, match="lacks column `referral_id`") as caught:
        _take(pd.DataFrame({"referralid": ["a"]}))
    assert "It has `referralid`; rename it to `referral_id`." in str(caught.value)


def test_unreadable_values_are_counted_and_never_shown():
    frame = pd.DataFrame(
        {"referral_id": ["a", "b"], "referred_date": ["2024-01-01", "the third of May"]}
    )
    with pytest.raises(TableError, match="`referred_date`: 1 of 2 values") as caught:
        _take(frame)
    assert "May" not in str(caught.value)


@pytest.mark.parametrize("value", ["05.01.2024", "5 Jan 2024", "20240105", 20240105, 45296.0])
def test_a_day_that_could_be_another_is_refused(value):
    frame = pd.DataFrame({"referral_id": ["a", "b"], "referred_date": ["2024-01-01", value]})
    with pytest.raises(TableError, match="`referred_date`: 1 of 2 values cannot be read as a date"):
        _take(frame)


@pytest.mark.parametrize(
    "value",
    [
        "2024-01-05",
        "2024-01-05 13:00",
        "01/05/2024",
        dt.date(2024, 1, 5),
        pd.Timestamp("2024-01-05"),
    ],
)
def test_a_day_however_it_is_told(value):
    frame = pd.DataFrame({"referral_id": ["a", "b"], "referred_date": [value, None]})
    found = _take(frame)["referred_date"]
    assert found.iloc[0] == pd.Timestamp("2024-01-05")
    assert found.isna().tolist() == [False, True]


def test_an_empty_table_is_refused():
    with pytest.raises(TableError, match="table `referral` has no rows"):
        _take(pd.DataFrame({"referral_id": []}))


def test_another_kind_of_table_is_refused():
    with pytest.raises(TableError, match="expected a pandas DataFrame, got `list`"):
        _take([1])  # type: ignore[arg-type]


def test_a_value_outside_the_code_list_is_counted_and_the_allowed_ones_listed():
    frame = pd.DataFrame({"organization_type": ["cbo", "church", None]})
    with pytest.raises(TableError, match="1 of 3 rows") as caught:
        check_values(frame, table="organization", column="organization_type")
    assert "`county_agency`" in str(caught.value)
    assert "church" not in str(caught.value)


def test_repeated_keys_are_counted():
    with pytest.raises(TableError, match=re.escape("1 of 3 rows repeat the key (`payment_id`)")):
        check_unique(
            pd.DataFrame({"payment_id": ["a", "a", "b"]}), table="payment", key=["payment_id"]
        )


def test_quarters():
    assert quarter_days("2024Q1") == (pd.Timestamp("2024-01-01"), pd.Timestamp("2024-03-31"))
    with pytest.raises(EstimationError, match="not a calendar quarter"):
        quarter_days("winter")


@pytest.mark.parametrize("value", ["soon", None, pd.NaT])
def test_a_day_that_is_none_is_refused(value):
    with pytest.raises(EstimationError, match="`as_of`"):
        as_day(value, name="as_of")


def test_rows_are_counted_under_the_first_reason_and_the_ledger_balances():
    ledger = RowLedger()
    is_kept = set_aside(
        {"odd": pd.Series([True, True, False]), "late": pd.Series([False, True, False])},
        table="payment",
        stage="payment",
        ledger=ledger,
    )
    assert is_kept.tolist() == [False, False, True]
    ledger.check("payment", "payment", 3)
    counts = ledger.to_frame().set_index("reason")["n_rows"]
    assert counts["odd"] == 2
    assert "late" not in counts
    assert np.isclose(counts["used"], 1)
