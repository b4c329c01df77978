"""Files with a column a month become rows a month."""

import ibis
import pandas as pd
import pytest

from calaim_eval.errors import TableError
from calaim_eval.tables.monthly_wide import (
    MonthlyColumn,
    columns_of_months,
    find_months,
    unpivot_months,
    upper_columns,
)

DUAL = MonthlyColumn("dual", ("DUAL_{mm}", "DUAL_{mon}_CD"))
DAYS = MonthlyColumn("days", ("DAYS_{m}",), is_needed=True)


def wide(**columns):
    """One member and year; each quantity has twelve values."""
    rows = {"ID": ["a", "b"], "YR": columns.pop("year", ["2020", "2021"])}
    for pattern, values in columns.items():
        for name, value in zip(columns_of_months(pattern), values, strict=True):
            rows[name] = [value, value]
    return ibis.memtable(pd.DataFrame(rows))


def long(rows, *monthly):
    result = unpivot_months(rows, year="YR", keep=("ID",), monthly=monthly, file="the file")
    return result.to_pandas().sort_values(["ID", "month"], ignore_index=True)


def test_each_month_takes_the_value_of_its_own_column():
    rows = wide(
        **{"DAYS_{m}": [str(i) for i in range(1, 13)], "DUAL_{mon}_CD": list("ABCDEFGHIJKL")}
    )
    frame = long(rows, DAYS, DUAL)
    assert frame["month"].tolist() == [f"{y}-{m:02d}" for y in (2020, 2021) for m in range(1, 13)]
    assert frame["days"].tolist() == [str(i) for i in range(1, 13)] * 2
    assert "".join(frame["dual"]) == "ABCDEFGHIJKL" * 2


def test_numbers_of_a_statistical_package_and_blanks():
    rows = wide(
        year=[2020.0, 2021.0],
        **{"DAYS_{m}": [31.0, None, 0.0] * 4, "DUAL_{mm}": [" 02", "", "."] * 4},
    )
    frame = long(rows, DAYS, DUAL)
    assert frame["month"].iloc[0] == "2020-01"
    assert frame["days"].fillna("").tolist() == ["31", "", "0"] * 8
    assert frame["dual"].fillna("").tolist() == ["02", "", ""] * 8


def test_a_quantity_the_file_lacks_is_missing_or_refused():
    frame = long(wide(**{"DAYS_{m}": ["1"] * 12}), DAYS, DUAL)
    assert frame["dual"].isna().all()
    with pytest.raises(
        TableError, match=r"the file lacks columns `DAYS_1` to `DAYS_12`; it has no"
    ):
        find_months(["ID"], [DAYS], file="the file")
    with pytest.raises(TableError, match=r"`DUAL_01` to `DUAL_12` or .*; it has 2 of them"):
        find_months(["DUAL_01", "DUAL_FEB_CD"], [DUAL], file="the file")


def test_names_in_any_case():
    assert upper_columns(ibis.memtable({"a ": [1], "b": [2]})).columns == ("A", "B")
    with pytest.raises(TableError, match="two columns `A` that differ in case alone"):
        upper_columns(ibis.memtable({"a": [1], "A": [2]}))
